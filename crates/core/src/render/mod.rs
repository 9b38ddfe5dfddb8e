//! HAProxy's file as text, made of what is wanted.
