//! The file as sections and lines, read and written as the API's parser does.
//!
//! Invariants: what is written and read again is the same; the words of a line are those that HAProxy would see.

use std::fmt::Write as _;

use md5::{Digest, Md5};

use super::order;

/// What the API puts on top of a file that it takes over.
const DISCLAIMER: [&str; 2] =
    ["Dataplaneapi managed File", "changing file directly can cause a conflict if dataplaneapi is running"];

/// A configuration without its first two lines (checksum and version).
#[derive(Clone, Debug, Default)]
pub(in crate::dataplane) struct Config {
    /// Comments before the first section.
    head: Vec<String>,
    pub(in crate::dataplane) sections: Vec<Section>,
}

/// One section.
#[derive(Clone, Debug, Default)]
pub(in crate::dataplane) struct Section {
    pub(in crate::dataplane) kind: String,
    pub(in crate::dataplane) name: String,
    /// The `defaults` section that is named after `from`.
    pub(in crate::dataplane) from: String,
    /// What stands behind its title: from 3.2 on the object's metadata, as JSON.
    pub(in crate::dataplane) comment: Option<String>,
    before: Vec<String>,
    pub(in crate::dataplane) lines: Vec<Line>,
    after: Vec<String>,
}

/// One line of a section, with the comments that stand before it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::dataplane) struct Line {
    pub(in crate::dataplane) text: String,
    pub(in crate::dataplane) comment: Option<String>,
    before: Vec<String>,
}

impl Line {
    pub(in crate::dataplane) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), comment: None, before: Vec::new() }
    }

    /// The line's new text; the comments before it stay, the trailing one is the new one's.
    pub(in crate::dataplane) fn replace(&mut self, text: String, comment: Option<String>) {
        self.text = text;
        self.comment = comment;
    }

    pub(in crate::dataplane) fn words(&self) -> Vec<&str> {
        self.text.split(' ').collect()
    }

    pub(in crate::dataplane) fn starts_with(&self, key: &str) -> bool {
        self.text.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    }

    fn render(&self) -> String {
        match &self.comment {
            Some(comment) => format!("  {} # {comment}\n", self.text),
            None => format!("  {}\n", self.text),
        }
    }
}

impl Section {
    pub(in crate::dataplane) fn new(kind: &str, name: &str) -> Self {
        Self { kind: kind.to_owned(), name: name.to_owned(), ..Self::default() }
    }

    fn title(&self) -> String {
        let mut title = self.kind.clone();
        if !self.name.is_empty() {
            title.extend([" ", &self.name]);
        }
        if !self.from.is_empty() {
            title.extend([" from ", &self.from]);
        }
        if let Some(comment) = &self.comment {
            title.extend([" # ", comment]);
        }
        title
    }

    fn render(&self) -> String {
        let mut text = String::from("\n");
        text.extend(self.before.iter().map(|comment| format!("# {comment}\n")));
        text.push_str(&self.title());
        text.push('\n');
        let mut ranked: Vec<(usize, &Line)> =
            self.lines.iter().map(|line| (order::rank(&self.kind, &line.words()), line)).collect();
        ranked.sort_by(|(one, a), (two, b)| one.cmp(two).then_with(|| order::within(&a.text, &b.text)));
        for group in ranked.chunk_by(|(one, _), (two, _)| one == two) {
            let comments = group.iter().flat_map(|(_, line)| &line.before);
            text.extend(comments.map(|comment| format!("  # {comment}\n")));
            text.extend(group.iter().map(|(_, line)| line.render()));
        }
        text.extend(self.after.iter().map(|comment| format!("  # {comment}\n")));
        text
    }
}

impl Config {
    /// Reads a file. The second value is its `# _version=` line, if it has one that is a number.
    pub(in crate::dataplane) fn parse(text: &str) -> (Self, Option<i64>) {
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line);
        }
        (reader.finish(), version_line(text))
    }

    /// Reads a file that the API did not get through a request, as at its start: two comments go to the top, and each
    /// proxy names the `defaults` that it used without a word.
    pub(in crate::dataplane) fn take_over(text: &str) -> (Self, Option<i64>) {
        let (mut config, version) = Self::parse(text);
        let mut defaults = String::new();
        for section in &mut config.sections {
            match section.kind.as_str() {
                "defaults" => defaults.clone_from(&section.name),
                "frontend" | "backend" | "listen" if section.from.is_empty() => {
                    section.from.clone_from(&defaults);
                }
                _ => {}
            }
        }
        if config.head.first().map(String::as_str) != DISCLAIMER.first().copied() {
            config.head.splice(..0, DISCLAIMER.map(str::to_owned));
        }
        (config, version)
    }

    pub(in crate::dataplane) fn section(&self, kind: &str, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == kind && section.name == name)
    }

    pub(in crate::dataplane) fn section_mut(&mut self, kind: &str, name: &str) -> Option<&mut Section> {
        self.sections.iter_mut().find(|section| section.kind == kind && section.name == name)
    }

    pub(in crate::dataplane) fn of_kind(&self, kind: &str) -> Vec<&Section> {
        let mut found: Vec<&Section> = self.sections.iter().filter(|section| section.kind == kind).collect();
        found.sort_by(|one, two| one.name.cmp(&two.name));
        found
    }

    /// The file's text with its version, without the checksum line.
    pub(in crate::dataplane) fn render(&self, version: i64) -> String {
        let mut text = format!("# _version={version}\n");
        text.extend(self.head.iter().map(|comment| format!("# {comment}\n")));
        let mut sections: Vec<(usize, &Section)> =
            self.sections.iter().map(|section| (place(&section.kind), section)).collect();
        sections.sort_by(|(one, a), (two, b)| one.cmp(two).then_with(|| a.name.cmp(&b.name)));
        text.extend(sections.iter().map(|(_, section)| section.render()));
        text
    }

    /// The file as it is written: checksum line, version line, text.
    pub(in crate::dataplane) fn render_with_checksum(&self, version: i64) -> String {
        let text = self.render(version);
        format!("# _md5hash={}\n{text}", checksum(&text))
    }
}

