//! What stands in one line of plain YAML: keys, texts, quoted texts, words.

use saphyr_parser::ScalarStyle;

use crate::document::node::Position;

/// The longest key, in bytes. YAML looks for its colon within 1024 characters (section 7.4.2).
const MAX_KEY: usize = 1000;

/// A text from some place in a line on, up to its end many lines further.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'t> {
    number: usize,
    /// How many characters stand before it in the line.
    pub(super) column: usize,
    text: &'t str,
}

/// What a text without quotes is, by what follows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Style {
    /// A colon follows.
    Key,
    /// The line ends there, or a comment follows.
    Text,
}

impl<'t> Line<'t> {
    /// The first line that says something.
    pub(super) fn first(text: &'t str) -> Option<Self> {
        Self { number: 1, column: 0, text }.below()
    }

    /// The next thing after spaces, comments and ends of lines.
    pub(super) fn below(self) -> Option<Self> {
        let mut line = self.trimmed();
        loop {
            match line.byte()? {
                b'#' => {
                    let comment = line.text.find('\n').unwrap_or(line.text.len());
                    line = line.after(comment);
                }
                b'\n' => {
                    let text = line.text.get(1..)?;
                    line = Self { number: line.number + 1, column: 0, text }.trimmed();
                }
                _ => return Some(line),
            }
        }
    }

    pub(super) fn at(self) -> Position {
        Position { line: self.number, column: self.column + 1 }
    }

    pub(super) fn byte(self) -> Option<u8> {
        self.text.bytes().next()
    }

    /// What follows so many bytes of the line.
    pub(super) fn after(self, bytes: usize) -> Self {
        let (before, text) = self.text.split_at_checked(bytes).unwrap_or((self.text, ""));
        Self { column: self.column + before.chars().count(), text, ..self }
    }

    /// What follows the spaces here.
    pub(super) fn trimmed(self) -> Self {
        let spaces = self.text.bytes().take_while(|byte| *byte == b' ').count();
        Self { column: self.column + spaces, text: self.text.get(spaces..).unwrap_or_default(), ..self }
    }

    /// What follows the colon and the space after a key, if they are here.
    pub(super) fn value(self) -> Option<Self> {
        if self.text.starts_with(": ") { Some(self.after(1).trimmed()) } else { None }
    }

    /// Whether nothing follows in the line but a comment, which stands after a space.
    pub(super) fn is_over(self) -> bool {
        match self.byte() {
            None | Some(b'\n') => true,
            Some(b' ') => matches!(self.trimmed().byte(), None | Some(b'\n' | b'#')),
            Some(_) => false,
        }
    }

    /// Whether this is an item of a list.
    pub(super) fn is_item(self) -> bool {
        self.text.starts_with("- ")
    }

    /// What an item of a list holds.
    pub(super) fn content(self) -> Self {
        self.after(1).trimmed()
    }

    /// A text without quotes that ends with the line or at a colon.
    pub(super) fn plain(self) -> Option<(&'t str, Style)> {
        let bytes = self.text.as_bytes();
        if !begins(bytes) {
            return None;
        }
        let mut end = 0;
        loop {
            let ends = |byte: &u8| matches!(byte, b':' | b' ' | b'\n');
            end += bytes.get(end..)?.iter().position(ends).unwrap_or(bytes.len() - end);
            let (text, rest) = self.text.split_at_checked(end)?;
            match rest.as_bytes() {
                [] | [b'\n', ..] => return Some((text, Style::Text)),
                [b':'] | [b':', b' ' | b'\n', ..] => {
                    return if end <= MAX_KEY { Some((text, Style::Key)) } else { None };
                }
                [b':', ..] => end += 1,
                _ => {
                    let spaces = rest.bytes().take_while(|byte| *byte == b' ').count();
                    match bytes.get(end + spaces) {
                        None | Some(b'\n' | b'#') => return Some((text, Style::Text)),
                        // A colon here would end a key that has a space behind it.
                        Some(b':') => return None,
                        Some(_) => end += spaces,
                    }
                }
            }
        }
    }

    /// What stands in quotes, without anything in it that means something else.
    pub(super) fn quoted(self) -> Option<(&'t str, ScalarStyle)> {
        let quote = self.byte().filter(|byte| matches!(byte, b'"' | b'\''))?;
        let text = self.text.get(1..)?;
        let bytes = text.as_bytes();
        let end = bytes.iter().position(|byte| *byte == quote || matches!(byte, b'\\' | b'\n'))?;
        let (single, next) = (quote == b'\'', bytes.get(end + 1));
        let sound = bytes.get(end) == Some(&quote) && !(single && next == Some(&quote));
        let style = if single { ScalarStyle::SingleQuoted } else { ScalarStyle::DoubleQuoted };
        text.get(..end).filter(|_| sound).map(|text| (text, style))
    }

    /// A word as it may stand between brackets.
    pub(super) fn word(self) -> Option<&'t str> {
        let bytes = self.text.as_bytes();
        let inside = |at: usize, byte: u8| match byte {
            b':' => bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric),
            _ => byte.is_ascii_alphanumeric() || b"_-./@+=~".contains(&byte),
        };
        let end = bytes.iter().enumerate().find(|(at, byte)| !inside(*at, **byte));
        let word = end.map_or(Some(self.text), |(end, _)| self.text.get(..end));
        word.filter(|word| !word.is_empty() && begins(bytes))
    }
}

/// Whether a text without quotes begins here, and can be nothing else.
fn begins(bytes: &[u8]) -> bool {
    match bytes {
        [b'-', next, ..] => next.is_ascii_alphanumeric(),
        [first, ..] => first.is_ascii_alphanumeric() || b"_/+~$".contains(first) || !first.is_ascii(),
        [] => false,
    }
}
