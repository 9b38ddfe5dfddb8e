//! What is wrong with a file: all of it at once, each with its place.

use std::error::Error;
use std::fmt;

use crate::position::Position;

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Problem {
    /// The file, as the operator named it.
    pub file: String,
    /// Where in the file.
    pub at: Position,
    /// One sentence without a full stop.
    pub message: String,
}

/// Everything that is wrong with a file, in the order of the text; never empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problems(Vec<Problem>);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.at.line, self.at.column, self.message)
    }
}

impl Problems {
    /// Sorts what was found by its place; `Ok` if nothing was.
    pub fn none(found: Vec<Problem>) -> Result<(), Self> {
        if found.is_empty() { Ok(()) } else { Err(Self::some(found)) }
    }

    /// Sorts what was found, which is at least one.
    pub(crate) fn some(mut found: Vec<Problem>) -> Self {
        found.sort();
        found.dedup();
        Self(found)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// All of them, to be joined with others.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl From<Problem> for Problems {
    fn from(only: Problem) -> Self {
        Self(vec![only])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        let count = self.0.len();
        write!(f, "{count} {}; nothing was applied", if count == 1 { "error" } else { "errors" })
    }
}

impl Error for Problems {}
