//! Frontends and backends as objects.

use serde_json::{Map, Value, json};

use super::fields::{self, Field, Row};
use super::text::{Config, Line, Section};
use crate::dataplane::Version;
use crate::dataplane::exchange::Refusal;

/// `adv_check` of a backend: the option that makes the check.
const ADVANCED_CHECKS: &[&str] = &[
    "httpchk",
    "ldap-check",
    "mysql-check",
    "pgsql-check",
    "redis-check",
    "smtpchk",
    "ssl-hello-chk",
    "tcp-check",
];

/// `http_connection_mode` of both.
const CONNECTION_MODES: &[&str] = &["httpclose", "http-server-close", "http-keep-alive"];

/// Which kind of proxy section.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::dataplane) enum Proxy {
    Frontend,
    Backend,
}

impl Proxy {
    /// The section's keyword.
    pub(in crate::dataplane) fn kind(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
        }
    }

    fn rows(self) -> &'static [Row] {
        match self {
            Self::Frontend => fields::FRONTEND,
            Self::Backend => fields::BACKEND,
        }
    }

    /// The object of a section.
    pub(in crate::dataplane) fn read(self, section: &Section) -> Value {
        let mut object = Map::from_iter([("name".to_owned(), json!(section.name))]);
        if !section.from.is_empty() {
            object.insert("from".to_owned(), json!(section.from));
        }
        for line in &section.lines {
            let words = line.words();
            let (words, negated) = match words.split_first() {
                Some((&"no", rest)) => (rest.to_vec(), true),
                _ => (words, false),
            };
            for (name, keyword, field) in self.rows() {
                if is_keyword(&words, keyword)
                    && let Some(value) = fields::read(*field, keyword, &words, negated)
                {
                    object.insert((*name).to_owned(), value);
                }
            }
            if let ["option", option, ..] = words.as_slice() {
                if self == Self::Backend && ADVANCED_CHECKS.contains(option) {
                    object.insert("adv_check".to_owned(), json!(option));
                }
                if CONNECTION_MODES.contains(option) {
                    object.insert("http_connection_mode".to_owned(), json!(option));
                }
            }
        }
        Value::Object(object)
    }

    /// Checks a body as the API's schema does, and drops what it does not know.
    pub(in crate::dataplane) fn checked(self, body: &Value) -> Result<Value, Refusal> {
        let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() {
            return Err(Refusal::schema(602, "name in body is required"));
        }
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) {
            return Err(Refusal::schema(605, "name in body should match '^[A-Za-z0-9-_.:]+$'"));
        }
        let mut object = Map::from_iter([("name".to_owned(), json!(name))]);
        if let Some(from) = body.get("from").and_then(Value::as_str) {
            object.insert("from".to_owned(), json!(from));
        }
        for (name, _, field) in self.rows() {
            if let Some(value) = body.get(*name).filter(|value| !value.is_null()) {
                object.insert((*name).to_owned(), fields::check(*field, name, value)?);
            }
        }
        for (name, known) in [("adv_check", ADVANCED_CHECKS), ("http_connection_mode", CONNECTION_MODES)] {
            let Some(value) = body.get(name).and_then(Value::as_str) else { continue };
            if !known.contains(&value) {
                let known = known.join(" ");
                return Err(Refusal::schema(606, format!("{name} in body should be one of [{known}]")));
            }
            object.insert(name.to_owned(), json!(value));
        }
        Ok(Value::Object(object))
    }

    /// Gives a section the lines of an object. Lines that no field stands for stay: servers, checks, rules, ACLs.
    pub(in crate::dataplane) fn write(self, section: &mut Section, object: &Value, api: Version) {
        section.lines.retain(|line| !self.owns(line));
        object.get("from").and_then(Value::as_str).unwrap_or_default().clone_into(&mut section.from);
        for (name, keyword, field) in self.rows() {
            let is_plain_check =
                matches!(field, Field::Httpchk) && object.get("adv_check") != Some(&json!("httpchk"));
            if let Some(value) = object.get(*name)
                && !is_plain_check
            {
                section.lines.push(Line::new(fields::write(*field, keyword, value, api)));
            }
        }
        let check = object.get("adv_check").and_then(Value::as_str);
        let has_params = object.get("httpchk_params").is_some();
        if let Some(check) = check.filter(|check| *check != "httpchk" || !has_params) {
            section.lines.push(Line::new(format!("option {check}")));
        }
        if let Some(mode) = object.get("http_connection_mode").and_then(Value::as_str) {
            section.lines.push(Line::new(format!("option {mode}")));
        }
    }

    fn owns(self, line: &Line) -> bool {
        let words = line.words();
        let words = if words.first() == Some(&"no") { words.get(1..).unwrap_or_default() } else { &words };
        let option = match words {
            ["option", option, ..] => *option,
            _ => "",
        };
        self.rows().iter().any(|(_, keyword, _)| is_keyword(words, keyword))
            || (self == Self::Backend && ADVANCED_CHECKS.contains(&option))
            || CONNECTION_MODES.contains(&option)
    }
}

impl Config {
    /// Whether a `default-server` applies to a backend: its own, or one of any `defaults`.
    pub(in crate::dataplane) fn has_default_server(&self, backend: &str) -> bool {
        self.of_kind("defaults")
            .into_iter()
            .chain(self.section("backend", backend))
            .any(|section| section.lines.iter().any(|line| line.starts_with("default-server")))
    }
}

fn is_keyword(words: &[&str], keyword: &str) -> bool {
    keyword.split(' ').count() <= words.len() && keyword.split(' ').zip(words).all(|(one, two)| one == *two)
}

/// A time as the API writes it: 2.9 bare milliseconds, 3.2 with the largest unit that fits.
pub(super) fn time(millis: i64, api: Version) -> String {
    if api == Version::V2 {
        return millis.to_string();
    }
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.iter().find(|(size, _)| millis != 0 && millis % size == 0) {
        Some((size, unit)) => format!("{}{unit}", millis / size),
        None => format!("{millis}ms"),
    }
}

/// Milliseconds of a time in HAProxy's file (configuration manual, 2.5); `None` when it is none.
pub(super) fn parse_millis(text: &str) -> Option<i64> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let number: i64 = digits.parse().ok()?;
    let factor = match text.strip_prefix(digits.as_str())? {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    Some(number * factor)
}
