//! The formats that a schema can name. Each runs the very parser of its type, so that a bad value is reported with
//! its place in the same pass as everything else.
//!
//! The types of `roster-core` know no schema; the markers here stand for them: `#[schemars(with = "format::Label")]`.

use std::borrow::Cow;
use std::fmt::Display;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::str::FromStr;

use roster_core::expose::route_key;
use roster_core::pattern::{InvalidPattern, Pattern, Place};
use roster_core::slots::NameScheme;
use roster_haproxy::address::{self, Port};
use roster_haproxy::keywords;
use roster_haproxy::name;
use roster_haproxy::render::{self, InvalidLine, RawLine};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::nearest::nearest;
use crate::value;

/// The longest path of a socket that HAProxy makes, in bytes.
const MADE_SOCKET: usize = 90;

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

/// A socket's address has room for 108 bytes, the last of them a NUL (unix(7)).
pub(crate) fn socket_path(text: &str) -> Result<(), String> {
    match text.len() {
        0 => Err("the path is empty; write for example /run/haproxy/admin.sock".to_owned()),
        1..=107 => Ok(()),
        length => Err(format!("the path has {length} bytes; a Unix socket's has at most 107")),
    }
}

/// HAProxy makes a socket beside the path first, with more bytes at its end, and then moves it there.
pub(crate) fn made_socket(text: &str) -> Result<(), String> {
    match text.len() {
        ..=MADE_SOCKET => Ok(()),
        length => Err(format!(
            "{text} has {length} bytes; a socket that HAProxy makes has at most {MADE_SOCKET}: take a shorter path"
        )),
    }
}

fn bind_address(text: &str) -> Result<(), String> {
    match text.parse::<render::BindAddress>() {
        Ok(render::BindAddress::Ip(..)) => Ok(()),
        Ok(render::BindAddress::Unix(path)) => made_socket(path.as_str()),
        Ok(render::BindAddress::Inherited(_)) => Err(format!(
            "{text:?} is a number that Roster itself gives where the target says `listen: held`; write the address, such \
             as *:80"
        )),
        Err(_) => Err(format!(
            "{text:?} is no address to listen on; write *:80, 10.0.0.1:80, [::]:80 or /run/web.sock"
        )),
    }
}

fn backend_line(text: &str) -> Result<(), String> {
    line(render::Place::Backend, text)
}

fn line(place: render::Place, text: &str) -> Result<(), String> {
    let near = |error: &InvalidLine| match error {
        InvalidLine::After { word, taken, .. } => nearest(word, taken.iter().copied()),
        _ => None,
    };
    let hint = |error: &InvalidLine| near(error).map(|near| format!(" (did you mean `{near}`?)"));
    let told = |error: InvalidLine| error.to_string() + &hint(&error).unwrap_or_default();
    RawLine::new(place, text).map(drop).map_err(told)
}

fn listen_address(text: &str) -> Result<(), String> {
    let example = "write for example 127.0.0.1:9876 or [::]:9876";
    text.parse::<SocketAddr>()
        .map(drop)
        .map_err(|_| format!("{text:?} is not an address and port; {example}"))
}

/// What the placeholders will hold is not known yet, but what stands around them must be fit for a name.
fn backend_pattern(text: &str) -> Result<(), String> {
    let places = [Place::Service, Place::Source, Place::Port, Place::Region, Place::Zone, Place::Group];
    let pattern: Pattern = text.parse().map_err(|error: InvalidPattern| error.to_string())?;
    let pattern = pattern.only(&places, "a backend holds many servers").map_err(|error| error.to_string())?;
    let sample = pattern.fill(|_| Some("x".to_owned())).map_err(|error| error.to_string())?;
    parses::<name::BackendName>(&sample)
}

/// A server's address for requests, without anything secret in it.
fn http_url(text: &str) -> Result<(), String> {
    let wrong = || format!("{text:?} is no address of a server; write for example http://localhost:5555");
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or_else(wrong)?;
    if rest.contains('@') {
        return Err(
            "an address does not hold a user or a password; give them in keys of their own".to_owned()
        );
    }
    let host = rest.split('/').next().unwrap_or_default();
    let legal = !host.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'\\<>^`{|}?#".contains(&byte));
    if legal { Ok(()) } else { Err(wrong()) }
}

/// A region's name is part of a host's name. That of a zone ends in a letter.
fn aws_region(text: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = text.len() <= 63
        && text.bytes().all(allowed)
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.ends_with(|last: char| last.is_ascii_digit());
    let help = "write its name, such as us-east-2 (a zone's name without the letter at its end)";
    if fits { Ok(()) } else { Err(format!("{text:?} is no AWS region; {help}")) }
}

fn azure_subscription(text: &str) -> Result<(), String> {
    let dash = |at: usize| [8, 13, 18, 23].contains(&at);
    let fits = text.len() == 36
        && text.chars().enumerate().all(|(at, c)| if dash(at) { c == '-' } else { c.is_ascii_hexdigit() });
    let help = "write its id, such as 00000000-1111-2222-3333-444444444444";
    if fits { Ok(()) } else { Err(format!("{text:?} is no subscription; {help}")) }
}

/// As Azure Resource Manager has it.
fn azure_resource_group(text: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_alphanumeric() || "_-.()".contains(c);
    let fits = (1..=90).contains(&text.chars().count()) && text.chars().all(allowed) && !text.ends_with('.');
    let help = "it has letters, digits and _ - . ( ), 90 of them at most, and no . at its end";
    if fits { Ok(()) } else { Err(format!("{text:?} is no resource group's name; {help}")) }
}

