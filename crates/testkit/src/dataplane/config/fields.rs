//! Fields of frontends and backends: what each is called in JSON and which line of the section it is.

use serde_json::{Map, Value, json};

use super::params::{check_params, read_params, write_params, wrong_type};
use super::sections::{parse_millis, time};
use crate::dataplane::Version;
use crate::dataplane::exchange::Refusal;

/// How a field stands in the section.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    /// One word behind the keyword.
    Word,
    /// All that stands behind the keyword.
    Rest,
    /// A number behind the keyword.
    Number,
    /// A time behind the keyword; milliseconds in JSON.
    Time,
    /// `option NAME` is "enabled", `no option NAME` is "disabled".
    Switch,
    /// The bare keyword; `true` in JSON.
    Flag,
    /// `balance ALGORITHM …`.
    Balance,
    /// Parameters as on a server line.
    DefaultServer,
    /// `cookie NAME …`.
    Cookie,
    /// `option httpchk METHOD URI VERSION`.
    Httpchk,
    /// `option forwardfor …`.
    Forwardfor,
    /// `option redispatch [INTERVAL]`.
    Redispatch,
    /// `hash-type METHOD FUNCTION MODIFIER`.
    HashType,
}

/// JSON name, keyword, kind.
pub(super) type Row = (&'static str, &'static str, Field);

pub(super) const BACKEND: &[Row] = &[
    ("id", "id", Field::Number),
    ("description", "description", Field::Rest),
    ("disabled", "disabled", Field::Flag),
    ("enabled", "enabled", Field::Flag),
    ("mode", "mode", Field::Word),
    ("hash_type", "hash-type", Field::HashType),
    ("balance", "balance", Field::Balance),
    ("forwardfor", "option forwardfor", Field::Forwardfor),
    ("redispatch", "option redispatch", Field::Redispatch),
    ("abortonclose", "option abortonclose", Field::Switch),
    ("log_health_checks", "option log-health-checks", Field::Switch),
    ("tcpka", "option tcpka", Field::Switch),
    ("srvtcpka", "option srvtcpka", Field::Switch),
    ("allbackups", "option allbackups", Field::Switch),
    ("prefer_last_server", "option prefer-last-server", Field::Switch),
    ("httpchk_params", "option httpchk", Field::Httpchk),
    ("http_request_timeout", "timeout http-request", Field::Time),
    ("queue_timeout", "timeout queue", Field::Time),
    ("http_keep_alive_timeout", "timeout http-keep-alive", Field::Time),
    ("check_timeout", "timeout check", Field::Time),
    ("tunnel_timeout", "timeout tunnel", Field::Time),
    ("server_timeout", "timeout server", Field::Time),
    ("server_fin_timeout", "timeout server-fin", Field::Time),
    ("connect_timeout", "timeout connect", Field::Time),
    ("tarpit_timeout", "timeout tarpit", Field::Time),
    ("default_server", "default-server", Field::DefaultServer),
    ("http_reuse", "http-reuse", Field::Word),
    ("cookie", "cookie", Field::Cookie),
    ("dynamic_cookie_key", "dynamic-cookie-key", Field::Word),
    ("log_tag", "log-tag", Field::Word),
    ("retries", "retries", Field::Number),
    ("load_server_state_from_file", "load-server-state-from-file", Field::Word),
    ("server_state_file_name", "server-state-file-name", Field::Word),
    ("fullconn", "fullconn", Field::Number),
    ("retry_on", "retry-on", Field::Rest),
];

pub(super) const FRONTEND: &[Row] = &[
    ("id", "id", Field::Number),
    ("description", "description", Field::Rest),
    ("disabled", "disabled", Field::Flag),
    ("enabled", "enabled", Field::Flag),
    ("mode", "mode", Field::Word),
    ("maxconn", "maxconn", Field::Number),
    ("backlog", "backlog", Field::Number),
    ("log_format", "log-format", Field::Rest),
    ("log_tag", "log-tag", Field::Word),
    ("forwardfor", "option forwardfor", Field::Forwardfor),
    ("dontlognull", "option dontlognull", Field::Switch),
    ("tcplog", "option tcplog", Field::Flag),
    ("httplog", "option httplog", Field::Flag),
    ("clitcpka", "option clitcpka", Field::Switch),
    ("http_request_timeout", "timeout http-request", Field::Time),
    ("client_timeout", "timeout client", Field::Time),
    ("client_fin_timeout", "timeout client-fin", Field::Time),
    ("http_keep_alive_timeout", "timeout http-keep-alive", Field::Time),
    ("unique_id_format", "unique-id-format", Field::Rest),
    ("unique_id_header", "unique-id-header", Field::Word),
    ("default_backend", "default_backend", Field::Word),
];

