//! What holds back changes that look like a failure of the source.

use roster_core::exposure::Guards;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Duration, Off, Percent};

/// What holds back changes that look like a failure of the source; `off` believes every answer. What no answer speaks for, and
/// what an entry that cannot be read may be, stays all the same.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(untagged)]
#[schemars(inline)]
pub enum GuardRule {
    /// `off`: every answer of the source is believed.
    Off(Off),
    /// What is held back, and how long.
    On(Guard),
}

/// What holds back removals that look like a failure of the source. `roster release` lets them through.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// The largest share of a backend that may leave in one answer. `100%` is no limit. It judges two or more.
    pub max_removal: Percent,
    /// How many instances must stay; 1 keeps the last one, 0 none.
    #[schemars(range(max = 10000))]
    pub min_servers: u32,
    /// How many answers in a row a loss is held back; the next one that says the same is believed. 0 counts no answers. A loss
    /// that grows begins anew.
    #[schemars(range(max = 1000))]
    pub hold_passes: u32,
    /// An answer that lasts this long is believed. While the source does not answer, none is.
    pub hold_for: Duration,
    /// An instance that leaves and comes back this often within ten minutes stays out until it calms down; 0 is off. No more are
    /// kept out at once than `max_removal` and `min_servers` let an answer take out.
    #[schemars(range(max = 1000))]
    pub flaps: u32,
}

impl Default for Guard {
    fn default() -> Self {
        let Guards { max_removal_percent, min_servers, hold_passes, hold_for, flaps } = Guards::default();
        let max_removal = Percent::new(max_removal_percent).unwrap_or(Percent::ALL);
        Self { max_removal, min_servers, hold_passes, hold_for: hold_for.into(), flaps }
    }
}

impl GuardRule {
    pub(crate) fn guards(self) -> Guards {
        match self {
            GuardRule::Off(_) => Guards::OFF,
            GuardRule::On(guard) => Guards {
                max_removal_percent: guard.max_removal.get(),
                min_servers: guard.min_servers,
                hold_passes: guard.hold_passes,
                hold_for: guard.hold_for.get(),
                flaps: guard.flaps,
            },
        }
    }
}
