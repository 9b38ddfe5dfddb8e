//! Lines that an endpoint lists: by name (`bind`) or by place (`acl`, `use_backend`, `http-check`).

use serde_json::{Map, Value, json};

use super::params::wrong_type;
use super::text::{Line, Section};
use crate::dataplane::Version;
use crate::dataplane::exchange::Refusal;

/// Lines told apart by their place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::dataplane) enum Indexed {
    Acl,
    SwitchingRule,
    HttpCheck,
}

/// Lines told apart by a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::dataplane) enum Named {
    Server,
    Bind,
}

impl Indexed {
    /// The first word of its lines.
    pub(in crate::dataplane) fn keyword(self) -> &'static str {
        match self {
            Self::Acl => "acl",
            Self::SwitchingRule => "use_backend",
            Self::HttpCheck => "http-check",
        }
    }

    /// The places in the section's lines.
    pub(in crate::dataplane) fn places(self, section: &Section) -> Vec<usize> {
        let lines = section.lines.iter().enumerate();
        lines.filter(|(_, line)| line.starts_with(self.keyword())).map(|(at, _)| at).collect()
    }

    /// The objects, without their index.
    pub(in crate::dataplane) fn read(self, section: &Section) -> Vec<Value> {
        section
            .lines
            .iter()
            .filter(|line| line.starts_with(self.keyword()))
            .map(|line| self.object(line))
            .collect()
    }

    fn object(self, line: &Line) -> Value {
        let words = line.words();
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        let from = |at: usize| words.get(at..).unwrap_or_default().join(" ");
        match self {
            Self::Acl => json!({ "acl_name": word(1), "criterion": word(2), "value": from(3) }),
            Self::SwitchingRule if words.len() > 3 => {
                json!({ "name": word(1), "cond": word(2), "cond_test": from(3) })
            }
            Self::SwitchingRule => json!({ "name": word(1) }),
            Self::HttpCheck => http_check(word(1), words.get(2..).unwrap_or_default()),
        }
    }

    /// Checks a body; in v2 it must carry its index.
    pub(in crate::dataplane) fn checked(self, body: &Value, api: Version) -> Result<Value, Refusal> {
        let known: &[&str] = match self {
            Self::Acl => &["acl_name", "criterion", "value"],
            Self::SwitchingRule => &["name", "cond", "cond_test"],
            Self::HttpCheck => {
                &["type", "method", "uri", "version", "headers", "match", "pattern", "port", "addr", "body"]
            }
        };
        let Some(given) = body.as_object() else { return Err(wrong_type(body, "models.Object")) };
        let mut object: Map<String, Value> = given
            .iter()
            .filter(|(name, _)| known.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if api == Version::V2 {
            let index = given.get("index").filter(|index| !index.is_null());
            let index = index.ok_or_else(|| Refusal::schema(602, "index in body is required"))?;
            object.insert("index".to_owned(), index.clone());
        }
        let required: &[&str] = match self {
            Self::Acl => &["acl_name", "criterion"],
            Self::SwitchingRule => &["name"],
            Self::HttpCheck => &["type"],
        };
        match required.iter().find(|name| !object.get(**name).is_some_and(Value::is_string)) {
            Some(name) => Err(Refusal::schema(602, format!("{name} in body is required"))),
            None => Ok(Value::Object(object)),
        }
    }

    /// The line of an object.
    pub(in crate::dataplane) fn line(self, object: &Value) -> Line {
        let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let line = match self {
            Self::Acl => format!("acl {} {} {}", text("acl_name"), text("criterion"), text("value")),
            Self::SwitchingRule if text("cond_test").is_empty() => format!("use_backend {}", text("name")),
            Self::SwitchingRule => {
                format!("use_backend {} {} {}", text("name"), text("cond"), text("cond_test"))
            }
            Self::HttpCheck => http_check_line(object),
        };
        Line::new(line.trim_end())
    }
}

impl Named {
    /// The first word of its lines, which is also what the API calls the object.
    pub(in crate::dataplane) fn keyword(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Bind => "bind",
        }
    }

    /// Whether a line is the object of this name. A bind without a name goes by its address.
    pub(in crate::dataplane) fn is(self, line: &Line, name: &str) -> bool {
        if !line.starts_with(self.keyword()) {
            return false;
        }
        match self {
            Self::Server => line.words().get(1) == Some(&name),
            Self::Bind => bind(line).get("name").and_then(Value::as_str) == Some(name),
        }
    }
}

