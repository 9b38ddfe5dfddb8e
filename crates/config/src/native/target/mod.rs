//! The kinds of targets.

mod runtime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
}

/// How a target is reached: what the file says of it, made complete.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reach {
    /// By its Runtime API alone.
    Runtime(RuntimeReach),
}

impl Target {
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Option<Reach> {
        match self {
            Target::Runtime(runtime) => runtime.resolve(cx, &at.join("runtime")).map(Reach::Runtime),
        }
    }
}
