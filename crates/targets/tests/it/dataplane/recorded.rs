//! Each call against what the real APIs, 2.9 and 3.2, were recorded to answer: the request has to be the recorded one.

mod objects;
mod raw;
mod runtime;
mod transactions;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use roster_targets::dataplane::client::{Client, VersionChoice};
use roster_testkit::OrFail;
use serde_json::{Map, Value, json};

use super::client;
use super::scripted::{Act, Asked, Scripted, answer};

/// One file of recorded exchanges.
const FILES: [(&str, &str); 6] = [
    ("login", include_str!("data/login.json")),
    ("objects", include_str!("data/objects.json")),
    ("raw", include_str!("data/raw.json")),
    ("reloads", include_str!("data/reloads.json")),
    ("runtime", include_str!("data/runtime.json")),
    ("transactions", include_str!("data/transactions.json")),
];

/// What was asked and what the real API answered.
#[derive(Clone, Debug)]
struct Exchange(Value);

/// A client, and the server that gives it these answers in this order.
struct Replay {
    client: Client,
    server: Scripted,
    left: Arc<Mutex<VecDeque<Exchange>>>,
}

fn exchange(name: &str) -> Exchange {
    let (file, name) = name.split_once('/').unwrap();
    let (_, text) = FILES.iter().find(|(given, _)| *given == file).unwrap();
    let mut exchanges: BTreeMap<String, Value> = serde_json::from_str(text).unwrap();
    Exchange(exchanges.remove(name).unwrap_or_else(|| panic!("no exchange {name} in {file}.json")))
}

impl Exchange {
    fn version(&self) -> VersionChoice {
        if self.0["api"] == "2.9" { VersionChoice::V2 } else { VersionChoice::V3 }
    }

    fn sent(&self) -> &Value {
        &self.0["request"]["body"]
    }

    fn sent_text(&self) -> String {
        self.sent().as_str().unwrap().to_owned()
    }

    fn sent_as<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_value(self.sent().clone()).unwrap()
    }

    fn actions(&self) -> &str {
        self.0["request"]["headers"]["X-Runtime-Actions"].as_str().unwrap()
    }

    fn body(&self) -> &Value {
        &self.0["response"]["body"]
    }

    /// What differs from the recorded request.
    fn difference(&self, asked: &Asked) -> Option<String> {
        let recorded = &self.0["request"];
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let query: BTreeMap<_, _> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let wanted = recorded["query"].as_object().unwrap();
        let wanted: BTreeMap<_, _> = wanted.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        let body = match &recorded["body"] {
            Value::Null => asked.body.is_empty(),
            Value::String(text) => *text == asked.body,
            body => asked.json().as_ref() == Some(body),
        };
        let headers = recorded["headers"].as_object().unwrap();
        let headers = headers.iter().all(|(name, value)| asked.header(name) == value.as_str());
        let same = recorded["method"] == asked.method.as_str()
            && recorded["path"] == path
            && query == wanted
            && headers
            && body;
        (!same).then(|| format!("asked {asked:#?}\nrecorded {recorded:#}"))
    }

    /// The recorded answer, in the bytes that it came in.
    fn act(&self) -> Act {
        let recorded = &self.0["response"];
        let headers: &Map<String, Value> = recorded["headers"].as_object().unwrap();
        let json = headers.get("Content-Type").is_some_and(|kind| kind == "application/json");
        let body = match &recorded["body"] {
            Value::String(text) if text.is_empty() || !json => text.clone(),
            body => format!("{body}\n"),
        };
        let headers = headers.iter().filter(|(name, _)| *name != "Content-Length");
        let headers = headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        let status = u16::try_from(recorded["status"].as_u64().unwrap()).or_fail();
        Act::Answer { status, headers: headers.collect(), body }
    }
}

/// Answers with these exchanges, in this order; what refused files leave behind may be deleted in between.
fn replay<const N: usize>(exchanges: [Exchange; N]) -> Replay {
    let version = exchanges.first().unwrap().version();
    let left = Arc::new(Mutex::new(VecDeque::from(exchanges)));
    let next = Arc::clone(&left);
    let server = Scripted::start(move |asked| {
        let mut left = next.lock().unwrap();
        let Some(exchange) = left.front() else { return aside(asked) };
        match exchange.difference(asked) {
            None => left.pop_front().unwrap().act(),
            Some(_) if is_aside(asked) => aside(asked),
            Some(difference) => answer(500, 0, &json!({ "code": 500, "message": difference })),
        }
    });
    let client = client(&server.url(), version);
    Replay { client, server, left }
}

fn recorded(name: &str) -> (Exchange, Replay) {
    let exchange = exchange(name);
    (exchange.clone(), replay([exchange]))
}

fn is_aside(asked: &Asked) -> bool {
    asked.target.ends_with("/info") || asked.method == "DELETE" && asked.target.contains("/transactions/")
}

fn aside(asked: &Asked) -> Act {
    match asked.method.as_str() {
        "GET" => answer(200, 1, &json!({ "api": { "version": "v3.2.4 1a2b3c4d" }, "system": {} })),
        "DELETE" => Act::Answer { status: 204, headers: Vec::new(), body: String::new() },
        _ => answer(500, 0, &json!({ "code": 500, "message": "nothing more was recorded" })),
    }
}

impl Replay {
    /// Every exchange took place.
    fn done(self) -> Scripted {
        assert!(self.left.lock().unwrap().is_empty(), "not all was asked: {:?}", self.server.asked());
        self.server
    }

    /// The transactions that were deleted in between.
    fn deleted(&self) -> Vec<String> {
        let asked = self.server.asked().into_iter().filter(is_aside);
        asked.map(|asked| asked.target.rsplit('/').next().unwrap().to_owned()).collect()
    }
}
