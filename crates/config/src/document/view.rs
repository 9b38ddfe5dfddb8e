//! The tree of a file of data as it stands, value by value.

use crate::document::check;
use crate::document::node::{Content, Entry, Node};
use crate::position::Position;

/// One value of a file of [data](super::Data): a text, a list, a mapping, or nothing.
#[derive(Clone, Copy, Debug)]
pub struct View<'d>(&'d Node<'d>);

/// A key of a mapping, and what stands there.
#[derive(Clone, Copy, Debug)]
pub struct Field<'d> {
    /// The key as it is written.
    pub key: &'d str,
    /// Where the key stands.
    pub at: Position,
    /// Its value.
    pub value: View<'d>,
}

impl<'d> Field<'d> {
    pub(super) fn new(entry: &'d Entry<'d>) -> Self {
        Self { key: &entry.key, at: entry.at, value: View(&entry.value) }
    }
}

impl<'d> View<'d> {
    pub(super) fn new(node: &'d Node<'d>) -> Self {
        Self(node)
    }

    /// Where it begins.
    pub fn at(self) -> Position {
        self.0.at
    }

    /// Whether there is no value: nothing after the key, `~`, or JSON's `null`.
    pub fn is_nothing(self) -> bool {
        matches!(&self.0.content, Content::Scalar(scalar) if scalar.is_nothing())
    }

    /// The text, if it is one. Numbers and truth values are texts too: what is wanted decides.
    pub fn text(self) -> Option<&'d str> {
        match &self.0.content {
            Content::Scalar(scalar) if !self.is_nothing() => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether it is a text in quotes or in a block, which YAML never takes for a number or a truth value.
    pub fn is_quoted(self) -> bool {
        matches!(&self.0.content, Content::Scalar(scalar) if !scalar.plain)
    }

    /// The items, if it is a list.
    pub fn items(self) -> Option<impl ExactSizeIterator<Item = View<'d>>> {
        match &self.0.content {
            Content::List(items) => Some(items.iter().map(View)),
            _ => None,
        }
    }

    /// The keys and values, if it is a mapping; each key is there once.
    pub fn fields(self) -> Option<impl ExactSizeIterator<Item = Field<'d>>> {
        match &self.0.content {
            Content::Map(entries) => Some(entries.iter().map(Field::new)),
            _ => None,
        }
    }

    /// What a message says was found; a long text is cut, control characters are escaped.
    pub fn shown(self) -> String {
        match &self.0.content {
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a mapping".to_owned(),
            Content::Scalar(_) if self.is_nothing() => "nothing".to_owned(),
            Content::Scalar(scalar) => check::shown(scalar),
        }
    }
}