/// What may follow a cookie's name without a value of its own.
const COOKIE_WORDS: &[&str] = &[
    "dynamic", "httponly", "indirect", "insert", "nocache", "postonly", "prefix", "preserve", "rewrite",
    "secure",
];

const ALGORITHMS: &[&str] = &[
    "first",
    "hash",
    "hdr",
    "leastconn",
    "random",
    "rdp-cookie",
    "roundrobin",
    "source",
    "static-rr",
    "uri",
    "url_param",
];

/// The JSON value of the words behind a keyword.
pub(super) fn read(field: Field, keyword: &str, words: &[&str], negated: bool) -> Option<Value> {
    let rest: Vec<&str> = words.iter().skip(keyword.split(' ').count()).copied().collect();
    let first = rest.first().copied();
    Some(match field {
        Field::Word => json!(first?),
        Field::Rest => json!(rest.join(" ")),
        Field::Number => json!(first?.parse::<i64>().ok()?),
        Field::Time => json!(parse_millis(first?)?),
        Field::Switch => json!(if negated { "disabled" } else { "enabled" }),
        Field::Flag => json!(true),
        Field::Balance => balance(first?),
        Field::DefaultServer => Value::Object(read_params(&rest)),
        Field::Cookie => cookie(&rest)?,
        Field::Httpchk => httpchk(&rest),
        Field::Forwardfor => forwardfor(&rest),
        Field::Redispatch => json!({ "enabled": if negated { "disabled" } else { "enabled" } }),
        Field::HashType => named(&["method", "function", "modifier"], &rest),
    })
}

/// The line of a JSON value.
pub(super) fn write(field: Field, keyword: &str, value: &Value, api: Version) -> String {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    match field {
        Field::Word | Field::Rest => format!("{keyword} {}", value.as_str().unwrap_or_default()),
        Field::Number => format!("{keyword} {value}"),
        Field::Time => format!("{keyword} {}", time(value.as_i64().unwrap_or_default(), api)),
        Field::Switch if value.as_str() == Some("disabled") => format!("no {keyword}"),
        Field::Balance => match value.get("hdr_name").and_then(Value::as_str) {
            Some(header) => format!("balance hdr({header})"),
            None => format!("balance {}", text("algorithm")),
        },
        Field::DefaultServer => match value.as_object() {
            Some(object) => format!("{keyword}{}", write_params(object, api)),
            None => keyword.to_owned(),
        },
        Field::Cookie => write_cookie(value),
        Field::Httpchk => {
            ["method", "uri", "version", "host"].iter().fold(keyword.to_owned(), |line, name| {
                if text(name).is_empty() { line } else { format!("{line} {}", text(name)) }
            })
        }
        Field::Forwardfor | Field::Redispatch if text("enabled") == "disabled" => format!("no {keyword}"),
        Field::Forwardfor => write_forwardfor(keyword, value),
        Field::Switch | Field::Flag | Field::Redispatch => keyword.to_owned(),
        Field::HashType => {
            ["method", "function", "modifier"].iter().fold(keyword.to_owned(), |line, name| {
                if text(name).is_empty() { line } else { format!("{line} {}", text(name)) }
            })
        }
    }
}

