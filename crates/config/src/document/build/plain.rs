//! The plain part of YAML by a way of its own: what fills large files, read many times faster than by the reader of all
//! of YAML, and entry by entry if the tree of the whole is not wanted.
//!
//! Block mappings and lists, keys that are plain words, one-line texts, quotes without escapes, `{ }` and `[ ]` that end
//! on their line, comments. Whatever else there is, and whatever is wrong, ends the reading: the reader of all of YAML
//! then takes the text from its beginning and has the last word. What is taken here is the same tree at the same places
//! there.

#[cfg(test)]
mod tests;
mod text;

use std::collections::HashSet;

use saphyr_parser::ScalarStyle;
use text::Role;

use super::{Builder, Built, Fault, Frame, MAX_BYTES, Map};
use crate::document::node::Entry;
use crate::position::Position;

/// A text goes beyond the plain part of YAML, or something is wrong with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotPlain;

struct Plain<'t> {
    text: &'t str,
    /// The next byte.
    next: usize,
    /// Where its line begins, and the number of that line.
    start: usize,
    number: usize,
    /// Whether each byte is a character, so that nobody needs to count.
    ascii: bool,
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
        let top = plain.column();
        plain.open()?;
        if plain.key()? != key || !plain.is_over() {
            return Err(NotPlain);
        }
        plain.below();
        plain.open()?;
        let column = plain.column();
        if column > top && !plain.is_done() { Ok(Self { plain, column }) } else { Err(NotPlain) }
    }

    /// Hands the entries on one by one, and says whether they are all that is in the text.
    pub(crate) fn read(self, each: &mut dyn FnMut(&Entry<'_>)) -> Result<bool, NotPlain> {
        let Self { mut plain, column } = self;
        let mut seen = HashSet::new();
        while plain.goes_on(column, false) {
            let key = plain.entry(column)?;
            let entry = plain.builder.take_entry().ok_or(NotPlain)?;
            if !seen.insert(key) {
                return Err(NotPlain);
            }
            each(&entry);
        }
        if plain.builder.faults.is_empty() { Ok(plain.is_done()) } else { Err(NotPlain) }
    }
}

impl From<Fault> for NotPlain {
    fn from(_: Fault) -> Self {
        Self
    }
}

/// Blocks. Before and after each of these methods, the next byte is the first of a line that says something, or of
/// what an item of a list holds, or there is none.
impl<'t> Plain<'t> {
    fn new(text: &'t str) -> Result<Self, NotPlain> {
        // To count them is faster than to look for one, for it is done many bytes at a time.
        let controls = text.bytes().filter(|byte| *byte < b' ' && *byte != b'\n').count();
        let ascii = text.is_ascii();
        if controls > 0 || text.len() > MAX_BYTES || (!ascii && text.contains('\u{feff}')) {
            return Err(NotPlain);
        }
        let mut plain = Self { text, next: 0, start: 0, number: 1, ascii, builder: Builder::new(None) };
        plain.below();
        Ok(plain)
    }

    /// Whether a mapping or a list at this column goes on. A line that is deeper goes on with nothing, and is left over.
    fn goes_on(&self, column: usize, list: bool) -> bool {
        !self.is_done() && self.column() == column && self.is_item() == list
    }

    /// Nothing may be left over.
    fn end(&self) -> Result<(), NotPlain> {
        if self.is_done() && self.builder.faults.is_empty() { Ok(()) } else { Err(NotPlain) }
    }

    /// The builder bounds how deep this goes.
    fn block(&mut self) -> Result<(), NotPlain> {
        match () {
            () if self.is_done() => Err(NotPlain),
            () if self.is_item() => self.list(self.at()),
            () => self.mapping(),
        }
    }

    fn mapping(&mut self) -> Result<(), NotPlain> {
        let column = self.column();
        self.open()?;
        while self.goes_on(column, false) {
            self.entry(column)?;
        }
        Ok(self.builder.close()?)
    }

    fn list(&mut self, at: Position) -> Result<(), NotPlain> {
        let column = self.column();
        self.builder.open(Ok(()), Frame::List { at, anchor: 0, items: Vec::new() })?;
        while self.goes_on(column, true) {
            self.next += 1;
            self.spaces();
            match text::plain(self.rest()) {
                Some((_, Role::Key)) => self.mapping()?,
                plain => self.inline(plain)?,
            }
        }
        Ok(self.builder.close()?)
    }

