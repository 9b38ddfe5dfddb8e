//! What the sources of all clouds have in common: which tags mean what, whose machines count, how often they are asked.

use std::collections::{BTreeMap, BTreeSet};

use roster_core::fleet::TagRules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::Path;
use crate::native::resolve::Resolve;
use crate::value::{Duration, OneOrMany};

/// The shortest interval, so that no configuration makes calls without a pause.
const SHORTEST: std::time::Duration = std::time::Duration::from_secs(1);

/// Tags and the values that will do, each one or a list.
pub type TagValues = BTreeMap<String, OneOrMany<String>>;

/// How machines are found.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Discover {
    /// The tags that make a machine an instance of a service.
    pub tags: Tags,
}

/// The tags that make a machine an instance of a service. In YAML a tag with a colon wants quotes.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tags {
    /// The tag with the service's name. A machine without it is left alone.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The tag with the port that the service listens on, or with several, a comma between them: each is a service of its own.
    /// Further services of a machine have the same tags with a number from 2 to 16 behind them, such as
    /// `HAProxy:Service:Port:2`.
    #[schemars(length(min = 1))]
    pub port: String,
    /// The tag with a port of a machine's own, where that is another; with as many as the service has, where those are several.
    #[schemars(length(min = 1))]
    pub instance_port: String,
    /// The tag with the share of traffic, 1 to 99, that goes to another zone. It counts where an exposure has `zone`: the
    /// machine's weight is then the share itself in another zone, and what it leaves of 100 in the same one.
    #[schemars(length(min = 1))]
    pub share: String,
}

/// How often a cloud is asked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Poll {
    /// How long from the begin of one listing to that of the next, 1s or more.
    pub every: Duration,
    /// A random time up to this long is added each time, so that many Rosters do not ask at once.
    pub jitter: Duration,
    /// How long to wait after a listing failed.
    pub backoff: Backoff,
}

/// How long to wait after a listing failed: `base`, then twice as long after each further failure, up to `max`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// After the first failure, 1s or more.
    pub base: Duration,
    /// At most.
    pub max: Duration,
}

impl Default for Tags {
    fn default() -> Self {
        let TagRules { name, port, instance_port, share, .. } = TagRules::default();
        Self { name, port, instance_port, share: share.unwrap_or_default() }
    }
}

impl Default for Poll {
    fn default() -> Self {
        Self { every: Duration::seconds(30), jitter: Duration::seconds(5), backoff: Backoff::default() }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::seconds(5), max: Duration::seconds(300) }
    }
}

impl Poll {
    pub(super) fn resolve(self, cx: &mut Resolve<'_>, at: &Path) {
        let backoff = at.join("backoff");
        for (at, time) in [(at.join("every"), self.every), (backoff.join("base"), self.backoff.base)] {
            if time.get() < SHORTEST {
                cx.problem(
                    &at,
                    "this is less than 1s, and a cloud limits how often it is asked; write 1s or more",
                );
            }
        }
        if self.backoff.max < self.backoff.base {
            cx.problem(&backoff.join("max"), "`max` is less than `base`; write at least as much");
        }
    }
}

/// How long one call may take.
pub(super) fn timeout() -> Duration {
    Duration::seconds(30)
}

/// The rules of a source. `selected` are the tags that exposures select by; of a cloud's many tags no others are kept.
pub(super) fn rules(
    discover: &Discover,
    allow: &TagValues,
    deny: &TagValues,
    selected: &BTreeSet<String>,
) -> TagRules {
    let Tags { name, port, instance_port, share } = discover.tags.clone();
    TagRules {
        name,
        port,
        instance_port,
        share: Some(share),
        allow: sets(allow),
        deny: sets(deny),
        kept: Some(selected.clone()),
    }
}

/// Each key with its values.
pub(super) fn sets(values: &TagValues) -> BTreeMap<String, BTreeSet<String>> {
    values.iter().map(|(tag, values)| (tag.clone(), values.values().cloned().collect())).collect()
}
