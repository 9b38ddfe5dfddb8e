//! Roster's native configuration: YAML with positions, environment, schema.

#[macro_use]
mod marker;

pub mod document;
pub mod env;
pub mod format;
pub mod legacy;
pub mod native;
pub mod nearest;
pub mod position;
pub mod problem;
pub mod reference;
pub mod value;