    fn entry(&mut self, column: usize) -> Result<&'t str, NotPlain> {
        let key = self.key()?;
        if self.is_over() {
            self.below();
            if self.column() > column {
                self.block()?;
            } else if self.column() == column && self.is_item() {
                // A list may stand right under its key. It begins with what its first item holds, says the other reader.
                let dash = self.next;
                self.next += 1;
                self.spaces();
                let at = self.at();
                self.next = dash;
                self.list(at)?;
            } else {
                return Err(NotPlain);
            }
        } else {
            self.spaces();
            self.inline(text::plain(self.rest()))?;
        }
        Ok(key)
    }

    /// A value that ends on its line, and what it is as a text without quotes.
    fn inline(&mut self, plain: Option<(&'t str, Role)>) -> Result<(), NotPlain> {
        match plain {
            Some((text, Role::Value)) => self.scalar(text, ScalarStyle::Plain)?,
            Some((_, Role::Key)) => return Err(NotPlain),
            None => self.flow()?,
        }
        if !self.is_over() {
            return Err(NotPlain);
        }
        self.below();
        Ok(())
    }
}

/// What stands in one line.
impl<'t> Plain<'t> {
    fn key(&mut self) -> Result<&'t str, NotPlain> {
        let Some((key, Role::Key)) = text::plain(self.rest()) else { return Err(NotPlain) };
        self.scalar(key, ScalarStyle::Plain)?;
        self.next += 1;
        Ok(key)
    }

    fn scalar(&mut self, text: &'t str, style: ScalarStyle) -> Result<(), NotPlain> {
        self.builder.scalar(text.into(), style, 0, None, self.at())?;
        self.next += text.len();
        Ok(())
    }

    fn open(&mut self) -> Result<(), NotPlain> {
        let at = self.at();
        Ok(self.builder.open(Ok(()), Frame::Map { at, anchor: 0, map: Map::default() })?)
    }

    /// A value that ends where brackets or quotes do, or as a word between brackets.
    fn flow(&mut self) -> Result<(), NotPlain> {
        match self.peek() {
            Some(b'{') => {
                self.open()?;
                self.items(b'}', |plain| {
                    plain.text()?;
                    plain.expect(b':')?;
                    plain.expect(b' ')?;
                    plain.spaces();
                    plain.flow()
                })
            }
            Some(b'[') => {
                let at = self.at();
                self.builder.open(Ok(()), Frame::List { at, anchor: 0, items: Vec::new() })?;
                self.items(b']', Self::flow)
            }
            _ => self.text(),
        }
    }

    /// What stands between brackets, and the closing one.
    fn items(
        &mut self,
        end: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), NotPlain>,
    ) -> Result<(), NotPlain> {
        self.next += 1;
        self.spaces();
        if self.peek() != Some(end) {
            loop {
                item(self)?;
                self.spaces();
                if self.peek() == Some(end) {
                    break;
                }
                self.expect(b',')?;
                self.spaces();
            }
        }
        self.next += 1;
        Ok(self.builder.close()?)
    }

    /// A quoted text or a word.
    fn text(&mut self) -> Result<(), NotPlain> {
        match text::quoted(self.rest()) {
            Some((text, style)) => {
                self.scalar(text, style)?;
                self.next += 2;
                Ok(())
            }
            None => self.scalar(text::word(self.rest()).ok_or(NotPlain)?, ScalarStyle::Plain),
        }
    }

    /// Whether nothing is left.
    fn is_done(&self) -> bool {
        self.next == self.text.len()
    }

    /// Whether this is an item of a list.
    fn is_item(&self) -> bool {
        self.rest().starts_with("- ")
    }

    /// Whether nothing follows in the line but a comment, which stands after a space.
    fn is_over(&self) -> bool {
        let rest = self.rest().as_bytes();
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        match rest.get(spaces) {
            None | Some(b'\n') => true,
            Some(b'#') => spaces > 0,
            Some(_) => false,
        }
    }

    /// Goes over spaces, comments and ends of lines.
    fn below(&mut self) {
        loop {
            self.spaces();
            match self.peek() {
                Some(b'#') => self.next += self.rest().find('\n').unwrap_or(self.rest().len()),
                Some(b'\n') => {
                    self.next += 1;
                    self.start = self.next;
                    self.number += 1;
                }
                _ => return,
            }
        }
    }

    fn spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.next += 1;
        }
    }

    fn expect(&mut self, wanted: u8) -> Result<(), NotPlain> {
        if self.peek() != Some(wanted) {
            return Err(NotPlain);
        }
        self.next += 1;
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.next).copied()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.next..).unwrap_or_default()
    }

    /// How many bytes stand before in the line; in a block these are spaces and dashes.
    fn column(&self) -> usize {
        self.next - self.start
    }

    fn at(&self) -> Position {
        let before = self.text.get(self.start..self.next).unwrap_or_default();
        let characters = if self.ascii { before.len() } else { before.chars().count() };
        Position { line: self.number, column: characters + 1 }
    }
}
