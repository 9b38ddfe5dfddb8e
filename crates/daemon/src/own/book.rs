//! What Roster has to remember of a HAProxy that it owns.

use std::collections::BTreeSet;

use roster_haproxy::name::BackendName;
use roster_haproxy::render::Structure;
use roster_targets::managed::listen;
use roster_targets::managed::process::Adoptable;
use serde::{Deserialize, Serialize};

/// Kept in the state folder from before each change on.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Book {
    /// The process, so that the next Roster adopts it.
    #[serde(default)]
    pub master: Option<Adoptable>,
    /// Its worker that was last known to have Roster's file.
    #[serde(default)]
    pub worker: Option<u32>,
    /// What of its file the process has taken in.
    #[serde(default)]
    pub structure: Option<Structure>,
    /// Backends that were added while HAProxy ran and take no requests yet.
    #[serde(default)]
    pub unpublished: BTreeSet<BackendName>,
    /// The numbers of the listening sockets.
    #[serde(default)]
    pub sockets: Option<listen::Record>,
    /// Those that the process inherited.
    #[serde(default)]
    pub inherited: BTreeSet<i32>,
    /// What the file was when Roster last wrote it.
    #[serde(default)]
    pub file: Option<roster_targets::managed::file::Record>,
}
