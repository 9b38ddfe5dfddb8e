//! Words of a `server` or `default-server` line, and the JSON fields that stand for them.

use serde_json::{Map, Value, json};

use super::sections::{parse_millis, time};
use super::text::Line;
use crate::dataplane::Version;
use crate::dataplane::exchange::Refusal;

/// How a parameter looks in the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// `word` is "enabled", `no-word` is "disabled".
    Switch,
    /// `disabled` is "enabled", `enabled` is "disabled".
    Maintenance,
    /// A number behind the word.
    Number,
    /// A time behind the word; milliseconds in JSON.
    Time,
    /// One word behind the word.
    Word,
}

/// JSON name, word in the file, kind.
type Param = (&'static str, &'static str, Kind);

/// All that are known, in the order in which the API writes them.
const PARAMS: &[Param] = &[
    ("agent-check", "agent-check", Kind::Switch),
    ("backup", "backup", Kind::Switch),
    ("check", "check", Kind::Switch),
    ("check-send-proxy", "check-send-proxy", Kind::Switch),
    ("check-ssl", "check-ssl", Kind::Switch),
    ("check_via_socks4", "check-via-socks4", Kind::Switch),
    ("maintenance", "disabled", Kind::Maintenance),
    ("send-proxy", "send-proxy", Kind::Switch),
    ("send-proxy-v2", "send-proxy-v2", Kind::Switch),
    ("ssl", "ssl", Kind::Switch),
    ("ssl_reuse", "ssl-reuse", Kind::Switch),
    ("tls_tickets", "tls-tickets", Kind::Switch),
    ("tfo", "tfo", Kind::Switch),
    ("agent-send", "agent-send", Kind::Word),
    ("agent-inter", "agent-inter", Kind::Time),
    ("agent-addr", "agent-addr", Kind::Word),
    ("agent-port", "agent-port", Kind::Number),
    ("alpn", "alpn", Kind::Word),
    ("ssl_cafile", "ca-file", Kind::Word),
    ("check_alpn", "check-alpn", Kind::Word),
    ("check_proto", "check-proto", Kind::Word),
    ("check-sni", "check-sni", Kind::Word),
    ("ciphers", "ciphers", Kind::Word),
    ("ciphersuites", "ciphersuites", Kind::Word),
    ("cookie", "cookie", Kind::Word),
    ("crl_file", "crl-file", Kind::Word),
    ("ssl_certificate", "crt", Kind::Word),
    ("error_limit", "error-limit", Kind::Number),
    ("fall", "fall", Kind::Number),
    ("init-addr", "init-addr", Kind::Word),
    ("inter", "inter", Kind::Time),
    ("fastinter", "fastinter", Kind::Time),
    ("downinter", "downinter", Kind::Time),
    ("maxconn", "maxconn", Kind::Number),
    ("maxqueue", "maxqueue", Kind::Number),
    ("max_reuse", "max-reuse", Kind::Number),
    ("minconn", "minconn", Kind::Number),
    ("namespace", "namespace", Kind::Word),
    ("observe", "observe", Kind::Word),
    ("on-error", "on-error", Kind::Word),
    ("on-marked-down", "on-marked-down", Kind::Word),
    ("on-marked-up", "on-marked-up", Kind::Word),
    ("pool_low_conn", "pool-low-conn", Kind::Number),
    ("pool_max_conn", "pool-max-conn", Kind::Number),
    ("pool_purge_delay", "pool-purge-delay", Kind::Time),
    ("health_check_address", "addr", Kind::Word),
    ("health_check_port", "port", Kind::Number),
    ("proto", "proto", Kind::Word),
    ("redir", "redir", Kind::Word),
    ("rise", "rise", Kind::Number),
    ("resolve-prefer", "resolve-prefer", Kind::Word),
    ("resolve-net", "resolve-net", Kind::Word),
    ("resolvers", "resolvers", Kind::Word),
    ("shard", "shard", Kind::Number),
    ("slowstart", "slowstart", Kind::Time),
    ("sni", "sni", Kind::Word),
    ("source", "source", Kind::Word),
    ("ssl_max_ver", "ssl-max-ver", Kind::Word),
    ("ssl_min_ver", "ssl-min-ver", Kind::Word),
    ("socks4", "socks4", Kind::Word),
    ("tcp_ut", "tcp-ut", Kind::Time),
    ("track", "track", Kind::Word),
    ("verify", "verify", Kind::Word),
    ("verifyhost", "verifyhost", Kind::Word),
    ("weight", "weight", Kind::Number),
    ("ws", "ws", Kind::Word),
];

/// Fields whose change on a server does not need a reload.
const LIVE: &[&str] = &[
    "weight",
    "address",
    "port",
    "maintenance",
    "agent-check",
    "agent-addr",
    "agent-send",
    "health_check_port",
];

/// The object of a `server` line.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::dataplane) struct ServerLine(pub(in crate::dataplane) Map<String, Value>);

