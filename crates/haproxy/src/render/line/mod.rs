//! Option lines from a registry or a definition, let through one by one.
//!
//! Invariant: a [`RawLine`] is one line with a first word of a closed list, and HAProxy reads exactly the words that were
//! judged. Whether the rest makes sense only HAProxy can tell, with `haproxy -c`.

mod allowed;
mod forbidden;
mod inherited;
pub(crate) mod words;

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::value::shown;
use allowed::Then;

/// The longest line that is taken, in bytes; HAProxy's own limit is 2,047.
pub const MAX_LINE: usize = 1024;

/// The kind of section that a line is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// `frontend`.
    Frontend,
    /// `backend`.
    Backend,
    /// `listen`, which is both.
    Listen,
}

/// A line that may stand in one of our sections.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "(Place, String)", into = "(Place, String)")]
pub struct RawLine {
    place: Place,
    text: Box<str>,
}

/// Why a line is not taken. Never repeats more of it than one word: there may be a password in it.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidLine {
    /// Not a line as HAProxy reads one.
    #[error("the line cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// A first word that may not stand there.
    #[error("{word:?} is not taken in a {place} section: {why}")]
    Word {
        /// The first word.
        word: String,
        /// Where it was to stand.
        place: Place,
        /// What speaks against it.
        why: &'static str,
    },
    /// A second or third word that is not on the list of its first word.
    #[error("`{after} {word}` is not among the lines that Roster takes")]
    After {
        /// What stands before it.
        after: String,
        /// The word.
        word: String,
        /// The words that are taken there.
        taken: &'static [&'static str],
    },
    /// A word that may stand nowhere.
    #[error("{word:?} is not taken: it {why}; write such a line in a section of your own")]
    Forbidden {
        /// The word.
        word: String,
        /// What it does.
        why: &'static str,
    },
}

/// Why a text is no line of HAProxy's.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum Malformed {
    /// No word at all.
    #[error("nothing stands in it; leave it out")]
    Empty,
    /// More than [`MAX_LINE`] bytes.
    #[error("it has {0} bytes; {MAX_LINE} are allowed")]
    TooLong(usize),
    /// More words than HAProxy takes.
    #[error("it has {0} words; HAProxy takes 60 and a few")]
    TooManyWords(usize),
    /// A line break, NUL or the like.
    #[error("it has the control character {0:?}; give one line of text")]
    Control(char),
    /// A quote that is not closed.
    #[error("a quote is not closed; close it, or write \\\" or \\'")]
    Quote,
    /// A backslash at the end.
    #[error("it ends in a backslash; write \\\\ for one")]
    Backslash,
    /// `\x` without two digits of an ASCII character.
    #[error("\\x must be followed by two digits from 01 to 7f")]
    Hex,
    /// `$` between double quotes.
    #[error(
        "a $ between double quotes takes a value from HAProxy's environment; write \\$ for a dollar sign"
    )]
    Variable,
}

impl RawLine {
    /// Takes the line if everything in it may stand in such a section. A comment at its end is left out.
    pub fn new(place: Place, line: &str) -> Result<Self, InvalidLine> {
        if line.len() > MAX_LINE {
            return Err(Malformed::TooLong(line.len()).into());
        }
        let words = words::split(line)?;
        judge(place, &words)?;
        let text = words::join(&words);
        match text.len() {
            0..=MAX_LINE => Ok(Self { place, text: text.into() }),
            length => Err(Malformed::TooLong(length).into()),
        }
    }

    /// Where it may stand.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The line as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a backend's line does the same in the `defaults` section that the backend is made of.
    pub(super) fn is_inherited(&self) -> bool {
        self.place == Place::Backend
            && words::split(&self.text).is_ok_and(|words| inherited::is_inherited(&words))
    }
}

impl TryFrom<(Place, String)> for RawLine {
    type Error = InvalidLine;
    fn try_from((place, line): (Place, String)) -> Result<Self, InvalidLine> {
        Self::new(place, &line)
    }
}

impl From<RawLine> for (Place, String) {
    fn from(line: RawLine) -> Self {
        (line.place, line.text.into())
    }
}

fn judge(place: Place, words: &[String]) -> Result<(), InvalidLine> {
    let mut rest = words.iter().map(String::as_str).peekable();
    let mut first = rest.next().ok_or(Malformed::Empty)?;
    if first == "no" && rest.peek() == Some(&"option") {
        first = rest.next().unwrap_or_default();
    }
    let then = allowed::then(place, first).ok_or_else(|| InvalidLine::Word {
        word: shown(first),
        place,
        why: allowed::why_not(first),
    })?;
    let mut one_of = |after: &str, list: &'static [&'static str]| {
        let word = rest.next().unwrap_or_default();
        let refused = InvalidLine::After { after: after.to_owned(), word: shown(word), taken: list };
        if allowed::is_one_of(word, list) { Ok(word) } else { Err(refused) }
    };
    match then {
        Then::Anything => {}
        Then::One(list) => _ = one_of(first, list)?,
        Then::Layer(seconds, thirds) => {
            let second = one_of(first, seconds)?;
            if second != "inspect-delay" {
                one_of(&format!("{first} {second}"), thirds)?;
            }
        }
    }
    match forbidden::forbidden(words) {
        Some((word, why)) => Err(InvalidLine::Forbidden { word: shown(word), why }),
        None => Ok(()),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Listen => "listen",
        })
    }
}

#[cfg(test)]
mod tests;
