//! A server's weight and its number in the backend.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A server's weight, 0 to 256; 0 takes no new traffic (configuration manual, `weight`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u16")]
pub struct Weight(u16);

/// A server's `id`: its number in the backend, 1 and up. Consistent hashing goes by it, not by the name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerId(NonZeroU32);

/// The share of traffic in percent, 1 to 99, that goes to instances outside the zone of HAProxy.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u8")]
pub struct ZoneShare(u8);

/// A share that leaves one side without traffic, or is none.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0} is no share between zones; write a whole number from 1 to 99")]
pub struct InvalidZoneShare(pub u32);

/// A weight that HAProxy would refuse.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("weight {0} is too large; HAProxy takes 0 to 256")]
pub struct InvalidWeight(pub u32);

impl Weight {
    /// The largest one.
    pub const MAX: Weight = Weight(256);
    /// What HAProxy gives a server whose line names none.
    pub const ONE: Weight = Weight(1);
    /// No new traffic.
    pub const ZERO: Weight = Weight(0);

    /// Takes 0 to 256.
    pub fn new(number: u32) -> Result<Self, InvalidWeight> {
        match u16::try_from(number) {
            Ok(small) if small <= Self::MAX.0 => Ok(Self(small)),
            _ => Err(InvalidWeight(number)),
        }
    }

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u32> for Weight {
    type Error = InvalidWeight;
    fn try_from(number: u32) -> Result<Self, InvalidWeight> {
        Self::new(number)
    }
}

impl From<Weight> for u16 {
    fn from(weight: Weight) -> u16 {
        weight.get()
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ZoneShare {
    /// Takes 1 to 99.
    pub fn new(percent: u32) -> Result<Self, InvalidZoneShare> {
        match u8::try_from(percent) {
            Ok(small @ 1..=99) => Ok(Self(small)),
            _ => Err(InvalidZoneShare(percent)),
        }
    }

    /// The percentage.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The weight of an instance that has it: its own share outside the zone of HAProxy, what that leaves inside.
    pub fn weight(self, far: bool) -> Weight {
        Weight(u16::from(if far { self.0 } else { 100 - self.0 }))
    }
}

impl TryFrom<u32> for ZoneShare {
    type Error = InvalidZoneShare;
    fn try_from(percent: u32) -> Result<Self, InvalidZoneShare> {
        Self::new(percent)
    }
}

impl From<ZoneShare> for u8 {
    fn from(share: ZoneShare) -> u8 {
        share.get()
    }
}

impl ServerId {
    /// The first one.
    pub const FIRST: ServerId = ServerId(NonZeroU32::MIN);

    /// Takes 1 to 2,147,483,647; HAProxy refuses more (measured on 2.6 to 3.2).
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).filter(|number| number.get() <= i32::MAX.unsigned_abs()).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_at_most_what_haproxy_takes() {
        assert_eq!(Weight::new(256).unwrap(), Weight::MAX);
        assert_eq!(Weight::new(257), Err(InvalidWeight(257)));
        assert_eq!(Weight::new(u32::MAX), Err(InvalidWeight(u32::MAX)));
    }

    #[test]
    fn a_share_leaves_some_traffic_on_both_sides() {
        let share = ZoneShare::new(10).unwrap();
        assert_eq!((share.weight(true).get(), share.weight(false).get()), (10, 90));
        for wrong in [0, 100, 256, u32::MAX] {
            assert_eq!(ZoneShare::new(wrong), Err(InvalidZoneShare(wrong)));
        }
        assert!(serde_json::from_str::<ZoneShare>("100").is_err());
    }

    #[test]
    fn a_number_that_haproxy_refuses_is_none() {
        assert!(ServerId::new(i32::MAX.unsigned_abs()).is_some());
        assert_eq!(ServerId::new(0), None);
        assert_eq!(ServerId::new(i32::MAX.unsigned_abs() + 1), None);
    }
}
