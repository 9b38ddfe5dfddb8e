//! How instances come and go.

use roster_core::exposure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::Path;
use crate::format;
use crate::native::resolve::Resolve;
use crate::value::{Duration, Percent};

/// When a new instance gets traffic.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BringUp {
    /// At once: the source vouches for its health.
    Registry,
    /// After Roster itself has reached it.
    Probe,
    /// After HAProxy's own check has passed, while the server drains.
    Check,
}

/// How Roster itself asks an instance whether it is there.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    /// The path of a GET that must answer 2xx or 3xx. Without it a TCP connection is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::HttpPath>")]
    pub http_path: Option<String>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long after a failed attempt the next one starts.
    pub interval: Duration,
}

/// How an instance is taken out: it gets no new connections, and those it has may end.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// The longest wait for connections to end. `0s` does not wait.
    pub cap: Duration,
}

/// How the weight of a new instance rises.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SlowStart {
    /// The share of its weight that it starts with, 1% or more.
    #[serde(default = "from")]
    pub from: Percent,
    /// How long it takes to the full weight.
    pub over: Duration,
    /// In how many steps.
    #[serde(default = "steps")]
    #[schemars(range(min = 1, max = 256))]
    pub steps: u32,
}

fn from() -> Percent {
    Percent::TENTH
}

fn steps() -> u32 {
    10
}

impl From<BringUp> for exposure::BringUp {
    fn from(bring_up: BringUp) -> Self {
        match bring_up {
            BringUp::Registry => Self::Registry,
            BringUp::Probe => Self::Probe,
            BringUp::Check => Self::Check,
        }
    }
}

impl Default for Probe {
    fn default() -> Self {
        let exposure::Probe { http_path, timeout, interval } = exposure::Probe::default();
        Self { http_path, timeout: timeout.into(), interval: interval.into() }
    }
}

impl Probe {
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> exposure::Probe {
        cx.not_zero(&at.join("timeout"), self.timeout);
        cx.not_zero(&at.join("interval"), self.interval);
        let Probe { http_path, timeout, interval } = self;
        exposure::Probe { http_path: http_path.clone(), timeout: timeout.get(), interval: interval.get() }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { cap: exposure::Drain::default().cap.into() }
    }
}

impl Drain {
    pub(crate) fn drain(self) -> exposure::Drain {
        exposure::Drain { cap: self.cap.get() }
    }
}

impl SlowStart {
    pub(crate) fn resolve(self, cx: &mut Resolve<'_>, at: &Path) -> exposure::SlowStart {
        cx.not_zero(&at.join("over"), self.over);
        if self.from.get() == 0 {
            cx.problem(
                &at.join("from"),
                "a start from 0% never gets a request to prove itself; write 1% or more",
            );
        }
        exposure::SlowStart { from_percent: self.from.get(), over: self.over.get(), steps: self.steps }
    }
}
