//! A native configuration that is made of another program's file: its text, and where in that file each line comes from.
//!
//! Invariant: an error in the text is reported at a place in the file that the operator wrote.

use std::fmt;
use std::path::Path;

use crate::env::Env;
use crate::native::Config;
use crate::position::Position;
use crate::problem::{Problem, Problems};

/// The text, line by line.
#[derive(Debug, Default)]
pub(super) struct Translation {
    text: String,
    /// For each line the place that it was made of, if there is one.
    origins: Vec<Option<Position>>,
}

impl Translation {
    /// Adds a line that stands for what is at this place.
    pub(super) fn line(&mut self, at: Option<Position>, line: impl fmt::Display) {
        let before = self.text.len();
        // A write to memory cannot fail.
        fmt::Write::write_fmt(&mut self.text, format_args!("{line}\n")).ok();
        let added = self.text.get(before..).unwrap_or_default().matches('\n').count();
        self.origins.extend(std::iter::repeat_n(at, added));
    }

    /// Adds a line that no single place stands for.
    pub(super) fn fixed(&mut self, line: impl fmt::Display) {
        self.line(None, line);
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Reads the text as the configuration that it is. What is wrong with it is reported at its place in `file`, and at
    /// `start` where it has none.
    pub(super) fn parse(&self, file: &str, start: Position, env: &dyn Env) -> Result<Config, Problems> {
        let moved = |problem: Problem| Problem {
            at: self.origin(problem.at.line).unwrap_or(start),
            message: format!("{} (in Roster's own configuration)", problem.message),
            ..problem
        };
        Config::parse(file, &self.text, Path::new("/"), env)
            .map_err(|problems| Problems::some(problems.into_vec().into_iter().map(moved).collect()))
    }

    fn origin(&self, line: usize) -> Option<Position> {
        self.origins.get(line.checked_sub(1)?).copied().flatten()
    }
}
