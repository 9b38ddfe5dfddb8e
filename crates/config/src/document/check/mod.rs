//! Holds a tree against a JSON Schema and says everything that is wrong.
//!
//! It knows what schemars writes for our types and no more: `type`, `properties`, `required`,
//! `additionalProperties`, `propertyNames`, `items`, `enum`, `const`, `oneOf`/`anyOf`, `$ref`, bounds, and the
//! formats of [`crate::format`], which run the parser of the type they name.

mod choice;
mod scalar;
mod words;

use std::collections::HashMap;

use serde_json::{Map, Value};
pub(crate) use words::{shown, wants};

use crate::document::build::Fault;
use crate::document::node::{Content, Entry, Node, Plain};
use crate::document::schema::{branches, follow};
use crate::format::Format;
use crate::nearest::{hint, nearest};
use crate::position::Position;

/// One step down the tree, as a person would say it.
#[derive(Clone, Copy)]
enum Step<'n> {
    /// A key that the schema knows.
    Key(&'n str),
    /// A key that the operator chose.
    Name(&'n str),
    /// A place in a list, from 0.
    Item(usize),
}

/// A step, what the schema calls the thing there, and where its key is.
#[derive(Clone, Copy)]
struct Place<'s, 'n> {
    step: Step<'n>,
    noun: Option<&'s str>,
    at: Position,
}

pub(crate) struct Check<'s, 'n> {
    root: &'s Value,
    trail: Vec<Place<'s, 'n>>,
    faults: Vec<Fault>,
}

impl<'s, 'n> Check<'s, 'n> {
    /// The tree as JSON, with the types that the schema wants, and what is wrong with it.
    pub(crate) fn run(schema: &'s Value, node: &'n Node) -> (Value, Vec<Fault>) {
        let mut check = Self { root: schema, trail: Vec::new(), faults: Vec::new() };
        let value = check.value(node, schema);
        (value, check.faults)
    }

    fn fault(&mut self, at: Position, message: impl Into<String>) -> Value {
        self.faults.push((at, message.into()));
        Value::Null
    }

    fn value(&mut self, node: &'n Node, schema: &'s Value) -> Value {
        let branches = branches(self.root, schema);
        match branches.as_slice() {
            [only] if std::ptr::eq(*only, follow(self.root, schema)) => self.one(node, only),
            several => self.choice(node, several),
        }
    }

    /// The schema has no alternatives.
    fn one(&mut self, node: &'n Node, schema: &'s Value) -> Value {
        if schema.get("type").is_none() && words_of(schema).is_none() {
            return self.anything(node);
        }
        let wanted = schema.get("type").and_then(Value::as_str).unwrap_or("string");
        match (&node.content, wanted) {
            (Content::Map(entries), "object") => self.object(node, entries, schema),
            (Content::List(items), "array") => self.array(node, items, schema),
            (Content::Scalar(scalar), _) => self.scalar(node, scalar, schema),
            _ => self.wrong_kind(node, &[schema]),
        }
    }

    fn object(&mut self, node: &'n Node, entries: &'n [Entry], schema: &'s Value) -> Value {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        let mut object = Map::new();
        let mut meant = Vec::new();
        for entry in entries {
            let known = properties.and_then(|properties| properties.get(&*entry.key));
            let value = match (known, additional) {
                (Some(schema), _) => self.entry(entry, Step::Key(&entry.key), schema),
                (None, Some(Value::Bool(false))) => {
                    let keys: Vec<&str> = properties.unwrap_or(&none).keys().map(String::as_str).collect();
                    meant.extend(nearest(&entry.key, keys.iter().copied()).map(str::to_owned));
                    self.unknown_key(entry, &keys)
                }
                (None, Some(more)) => {
                    self.key(entry, schema);
                    self.entry(entry, Step::Name(&entry.key), more)
                }
                (None, None) => self.anything(&entry.value),
            };
            object.insert(entry.key.to_string(), value);
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str) {
            // A slip in a key is one error, not a wrong key and a missing one.
            if !object.contains_key(key) && !meant.iter().any(|near| near == key) {
                self.fault(self.owner(node), format!("the key `{key}` is missing {}", self.inside()));
            }
        }
        if entries.is_empty() && at_least_one(schema, "minProperties") {
            let message = format!("{} is empty; it wants at least one entry", self.subject());
            self.fault(self.owner(node), message);
        }
        Value::Object(object)
    }

    fn entry(&mut self, entry: &'n Entry, step: Step<'n>, schema: &'s Value) -> Value {
        self.step(step, entry.at, &entry.value, schema)
    }

    fn step(&mut self, step: Step<'n>, at: Position, node: &'n Node, schema: &'s Value) -> Value {
        let noun = follow(self.root, schema).get("title").and_then(Value::as_str);
        self.trail.push(Place { step, noun, at });
        let value = self.value(node, schema);
        self.trail.pop();
        value
    }

    fn unknown_key(&mut self, entry: &Entry, keys: &[&str]) -> Value {
        let shown: String = entry.key.chars().take(64).collect();
        self.fault(entry.at, format!("unknown key `{shown}` {}{}", self.inside(), hint(&entry.key, keys)))
    }

    /// A key that the operator chose: a name, most often.
    fn key(&mut self, entry: &Entry, schema: &Value) {
        let format = schema.pointer("/propertyNames/format").and_then(Value::as_str).and_then(Format::find);
        if let Some(Err(message)) = format.map(|format| format.check(&entry.key)) {
            self.fault(entry.at, message);
        }
    }

    fn array(&mut self, node: &'n Node, items: &'n [Node], schema: &'s Value) -> Value {
        if items.is_empty() && at_least_one(schema, "minItems") {
            let message = format!("{} is an empty list; it wants at least one item", self.subject());
            return self.fault(node.at, message);
        }
        let any = schema.get("items");
        let item = |(index, item): (usize, &'n Node)| match any {
            Some(schema) => self.step(Step::Item(index), item.at, item, schema),
            None => self.anything(item),
        };
        let values: Vec<Value> = items.iter().enumerate().map(item).collect();
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            self.once_each(items, &values);
        }
        Value::Array(values)
    }

    fn once_each(&mut self, items: &[Node], values: &[Value]) {
        let mut seen = HashMap::new();
        // What is wrong in itself has become nothing, and is not the same as something else that is wrong.
        let sound = values.iter().zip(items).enumerate().filter(|(_, (value, _))| !value.is_null());
        for (index, (value, node)) in sound {
            if let Some(first) = seen.insert(value, index) {
                let message =
                    format!("item {} of {} is the same as item {}", index + 1, self.subject(), first + 1);
                self.fault(node.at, message);
            }
        }
    }

    /// The schema says nothing: YAML's own types.
    fn anything(&mut self, node: &'n Node) -> Value {
        match &node.content {
            Content::Scalar(scalar) if self.broken(node, scalar, false) => Value::Null,
            Content::Scalar(scalar) => match scalar.typed() {
                Plain::Nothing => Value::Null,
                Plain::Truth(truth) => Value::Bool(truth),
                Plain::Number(number) => Value::Number(number),
                Plain::Text => Value::String(scalar.text.to_string()),
            },
            Content::List(items) => Value::Array(items.iter().map(|item| self.anything(item)).collect()),
            Content::Map(entries) => {
                let entry = |entry: &'n Entry| (entry.key.to_string(), self.anything(&entry.value));
                Value::Object(entries.iter().map(entry).collect())
            }
        }
    }
}

fn at_least_one(schema: &Value, keyword: &str) -> bool {
    schema.get(keyword).and_then(Value::as_u64).is_some_and(|least| least > 0)
}

fn words_of(schema: &Value) -> Option<Vec<&str>> {
    crate::document::schema::words(schema)
}
