//! HAProxy's version, as far as a decision can depend on it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A version of HAProxy. A development version (`3.4-dev5`) counts as the release it leads to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number; an even one is a long-term supported branch.
    pub minor: u16,
    /// The third number.
    pub patch: u16,
}

/// A text that has no HAProxy version in it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0:?} is not a HAProxy version; expected something like 2.6.12 or 3.0.11-1+deb13u3")]
pub struct InvalidVersion(String);

impl Version {
    /// The oldest that Roster is tested with; older ones lack `add server` without experimental mode.
    pub const OLDEST: Self = Self::new(2, 6, 0);

    /// The version with these three numbers.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// True if `add server` takes `cookie` (measured: refused on 2.6, taken on 2.8).
    pub fn takes_cookie_live(self) -> bool {
        self >= Self::new(2, 8, 0)
    }

    /// True if `add server` takes `init-state` (documented from 3.1, measured on 3.2).
    pub fn takes_init_state_live(self) -> bool {
        self >= Self::new(3, 1, 0)
    }
}

/// Reads `HAProxy version 2.6.12-1+deb12u4 2026/10/17 - …` (`haproxy -v`) as well as the bare `2.6.12-1+deb12u4`
/// of `show info`. What a distribution adds after the numbers is left out.
impl FromStr for Version {
    type Err = InvalidVersion;
    fn from_str(given: &str) -> Result<Self, InvalidVersion> {
        let wrong = || InvalidVersion(given.chars().take(64).collect());
        let text = given.trim_start();
        let bare = ["HAProxy version ", "HA-Proxy version "].iter().find_map(|p| text.strip_prefix(p));
        let word = bare.unwrap_or(text).split_ascii_whitespace().next().ok_or_else(wrong)?;
        let numbers = word.split(|c: char| c != '.' && !c.is_ascii_digit()).next().unwrap_or_default();
        let mut parts = numbers.split('.').map(str::parse::<u16>);
        let (Some(Ok(major)), Some(Ok(minor))) = (parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let patch = parts.next().unwrap_or(Ok(0)).map_err(|_| wrong())?;
        Ok(Self { major, minor, patch })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_places_that_name_the_version_are_read() {
        for (text, version) in [
            (
                "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\nStatus: long-term",
                Version::new(2, 6, 12),
            ),
            ("2.6.12-1+deb12u4", Version::new(2, 6, 12)),
            ("3.0.11-9e587df-1+deb13u3", Version::new(3, 0, 11)),
            ("3.2.0-e134140d2", Version::new(3, 2, 0)),
            ("3.5-dev5-50872d-31", Version::new(3, 5, 0)),
            ("HA-Proxy version 2.2.9-2+deb11u6 2023/12/28", Version::new(2, 2, 9)),
        ] {
            assert_eq!(text.parse(), Ok(version), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_version_is_an_error() {
        for text in ["", "HAProxy version", "nginx/1.25", "2", "2.", "2.x", "a2.6.1", "2.6.99999", "-2.6"] {
            assert!(text.parse::<Version>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn versions_are_ordered_by_number_not_by_text() {
        assert!(Version::new(2, 10, 0) > Version::new(2, 9, 9));
        assert!(Version::new(3, 0, 0) > Version::new(2, 9, 15));
        assert!(Version::new(3, 0, 2) < Version::new(3, 0, 11));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "\\PC*") {
            let _read = text.parse::<Version>();
        }

        #[test]
        fn what_is_printed_is_read_back(major: u16, minor: u16, patch: u16) {
            let version = Version { major, minor, patch };
            prop_assert_eq!(version.to_string().parse(), Ok(version));
        }
    }
}
