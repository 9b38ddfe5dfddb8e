//! The plain part of YAML by a way of its own: what fills large files, read many times faster than by the reader of all
//! of YAML, and entry by entry if the tree of the whole is not wanted.
//!
//! Block mappings and lists, keys that are plain words, one-line texts, quotes without escapes, `{ }` and `[ ]` that end
//! on their line, comments. Whatever else there is, and whatever is wrong, ends the reading: the reader of all of YAML
//! then takes the text from its beginning and has the last word. What is taken here is the same tree at the same places
//! there.

mod line;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use saphyr_parser::ScalarStyle;

use super::{Builder, Built, Fault, Frame, MAX_BYTES, Map};
use crate::document::node::{Entry, Position};
use line::{Line, Style};

/// A text goes beyond the plain part of YAML, or something is wrong with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotPlain;

struct Plain<'t> {
    /// The next line that is neither blank nor a comment. After the dash of a list's item, what follows it there.
    line: Option<Line<'t>>,
    builder: Builder<'t>,
}

/// The entries of a mapping that is all there is in a text but a key over it.
pub(crate) struct Entries<'t> {
    plain: Plain<'t>,
    column: usize,
}

/// Builds the tree of one plain text.
pub(crate) fn read(text: &str) -> Result<Built<'_>, NotPlain> {
    let mut plain = Plain::new(text)?;
    plain.block()?;
    plain.end()?;
    Ok(plain.builder.finish()?)
}

impl<'t> Entries<'t> {
    /// Looks at the top only: whether there is this key, and a mapping under it.
    pub(crate) fn under(key: &str, text: &'t str) -> Result<Self, NotPlain> {
        let mut plain = Plain::new(text)?;
        let top = plain.line.ok_or(NotPlain)?;
        plain.open(top.at())?;
        let under = plain.key(top)?;
        plain.line = under.rest.below();
        let first = plain.line.filter(|line| line.column > top.column).ok_or(NotPlain)?;
        plain.open(first.at())?;
        let column = first.column;
        if under.key == key && under.rest.is_over() { Ok(Self { plain, column }) } else { Err(NotPlain) }
    }

    /// Hands the entries on one by one. If there is nothing wrong with any, that is all of the text.
    pub(crate) fn read(self, each: &mut dyn FnMut(&Entry<'_>)) -> Result<(), NotPlain> {
        let Self { mut plain, column } = self;
        let mut seen = HashSet::new();
        while let Some(line) = plain.next_of(column, false)? {
            let key = plain.entry(line)?;
            let entry = plain.builder.take_entry().ok_or(NotPlain)?;
            if !seen.insert(key) {
                return Err(NotPlain);
            }
            each(&entry);
        }
        plain.end()
    }
}

/// A key, and what follows its colon.
struct Keyed<'t> {
    key: &'t str,
    rest: Line<'t>,
}

impl From<Fault> for NotPlain {
    fn from(_: Fault) -> Self {
        Self
    }
}

impl<'t> Plain<'t> {
    fn new(text: &'t str) -> Result<Self, NotPlain> {
        // Without a way out of the loop it looks at many bytes at once.
        let control = text.bytes().fold(false, |found, byte| found | (byte < b' ' && byte != b'\n'));
        let order = !text.is_ascii() && text.contains('\u{feff}');
        if control || order || text.len() > MAX_BYTES {
            return Err(NotPlain);
        }
        Ok(Self { line: Line::first(text), builder: Builder::new(None) })
    }

