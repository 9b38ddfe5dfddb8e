//! How often HAProxy is reloaded.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ReloadBudget;
use crate::document::Path;
use crate::format;
use crate::native::resolve::Resolve;
use crate::value::{Duration, OffOr};

/// How changes that want a reload are gathered: those that come together make one.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settle {
    /// How long no more of them must have come. `0s` gathers nothing.
    pub quiet: Duration,
    /// The longest wait from the first of them.
    pub at_most: Duration,
}

/// How often Roster reloads at most.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaxReloads {
    /// How many reloads.
    #[schemars(with = "format::Count")]
    pub count: NonZeroU32,
    /// Within how long.
    pub per: Duration,
}

impl Default for Settle {
    fn default() -> Self {
        Self { quiet: Duration::millis(200), at_most: Duration::seconds(2) }
    }
}

impl Default for MaxReloads {
    fn default() -> Self {
        let count = NonZeroU32::MIN.saturating_add(29);
        Self { count, per: Duration::seconds(600) }
    }
}

impl Default for OffOr<MaxReloads> {
    fn default() -> Self {
        OffOr::On(MaxReloads::default())
    }
}

impl Settle {
    pub(in crate::native::target) fn resolve(self, cx: &mut Resolve<'_>, at: &Path) {
        if self.at_most < self.quiet {
            let message = format!("`at_most` is shorter than `quiet`; write {} or more", self.quiet);
            cx.problem(&at.join("at_most"), message);
        }
    }
}

impl MaxReloads {
    pub(in crate::native::target) fn resolve(self, cx: &mut Resolve<'_>, at: &Path) -> ReloadBudget {
        cx.not_zero(&at.join("per"), self.per);
        ReloadBudget { count: self.count, per: self.per.get() }
    }
}
