//! Shares in percent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A share, `0%` to `100%`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Percent(u8);

/// Not a share.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidPercent {
    /// A number alone: 30 % to one reader, 0.3 to another.
    #[error("{0} has no unit; write {0}%")]
    NoUnit(String),
    /// Anything else.
    #[error("{0:?} is not a share; write a whole number of percent from 0% to 100%")]
    Other(String),
}

impl Percent {
    /// Everything.
    pub const ALL: Percent = Percent(100);
    /// A tenth.
    pub const TENTH: Percent = Percent(10);

    /// Takes 0 to 100.
    pub const fn new(number: u8) -> Option<Self> {
        if number <= 100 { Some(Self(number)) } else { None }
    }

    /// The number, 0 to 100.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = InvalidPercent;
    fn from_str(given: &str) -> Result<Self, InvalidPercent> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let shown = || given.chars().take(40).collect::<String>();
        if digits(given) {
            return Err(InvalidPercent::NoUnit(shown()));
        }
        let number =
            given.strip_suffix('%').filter(|number| digits(number)).and_then(|number| number.parse().ok());
        number.and_then(Self::new).ok_or_else(|| InvalidPercent::Other(shown()))
    }
}

impl TryFrom<String> for Percent {
    type Error = InvalidPercent;
    fn try_from(given: String) -> Result<Self, InvalidPercent> {
        given.parse()
    }
}

impl From<Percent> for String {
    fn from(percent: Percent) -> String {
        percent.to_string()
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

schema_of_marker!(Percent);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_whole_number_of_percent() {
        assert_eq!("30%".parse::<Percent>().unwrap().get(), 30);
        assert_eq!("100%".parse::<Percent>().unwrap().get(), 100);
        for wrong in ["101%", "30", "-1%", "0.3", "30.5%", "%", "", "30 %", "+3%", "1000%"] {
            assert!(wrong.parse::<Percent>().is_err(), "{wrong:?} was taken");
        }
        assert_eq!("30".parse::<Percent>().unwrap_err().to_string(), "30 has no unit; write 30%");
    }
}
