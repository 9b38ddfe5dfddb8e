//! The tree a file is read into: every node and every key knows its place, every text its style and origin. Texts that
//! stand in the file as they are are not copied.

use std::borrow::Cow;
use std::fmt;

use crate::position::Position;

#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct Node<'t> {
    pub(crate) at: Position,
    pub(crate) content: Content<'t>,
}

#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) enum Content<'t> {
    Scalar(Scalar<'t>),
    List(Vec<Node<'t>>),
    Map(Vec<Entry<'t>>),
}

#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct Entry<'t> {
    pub(crate) key: Cow<'t, str>,
    pub(crate) at: Position,
    pub(crate) value: Node<'t>,
}

/// A text that is not yet a number, a truth value or a string: what it is depends on what is wanted.
#[derive(Clone)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct Scalar<'t> {
    pub(crate) text: Cow<'t, str>,
    /// Neither quoted nor a block: only such a text can be a number, a truth value or nothing.
    pub(crate) plain: bool,
    pub(crate) origin: Origin,
}

/// Where a text comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Origin {
    /// It stands in the file as it is.
    File,
    /// From the default in `${NAME:-default}`, so it stands in the file too.
    Default,
    /// From this variable. It may be a secret: no message shows it.
    Env(String),
    /// This variable is not set and there is no default.
    Unset(String),
    /// A `${` that cannot be read, and why.
    Malformed(String),
}

/// What a node is as JSON has it, for messages and for places where anything may stand.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plain {
    Nothing,
    Truth(bool),
    Number(serde_json::Number),
    Text,
}

impl fmt::Debug for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.hidden() { "(hidden)" } else { &*self.text };
        f.debug_struct("Scalar").field("text", &text).field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl<'t> Node<'t> {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry<'t>> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The node at a key or, in a list, at a number.
    pub(crate) fn child(&self, step: &str) -> Option<&Node<'t>> {
        match &self.content {
            Content::List(items) => items.get(step.parse::<usize>().ok()?),
            _ => self.get(step).map(|entry| &entry.value),
        }
    }

    /// The first variable of the environment whose value is in here.
    pub(crate) fn variable(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(Scalar { origin: Origin::Env(name), .. }) => Some(name),
            Content::Scalar(_) => None,
            Content::List(items) => items.iter().find_map(Node::variable),
            Content::Map(entries) => entries.iter().find_map(|entry| entry.value.variable()),
        }
    }

    /// The same with copies of all texts, so that it outlives the file's own.
    pub(crate) fn into_owned(self) -> Node<'static> {
        let content = match self.content {
            Content::Scalar(Scalar { text, plain, origin }) => {
                Content::Scalar(Scalar { text: Cow::Owned(text.into_owned()), plain, origin })
            }
            Content::List(items) => Content::List(items.into_iter().map(Node::into_owned).collect()),
            Content::Map(entries) => Content::Map(entries.into_iter().map(Entry::into_owned).collect()),
        };
        Node { at: self.at, content }
    }
}

impl Entry<'_> {
    pub(crate) fn into_owned(self) -> Entry<'static> {
        Entry { key: Cow::Owned(self.key.into_owned()), at: self.at, value: self.value.into_owned() }
    }
}

impl Scalar<'_> {
    pub(crate) fn hidden(&self) -> bool {
        matches!(self.origin, Origin::Env(_))
    }

    /// Whether the text may be taken for a number or a truth value. What came from the environment may, however
    /// it is quoted: inside `{ }` YAML wants quotes around `${…}`.
    pub(crate) fn loose(&self) -> bool {
        self.plain || self.origin != Origin::File
    }

    /// Whether it says that there is no value.
    pub(crate) fn is_nothing(&self) -> bool {
        let nothing = matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL");
        nothing && self.plain && self.origin == Origin::File
    }

    /// What the text is by YAML 1.2's core schema (section 10.3.2), which is also JSON's.
    pub(crate) fn typed(&self) -> Plain {
        if self.is_nothing() {
            return Plain::Nothing;
        }
        if !self.loose() {
            return Plain::Text;
        }
        match &*self.text {
            "true" | "True" | "TRUE" => Plain::Truth(true),
            "false" | "False" | "FALSE" => Plain::Truth(false),
            text => number(text).map_or(Plain::Text, Plain::Number),
        }
    }
}

fn number(text: &str) -> Option<serde_json::Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let radix = |prefix: &str, radix: u32| {
        let digits = text.strip_prefix(prefix).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u64::from_str_radix(digits, radix).ok().map(Into::into)
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(number);
    }
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return if negative {
            text.parse::<i64>().ok().map(Into::into)
        } else {
            digits.parse::<u64>().ok().map(Into::into)
        };
    }
    // `nan`, `inf` and `infinity` are floats to Rust but words to YAML.
    let shape = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    let float = digits.bytes().any(|b| b.is_ascii_digit()) && digits.bytes().all(shape);
    if float { text.parse::<f64>().ok().and_then(serde_json::Number::from_f64) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Plain {
        Scalar { text: text.into(), plain: true, origin: Origin::File }.typed()
    }

    #[test]
    fn plain_texts_have_the_types_of_the_core_schema() {
        assert_eq!(typed("~"), Plain::Nothing);
        assert_eq!(typed("true"), Plain::Truth(true));
        for (text, json) in [
            ("12", "12"),
            ("-3", "-3"),
            ("+3", "3"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("1.5", "1.5"),
            ("1e3", "1000.0"),
        ] {
            let Plain::Number(number) = typed(text) else { panic!("{text} is no number") };
            assert_eq!(number.to_string(), json);
        }
        for text in
            ["yes", "on", "off", "nan", ".inf", "1.2.3.4", "1_000", "30s", "e", "-", "+", ".", "0x", "12:30"]
        {
            assert_eq!(typed(text), Plain::Text, "{text}");
        }
    }

    #[test]
    fn a_number_too_large_for_json_stays_within_what_a_float_holds() {
        assert_eq!(typed("1e999"), Plain::Text);
        assert_eq!(typed("99999999999999999999999"), Plain::Text);
    }
}
