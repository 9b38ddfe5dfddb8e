//! The backend of a rule, and the second one.

use std::collections::BTreeMap;

use roster_haproxy::render::{Balance, FieldName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BindRule, HttpCheck, Mode, Route};
use crate::format;
use crate::value::OneOrMany;

/// A backend: its name alone, or a mapping.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(untagged)]
#[schemars(inline)]
pub enum BackendRule {
    /// The name.
    Name(#[schemars(with = "format::BackendPattern")] String),
    /// All of it.
    Full(Box<Backend>),
}

/// A backend's name, and what of it is Roster's. All other keys are for targets whose file
/// Roster writes or has written (`managed`, `dataplane`); a runtime target's file says the like itself.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backend {
    /// The name, with placeholders `{service}`, `{source}`, `{port}`, `{region}`, `{zone}` and `{group}`.
    #[schemars(with = "format::BackendPattern")]
    pub name: String,
    /// What of the backend is Roster's. Whatever is not, it leaves alone.
    pub own: Own,
    /// Dataplane target: which backends are Roster's though no source tells of their service any more, as after a restart
    /// without what it kept. Their servers are taken out; no backend is removed.
    pub claim: Claim,
    /// Managed and dataplane target: what the backend understands of its traffic; `http` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Managed and dataplane target: how a server is chosen, `roundrobin` if not given. One of `roundrobin`, `static-rr`, `leastconn`,
    /// `first`, `source`, `uri`, `random`, `hdr(NAME)`, `url_param NAME` and `rdp-cookie(NAME)`. What hashes does so
    /// consistently. Past the slots `static-rr` wants a reload for each server.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::Balance>")]
    pub balance: Option<Balance>,
    /// Managed and dataplane target: more lines of the section, such as `option forwardfor` or `timeout server 5s`. What reads files,
    /// runs programs or works against what Roster writes is not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OneOrMany<format::BackendLine>>")]
    pub lines: Option<OneOrMany<String>>,
    /// Managed and dataplane target: what HAProxy's checks ask, where `server` says `check: true`; without it a connection is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_check: Option<HttpCheck>,
    /// Managed and dataplane target: the name of the cookie that keeps a client at its server, where `server` says `cookie: true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::FieldName>")]
    pub cookie: Option<FieldName>,
    /// Managed and dataplane target: where to listen for this backend. With it Roster writes a frontend of the backend's name; without
    /// it, write one in the target's `sections`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<OneOrMany<BindRule>>,
    /// Managed and dataplane target: which requests the target's own `frontends` send to this backend. Routes come and go without a
    /// reload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<OneOrMany<Route>>,
    /// Dataplane target: fields of the API's backend object, merged into it when Roster makes the backend, and only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<serde_json::Map<String, serde_json::Value>>,
    /// Dataplane target: more such fields for some services, each under the name that `{service}` stands for. They replace
    /// those of the same name in `options`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options_of: Option<BTreeMap<String, serde_json::Map<String, serde_json::Value>>>,
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

/// Which backends are Roster's.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// Those that Roster has made.
    #[default]
    Marked,
    /// Also those whose names `name` could have made and whose servers are all called as in `slots.names`: another program
    /// made them for the same service.
    Named,
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
        Self {
            name: "{service}".to_owned(),
            own: Own::default(),
            claim: Claim::default(),
            mode: None,
            balance: None,
            lines: None,
            http_check: None,
            cookie: None,
            bind: None,
            route: None,
            options: None,
            options_of: None,
        }
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

    /// Which ones are Roster's.
    pub fn claim(&self) -> Claim {
        match self {
            BackendRule::Name(_) => Claim::default(),
            BackendRule::Full(backend) => backend.claim,
        }
    }
}

impl Default for BackendRule {
    fn default() -> Self {
        BackendRule::Full(Box::default())
    }
}

impl From<Claim> for roster_core::exposure::Claim {
    fn from(claim: Claim) -> Self {
        match claim {
            Claim::Marked => Self::Marked,
            Claim::Named => Self::Named,
        }
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
