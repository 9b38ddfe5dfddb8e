//! The backend of a rule, and the second one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format;

/// A backend: its name alone, or a mapping.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(untagged)]
#[schemars(inline)]
pub enum BackendRule {
    /// The name.
    Name(#[schemars(with = "format::BackendPattern")] String),
    /// All of it.
    Full(Backend),
}

/// A backend's name, and what of it is Roster's.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backend {
    /// The name, with placeholders `{service}`, `{source}`, `{port}`, `{region}`, `{zone}` and `{group}`.
    #[schemars(with = "format::BackendPattern")]
    pub name: String,
    /// What of the backend is Roster's. Whatever is not, it leaves alone.
    pub own: Own,
}

/// What of a backend is Roster's.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Own {
    /// The servers whose names fit `slots.names`.
    #[default]
    Servers,
    /// All of its servers.
    Whole,
}

/// A second backend, for the instances that `select` leaves.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// Its name, with the same placeholders as that of the first.
    #[schemars(with = "format::BackendPattern")]
    pub backend: String,
    /// Its servers' names; those of `slots.names` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::SlotNames>")]
    pub names: Option<String>,
    /// Whether every instance goes there too, not only those that `select` leaves.
    #[serde(default)]
    pub all: bool,
}

impl Default for Backend {
    fn default() -> Self {
        Self { name: "{service}".to_owned(), own: Own::default() }
    }
}

impl BackendRule {
    /// The name's pattern.
    pub fn name(&self) -> &str {
        match self {
            BackendRule::Name(name) => name,
            BackendRule::Full(backend) => &backend.name,
        }
    }

    /// What of it is Roster's.
    pub fn own(&self) -> Own {
        match self {
            BackendRule::Name(_) => Own::default(),
            BackendRule::Full(backend) => backend.own,
        }
    }
}

impl Default for BackendRule {
    fn default() -> Self {
        BackendRule::Full(Backend::default())
    }
}

impl From<Own> for roster_core::exposure::Own {
    fn from(own: Own) -> Self {
        match own {
            Own::Servers => Self::Servers,
            Own::Whole => Self::Whole,
        }
    }
}
