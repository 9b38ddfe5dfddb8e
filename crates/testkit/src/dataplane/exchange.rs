//! One request and its reply, as the endpoints see them: parsed, without sockets.

use std::collections::BTreeMap;

use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Value, json};

use super::Version;
use crate::server::Outcome;

/// A request whose path has been matched.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The `{name}` parts of the route.
    pub(super) args: BTreeMap<&'static str, String>,
}

/// What goes back.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// An error as the API words it. The `code` of the body is the HTTP status, except for schema errors.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: u16,
    pub(super) message: String,
}

pub(super) type Answer = Result<Reply, Refusal>;

impl Call {
    pub(super) fn arg(&self, name: &str) -> &str {
        self.args.get(name).map_or("", String::as_str)
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A boolean of the query. What is not one of these words is `false`, without an error.
    pub(super) fn flag(&self, name: &str) -> bool {
        const YES: [&str; 10] = ["true", "1", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"];
        self.query(name).is_some_and(|word| YES.contains(&word.to_ascii_lowercase().as_str()))
    }

    pub(super) fn version(&self) -> Result<Option<i64>, Refusal> {
        self.query("version")
            .map(|text| {
                text.parse().map_err(|_| {
                    Refusal::schema(601, format!("version in query must be of type int64: \"{text}\""))
                })
            })
            .transpose()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The content type without its parameters.
    pub(super) fn content_type(&self) -> String {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Value, Refusal> {
        let kind = self.content_type();
        if !kind.is_empty() && kind != "application/json" {
            return Err(Refusal::media(&kind, "application/json"));
        }
        serde_json::from_slice(&self.body).map_err(|error| Refusal::unparsable(&error.to_string()))
    }
}

impl Reply {
    pub(super) fn json(status: u16, value: &Value) -> Self {
        let body = format!("{value}\n").into_bytes();
        Self { status, headers: vec![("Content-Type", "application/json".to_owned())], body }
    }

    pub(super) fn text(status: u16, text: &str) -> Self {
        let headers = vec![("Content-Type", "text/plain".to_owned())];
        Self { status, headers, body: text.as_bytes().to_vec() }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A read object: wrapped with its version in v2, bare in v3.
    pub(super) fn object(api: Version, version: i64, value: &Value) -> Self {
        match api {
            Version::V2 => Self::json(200, &json!({ "_version": version, "data": value })),
            Version::V3 | Version::V3_3 => Self::json(200, value),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// To be sent, whole or not.
    pub(super) fn sent(self, cut: bool) -> Outcome {
        let Self { status, headers, body } = self;
        Outcome { status, headers, body, cut }
    }
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, code: status, message: message.into() }
    }

    /// A schema error: HTTP 422 with a code of its own (601 type, 602 required, 605 pattern, 606 enum, 608/609 range).
    pub(super) fn schema(code: u16, message: impl Into<String>) -> Self {
        Self { status: 422, code, message: message.into() }
    }

    pub(super) fn media(given: &str, allowed: &str) -> Self {
        Self::new(415, format!("unsupported media type \"{given}\", only [{allowed}] are allowed"))
    }

    pub(super) fn unparsable(why: &str) -> Self {
        Self::new(400, format!("parsing data body from \"\" failed, because {why}"))
    }

    pub(super) fn missing(object: &str) -> Self {
        Self::new(404, format!("missing object: {object}"))
    }

    pub(super) fn exists(object: &str) -> Self {
        Self::new(409, format!("object already exists: {object}"))
    }

    fn value(&self) -> Value {
        json!({ "code": self.code, "message": self.message })
    }

    pub(super) fn reply(&self) -> Reply {
        Reply::json(self.status, &self.value())
    }

    /// As the raw endpoint of v3 sends it: JSON in plain text, without a newline.
    pub(super) fn plain_reply(&self) -> Reply {
        Reply::text(self.status, &self.value().to_string())
    }
}
