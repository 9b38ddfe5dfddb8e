//! Texts, numbers, truth values and words.

use serde_json::{Number, Value};

use super::choice::secret;
use super::{Check, shown};
use crate::document::node::{Node, Origin, Plain, Scalar};
use crate::document::schema::words;
use crate::format::Format;
use crate::nearest::hint;

/// The least and the greatest that a schema allows.
pub(super) struct Range {
    pub(super) least: Option<f64>,
    pub(super) above: Option<f64>,
    pub(super) most: Option<f64>,
}

impl<'s, 'n> Check<'s, 'n> {
    pub(super) fn scalar(&mut self, node: &'n Node, scalar: &'n Scalar, schema: &'s Value) -> Value {
        if self.broken(node, scalar, secret(schema)) {
            return Value::Null;
        }
        if scalar.typed() == Plain::Nothing {
            return self.wrong_kind(node, &[schema]);
        }
        if let Some(words) = words(schema) {
            return self.word(node, scalar, &words);
        }
        match (schema.get("type").and_then(Value::as_str), scalar.typed()) {
            (Some("string"), _) => self.text(node, scalar, schema),
            (Some("boolean"), Plain::Truth(truth)) => Value::Bool(truth),
            (Some("integer"), Plain::Number(number)) if !number.is_f64() => self.number(node, number, schema),
            (Some("number"), Plain::Number(number)) => self.number(node, number, schema),
            _ => self.wrong_kind(node, &[schema]),
        }
    }

    /// Whether the text could not even be made: its variable is not set, or its `${` cannot be read.
    pub(super) fn broken(&mut self, node: &'n Node, scalar: &Scalar, secret: bool) -> bool {
        let message = match &scalar.origin {
            Origin::Unset(name) => {
                let file = if secret { ", or use `{ file: … }`" } else { "" };
                let or = if secret { "," } else { ", or" };
                format!(
                    "{} comes from ${{{name}}}, which is not set; export it{or} write ${{{name}:-default}}{file}",
                    self.subject()
                )
            }
            Origin::Malformed(why) => format!("{} {why}", self.subject()),
            Origin::File | Origin::Default | Origin::Env(_) => return false,
        };
        self.fault(node.at, message);
        true
    }

    fn word(&mut self, node: &Node, scalar: &Scalar, known: &[&str]) -> Value {
        if known.contains(&&*scalar.text) {
            return Value::String(scalar.text.to_string());
        }
        let near = if scalar.hidden() { hint("", known) } else { hint(&scalar.text, known) };
        self.fault(node.at, format!("unknown value {} for {}{near}", shown(scalar), self.subject()))
    }

    fn text(&mut self, node: &Node, scalar: &Scalar, schema: &Value) -> Value {
        let format = schema.get("format").and_then(Value::as_str).and_then(Format::find);
        let least = schema.get("minLength").and_then(Value::as_u64).unwrap_or(0);
        if scalar.text.is_empty() && least > 0 {
            return self.wrong_kind(node, &[schema]);
        }
        match format.map(|format| (format, format.check(&scalar.text))) {
            Some((format, Err(_))) if scalar.hidden() || secret(schema) => {
                let message = format!("{} wants {}, found {}", self.subject(), format.wants, shown(scalar));
                self.fault(node.at, message)
            }
            Some((_, Err(message))) => self.fault(node.at, format!("{}: {message}", self.subject())),
            _ => Value::String(scalar.text.to_string()),
        }
    }

    fn number(&mut self, node: &'n Node, number: Number, schema: &'s Value) -> Value {
        let given = number.as_f64().unwrap_or(f64::NAN);
        if Range::of(schema).holds(given) { Value::Number(number) } else { self.wrong_kind(node, &[schema]) }
    }
}

impl Range {
    pub(super) fn of(schema: &Value) -> Self {
        let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
        // schemars writes the upper bound of the wide types only as a format.
        let most = match schema.get("format").and_then(Value::as_str) {
            Some("uint32") => Some(f64::from(u32::MAX)),
            Some("int32") => Some(f64::from(i32::MAX)),
            _ => None,
        };
        Self { least: bound("minimum"), above: bound("exclusiveMinimum"), most: bound("maximum").or(most) }
    }

    fn holds(&self, given: f64) -> bool {
        self.least.is_none_or(|least| given >= least)
            && self.above.is_none_or(|above| given > above)
            && self.most.is_none_or(|most| given <= most)
    }
}
