//! What ties a type to its marker in [`crate::format`].

/// A type whose schema is that of a marker in [`crate::format`].
macro_rules! schema_of_marker {
    ($type:ident) => {
        impl schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                <crate::format::$type as schemars::JsonSchema>::json_schema(generator)
            }
        }
    };
}
