//! The environment of the programs that Roster starts for a HAProxy that it owns.
//!
//! Invariant: a program gets what it needs and what the operator named, and nothing else of Roster's own environment, which
//! may hold passwords and a cloud's keys: whoever reaches a stats socket of level operator can read HAProxy's (`show env`).

use std::ffi::OsString;
use std::process::Command;

/// Where programs are found, the user's folder, the language of messages, the time zone, and where temporary files go.
const NEEDED: [&str; 6] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// The variables of Roster's environment that are passed on. Their values are looked up when a program starts.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Environment {
    /// The variables that the operator named.
    pub passed: Vec<OsString>,
}

impl Environment {
    /// Gives a command these variables alone.
    pub(super) fn set(&self, command: &mut Command) {
        let needed = NEEDED.map(OsString::from);
        let names = needed.iter().chain(&self.passed);
        let known: Vec<_> = names.filter_map(|name| Some((name, std::env::var_os(name)?))).collect();
        command.env_clear().envs(known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_what_it_needs_and_what_was_named_and_nothing_else() {
        let mut command = Command::new("/usr/bin/env");
        Environment { passed: vec!["CARGO_PKG_NAME".into(), "NOT_SET".into()] }.set(&mut command);
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let names: Vec<&str> = said.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        assert!(names.contains(&"PATH") && names.contains(&"CARGO_PKG_NAME"), "{names:?}");
        assert!(names.iter().all(|name| *name == "CARGO_PKG_NAME" || NEEDED.contains(name)), "{names:?}");
    }
}
