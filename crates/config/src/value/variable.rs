//! The name of a variable that is passed on to other programs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Variables that speak to Roster itself, or by which HAProxy's master knows itself: a HAProxy that had them would speak in
/// Roster's name, or take itself for a master that executed itself anew.
const WITHHELD: &[&str] = &[
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "HAPROXY_MWORKER_REEXEC",
    "HAPROXY_MWORKER_WAIT_ONLY",
    "HAPROXY_PROCESSES",
    "HAPROXY_STARTUPLOGS_FD",
    "HAPROXY_LOAD_SUCCESS",
];

/// The name of a variable that another program may have.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct VariableName(String);

/// Why a text is no such name.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidVariable {
    /// Not a name.
    #[error(
        "{0:?} is no variable's name; write one of letters, digits and _ that does not begin with a digit"
    )]
    Name(String),
    /// One that is Roster's own.
    #[error("{0} speaks to Roster itself; leave it out")]
    Withheld(String),
}

impl VariableName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VariableName {
    type Err = InvalidVariable;

    fn from_str(name: &str) -> Result<Self, InvalidVariable> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(fits) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(InvalidVariable::Name(name.chars().take(80).collect()));
        }
        if WITHHELD.contains(&name) {
            return Err(InvalidVariable::Withheld(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }
}

impl TryFrom<String> for VariableName {
    type Error = InvalidVariable;

    fn try_from(name: String) -> Result<Self, InvalidVariable> {
        name.parse()
    }
}

impl From<VariableName> for String {
    fn from(name: VariableName) -> Self {
        name.0
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_speaks_to_roster_itself_cannot_be_passed_on() {
        assert_eq!("APP_ENV".parse::<VariableName>().unwrap().as_str(), "APP_ENV");
        for wrong in WITHHELD.iter().chain(&["", "1A", "A=B", "A B", "Ä", "A-B"]) {
            assert!(wrong.parse::<VariableName>().is_err(), "{wrong:?} was taken");
        }
    }
}
