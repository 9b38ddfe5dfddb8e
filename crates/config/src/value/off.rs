//! The word `off`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `off`, where something is on by default.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Off {
    /// `off`.
    Off,
}
