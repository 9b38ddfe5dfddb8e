//! The words of a message: where, what is wanted, what was found.

use serde_json::Value;

use super::choice::secret;
use super::scalar::Range;
use super::{Check, Step};
use crate::document::node::{Content, Node, Origin, Plain, Scalar};
use crate::document::schema::{tag, words};
use crate::format::Format;
use crate::nearest::list;
use crate::position::Position;

/// A text as a message may show it.
pub(crate) fn shown(scalar: &Scalar) -> String {
    const SHOWN: usize = 64;
    match &scalar.origin {
        Origin::Env(name) => format!("the value of ${{{name}}}, which is not shown"),
        _ if scalar.text.is_empty() => "an empty text".to_owned(),
        _ if scalar.text.chars().nth(SHOWN).is_some() => {
            let start: String = scalar.text.chars().take(SHOWN).collect();
            format!("`{}…`", start.escape_debug())
        }
        _ => format!("`{}`", scalar.text.escape_debug()),
    }
}

impl Check<'_, '_> {
    /// Where a mapping's own name stands: its key, if it has one.
    pub(super) fn owner(&self, node: &Node) -> Position {
        self.trail.last().map_or(node.at, |place| place.at)
    }

    /// What is looked at: `` `inter` ``, ``item 2 of `on` ``, `exposure 2`.
    pub(super) fn subject(&self) -> String {
        let Some((last, above)) = self.trail.split_last() else { return "the file".to_owned() };
        match (last.step, last.noun) {
            (Step::Key(key), _) => format!("`{key}`"),
            (Step::Name(name), Some(noun)) => format!("{noun} `{}`", short(name)),
            (Step::Name(name), None) => format!("`{}`", short(name)),
            (Step::Item(index), Some(noun)) => format!("{noun} {}", index + 1),
            (Step::Item(index), None) => match above.last().map(|place| place.step) {
                Some(Step::Key(list) | Step::Name(list)) => {
                    format!("item {} of `{}`", index + 1, short(list))
                }
                _ => format!("item {}", index + 1),
            },
        }
    }

    /// `in exposure 2`, `` in `zone` of exposure 2 ``, `at the top of the file`.
    pub(super) fn inside(&self) -> String {
        let mut parts = Vec::new();
        for place in self.trail.iter().rev() {
            match (place.step, place.noun) {
                (Step::Key(key), _) => parts.push(format!("`{key}`")),
                (Step::Name(name), noun) => {
                    let noun = noun.map(|noun| format!("{noun} ")).unwrap_or_default();
                    parts.push(format!("{noun}`{}`", short(name)));
                    break;
                }
                (Step::Item(index), Some(noun)) => {
                    parts.push(format!("{noun} {}", index + 1));
                    break;
                }
                (Step::Item(index), None) => parts.push(format!("item {}", index + 1)),
            }
        }
        if parts.is_empty() {
            "at the top of the file".to_owned()
        } else {
            format!("in {}", parts.join(" of "))
        }
    }

    /// Nothing of what is allowed here looks like what was found.
    pub(super) fn wrong_kind(&mut self, node: &Node, wanted: &[&Value]) -> Value {
        let mut phrases: Vec<String> = Vec::new();
        let all_words: Vec<&str> = wanted.iter().filter_map(|schema| words(schema)).flatten().collect();
        if !all_words.is_empty() {
            phrases.push(one_of(&all_words));
        }
        let tags: Vec<&str> = wanted.iter().filter_map(|schema| tag(schema)).collect();
        for phrase in
            wanted.iter().filter(|schema| words(schema).is_none() && tag(schema).is_none()).map(|s| wants(s))
        {
            if !phrases.contains(&phrase) {
                phrases.push(phrase);
            }
        }
        match tags.as_slice() {
            [] => {}
            [only] => phrases.push(format!("a mapping with the key `{only}`")),
            several => phrases.push(format!("a mapping with one of the keys {}", list(several))),
        }
        let wanted_text = phrases.join(" or ");
        let hide = wanted.iter().any(|schema| secret(schema));
        let (at, found) = match &node.content {
            Content::Scalar(scalar) if scalar.typed() == Plain::Nothing => {
                (self.owner(node), "nothing".to_owned())
            }
            _ => (node.at, found(node, wanted, hide)),
        };
        self.fault(at, format!("{} wants {wanted_text}, found {found}", self.subject()))
    }
}

fn found(node: &Node, wanted: &[&Value], hide: bool) -> String {
    let is_text = |schema: &&Value| schema.get("type").is_some_and(|name| name == "string");
    match &node.content {
        Content::List(_) => "a list".to_owned(),
        Content::Map(_) => "a mapping".to_owned(),
        Content::Scalar(_) if hide => "a text".to_owned(),
        Content::Scalar(scalar) if scalar.loose() || wanted.iter().any(is_text) => shown(scalar),
        Content::Scalar(scalar) => {
            let unquoted = Scalar { plain: true, ..scalar.clone() };
            match unquoted.typed() {
                Plain::Number(_) | Plain::Truth(_) => {
                    format!("the text {} (remove the quotes)", shown(scalar))
                }
                Plain::Nothing | Plain::Text => format!("the text {}", shown(scalar)),
            }
        }
    }
}

fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

fn one_of(words: &[&str]) -> String {
    match words {
        [only] => format!("`{only}`"),
        several => format!("one of {}", list(several)),
    }
}

/// What a schema without alternatives wants.
pub(crate) fn wants(schema: &Value) -> String {
    if let Some(format) = schema.get("format").and_then(Value::as_str).and_then(Format::find) {
        return format.wants.to_owned();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => "a text".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("integer") => format!("a whole number{}", bounds(schema)),
        Some("number") => format!("a number{}", bounds(schema)),
        Some("array") => "a list".to_owned(),
        _ => "a mapping".to_owned(),
    }
}

fn bounds(schema: &Value) -> String {
    let Range { least, above, most } = Range::of(schema);
    let most_text = most.map(|most| most.to_string());
    match (least, above, most_text) {
        (Some(least), _, Some(most)) => format!(" from {least} to {most}"),
        (Some(least), _, None) => format!(" of at least {least}"),
        (None, Some(above), Some(most)) => format!(" above {above} and at most {most}"),
        (None, Some(above), None) => format!(" above {above}"),
        (None, None, Some(most)) => format!(" of at most {most}"),
        (None, None, None) => String::new(),
    }
}