/// The same for what a route is for.
fn route_pattern(text: &str, host: bool) -> Result<(), String> {
    let places = [Place::Service, Place::Source, Place::Port, Place::Region, Place::Zone, Place::Group];
    let pattern: Pattern = text.parse().map_err(|error: InvalidPattern| error.to_string())?;
    let pattern =
        pattern.only(&places, "a route is for a whole backend").map_err(|error| error.to_string())?;
    let sample = pattern.fill(|_| Some("x".to_owned())).map_err(|error| error.to_string())?;
    let (host, path) = if host { (Some(sample), None) } else { (None, Some(sample)) };
    route_key(host.as_deref(), path.as_deref()).map(drop).map_err(|error| error.to_string())
}

fn frontend_line(text: &str) -> Result<(), String> {
    line(render::Place::Frontend, text)
}

/// Printable, without what would end the request line.
fn http_path(text: &str) -> Result<(), String> {
    let legal =
        text.starts_with('/') && text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if legal { Ok(()) } else { Err(format!("{text:?} is not a path; write for example /health")) }
}

fn host_name(text: &str) -> Result<(), String> {
    keywords::HostName::new(text).map(drop).map_err(|error| error.to_string())
}

fn ca_file(text: &str) -> Result<(), String> {
    keywords::CaFile::new(text).map(drop).map_err(|error| error.to_string())
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
    /// [`value::HostPort`].
    HostPort = "host-port", "a host and a port such as 127.0.0.1:9999", parses::<value::HostPort>;
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
    /// An address and port to listen on.
    ListenAddress = "listen-address", "an address and port such as 127.0.0.1:9876", listen_address;
    /// [`crate::value::ServiceRef`].
    ServiceRef = "service-ref", "a service as SOURCE/SERVICE", parses::<value::ServiceRef>;
    /// A backend's name with placeholders.
    BackendPattern = "backend-pattern", "a backend's name such as web or web-{service}", backend_pattern;
    /// [`NameScheme`].
    SlotNames = "slot-names", "a pattern such as srv{slot}", parses::<NameScheme>;
    /// The host of a route, with placeholders.
    HostPattern = "host-pattern", "a host such as example.org or {service}.example.org", |text| route_pattern(text, true);
    /// The path of a route, with placeholders.
    PathPattern = "path-pattern", "how a path begins, such as /api or /{service}", |text| route_pattern(text, false);
    /// [`render::FrontendName`].
    FrontendName = "frontend-name", "a frontend's name", parses::<render::FrontendName>;
    /// A [`RawLine`] of a frontend.
    FrontendLine = "frontend-line", "a line of a frontend section such as option httplog", frontend_line;
    /// Where a server of HTTP answers.
    HttpUrl = "http-url", "an address such as http://localhost:5555", http_url;
    /// A region of AWS.
    AwsRegion = "aws-region", "a region such as us-east-2", aws_region;
    /// The id of a subscription of Azure.
    AzureSubscription = "azure-subscription", "a subscription's id", azure_subscription;
    /// A resource group of Azure.
    AzureResourceGroup = "azure-resource-group", "a resource group's name", azure_resource_group;
    /// The path of an HTTP request.
    HttpPath = "http-path", "a path such as /health", http_path;
    /// [`keywords::HostName`].
    HostName = "host-name", "a host name", host_name;
    /// [`keywords::CaFile`].
    CaFile = "ca-file", "a file of certificate authorities", ca_file;
    /// The path of a Unix socket.
    SocketPath = "socket-path", "a path such as /run/haproxy/admin.sock", socket_path;
    /// [`render::Balance`].
    Balance = "balance", "a balance algorithm such as roundrobin", parses::<render::Balance>;
    /// A [`RawLine`] of a backend.
    BackendLine = "backend-line", "a line of a backend section such as option forwardfor", backend_line;
    /// A [`render::BindAddress`] that the operator can choose.
    BindAddress = "bind-address", "an address to listen on such as *:80", bind_address;
    /// [`render::BindName`].
    BindName = "bind-name", "a bind's name", parses::<render::BindName>;
    /// [`render::FieldName`].
    FieldName = "field-name", "a name of letters, digits, _ and -", parses::<render::FieldName>;
    /// [`render::RequestPath`].
    RequestPath = "request-path", "a path such as /health", parses::<render::RequestPath>;
    /// [`value::VariableName`].
    VariableName = "variable-name", "a variable's name such as APP_ENV", parses::<value::VariableName>;
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

macro_rules! numbers {
    ($($(#[$doc:meta])* $marker:ident = $schema:tt;)*) => {$(
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
                json_schema!($schema)
            }
        }
    )*};
}

numbers! {
    /// [`roster_haproxy::weight::Weight`].
    Weight = { "type": "integer", "minimum": 0, "maximum": 256 };
    /// [`Port`] as a number.
    PortNumber = { "type": "integer", "minimum": 1, "maximum": 65535 };
    /// A number of checks.
    Count = { "type": "integer", "minimum": 1, "maximum": 65535 };
    /// The status code of an HTTP answer.
    Status = { "type": "integer", "minimum": 100, "maximum": 599 };
    /// A number of connections.
    MaxConn = { "type": "integer", "minimum": 1, "maximum": 2_147_483_647 };
    /// A factor of [`roster_core::slots::Growth::Linear`].
    LinearFactor = { "type": "number", "exclusiveMinimum": 0, "maximum": 100 };
    /// A factor of [`roster_core::slots::Growth::Exponential`].
    ExponentialFactor = { "type": "number", "exclusiveMinimum": 1, "maximum": 100 };
}
