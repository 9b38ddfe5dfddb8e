//! Writing HAProxy's file: checked, whole, or not at all.
