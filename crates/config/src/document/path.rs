//! The way from a file's root to a value.

use std::fmt;

/// Keys, and numbers from 0 in lists. What is not there stands for the nearest thing above it that is.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Path(Vec<String>);

impl Path {
    /// The file itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// One step further down: a key, or a number in a list.
    #[must_use]
    pub fn join(&self, step: impl fmt::Display) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.to_string());
        Self(steps)
    }

    pub(crate) fn steps(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub(crate) fn split_last(&self) -> Option<(&str, Path)> {
        self.0.split_last().map(|(last, above)| (last.as_str(), Path(above.to_vec())))
    }
}

impl<const N: usize> From<[&str; N]> for Path {
    fn from(steps: [&str; N]) -> Self {
        Self(steps.map(str::to_owned).into())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