impl ServerLine {
    /// Reads `server NAME ADDRESS[:PORT] …`.
    pub(in crate::dataplane) fn read(line: &Line, api: Version) -> Option<Self> {
        let words = line.words();
        let (name, endpoint) = (words.get(1)?, words.get(2)?);
        let mut object = read_params(words.get(3..).unwrap_or_default());
        let (address, port) = split_port(endpoint);
        object.insert("name".to_owned(), json!(name));
        object.insert("address".to_owned(), json!(address));
        if let Some(port) = port {
            object.insert("port".to_owned(), json!(port));
        }
        if words.get(3..).is_some_and(|rest| rest.contains(&"id"))
            && let Some(id) = words.iter().skip_while(|word| **word != "id").nth(1)
        {
            object.insert("id".to_owned(), json!(id.parse::<i64>().ok()));
        }
        if let (Version::V3 | Version::V3_3, Some(comment)) = (api, &line.comment) {
            object.insert("metadata".to_owned(), json!({ "comment": comment }));
        }
        Some(Self(object))
    }

    /// Checks a body as the API's schema does, and drops what it does not know.
    pub(in crate::dataplane) fn from_body(body: &Value, api: Version) -> Result<Self, Refusal> {
        let mut object = check_params(body)?;
        for name in ["name", "address"] {
            let Some(text) = body.get(name) else {
                return Err(Refusal::schema(602, format!("{name} in body is required")));
            };
            let text = text.as_str().ok_or_else(|| wrong_type(text, "string"))?;
            if text.is_empty() || text.contains(char::is_whitespace) {
                return Err(Refusal::schema(605, format!("{name} in body should match '^[^\\s]+$'")));
            }
            object.insert(name.to_owned(), json!(text));
        }
        if let Some(port) = body.get("port").filter(|port| !port.is_null()) {
            let port = port.as_i64().ok_or_else(|| wrong_type(port, "int64"))?;
            if port < 1 {
                return Err(Refusal::schema(609, "port in body should be greater than or equal to 1"));
            }
            if port > 65535 {
                return Err(Refusal::schema(608, "port in body should be less than or equal to 65535"));
            }
            object.insert("port".to_owned(), json!(port));
        }
        if let Some(id) = body.get("id").and_then(Value::as_i64) {
            object.insert("id".to_owned(), json!(id));
        }
        if let (Version::V3 | Version::V3_3, Some(metadata)) = (api, body.get("metadata")) {
            object.insert("metadata".to_owned(), metadata.clone());
        }
        Ok(Self(object))
    }

    pub(in crate::dataplane) fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(in crate::dataplane) fn name(&self) -> &str {
        self.text("name")
    }

    pub(in crate::dataplane) fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    /// The line for the file.
    pub(in crate::dataplane) fn line(&self, api: Version) -> (String, Option<String>) {
        let endpoint = match self.number("port") {
            Some(port) => format!("{}:{port}", self.text("address")),
            None => self.text("address").to_owned(),
        };
        let params = write_params(&self.0, api);
        let id = self.number("id").map(|id| format!(" id {id}")).unwrap_or_default();
        let comment =
            self.0.get("metadata").and_then(|data| data.get("comment")?.as_str().map(str::to_owned));
        (format!("server {} {endpoint}{params}{id}", self.name()), comment)
    }

    /// The attributes for `add server` on the CLI: everything but name, cookie and id of the file. 2.9 sends only one
    /// of them, the first by name, and `enabled` without any.
    pub(in crate::dataplane) fn runtime_attributes(&self, api: Version) -> String {
        let mut object = self.0.clone();
        for not_live in ["cookie", "resolvers", "init-addr", "resolve-prefer", "redir", "namespace", "source"]
        {
            object.remove(not_live);
        }
        let endpoint = match self.number("port") {
            Some(port) => format!("{}:{port}", self.text("address")),
            None => self.text("address").to_owned(),
        };
        let mut words: Vec<&Param> =
            PARAMS.iter().filter(|(name, _, _)| object.contains_key(*name)).collect();
        if api == Version::V2 {
            words.sort_by_key(|(_, word, _)| *word);
            // `enabled` stands in the list for whatever is in no maintenance, and ends it.
            let first = words.first().filter(|(_, word, _)| *word < "enabled").map(|(name, _, _)| *name);
            object.retain(|name, _| first == Some(name.as_str()));
        }
        let params = write_params(&object, Version::V2);
        let params = if params.is_empty() && api == Version::V2 { " enabled" } else { &params };
        format!(" {endpoint}{params}")
    }

    /// The names of the fields in which two objects differ.
    pub(in crate::dataplane) fn differences<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let mut names: Vec<&str> = self.0.keys().chain(other.0.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| *name != "metadata" && self.0.get(*name) != other.0.get(*name));
        names
    }

    /// Whether such a difference can be brought to the running HAProxy by commands.
    pub(in crate::dataplane) fn is_live(name: &str) -> bool {
        LIVE.contains(&name)
    }
}

