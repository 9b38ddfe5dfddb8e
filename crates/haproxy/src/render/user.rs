//! The operator's own text, and what Roster itself needs in `global`.

use std::fmt;

use super::RenderError;
use super::value::FilePath;
use crate::keywords::Millis;

/// The operator's own lines, written as they are.
///
/// They are trusted: whoever writes Roster's configuration could as well write HAProxy's.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct UserText {
    /// The lines inside `global`, without that word itself.
    pub global: String,
    /// The lines inside the first `defaults` section, without that word itself. They hold for our sections, and for the
    /// operator's own up to the next `defaults`.
    pub defaults: String,
    /// Whole sections: `frontend`, `listen`, `resolvers`, `peers`, `userlist`, `defaults NAME` and so on.
    pub sections: String,
}

/// What Roster needs in `global`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ours {
    /// The runtime socket, of mode 600 and level admin.
    pub stats_socket: FilePath,
    /// Whether a process that follows can take the listening sockets over from it.
    pub expose_listeners: bool,
    /// How long a process that is on its way out may live on.
    pub hard_stop_after: Option<Millis>,
    /// The file that the servers' state is kept in over a reload.
    pub state_file: Option<FilePath>,
}

/// A part of [`UserText`], as the configuration calls it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UserPart {
    /// `global`.
    Global,
    /// `defaults`.
    Defaults,
    /// `sections`.
    Sections,
}

/// A kind of section whose name can be in the way of one of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SectionKind {
    Frontend,
    Backend,
    Listen,
    Defaults,
}

const SECTIONS: &[&str] = &[
    "backend",
    "cache",
    "crt-store",
    "defaults",
    "fcgi-app",
    "frontend",
    "global",
    "http-errors",
    "listen",
    "log-forward",
    "log-profile",
    "mailers",
    "peers",
    "program",
    "resolvers",
    "ring",
    "traces",
    "userlist",
];

impl UserText {
    /// The backends of the operator's own, `listen` sections among them. Those between `.if` and `.endif` count too.
    pub fn backends(&self) -> impl Iterator<Item = &str> {
        let is_backend = |kind| matches!(kind, SectionKind::Backend | SectionKind::Listen);
        self.named_sections().filter(move |(kind, _)| is_backend(*kind)).map(|(_, name)| name)
    }

    /// The operator's own sections that have a name of their own.
    pub(super) fn named_sections(&self) -> impl Iterator<Item = (SectionKind, &str)> {
        lines(&self.sections).filter_map(|(_, words)| {
            let kind = match *words.first()? {
                "frontend" => SectionKind::Frontend,
                "backend" => SectionKind::Backend,
                "listen" => SectionKind::Listen,
                "defaults" => SectionKind::Defaults,
                _ => return None,
            };
            Some((kind, words.get(1)?.trim_matches(['"', '\''])))
        })
    }

    /// What in it would work against what Roster writes, or move it into another section.
    ///
    /// HAProxy itself is silent about a second socket on our path, about `daemon` and about a second `hard-stop-after`,
    /// and goes by the first of two state files (measured on 2.6, 2.8 and 3.0).
    pub(super) fn check(&self, ours: &Ours, errors: &mut Vec<RenderError>) {
        for (line, words) in lines(&self.global) {
            let part = UserPart::Global;
            match words.as_slice() {
                [word, ..] if SECTIONS.contains(word) => {
                    errors.push(RenderError::SectionInside { part, line, word: (*word).to_owned() });
                }
                ["daemon", ..] => errors.push(RenderError::Daemon { line }),
                ["stats", "socket", path, ..] if is_path(path, &ours.stats_socket) => {
                    errors.push(RenderError::OurSocket { line, path: ours.stats_socket.clone() });
                }
                ["hard-stop-after", ..] if ours.hard_stop_after.is_some() => {
                    errors.push(RenderError::OurKeyword { line, keyword: "hard-stop-after" });
                }
                ["server-state-file", ..] if ours.state_file.is_some() => {
                    errors.push(RenderError::OurKeyword { line, keyword: "server-state-file" });
                }
                _ => {}
            }
        }
        for (line, words) in lines(&self.defaults) {
            if let Some(word) = words.first().filter(|word| SECTIONS.contains(word)) {
                let part = UserPart::Defaults;
                errors.push(RenderError::SectionInside { part, line, word: (*word).to_owned() });
            }
        }
        let first =
            lines(&self.sections).find(|(_, words)| words.first().is_some_and(|w| !w.starts_with('.')));
        if let Some((line, words)) = first
            && let Some(word) = words.first().filter(|word| !SECTIONS.contains(word))
        {
            errors.push(RenderError::NoSection { line, word: (*word).to_owned() });
        }
    }
}

/// The lines that say something, each with its number and words. Quoting is left aside: no keyword needs it.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    (1..).zip(text.lines()).filter_map(|(number, line)| {
        let words: Vec<&str> =
            line.split_ascii_whitespace().take_while(|word| !word.starts_with('#')).collect();
        (!words.is_empty()).then_some((number, words))
    })
}

fn is_path(word: &str, path: &FilePath) -> bool {
    let bare = word.trim_matches(['"', '\'']);
    bare.strip_prefix("unix@").unwrap_or(bare) == path.as_str()
}

/// Only its size: there may be passwords in it.
impl fmt::Debug for UserText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |text: &str| format!("{} bytes", text.len());
        let mut debug = f.debug_struct("UserText");
        debug.field("global", &size(&self.global));
        debug.field("defaults", &size(&self.defaults)).field("sections", &size(&self.sections)).finish()
    }
}

impl fmt::Display for UserPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "global",
            Self::Defaults => "defaults",
            Self::Sections => "sections",
        })
    }
}