/// The object of a `bind` line.
pub(in crate::dataplane) fn bind(line: &Line) -> Value {
    let words = line.words();
    let endpoint = words.get(1).copied().unwrap_or_default();
    let mut object = Map::new();
    let name = words.iter().skip_while(|word| **word != "name").nth(1).copied().unwrap_or(endpoint);
    object.insert("name".to_owned(), json!(name));
    match endpoint.rsplit_once(':').and_then(|(address, port)| Some((address, port.parse::<u16>().ok()?))) {
        Some((address, port)) => {
            if !address.is_empty() {
                object.insert("address".to_owned(), json!(address));
            }
            object.insert("port".to_owned(), json!(port));
        }
        None => {
            object.insert("address".to_owned(), json!(endpoint));
        }
    }
    for (word, name) in [("crt", "ssl_certificate"), ("crt-list", "crt_list")] {
        if let Some(value) = words.iter().skip_while(|known| **known != word).nth(1) {
            object.insert(name.to_owned(), json!(value));
        }
    }
    if words.contains(&"ssl") {
        object.insert("ssl".to_owned(), json!(true));
    }
    Value::Object(object)
}

/// The line of a bind's object.
pub(in crate::dataplane) fn bind_line(object: &Value) -> String {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut line = format!("bind {}", text("address"));
    if let Some(port) = object.get("port").and_then(Value::as_i64) {
        line = format!("{line}:{port}");
    }
    if !text("name").is_empty() {
        line = format!("{line} name {}", text("name"));
    }
    if object.get("ssl").and_then(Value::as_bool) == Some(true) {
        line.push_str(" ssl");
    }
    for (word, name) in [("crt", "ssl_certificate"), ("crt-list", "crt_list")] {
        if !text(name).is_empty() {
            line = format!("{line} {word} {}", text(name));
        }
    }
    line
}

/// Checks a bind's body.
pub(in crate::dataplane) fn bind_body(body: &Value) -> Result<Value, Refusal> {
    let known = ["name", "address", "port", "ssl", "ssl_certificate", "crt_list"];
    let Some(given) = body.as_object() else { return Err(wrong_type(body, "models.Bind")) };
    if let Some(port) = given.get("port").filter(|port| !port.is_i64()) {
        return Err(wrong_type(port, "int64"));
    }
    let kept = given.iter().filter(|(name, _)| known.contains(&name.as_str()));
    Ok(Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect()))
}

fn http_check(kind: &str, words: &[&str]) -> Value {
    let mut object = Map::from_iter([("type".to_owned(), json!(kind))]);
    let mut headers = Vec::new();
    let mut rest = words.iter();
    if kind == "expect" {
        for name in ["match", "pattern"] {
            object.extend(rest.next().map(|word| (name.to_owned(), json!(word))));
        }
    }
    while let Some(word) = rest.next() {
        match *word {
            "meth" => object.extend(rest.next().map(|word| ("method".to_owned(), json!(word)))),
            "uri" => object.extend(rest.next().map(|word| ("uri".to_owned(), json!(word)))),
            "ver" => object.extend(rest.next().map(|word| ("version".to_owned(), json!(word)))),
            "addr" => object.extend(rest.next().map(|word| ("addr".to_owned(), json!(word)))),
            "port" => {
                let port = rest.next().and_then(|word| word.parse::<i64>().ok());
                object.insert("port".to_owned(), json!(port));
            }
            "hdr" => {
                if let (Some(name), Some(format)) = (rest.next(), rest.next()) {
                    headers.push(json!({ "name": name, "fmt": format }));
                }
            }
            _ => {}
        }
    }
    if !headers.is_empty() {
        object.insert("headers".to_owned(), Value::Array(headers));
    }
    Value::Object(object)
}

fn http_check_line(object: &Value) -> String {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut line = format!("http-check {}", text("type"));
    for (name, word) in [("method", "meth "), ("uri", "uri "), ("version", "ver "), ("addr", "addr ")] {
        if !text(name).is_empty() {
            line = format!("{line} {word}{}", text(name));
        }
    }
    if let Some(port) = object.get("port").and_then(Value::as_i64) {
        line = format!("{line} port {port}");
    }
    for header in object.get("headers").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        line = format!("{line} hdr {} {}", part("name"), part("fmt"));
    }
    for name in ["match", "pattern"] {
        if !text(name).is_empty() {
            line = format!("{line} {}", text(name));
        }
    }
    line
}
