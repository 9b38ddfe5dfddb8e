//! How many slots a backend has and what they are called.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::str::FromStr;

use roster_haproxy::address::{Endpoint, Port};
use roster_haproxy::name::{InvalidName, ServerName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::pattern::{InvalidPattern, NoValue, Pattern, Place};

/// A slot's number in its backend, 1 and up.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotNo(NonZeroU32);

/// How a backend's slots are named, how many there are ahead of need, and where a free one points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlotScheme {
    /// What each slot is called.
    pub names: NameScheme,
    /// How many there are at least.
    pub base: u32,
    /// How many there are once more than `base` instances live.
    pub growth: Growth,
    /// Where a free slot points while it is in maintenance.
    pub parking: Endpoint,
}

/// What a server is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NameScheme {
    /// After its slot (`srv3`): the name stays while instances come and go.
    Slot(SlotPattern),
    /// After its instance's address (`10.0.0.1:8080`): another address is another server.
    Address,
}

/// A pattern with exactly one `{slot}`, so that a slot's number can be read back from its name.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotPattern(Pattern);

/// A slot pattern whose service and source are filled in: what stands before and after the number.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SlotNames {
    before: String,
    after: String,
}

/// How the number of slots follows the number of instances beyond `base`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Shown", into = "Shown")]
pub enum Growth {
    /// `base + ceil((n - base) * factor)`, and never fewer than `n`.
    Linear(Factor),
    /// The smallest `base * factor^k` that is at least `n`.
    Exponential(Factor),
}

/// Growth as it is stored: its kind and its factor.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shown {
    Linear(f64),
    Exponential(f64),
}

/// A finite number above 0.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Factor(f64);

/// Why a slot scheme is none.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum InvalidScheme {
    /// No `{slot}` in the pattern, or several.
    #[error(
        "{0:?} must have {{slot}} exactly once and without filters, as in srv{{slot}}; or write {{address}} alone"
    )]
    Slot(String),
    /// The pattern itself is wrong.
    #[error(transparent)]
    Pattern(#[from] InvalidPattern),
    /// A factor that cannot grow anything.
    #[error(
        "growth factor {0} is out of range; linear takes a number above 0, exponential one above 1, both at most 100"
    )]
    Factor(f64),
}

/// Why a scheme makes no name for a slot.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum NoName {
    /// A placeholder has no value.
    #[error(transparent)]
    Value(#[from] NoValue),
    /// What it makes is no name.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl SlotNo {
    /// The first one.
    pub const FIRST: SlotNo = SlotNo(NonZeroU32::MIN);

    /// Takes 1 and up.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The one after it; the last one is its own successor.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for SlotNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Factor {
    fn above(bound: f64, given: f64) -> Result<Self, InvalidScheme> {
        let fits = given.is_finite() && given > bound && given <= 100.0;
        if fits { Ok(Self(given)) } else { Err(InvalidScheme::Factor(given)) }
    }
}

impl Growth {
    /// As many slots as instances: none ahead.
    pub const EXACT: Growth = Growth::Linear(Factor(1.0));

    /// Linear growth; a factor below 1 makes as many slots as instances.
    pub fn linear(factor: f64) -> Result<Self, InvalidScheme> {
        Factor::above(0.0, factor).map(Growth::Linear)
    }

    /// Exponential growth; the factor must be above 1, else it would never reach the number of instances.
    pub fn exponential(factor: f64) -> Result<Self, InvalidScheme> {
        Factor::above(1.0, factor).map(Growth::Exponential)
    }

    /// How many slots `live` instances want, at least `base` and at least one each.
    pub fn size(self, base: u32, live: u32) -> u32 {
        if live <= base {
            return base;
        }
        let wanted = match self {
            Growth::Linear(Factor(factor)) => f64::from(base) + ceil(f64::from(live - base) * factor),
            Growth::Exponential(_) if base == 0 => f64::from(live),
            Growth::Exponential(Factor(factor)) => {
                let reached = |size: &f64| ceil(*size) >= f64::from(live);
                let sizes = std::iter::successors(Some(f64::from(base)), |size| Some(size * factor));
                sizes.take(100_000).find(reached).map_or(f64::from(live), ceil)
            }
        };
        // A float beyond u32 becomes u32::MAX, one that is no number 0: `as` is defined for both.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturating is what is meant"
        )]
        let wanted = wanted as u32;
        wanted.max(live)
    }
}

/// Rounds up, but takes 20.000000000000004 for the 20 that was meant.
fn ceil(size: f64) -> f64 {
    (size - 1e-9).ceil()
}

impl FromStr for NameScheme {
    type Err = InvalidScheme;
    fn from_str(text: &str) -> Result<Self, InvalidScheme> {
        let pattern: Pattern = text.parse()?;
        if text == "{address}" {
            return Ok(NameScheme::Address);
        }
        if pattern.count(Place::Slot) != 1 || text.matches("{slot}").count() != 1 {
            return Err(InvalidScheme::Slot(text.to_owned()));
        }
        let allowed = [Place::Slot, Place::Service, Place::Source, Place::Region];
        let pattern = pattern.only(&allowed, "a slot's name outlives its instances")?;
        Ok(NameScheme::Slot(SlotPattern(pattern)))
    }
}

impl TryFrom<String> for NameScheme {
    type Error = InvalidScheme;
    fn try_from(text: String) -> Result<Self, InvalidScheme> {
        text.parse()
    }
}

impl From<NameScheme> for String {
    fn from(scheme: NameScheme) -> String {
        match scheme {
            NameScheme::Slot(pattern) => pattern.as_str().to_owned(),
            NameScheme::Address => "{address}".to_owned(),
        }
    }
}

