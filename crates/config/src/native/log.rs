//! What Roster writes about its work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What Roster writes about its work, to standard error.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// From which weight on something is written.
    pub level: LogLevel,
    /// Lines for people, or one JSON object a line.
    pub format: LogFormat,
}

/// How much something matters.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something failed and needs a person.
    Error,
    /// Something failed and Roster copes, or a guard holds.
    Warn,
    /// Each change to HAProxy, and starts and stops.
    #[default]
    Info,
    /// Each decision and why.
    Debug,
    /// Each command to HAProxy and its answer, without certificates, keys and bodies of calls.
    Trace,
}

/// The shape of a line.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}
