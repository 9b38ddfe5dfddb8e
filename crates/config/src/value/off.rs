//! The word `off`.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// `off`, where something is on by default.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Off {
    /// `off`.
    Off,
}

/// A value, or `off` for none.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum OffOr<T> {
    /// `off`.
    Off(Off),
    /// The value.
    On(T),
}

impl<T> OffOr<T> {
    /// The value, if it is not `off`.
    pub fn on(self) -> Option<T> {
        match self {
            OffOr::Off(_) => None,
            OffOr::On(value) => Some(value),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OffOr<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("OffOr_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (off, value) = (generator.subschema_for::<Off>(), generator.subschema_for::<T>());
        json_schema!({ "anyOf": [off, value] })
    }
}
