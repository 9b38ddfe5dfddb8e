//! What instances of other zones become.

use roster_core::exposure::{self, ZonePolicy};
use roster_haproxy::name::Label;
use roster_haproxy::weight::Weight;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format;

/// What instances of other zones become. An instance without a zone counts as local. One that has a share of its own, as
/// machines of a cloud can by a tag, has that weight in another zone and what it leaves of 100 in the local one instead.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// The zone that HAProxy is in, as the source spells it.
    #[schemars(with = "format::Label")]
    pub local: Label,
    /// What the others become.
    #[serde(default)]
    pub others: OtherZones,
}

/// What instances of other zones become.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherZones {
    /// Backup servers: they get traffic only when no local one is left. A backend that Roster makes then has
    /// `option allbackups`, so that all of them do.
    #[default]
    Backup,
    /// No different from the local ones.
    Same,
    /// Servers of this weight.
    Weight(#[schemars(with = "format::Weight")] Weight),
}

impl Zone {
    pub(crate) fn policy(&self) -> ZonePolicy {
        let others = match self.others {
            OtherZones::Backup => exposure::OtherZones::Backup,
            OtherZones::Same => exposure::OtherZones::Same,
            OtherZones::Weight(weight) => exposure::OtherZones::Weight(weight),
        };
        ZonePolicy { local: self.local.clone(), others }
    }
}