impl TryFrom<Shown> for Growth {
    type Error = InvalidScheme;
    fn try_from(shown: Shown) -> Result<Self, InvalidScheme> {
        match shown {
            Shown::Linear(factor) => Growth::linear(factor),
            Shown::Exponential(factor) => Growth::exponential(factor),
        }
    }
}

impl From<Growth> for Shown {
    fn from(growth: Growth) -> Self {
        match growth {
            Growth::Linear(Factor(factor)) => Shown::Linear(factor),
            Growth::Exponential(Factor(factor)) => Shown::Exponential(factor),
        }
    }
}

impl SlotPattern {
    /// Fills in everything but the slot's number, and checks that the whole makes a name.
    pub fn names(&self, value: impl Fn(Place) -> Option<String>) -> Result<SlotNames, NoName> {
        // NUL can be in no name, so it marks the place of the number.
        let filled =
            self.0.fill(|place| if place == Place::Slot { Some("\0".into()) } else { value(place) })?;
        let (before, after) = filled.split_once('\0').unwrap_or((&filled, ""));
        let names = SlotNames { before: before.to_owned(), after: after.to_owned() };
        ServerName::new(&names.text(u32::MAX))?;
        Ok(names)
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl SlotNames {
    fn text(&self, number: u32) -> String {
        format!("{}{number}{}", self.before, self.after)
    }

    /// The slot's name.
    pub fn name(&self, slot: SlotNo) -> Result<ServerName, InvalidName> {
        ServerName::new(&self.text(slot.get()))
    }

    /// The slot that has this name, if one has: `srv3` is slot 3, `srv03` and `canary` are none.
    pub fn slot(&self, name: &ServerName) -> Option<SlotNo> {
        let digits = name.as_str().strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())?;
        let canonical = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
        if canonical { digits.parse().ok().and_then(SlotNo::new) } else { None }
    }
}

impl fmt::Display for SlotNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}<number>{}", self.before, self.after)
    }
}

/// The name of a server that is called after its address: `10.0.0.1:8080`, `fd00::1:8080` (HAProxy takes no
/// brackets in a name).
pub fn address_name(endpoint: Endpoint) -> Result<ServerName, InvalidName> {
    ServerName::new(&format!("{}:{}", endpoint.ip, endpoint.port))
}

impl Default for SlotScheme {
    fn default() -> Self {
        Self { names: NameScheme::default(), base: 0, growth: Growth::EXACT, parking: default_parking() }
    }
}

impl Default for NameScheme {
    /// `srv{slot}`.
    fn default() -> Self {
        NameScheme::Slot(SlotPattern(Pattern::slot("srv")))
    }
}

/// 127.0.0.1:1: an address where nothing listens, that a person recognises in a list of servers.
pub fn default_parking() -> Endpoint {
    Endpoint { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), port: Port::ONE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_growth_follows_the_documented_formula() {
        let linear = Growth::linear(1.5).unwrap();
        for (live, slots) in [(0, 10), (5, 10), (10, 10), (11, 12), (15, 18), (20, 25)] {
            assert_eq!(linear.size(10, live), slots, "{live} instances");
        }
    }

    #[test]
    fn a_factor_below_one_drops_no_instance() {
        let linear = Growth::linear(0.1).unwrap();
        assert_eq!(linear.size(10, 30), 30);
    }

    #[test]
    fn exponential_growth_takes_the_smallest_power_that_fits() {
        let double = Growth::exponential(2.0).unwrap();
        for (live, slots) in [(10, 10), (11, 20), (15, 20), (20, 20), (21, 40), (25, 40), (81, 160)] {
            assert_eq!(double.size(10, live), slots, "{live} instances");
        }
        assert_eq!(Growth::exponential(1.5).unwrap().size(10, 11), 15);
        assert_eq!(Growth::exponential(1.5).unwrap().size(10, 16), 23);
        assert_eq!(double.size(0, 7), 7);
    }

    #[test]
    fn a_factor_that_never_reaches_the_instances_is_refused() {
        for wrong in [1.0, 0.5, 0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Growth::exponential(wrong).is_err(), "{wrong}");
        }
        assert!(Growth::linear(0.0).is_err());
    }

    #[test]
    fn a_slot_is_read_back_from_its_name_and_from_no_other() {
        let NameScheme::Slot(pattern) = "{service}-{slot}".parse().unwrap() else {
            panic!("not a slot pattern")
        };
        let names = pattern.names(|place| (place == Place::Service).then(|| "web".into())).unwrap();
        let three = SlotNo::new(3).unwrap();
        assert_eq!(names.name(three).unwrap().as_str(), "web-3");
        assert_eq!(names.slot(&ServerName::new("web-3").unwrap()), Some(three));
        for foreign in ["web-03", "web-", "web-0", "web-3x", "api-3", "web-99999999999"] {
            assert_eq!(names.slot(&ServerName::new(foreign).unwrap()), None, "{foreign}");
        }
    }

    #[test]
    fn a_pattern_whose_slots_could_not_be_told_apart_is_refused() {
        for wrong in ["srv", "{slot}{slot}", "{slot|lower}", "{zone}{slot}"] {
            assert!(wrong.parse::<NameScheme>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_name_is_one_that_haproxy_takes() {
        let name = |text: &str| address_name(text.parse().unwrap()).unwrap();
        assert_eq!(name("10.0.0.1:8080").as_str(), "10.0.0.1:8080");
        assert_eq!(name("[fd00::1]:8080").as_str(), "fd00::1:8080");
    }

    #[test]
    fn without_a_base_and_without_instances_there_is_no_slot() {
        for growth in [Growth::EXACT, Growth::linear(1.5).unwrap(), Growth::exponential(2.0).unwrap()] {
            assert_eq!(growth.size(0, 0), 0, "{growth:?}");
        }
    }
}
