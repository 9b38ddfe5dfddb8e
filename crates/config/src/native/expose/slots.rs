//! The names and number of a backend's slots.

use roster_core::slots::{self, SlotScheme, default_parking};
use roster_haproxy::address::Endpoint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::Path;
use crate::format;
use crate::native::resolve::Resolve;

/// The names and number of a backend's slots: the stable places that instances take and leave.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slots {
    /// The servers' names: a pattern with `{slot}` once, beside `{service}`, `{source}` and `{region}`; or `{address}`
    /// alone, and each server is called after its instance (`10.0.0.1:8080`) and added and removed with it.
    #[schemars(with = "format::SlotNames")]
    pub names: String,
    /// How many slots there are at least. Spare ones are filled without a reload on every version of HAProxy.
    #[schemars(range(max = 10000))]
    pub base: u32,
    /// How the number grows once more than `base` instances live. Without it there are as many slots as instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth: Option<Growth>,
    /// Where a free slot points while it is in maintenance: an address where nothing listens.
    #[schemars(with = "format::Endpoint")]
    pub parking: Endpoint,
}

/// How the number of slots grows with the number of instances.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Growth {
    /// `base + ceil((instances - base) × factor)`; a factor above 1 makes spare slots ahead.
    Linear(#[schemars(with = "format::LinearFactor")] f64),
    /// The smallest `base × factor^k` that holds all instances.
    Exponential(#[schemars(with = "format::ExponentialFactor")] f64),
}

impl Default for Slots {
    fn default() -> Self {
        Self { names: "srv{slot}".to_owned(), base: 0, growth: None, parking: default_parking() }
    }
}

impl Slots {
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Option<SlotScheme> {
        let names = cx.parse(&at.join("names"), &self.names);
        let growth = match self.growth {
            None => Ok(slots::Growth::EXACT),
            Some(Growth::Linear(factor)) => slots::Growth::linear(factor),
            Some(Growth::Exponential(factor)) => slots::Growth::exponential(factor),
        };
        if self.base == 0 && matches!(self.growth, Some(Growth::Exponential(_))) {
            let message = "`exponential` growth from no slots at all stays there; set `base` to 1 or more";
            cx.problem(&at.join("growth"), message);
        }
        let growth = cx.sound(&at.join("growth"), growth);
        Some(SlotScheme { names: names?, base: self.base, growth: growth?, parking: self.parking })
    }
}
