//! The formats that a schema can name. Each runs the very parser of its type, so that a bad value is reported with
//! its place in the same pass as everything else.
//!
//! The types of `roster-core` know no schema; the markers here stand for them: `#[schemars(with = "format::Label")]`.

use std::borrow::Cow;
use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use roster_core::address::{self, Port};
use roster_core::name;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::value;

/// A name in a schema, and what it means.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    name: &'static str,
    /// What a message says is wanted.
    pub(crate) wants: &'static str,
    check: fn(&str) -> Result<(), String>,
}

fn parses<T: FromStr>(text: &str) -> Result<(), String>
where
    T::Err: Display,
{
    text.parse::<T>().map(drop).map_err(|error| error.to_string())
}

fn ip(text: &str) -> Result<(), String> {
    address::parse_ip(text).map(drop).map_err(|error| error.to_string())
}

impl Format {
    /// The format of this name, if it is one of ours; schemars has its own (`uint32`), which are not.
    pub(crate) fn find(name: &str) -> Option<Self> {
        ALL.iter().find(|format| format.name == name).copied()
    }

    pub(crate) fn check(&self, text: &str) -> Result<(), String> {
        (self.check)(text)
    }
}

macro_rules! formats {
    ($($(#[$doc:meta])* $marker:ident = $name:literal, $wants:literal, $check:expr;)*) => {
        const ALL: &[Format] = &[$(Format { name: $name, wants: $wants, check: $check }),*];

        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $marker;

            impl JsonSchema for $marker {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($marker).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!({ "type": "string", "format": $name })
                }
            }
        )*
    };
}

formats! {
    /// [`value::Duration`].
    Duration = "duration", "a duration such as 30s", parses::<value::Duration>;
    /// [`value::Percent`].
    Percent = "percent", "a share such as 30%", parses::<value::Percent>;
    /// [`name::BackendName`].
    BackendName = "backend-name", "a backend's name", parses::<name::BackendName>;
    /// [`name::ServerName`].
    ServerName = "server-name", "a server's name", parses::<name::ServerName>;
    /// [`name::ServiceName`].
    ServiceName = "service-name", "a service's name", parses::<name::ServiceName>;
    /// [`name::SourceName`].
    SourceName = "source-name", "a source's name", parses::<name::SourceName>;
    /// [`name::TargetName`].
    TargetName = "target-name", "a target's name", parses::<name::TargetName>;
    /// [`name::InstanceId`].
    InstanceId = "instance-id", "an instance's id", parses::<name::InstanceId>;
    /// [`name::Label`].
    Label = "label", "a label", parses::<name::Label>;
    /// [`address::Endpoint`].
    Endpoint = "endpoint", "an address and port such as 10.0.0.1:8080", parses::<address::Endpoint>;
    /// An IP address that one server can have.
    Ip = "ip-address", "an IP address such as 10.0.0.1", ip;
    /// A port written as text.
    PortText = "port", "a port such as 8080", parses::<Port>;
}

/// A mapping from names the operator chooses to values; at least one.
#[derive(Debug)]
pub struct Named<K, V>(PhantomData<(K, V)>);

impl<K: JsonSchema, V: JsonSchema> JsonSchema for Named<K, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named_{}_{}", K::schema_name(), V::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = generator.subschema_for::<K>();
        let values = generator.subschema_for::<V>();
        json_schema!({ "type": "object", "propertyNames": names, "additionalProperties": values, "minProperties": 1 })
    }
}