/// Checks a field of a body as the API's schema does.
pub(super) fn check(field: Field, name: &str, value: &Value) -> Result<Value, Refusal> {
    match field {
        Field::Word | Field::Rest | Field::Switch if !value.is_string() => Err(wrong_type(value, "string")),
        Field::Number | Field::Time if !value.is_i64() => Err(wrong_type(value, "int64")),
        Field::Flag if !value.is_boolean() => Err(wrong_type(value, "bool")),
        Field::Switch if !matches!(value.as_str(), Some("enabled" | "disabled")) => {
            Err(Refusal::schema(606, format!("{name} in body should be one of [enabled disabled]")))
        }
        Field::Word if name == "mode" && !matches!(value.as_str(), Some("http" | "tcp" | "log")) => {
            Err(Refusal::schema(606, "mode in body should be one of [http tcp log]"))
        }
        Field::Balance => {
            let algorithm = value.get("algorithm").and_then(Value::as_str).unwrap_or_default();
            if ALGORITHMS.contains(&algorithm) {
                return Ok(value.clone());
            }
            let known = ALGORITHMS.join(" ");
            Err(Refusal::schema(606, format!("balance.algorithm in body should be one of [{known}]")))
        }
        Field::DefaultServer => Ok(Value::Object(check_params(value)?)),
        Field::Cookie if value.get("name").is_none() => {
            Err(Refusal::schema(602, "cookie.name in body is required"))
        }
        _ => Ok(value.clone()),
    }
}

fn balance(word: &str) -> Value {
    match word.strip_suffix(')').and_then(|open| open.split_once('(')) {
        Some(("hdr", header)) => json!({ "algorithm": "hdr", "hdr_name": header }),
        Some((algorithm, _)) => json!({ "algorithm": algorithm }),
        None => json!({ "algorithm": word }),
    }
}

fn named(names: &[&str], words: &[&str]) -> Value {
    let pairs = names.iter().zip(words).map(|(name, word)| ((*name).to_owned(), json!(word)));
    Value::Object(pairs.collect())
}

fn cookie(words: &[&str]) -> Option<Value> {
    let (name, rest) = words.split_first()?;
    let mut object = Map::from_iter([("name".to_owned(), json!(name))]);
    for word in rest {
        match *word {
            "insert" | "rewrite" | "prefix" => object.insert("type".to_owned(), json!(word)),
            flag => object.insert(flag.to_owned(), json!(true)),
        };
    }
    Some(Value::Object(object))
}

fn write_cookie(value: &Value) -> String {
    let mut line = format!("cookie {}", value.get("name").and_then(Value::as_str).unwrap_or_default());
    for flag in COOKIE_WORDS {
        if value.get(flag).and_then(Value::as_bool) == Some(true) {
            line.extend([" ", flag]);
        }
    }
    if let Some(kind) = value.get("type").and_then(Value::as_str) {
        line.extend([" ", kind]);
    }
    line
}

/// The words of a line as the API writes them back, for those that it does not keep as they are.
pub(super) fn rewritten(kind: &str, text: String) -> String {
    if !matches!(kind, "backend" | "defaults" | "listen") {
        return text;
    }
    let words: Vec<&str> = text.split(' ').collect();
    match words.split_first() {
        Some((&"cookie", rest)) if rest.iter().skip(1).all(|word| COOKIE_WORDS.contains(word)) => {
            cookie(rest).map_or_else(|| text.clone(), |value| write_cookie(&value))
        }
        _ => text,
    }
}

fn forwardfor(words: &[&str]) -> Value {
    let mut object = Map::from_iter([("enabled".to_owned(), json!("enabled"))]);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match *word {
            "except" | "header" => object.extend(rest.next().map(|value| ((*word).to_owned(), json!(value)))),
            "if-none" => drop(object.insert("ifnone".to_owned(), json!(true))),
            _ => {}
        }
    }
    Value::Object(object)
}

fn write_forwardfor(keyword: &str, value: &Value) -> String {
    let mut line = keyword.to_owned();
    for name in ["except", "header"] {
        if let Some(word) = value.get(name).and_then(Value::as_str) {
            line.extend([" ", name, " ", word]);
        }
    }
    if value.get("ifnone").and_then(Value::as_bool) == Some(true) {
        line.push_str(" if-none");
    }
    line
}

fn httpchk(words: &[&str]) -> Value {
    match words {
        [uri] => json!({ "uri": uri }),
        others => named(&["method", "uri", "version", "host"], others),
    }
}