    /// The line that goes on with a mapping or a list at this column, if it does.
    fn next_of(&self, column: usize, list: bool) -> Result<Option<Line<'t>>, NotPlain> {
        match self.line {
            // The text above goes on, or nothing is right.
            Some(line) if line.column > column => Err(NotPlain),
            line => Ok(line.filter(|line| line.column == column && line.is_item() == list)),
        }
    }

    /// Nothing may be left over.
    fn end(&self) -> Result<(), NotPlain> {
        if self.line.is_none() && self.builder.faults.is_empty() { Ok(()) } else { Err(NotPlain) }
    }

    /// The builder bounds how deep this goes.
    fn block(&mut self) -> Result<(), NotPlain> {
        let line = self.line.ok_or(NotPlain)?;
        if line.is_item() { self.list(line.column, line.at()) } else { self.mapping(line) }
    }

    fn mapping(&mut self, first: Line<'t>) -> Result<(), NotPlain> {
        self.open(first.at())?;
        while let Some(line) = self.next_of(first.column, false)? {
            self.entry(line)?;
        }
        Ok(self.builder.close()?)
    }

    fn open(&mut self, at: Position) -> Result<(), NotPlain> {
        Ok(self.builder.open(Ok(()), Frame::Map { at, anchor: 0, map: Map::default() })?)
    }

    fn list(&mut self, column: usize, at: Position) -> Result<(), NotPlain> {
        self.builder.open(Ok(()), Frame::List { at, anchor: 0, items: Vec::new() })?;
        while let Some(line) = self.next_of(column, true)? {
            self.item(line.content())?;
        }
        Ok(self.builder.close()?)
    }

    fn item(&mut self, content: Line<'t>) -> Result<(), NotPlain> {
        let plain = content.plain();
        if let Some((_, Style::Key)) = plain {
            self.line = Some(content);
            return self.mapping(content);
        }
        self.inline(content, plain)
    }

    fn entry(&mut self, line: Line<'t>) -> Result<&'t str, NotPlain> {
        let Keyed { key, rest } = self.key(line)?;
        if rest.is_over() {
            self.line = rest.below();
            match self.line {
                Some(below) if below.column > line.column => self.block()?,
                // A list may stand right under its key. It begins with what its first item is, says the other reader.
                Some(below) if below.column == line.column && below.is_item() => {
                    self.list(line.column, below.content().at())?;
                }
                _ => return Err(NotPlain),
            }
        } else {
            let value = rest.trimmed();
            self.inline(value, value.plain())?;
        }
        Ok(key)
    }

    fn key(&mut self, line: Line<'t>) -> Result<Keyed<'t>, NotPlain> {
        match line.plain() {
            Some((key, Style::Key)) => {
                self.builder.scalar(key.into(), ScalarStyle::Plain, 0, None, line.at())?;
                Ok(Keyed { key, rest: line.after(key.len() + 1) })
            }
            _ => Err(NotPlain),
        }
    }

    /// A value that ends on its line, and what it is as a text without quotes.
    fn inline(&mut self, line: Line<'t>, plain: Option<(&'t str, Style)>) -> Result<(), NotPlain> {
        let rest = match plain {
            Some((text, Style::Text)) => self.scalar(line, text)?,
            Some((_, Style::Key)) => return Err(NotPlain),
            None => self.flow(line)?,
        };
        if !rest.is_over() {
            return Err(NotPlain);
        }
        self.line = rest.below();
        Ok(())
    }

    fn scalar(&mut self, line: Line<'t>, text: &'t str) -> Result<Line<'t>, NotPlain> {
        self.builder.scalar(text.into(), ScalarStyle::Plain, 0, None, line.at())?;
        Ok(line.after(text.len()))
    }

    /// A value that ends where brackets or quotes do, or as a word between brackets; and what follows it.
    fn flow(&mut self, line: Line<'t>) -> Result<Line<'t>, NotPlain> {
        match line.byte() {
            Some(b'{') => {
                self.open(line.at())?;
                self.items(line, b'}', |plain, line| {
                    let value = plain.text(line)?.value().ok_or(NotPlain)?;
                    plain.flow(value)
                })
            }
            Some(b'[') => {
                self.builder.open(Ok(()), Frame::List { at: line.at(), anchor: 0, items: Vec::new() })?;
                self.items(line, b']', Self::flow)
            }
            _ => self.text(line),
        }
    }

    /// What stands between brackets, the closing one, and what follows.
    fn items(
        &mut self,
        line: Line<'t>,
        end: u8,
        mut item: impl FnMut(&mut Self, Line<'t>) -> Result<Line<'t>, NotPlain>,
    ) -> Result<Line<'t>, NotPlain> {
        let mut next = line.after(1).trimmed();
        if next.byte() != Some(end) {
            loop {
                next = item(self, next)?.trimmed();
                match next.byte() {
                    Some(b',') => next = next.after(1).trimmed(),
                    Some(byte) if byte == end => break,
                    _ => return Err(NotPlain),
                }
            }
        }
        self.builder.close()?;
        Ok(next.after(1))
    }

    /// A quoted text or a word, and what follows it.
    fn text(&mut self, line: Line<'t>) -> Result<Line<'t>, NotPlain> {
        if let Some((text, style)) = line.quoted() {
            self.builder.scalar(text.into(), style, 0, None, line.at())?;
            return Ok(line.after(text.len() + 2));
        }
        self.scalar(line, line.word().ok_or(NotPlain)?)
    }
}
