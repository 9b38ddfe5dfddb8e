//! From ARM to machines, by its parts.
