//! A value, or a list of them.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// `a` is short for `[a]`. Never empty in a file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// Without brackets.
    One(T),
    /// In a list.
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    /// Each with the step of its path, which the short form does not have.
    pub fn iter(&self) -> impl Iterator<Item = (Option<usize>, &T)> {
        let (one, many) = match self {
            OneOrMany::One(one) => (Some(one), None),
            OneOrMany::Many(many) => (None, Some(many)),
        };
        let many = many.into_iter().flatten().enumerate().map(|(index, item)| (Some(index), item));
        one.into_iter().map(|item| (None, item)).chain(many)
    }

    /// Each of them.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, item)| item)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1, "uniqueItems": true }] })
    }
}
