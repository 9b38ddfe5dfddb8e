//! Guards on tables made of values.
