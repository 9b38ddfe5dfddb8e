//! What the demo shows: lines, and on a terminal one line below them that changes.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use roster_config::env::Env;
use tokio_util::sync::CancellationToken;

/// What a line is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A headline.
    Title,
    /// Ordinary text.
    Text,
    /// What Roster logs of its work.
    Roster,
    /// What Roster warns of.
    Warning,
    /// What came of it.
    Result,
    /// The traffic, all well.
    Traffic,
    /// Something failed.
    Trouble,
}

/// What the screen can show.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Abilities {
    colours: bool,
    live: bool,
}

/// Where the demo shows what happens. When nobody can read it any more, the demo is told to stop.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    abilities: Abilities,
    /// The line at the bottom, as it is shown.
    live: Arc<Mutex<Option<String>>>,
    stop: CancellationToken,
}

impl Abilities {
    /// What standard output can show. `NO_COLOR` is honoured as on no-color.org.
    pub(crate) fn of_stdout(env: &impl Env) -> Self {
        Self::of(io::stdout().is_terminal(), env)
    }

    fn of(is_terminal: bool, env: &impl Env) -> Self {
        let live = is_terminal && env.get("TERM").is_some_and(|term| term != "dumb");
        let colours = live && env.get("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { colours, live }
    }
}

impl Screen {
    /// A screen with nothing on it.
    pub(crate) fn new(abilities: Abilities, stop: CancellationToken) -> Self {
        Self { abilities, live: Arc::default(), stop }
    }

    /// Shows a line, or several.
    pub(crate) fn say(&self, kind: Kind, text: &str) {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        if live.is_some() {
            out.push_str(CLEAR);
        }
        let width = if self.abilities.live { width() } else { usize::MAX };
        for line in text.lines().flat_map(|line| wrap(line, width)) {
            out.push_str(&paint(kind, &line, self.abilities.colours));
            out.push('\n');
        }
        if let Some(live) = live.as_deref() {
            out.push_str(live);
        }
        self.write(&out);
    }

    /// An empty line.
    pub(crate) fn gap(&self) {
        self.say(Kind::Text, "\n");
    }

    /// Changes the line at the bottom. Where there is none, nothing is shown.
    pub(crate) fn change_live(&self, kind: Kind, text: &str) {
        if self.abilities.live {
            let line = format!("{NO_WRAP}{}{WRAP}", paint(kind, text, self.abilities.colours));
            let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
            self.write(&format!("{CLEAR}{line}"));
            *live = Some(line);
        }
    }

    /// Takes the line at the bottom away.
    pub(crate) fn end_live(&self) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if live.take().is_some() {
            self.write(CLEAR);
        }
    }

    /// Whether there is a line at the bottom that can change.
    pub(crate) fn is_live(&self) -> bool {
        self.abilities.live
    }

    fn write(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
            self.stop.cancel();
        }
    }
}

/// Back to the beginning of the line, which is emptied (ECMA-48: CR, EL).
const CLEAR: &str = "\r\x1b[2K";
/// A line that is too long is cut off at the edge and not continued below (DECAWM).
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// How many characters a line of the terminal holds.
fn width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    size.filter(|columns| *columns > 0).unwrap_or(80)
}

/// Breaks a line between words where it would be too long; what follows is set in as far, or behind a `|` there is.
fn wrap(line: &str, width: usize) -> Vec<String> {
    let margin = line.len() - line.trim_start().len();
    let indent = line.split_once(" | ").map_or(margin, |(before, _)| before.chars().count() + 3);
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let (length, last) = (word.trim_end().chars().count(), lines.len() - 1);
        let Some(current) = lines.get_mut(last) else { break };
        let so_far = current.chars().count();
        if so_far > indent && so_far + length > width {
            current.truncate(current.trim_end().len());
            lines.push(" ".repeat(indent) + word);
        } else {
            current.push_str(word);
        }
    }
    lines
}

fn paint(kind: Kind, line: &str, colours: bool) -> String {
    let colour = match kind {
        Kind::Text => "",
        Kind::Title => "1",
        Kind::Roster => "36",
        Kind::Warning => "33",
        Kind::Result => "32",
        Kind::Traffic => "2",
        Kind::Trouble => "1;31",
    };
    if colours && !colour.is_empty() && !line.is_empty() {
        format!("\x1b[{colour}m{line}\x1b[0m")
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_file_or_pipe_gets_plain_lines() {
        assert_eq!(
            Abilities::of(false, &env(&[("TERM", "xterm")])),
            Abilities { colours: false, live: false }
        );
        assert_eq!(paint(Kind::Title, "a", false), "a");
    }

    #[test]
    fn a_line_too_long_goes_on_below_its_own_words() {
        assert_eq!(
            wrap("   roster | held back: all of them", 26),
            ["   roster | held back: all", "            of them"]
        );
        assert_eq!(wrap("   one two", 7), ["   one", "   two"]);
        assert_eq!(wrap("   abcdefghij k", 6), ["   abcdefghij", "   k"]);
        assert_eq!(wrap("", 80), [""]);
        assert_eq!(wrap("a  b", usize::MAX), ["a  b"]);
    }

    #[test]
    fn no_color_takes_the_colours_away() {
        let without = env(&[("TERM", "xterm"), ("NO_COLOR", "1")]);
        assert_eq!(Abilities::of(true, &without), Abilities { colours: false, live: true });
        let empty = env(&[("TERM", "xterm"), ("NO_COLOR", "")]);
        assert_eq!(Abilities::of(true, &empty), Abilities { colours: true, live: true });
        assert_eq!(paint(Kind::Trouble, "a", true), "\x1b[1;31ma\x1b[0m");
    }

    #[test]
    fn a_dumb_terminal_gets_plain_lines() {
        assert_eq!(Abilities::of(true, &env(&[("TERM", "dumb")])), Abilities::default());
        assert_eq!(Abilities::of(true, &env(&[])), Abilities::default());
    }
}