/// Reads the parameters behind `default-server` or behind a server's address.
pub(super) fn read_params(words: &[&str]) -> Map<String, Value> {
    let mut object = Map::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let bare = word.strip_prefix("no-").unwrap_or(word);
        if *word == "enabled" {
            object.insert("maintenance".to_owned(), json!("disabled"));
            continue;
        }
        let Some((name, _, kind)) =
            PARAMS.iter().find(|(_, known, kind)| known == word || (*kind == Kind::Switch && *known == bare))
        else {
            continue;
        };
        let value = match kind {
            Kind::Switch if bare != *word => json!("disabled"),
            Kind::Switch | Kind::Maintenance => json!("enabled"),
            Kind::Number => json!(rest.next().and_then(|text| text.parse::<i64>().ok())),
            Kind::Time => json!(rest.next().and_then(|text| parse_millis(text))),
            Kind::Word => json!(rest.next()),
        };
        object.insert((*name).to_owned(), value);
    }
    object
}

/// The parameters with a blank before each.
pub(super) fn write_params(object: &Map<String, Value>, api: Version) -> String {
    let mut text = String::new();
    for (name, word, kind) in PARAMS {
        let Some(value) = object.get(*name) else { continue };
        let on = value.as_str() == Some("enabled");
        let part = match kind {
            Kind::Switch if on => (*word).to_owned(),
            Kind::Switch => format!("no-{word}"),
            Kind::Maintenance => if on { "disabled" } else { "enabled" }.to_owned(),
            Kind::Number => format!("{word} {value}"),
            Kind::Time => format!("{word} {}", time(value.as_i64().unwrap_or_default(), api)),
            Kind::Word => format!("{word} {}", value.as_str().unwrap_or_default()),
        };
        text.extend([" ", &part]);
    }
    text
}

/// Takes the known parameters out of a body, or says what is wrong with one.
pub(super) fn check_params(body: &Value) -> Result<Map<String, Value>, Refusal> {
    let mut object = Map::new();
    for (name, _, kind) in PARAMS {
        let Some(value) = body.get(*name).filter(|value| !value.is_null()) else { continue };
        match kind {
            Kind::Number | Kind::Time if !value.is_i64() => return Err(wrong_type(value, "int64")),
            Kind::Switch | Kind::Maintenance | Kind::Word if !value.is_string() => {
                return Err(wrong_type(value, "string"));
            }
            Kind::Switch | Kind::Maintenance if !matches!(value.as_str(), Some("enabled" | "disabled")) => {
                return Err(Refusal::schema(
                    606,
                    format!("{name} in body should be one of [enabled disabled]"),
                ));
            }
            Kind::Word if value.as_str() == Some("") => continue,
            _ => {}
        }
        object.insert((*name).to_owned(), value.clone());
    }
    Ok(object)
}

pub(super) fn wrong_type(value: &Value, wanted: &str) -> Refusal {
    let given = match value {
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Null => "null",
    };
    Refusal::unparsable(&format!(
        "unmarshalerDecoder: json: cannot unmarshal {given} into a field of type {wanted}"
    ))
}

fn split_port(endpoint: &str) -> (&str, Option<i64>) {
    match endpoint.rsplit_once(':') {
        // `fd00::1` has no port; `[fd00::1]:80` and `10.0.0.1:80` have one.
        Some((address, port)) if !address.contains(':') || address.ends_with(']') => match port.parse() {
            Ok(port) => (address, Some(port)),
            Err(_) => (endpoint, None),
        },
        _ => (endpoint, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ServerLine {
        ServerLine::read(&Line::new(text), Version::V2).unwrap()
    }

    #[test]
    fn a_server_line_becomes_an_object_and_is_written_in_the_apis_order() {
        let server = read("server s1 127.0.0.1:29001 weight 10 check inter 500 disabled");
        assert_eq!(
            Value::Object(server.0.clone()),
            json!({ "name": "s1", "address": "127.0.0.1", "port": 29001, "weight": 10, "check": "enabled",
                    "inter": 500, "maintenance": "enabled" })
        );
        assert_eq!(
            server.line(Version::V2).0,
            "server s1 127.0.0.1:29001 check disabled inter 500 weight 10"
        );
        assert_eq!(
            server.line(Version::V3).0,
            "server s1 127.0.0.1:29001 check disabled inter 500ms weight 10"
        );
    }

    #[test]
    fn addresses_without_a_port_are_told_from_those_with_one() {
        assert_eq!(split_port("fd00::1"), ("fd00::1", None));
        assert_eq!(split_port("[fd00::1]:80"), ("[fd00::1]", Some(80)));
        assert_eq!(split_port("web.example"), ("web.example", None));
    }

    #[test]
    fn only_what_the_cli_can_set_is_live() {
        let (old, new) = (read("server a 1.2.3.4:1 weight 1"), read("server a 1.2.3.5:1 weight 2 cookie x"));
        assert_eq!(new.differences(&old), ["address", "cookie", "weight"]);
        assert!(ServerLine::is_live("weight") && !ServerLine::is_live("cookie"));
    }
}
