//! The kinds of targets.

mod dataplane;
mod managed;
mod runtime;

use std::collections::BTreeMap;

use roster_haproxy::name::TargetName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use dataplane::{ApiTls, ApiVersion, DataplaneReach, DataplaneTarget, Strategy};
pub use managed::{
    AtExit, CertificateList, ExternalProcess, FilePiece, Frontend, Listeners, ManagedFrontend,
    ManagedProcess, ManagedReach, ManagedTarget, MaxReloads, OnExit, OwnProcess, Piece, ProcessRule, Reload,
    ReloadBudget, ReloadBy, Settle, Stop, TextPiece,
};
pub use runtime::{Address, RuntimeReach, RuntimeTarget};

use crate::document::Path;
use crate::native::resolve::Resolve;

/// One HAProxy that Roster keeps: one key that names how.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[schemars(title = "target")]
pub enum Target {
    /// Through its Runtime API alone: its configuration file and its process are somebody else's.
    Runtime(RuntimeTarget),
    /// Through its Data Plane API, which owns its configuration file.
    Dataplane(Box<DataplaneTarget>),
    /// Whole: Roster writes its configuration file and runs its process.
    Managed(Box<ManagedTarget>),
}

/// How a target is reached: what the file says of it, made complete.
#[derive(Clone, Debug, PartialEq)]
pub enum Reach {
    /// By its Runtime API alone.
    Runtime(RuntimeReach),
    /// By its Data Plane API.
    Dataplane(Box<DataplaneReach>),
    /// By its file and its process too.
    Managed(Box<ManagedReach>),
}

impl Target {
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path, name: &TargetName) -> Option<Reach> {
        match self {
            Target::Runtime(runtime) => runtime.resolve(cx, &at.join("runtime")).map(Reach::Runtime),
            Target::Dataplane(dataplane) => {
                let reach = dataplane.resolve(cx, &at.join("dataplane"))?;
                Some(Reach::Dataplane(Box::new(reach)))
            }
            Target::Managed(managed) => {
                let reach = managed.resolve(cx, &at.join("managed"), name)?;
                Some(Reach::Managed(Box::new(reach)))
            }
        }
    }

    /// Whether Roster writes its file, or has it written.
    pub(crate) fn has_file(&self) -> bool {
        matches!(self, Target::Managed(_) | Target::Dataplane(_))
    }
}

/// Managed targets that would write over each other.
pub(crate) fn clashes(cx: &mut Resolve<'_>, targets: &BTreeMap<TargetName, Reach>) {
    let managed = targets.iter().filter_map(|(name, reach)| match reach {
        Reach::Managed(reach) => Some((name, &**reach)),
        Reach::Runtime(_) | Reach::Dataplane(_) => None,
    });
    let managed: Vec<_> = managed.collect();
    for (index, (name, reach)) in managed.iter().enumerate() {
        let at = Path::from(["targets", name.as_str(), "managed"]);
        let mut clash = |key: Path, what: &str, is_same: fn(&ManagedReach, &ManagedReach) -> bool| {
            let mut earlier = managed.iter().take(index);
            if let Some((earlier, _)) = earlier.find(|(_, earlier)| is_same(earlier, reach)) {
                cx.problem(&key, format!("{what} is that of target `{earlier}` too; give each its own"));
            }
        };
        clash(at.join("config"), "this file", |a, b| a.config == b.config);
        clash(at.join("run_dir"), "this folder", |a, b| a.run_dir == b.run_dir);
        clash(at.join("process").join("socket"), "this socket", |a, b| {
            a.run_dir != b.run_dir && a.stats_socket == b.stats_socket
        });
    }
}
