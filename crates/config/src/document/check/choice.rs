//! Where a schema has alternatives: variants of an enum, short forms.

use serde_json::{Map, Value};

use super::{Check, Step};
use crate::document::node::{Content, Entry, Node, Plain};
use crate::document::schema::{tag, words};
use crate::nearest::{hint, list};

impl<'s, 'n> Check<'s, 'n> {
    pub(super) fn choice(&mut self, node: &'n Node, branches: &[&'s Value]) -> Value {
        if let Content::Scalar(scalar) = &node.content
            && self.broken(node, scalar, branches.iter().any(|branch| secret(branch)))
        {
            return Value::Null;
        }
        if matches!(&node.content, Content::Scalar(scalar) if scalar.typed() == Plain::Nothing) {
            return self.wrong_kind(node, branches);
        }
        let fitting: Vec<&'s Value> = branches.iter().copied().filter(|schema| fits(node, schema)).collect();
        if let Content::Map(entries) = &node.content {
            let tags: Option<Vec<&str>> = fitting.iter().map(|schema| tag(schema)).collect();
            if let Some(tags) = tags.filter(|tags| !tags.is_empty()) {
                return self.tagged(node, entries, &tags, &fitting);
            }
        }
        match fitting.as_slice() {
            [] => self.wrong_kind(node, branches),
            [only] if words(only).is_none() => self.one(node, only),
            several => self.try_each(node, several, branches),
        }
    }

    /// A mapping whose one key says what it is.
    fn tagged(
        &mut self,
        node: &'n Node,
        entries: &'n [Entry],
        tags: &[&str],
        schemas: &[&'s Value],
    ) -> Value {
        let mut object = Map::new();
        let mut chosen: Option<&str> = None;
        for entry in entries {
            let of_tag = tags.iter().zip(schemas).find(|(tag, _)| **tag == entry.key);
            let schema = of_tag.and_then(|(tag, schema)| schema.get("properties")?.get(tag));
            match (schema, chosen) {
                (None, _) => drop(self.unknown_key(entry, tags)),
                (Some(_), Some(first)) => {
                    let message = format!(
                        "{} has both `{first}` and `{}`; give one of them",
                        self.subject(),
                        entry.key
                    );
                    self.fault(entry.at, message);
                }
                (Some(schema), None) => {
                    chosen = Some(&entry.key);
                    let value = self.entry(entry, Step::Key(&entry.key), schema);
                    object.insert(entry.key.to_string(), value);
                }
            }
        }
        if entries.is_empty() {
            let keys = if tags.len() == 1 { "the key" } else { "one of the keys" };
            let message = format!("{} says nothing; it wants {keys} {}", self.subject(), list(tags));
            self.fault(self.owner(node), message);
        }
        Value::Object(object)
    }

    fn try_each(&mut self, node: &'n Node, several: &[&'s Value], all: &[&'s Value]) -> Value {
        let before = self.faults.len();
        let mut least: Option<Vec<_>> = None;
        for schema in several {
            let value = self.one(node, schema);
            let found = self.faults.split_off(before);
            if found.is_empty() {
                return value;
            }
            if least.as_ref().is_none_or(|least| found.len() < least.len()) {
                least = Some(found);
            }
        }
        let Content::Scalar(scalar) = &node.content else {
            self.faults.extend(least.unwrap_or_default());
            return Value::Null;
        };
        // A word that is nearly one of the known ones says more than a list of what there is.
        let known: Vec<&str> = several.iter().filter_map(|schema| words(schema)).flatten().collect();
        let words_only = several.iter().all(|schema| words(schema).is_some()) && all.len() == several.len();
        if words_only && !scalar.hidden() {
            let near = hint(&scalar.text, &known);
            let message = format!("unknown value {} for {}{near}", super::shown(scalar), self.subject());
            return self.fault(node.at, message);
        }
        self.wrong_kind(node, all)
    }
}

fn fits(node: &Node, schema: &Value) -> bool {
    let wanted = schema.get("type").and_then(Value::as_str);
    match (&node.content, wanted) {
        (_, None) => words(schema).is_none() || matches!(node.content, Content::Scalar(_)),
        (Content::List(_), Some(wanted)) => wanted == "array",
        (Content::Map(_), Some(wanted)) => wanted == "object",
        (Content::Scalar(_), Some(wanted)) => !matches!(wanted, "array" | "object"),
    }
}

pub(super) fn secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
}
