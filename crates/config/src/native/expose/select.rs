//! Which instances of a service are taken.

use std::collections::{BTreeMap, BTreeSet};

use roster_core::exposure::Selector;
use roster_haproxy::name::Label;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format;
use crate::value::OneOrMany;

/// Which instances of a service are taken: those that fit every key that is given.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Select {
    /// Of one of these groups: auto scaling group, scale set, node pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OneOrMany<format::Label>>")]
    pub group: Option<OneOrMany<Label>>,
    /// In one of these zones.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OneOrMany<format::Label>>")]
    pub zone: Option<OneOrMany<Label>>,
    /// In one of these regions or datacenters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OneOrMany<format::Label>>")]
    pub region: Option<OneOrMany<Label>>,
    /// With this metadata: tags, labels, meta keys. Each key with one value or a list of those that will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minProperties" = 1))]
    pub metadata: Option<BTreeMap<String, OneOrMany<String>>>,
}

fn set<T: Clone + Ord>(values: Option<&OneOrMany<T>>) -> BTreeSet<T> {
    values.into_iter().flat_map(OneOrMany::values).cloned().collect()
}

impl Select {
    pub(crate) fn selector(&self) -> Selector {
        let metadata = self.metadata.iter().flatten();
        Selector {
            group: set(self.group.as_ref()),
            zone: set(self.zone.as_ref()),
            region: set(self.region.as_ref()),
            metadata: metadata.map(|(key, values)| (key.clone(), set(Some(values)))).collect(),
            ..Selector::default()
        }
    }
}
