//! The native configuration: what stands in the file, with a comment on every key, and what it comes to.
//!
//! The types of this folder are the file's own: the schema, `docs/config.md` and the errors are made from them.
//! [`Config`] is what they come to: names looked up, paths made absolute, rules as `roster-core` has them.

mod admin;
mod expose;
mod last_good;
mod load;
mod log;
mod partial;
mod resolve;
mod source;
mod target;

use std::collections::BTreeMap;

pub use admin::{Admin, AdminServer, Listen};
pub use expose::{
    Alpn, Backend, BackendRule, Bind, BindRule, BringUp, CheckMethod, Claim, Drain, Expose, Fallback, Growth,
    Guard, GuardRule, HttpCheck, InitState, Mode, OtherZones, Own, Probe, Route, Select, SendProxy, Server,
    Slots, SlowStart, Ssl, TlsVersion, Verify, Zone,
};
pub use last_good::LastGood;
pub use load::{Config, LoadError};
pub use log::{Log, LogFormat, LogLevel};
use roster_haproxy::name::{SourceName, TargetName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
pub use source::{
    AddressFamily, AwsAddress, AwsSource, AwsZone, AzureCloud, AzureCredential, AzureSource, Backoff,
    Discover, FileFormat, FileSource, Poll, Source, TagValues, Tags,
};
pub use target::{
    Address, ApiTls, ApiVersion, AtExit, CertificateList, DataplaneReach, DataplaneTarget, ExternalProcess,
    FilePiece, Frontend, Listeners, ManagedFrontend, ManagedProcess, ManagedReach, ManagedTarget, MaxReloads,
    OnExit, OwnProcess, Piece, ProcessRule, Reach, Reload, ReloadBudget, ReloadBy, RuntimeReach,
    RuntimeTarget, Settle, Stop, Strategy, Target, TextPiece,
};

use crate::format;

/// Where Roster learns of instances, which HAProxy it keeps, and what goes where.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Roster's configuration")]
pub struct File {
    /// Who says which instances there are; a source has a name of your choice and one kind.
    #[schemars(with = "format::Named<format::SourceName, Source>")]
    pub sources: BTreeMap<SourceName, Source>,
    /// Each HAProxy that Roster keeps; a target has a name of your choice and one kind.
    #[schemars(with = "format::Named<format::TargetName, Target>")]
    pub targets: BTreeMap<TargetName, Target>,
    /// Which services go to which backends. Without it each service goes to the backend of its name on every target.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub expose: Option<Vec<Expose>>,
    /// The address for the status page and metrics, or `off`.
    #[serde(default)]
    pub admin: Admin,
    /// What Roster writes about its work.
    #[serde(default)]
    pub log: Log,
    /// How old a kept answer may be that stands for a source which does not answer at a start.
    #[serde(default)]
    pub last_good: LastGood,
}

/// The JSON Schema (draft 2020-12) of the configuration.
pub fn schema() -> Value {
    crate::document::schema_of::<File>()
}
