//! Roster's native configuration: YAML with positions, environment, schema.

pub mod document;
pub mod env;
pub mod format;
pub mod problem;
pub mod value;
