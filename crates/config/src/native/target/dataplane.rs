//! An HAProxy that is kept through its Data Plane API.

use std::path::PathBuf;

use roster_haproxy::dataplane;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::managed::{MaxReloads, Settle};
use super::{Address, ReloadBudget};
use crate::document::Path;
use crate::format;
use crate::native::resolve::Resolve;
use crate::value::{Duration, OffOr, Secret, SecretText};

/// An HAProxy that is kept through its Data Plane API, 2.9 (v2) or 3.x (v3), which owns its configuration file.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DataplaneTarget {
    /// Where the API answers, such as `http://localhost:5555`.
    #[schemars(with = "format::HttpUrl")]
    pub url: String,
    /// The version of the API, or `auto` to ask it.
    #[serde(default)]
    pub version: ApiVersion,
    /// The user, as in the API's `userlist`.
    #[schemars(length(min = 1))]
    pub username: String,
    /// The user's password: `"${NAME}"` for a variable, or `{ file: path }`.
    pub password: Secret,
    /// How its certificate is checked, where `url` is `https`.
    #[serde(default)]
    pub tls: ApiTls,
    /// The path of HAProxy's `stats socket`, where Roster can reach it too. Changes then go by the socket, in milliseconds,
    /// and the API is only given what the file should say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::SocketPath>")]
    pub socket: Option<PathBuf>,
    /// What becomes of a service whose backend is there already and was not made by Roster.
    #[serde(default)]
    pub strategy: Strategy,
    /// How changes that want a reload are gathered.
    #[serde(default)]
    pub settle: Settle,
    /// How often Roster lets HAProxy reload at most, or `off`. Past that it holds such changes back and says so; what can
    /// be done live goes on.
    #[serde(default)]
    pub max_reloads: OffOr<MaxReloads>,
    /// How long one call may take, and how long HAProxy may take to serve after a reload.
    #[serde(default = "timeout")]
    pub timeout: Duration,
    /// How often HAProxy is looked at while nothing changes.
    #[serde(default = "poll")]
    pub poll: Duration,
}

/// The version of the API.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiVersion {
    /// Roster asks which one is there.
    #[default]
    Auto,
    /// `/v2`, as 2.x has it.
    V2,
    /// `/v3`, as 3.x has it.
    V3,
}

/// How the API's certificate is checked.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiTls {
    /// Whether it must be of a known authority and for that host.
    pub verify: bool,
    /// The authorities to go by instead of the system's, relative to the folder of this configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub ca_file: Option<PathBuf>,
}

/// What becomes of a service whose backend is there already and was not made by Roster.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Its servers are kept, if its algorithm takes servers live and is the one that is wanted.
    #[default]
    UseExisting,
    /// Its servers are kept whatever its algorithm: what that does not take live comes by a reload.
    TakeOver,
    /// Every backend is to be made by Roster: the service is left out, and told.
    CreateNew,
    /// The service is left out, and told.
    FailOnConflict,
}

/// How a Data Plane API is reached and what is done with it.
#[derive(Clone, Debug, PartialEq)]
pub struct DataplaneReach {
    /// Where it answers, without a `/` at the end.
    pub url: String,
    /// Its version; none to ask it.
    pub version: ApiVersion,
    /// The user.
    pub username: String,
    /// The password.
    pub password: SecretText,
    /// Whether its certificate must be good.
    pub verify: bool,
    /// The authorities to go by instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// HAProxy's own socket, where it can be reached too.
    pub socket: Option<Address>,
    /// What becomes of backends of somebody else's.
    pub strategy: dataplane::Strategy,
    /// How long no more changes that want a reload must have come before it is made.
    pub quiet: std::time::Duration,
    /// The longest wait for such quiet.
    pub at_most: std::time::Duration,
    /// How often Roster lets HAProxy reload at most.
    pub max_reloads: Option<ReloadBudget>,
    /// How long one call may take; not zero.
    pub timeout: std::time::Duration,
    /// How often HAProxy is looked at while nothing changes; not zero.
    pub poll: std::time::Duration,
}

fn timeout() -> Duration {
    Duration::seconds(30)
}

fn poll() -> Duration {
    Duration::seconds(2)
}

impl Default for ApiTls {
    fn default() -> Self {
        Self { verify: true, ca_file: None }
    }
}

impl DataplaneTarget {
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Option<DataplaneReach> {
        self.settle.resolve(cx, &at.join("settle"));
        cx.not_zero(&at.join("timeout"), self.timeout);
        cx.not_zero(&at.join("poll"), self.poll);
        let max_reloads = self.max_reloads.on().map(|most| most.resolve(cx, &at.join("max_reloads")));
        if !self.url.starts_with("https:") && (!self.tls.verify || self.tls.ca_file.is_some()) {
            let message = "`tls` does nothing where `url` is http; write https://, or remove `tls`";
            cx.key_problem(&at.join("tls"), message);
        }
        let password = cx.secret(&at.join("password"), &self.password);
        let socket = match &self.socket {
            Some(socket) => {
                let socket = cx.absolute(socket);
                cx.sound(&at.join("socket"), format::socket_path(&socket.to_string_lossy()))?;
                Some(Address::Socket(socket))
            }
            None => None,
        };
        Some(DataplaneReach {
            url: self.url.trim_end_matches('/').to_owned(),
            version: self.version,
            username: self.username.clone(),
            password: password?,
            verify: self.tls.verify,
            ca_file: self.tls.ca_file.as_ref().map(|file| cx.absolute(file)),
            socket,
            strategy: self.strategy.into(),
            quiet: self.settle.quiet.get(),
            at_most: self.settle.at_most.get(),
            max_reloads,
            timeout: self.timeout.get(),
            poll: self.poll.get(),
        })
    }
}

impl From<Strategy> for dataplane::Strategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::UseExisting => Self::UseExisting,
            Strategy::TakeOver => Self::TakeOver,
            Strategy::CreateNew => Self::CreateNew,
            Strategy::FailOnConflict => Self::FailOnConflict,
        }
    }
}
