//! What is known of HAProxy's versions and matters to Roster: limits and bugs, each with the versions that have it.
//!
//! Measured where it says so; else from the manuals or the source.

use crate::version::Version;

/// A limit or bug of some versions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Known {
    /// The first version that has it.
    pub from: Version,
    /// The first version that no longer has it; none if all do.
    pub until: Option<Version>,
    /// What it is and what it means.
    pub what: &'static str,
}

/// The oldest version that Roster is tested with.
pub const OLDEST: Version = Version::new(2, 6, 0);

const ALL: &[Known] = &[
    Known {
        from: Version::new(0, 0, 0),
        until: Some(OLDEST),
        what: "older than 2.6: not tested, and servers may not be addable live; use 2.6 or later",
    },
    Known {
        from: Version::new(0, 0, 0),
        until: Some(Version::new(2, 8, 0)),
        what: "`add server` takes no cookie (measured); slots with cookies must stand in the file",
    },
    Known {
        from: Version::new(0, 0, 0),
        until: Some(Version::new(3, 0, 0)),
        what: "commands that name a server take longer the more servers its backend has: some 2,000 a second at \
               10,000 servers in one backend (measured)",
    },
    Known {
        from: Version::new(0, 0, 0),
        until: Some(Version::new(3, 1, 0)),
        what: "no `init-state`: a fresh server counts as up until its first check (measured), so Roster lets it drain \
               until it has passed",
    },
    Known {
        from: Version::new(0, 0, 0),
        until: Some(Version::new(3, 4, 0)),
        what: "no `add backend`: a new backend needs a reload by whoever owns the file; and `add map` needs no level, so \
               keep the socket's mode at 600 or 660",
    },
];

/// What is known of a version.
pub fn known(version: Version) -> impl Iterator<Item = &'static Known> {
    ALL.iter().filter(move |known| version >= known.from && known.until.is_none_or(|until| version < until))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_the_limits_that_were_measured_on_it() {
        let count = |major, minor| known(Version::new(major, minor, 12)).count();
        assert_eq!(
            [count(2, 4), count(2, 6), count(2, 8), count(3, 0), count(3, 2), count(3, 4)],
            [5, 4, 3, 2, 1, 0]
        );
    }
}
