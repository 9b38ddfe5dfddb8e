//! An HAProxy whose file Roster writes and whose process it runs, unless somebody else does.

mod frontend;
mod pace;
mod process;
mod reach;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;

use roster_haproxy::render::FrontendName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use frontend::{CertificateList, Frontend, ManagedFrontend};
pub use pace::{MaxReloads, Settle};
pub use process::{ExternalProcess, Listeners, OnExit, OwnProcess, ProcessRule, Reload, Stop};
pub use reach::{AtExit, ManagedProcess, ManagedReach, ReloadBudget, ReloadBy};
pub use text::{FilePiece, Piece, TextPiece};

use crate::format;
use crate::value::{Duration, OffOr, OneOrMany, VariableName};

/// An HAProxy whose file Roster writes, and which it starts, watches and reloads unless `process` says otherwise. What
/// Roster does not make of services stands in `global`, `defaults` and `sections`.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedTarget {
    /// The file that Roster writes for HAProxy, relative to the folder of this configuration. Whatever is in it is
    /// overwritten.
    #[schemars(length(min = 1))]
    pub config: PathBuf,
    /// HAProxy: a name to be found in `PATH`, or a path, relative to the folder of this configuration.
    #[serde(default = "haproxy")]
    #[schemars(length(min = 1))]
    pub haproxy: PathBuf,
    /// The folder for HAProxy's sockets (`admin.sock`, `master.sock`), its output (`haproxy.log`) and its servers' state
    /// over a reload (`server-state`). `/run/roster/NAME` if not given. A socket's path has at most 90 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub run_dir: Option<PathBuf>,
    /// Lines of your own inside `global`, or the file that holds them. Roster adds its socket, `hard-stop-after` and
    /// `server-state-file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global: Option<Piece>,
    /// Lines of your own inside the `defaults` that hold for every backend of Roster's, or the file that holds them.
    /// Write timeouts here: HAProxy has none by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub defaults: Option<Piece>,
    /// Whole sections of your own, such as `frontend`, `listen`, `resolvers` or `userlist`; or the file that holds them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sections: Option<OneOrMany<Piece>>,
    /// Frontends that several services share, by name. Exposures send requests to their backends by `route`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "format::Named<format::FrontendName, Frontend>")]
    pub frontends: BTreeMap<FrontendName, Frontend>,
    /// Who runs HAProxy: `own` for Roster, or how it is reloaded where somebody else does.
    #[serde(default)]
    pub process: ProcessRule,
    /// Who opens the ports.
    #[serde(default)]
    pub listen: Listeners,
    /// What becomes of HAProxy when Roster ends.
    #[serde(default)]
    pub on_exit: OnExit,
    /// How HAProxy is ended, where `on_exit` is `stop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// How long a process that was replaced may live on for its connections; `off` is without end.
    #[serde(default = "hard_stop_after")]
    pub hard_stop_after: OffOr<Duration>,
    /// How changes that want a reload are gathered.
    #[serde(default)]
    pub settle: Settle,
    /// How often Roster reloads at most, or `off`. Past that it holds such changes back and says so; what can be done
    /// live goes on.
    #[serde(default)]
    pub max_reloads: OffOr<MaxReloads>,
    /// Variables of Roster's environment that HAProxy and the command that reloads it get, such as those that `sections`
    /// name, besides `PATH`, `HOME`, `LANG`, `LC_ALL`, `TZ` and `TMPDIR`. A client of a stats socket of level operator
    /// can read them (`show env`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<format::VariableName>")]
    pub pass_environment: Vec<VariableName>,
    /// How long one exchange with HAProxy may take.
    #[serde(default = "timeout")]
    pub timeout: Duration,
    /// How often HAProxy is looked at while nothing changes.
    #[serde(default = "poll")]
    pub poll: Duration,
}

fn haproxy() -> PathBuf {
    PathBuf::from("haproxy")
}

fn hard_stop_after() -> OffOr<Duration> {
    OffOr::On(Duration::seconds(300))
}

fn timeout() -> Duration {
    Duration::seconds(5)
}

fn poll() -> Duration {
    Duration::seconds(1)
}
