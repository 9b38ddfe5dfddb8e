//! Whose the lines of servers are in HAProxy's file.

use std::collections::BTreeMap;

use roster_core::exposure::Policy;
use roster_haproxy::name::BackendName;
use roster_haproxy::weight::Weight;

/// The backends whose servers' lines are Roster's own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum OwnLines {
    /// None of them.
    #[default]
    None,
    /// All of them: Roster writes the file.
    All,
    /// These, each with the weight that `default-server` gives its servers.
    Of(BTreeMap<BackendName, Option<Weight>>),
}

impl OwnLines {
    /// The weight of a line of Roster's own to which no instance gives one; none where the line is not Roster's.
    pub(super) fn weight(&self, backend: &BackendName, policy: &Policy) -> Option<Weight> {
        let by_default = match self {
            Self::None => return None,
            Self::All => None,
            Self::Of(backends) => *backends.get(backend)?,
        };
        Some(policy.server.weight.or(by_default).unwrap_or(Weight::ONE))
    }
}