/// The lower-case hexadecimal MD5 of a text.
pub(in crate::dataplane) fn checksum(text: &str) -> String {
    let mut sum = String::new();
    for byte in Md5::digest(text.as_bytes()) {
        // Writing to a string cannot fail.
        write!(sum, "{byte:02x}").ok();
    }
    sum
}

/// Whether the first line is the checksum of the rest: then the API wrote the file itself.
pub(in crate::dataplane) fn is_own(text: &str) -> bool {
    text.split_once('\n')
        .and_then(|(first, rest)| Some((first.strip_prefix("# _md5hash=")?, rest)))
        .is_some_and(|(sum, rest)| sum == checksum(rest))
}

/// The number on the `# _version=` line.
pub(in crate::dataplane) fn version_line(text: &str) -> Option<i64> {
    text.lines().find_map(|line| line.strip_prefix("# _version="))?.trim().parse().ok()
}

fn place(kind: &str) -> usize {
    order::SECTIONS.iter().position(|known| *known == kind).unwrap_or(usize::MAX)
}

/// Comments wait in `indented` (for the next line) or `flush` (for the next section) until it is known whose they are.
#[derive(Debug, Default)]
struct Reader {
    config: Config,
    indented: Vec<String>,
    flush: Vec<String>,
    past_head: bool,
}

impl Reader {
    fn line(&mut self, line: &str) {
        if line.is_empty() {
            self.past_head = true;
            return;
        }
        if line.starts_with("# _version") || line.starts_with("# _md5hash") {
            return;
        }
        let (words, comment) = split(line);
        match (words.first().map(String::as_str), comment) {
            (None, None) => {}
            (None, Some(comment)) => self.comment(line, comment),
            (Some(first), comment) if order::SECTIONS.contains(&first) && !line.starts_with(' ') => {
                self.section(&words, comment);
            }
            (Some(_), comment) => self.plain(words.join(" "), comment),
        }
    }

    fn comment(&mut self, line: &str, comment: String) {
        if self.config.sections.is_empty() && !self.past_head {
            self.config.head.push(comment);
        } else if line.starts_with([' ', '\t']) {
            self.indented.push(comment);
        } else {
            self.flush.push(comment);
        }
    }

    fn section(&mut self, words: &[String], comment: Option<String>) {
        let word = |at: usize| words.get(at).cloned().unwrap_or_default();
        let indented = std::mem::take(&mut self.indented);
        if let Some(last) = self.config.sections.last_mut() {
            last.after.extend(indented);
        }
        let mut section = Section::new(&word(0), &word(1));
        if section.name == "from" {
            section.name.clear();
            section.from = word(2);
        } else if word(2) == "from" {
            section.from = word(3);
        }
        if section.kind == "defaults" && section.name.is_empty() {
            section.name = self.free_defaults_name();
        }
        section.comment = comment;
        section.before = std::mem::take(&mut self.flush);
        self.config.sections.push(section);
        self.past_head = true;
    }

    fn free_defaults_name(&self) -> String {
        let mut number = 1;
        while self.config.section("defaults", &format!("unnamed_defaults_{number}")).is_some() {
            number += 1;
        }
        format!("unnamed_defaults_{number}")
    }

    fn plain(&mut self, text: String, comment: Option<String>) {
        let before = std::mem::take(&mut self.indented);
        if let Some(section) = self.config.sections.last_mut() {
            let text = super::fields::rewritten(&section.kind, text);
            section.lines.push(Line { text, comment, before });
        }
    }

    fn finish(mut self) -> Config {
        if let Some(last) = self.config.sections.last_mut() {
            last.after.append(&mut self.indented);
            last.after.append(&mut self.flush);
        }
        self.config
    }
}

/// Words and the trailing comment. Blanks in quotes or behind a backslash belong to a word, which keeps its quotes.
fn split(line: &str) -> (Vec<String>, Option<String>) {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut escaped = false;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != Some('\'') => escaped = true,
            _ if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() => quote = Some(c),
            ' ' | '\t' if quote.is_none() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            '#' if quote.is_none() => {
                words.extend((!word.is_empty()).then_some(word));
                return (words, Some(rest.as_str().trim().to_owned()));
            }
            _ => {}
        }
        word.push(c);
    }
    words.extend((!word.is_empty()).then_some(word));
    (words, None)
}
