//! Every recorded exchange with the real programs, sent again: the answers must be the same but for what differs from
//! one run to the next (identifiers, times, paths, ports, HAProxy's own words).

use std::collections::BTreeSet;

use roster_testkit::{DataplaneVersion, OrFail};
use serde_json::Value;

use super::client::Answer;
use super::stage::{Stage, is_uuid};

const RECORDED: &str = include_str!("../data/dataplane-exchanges.json");

/// Exchanges that cannot be replayed, by their place in the file, and why.
const NOT_REPLAYED: &[(usize, &str)] = &[];

/// Values that differ from one run to the next; only their type is compared.
const VARIES: &[&str] = &[
    "id",
    "file",
    "size",
    "serial",
    "issuers",
    "subject",
    "not_before",
    "not_after",
    "reload_timestamp",
    "port",
];

/// Messages that go on in the words of HAProxy, of a shell or of a library; what stands before is compared.
const OPEN_ENDED: &[&str] = &[
    "validation error: exit status 1",
    "cannot execute SetServerWeight: ",
    "parsing data body from \"\" failed, because unmarshalerDecoder: json: cannot unmarshal bool into ",
    "Reload failed: executing ",
];

#[test]
fn recorded_exchanges_with_2_9_get_the_same_answers() {
    replay(DataplaneVersion::V2, "2.9");
}

#[test]
fn recorded_exchanges_with_3_2_get_the_same_answers() {
    replay(DataplaneVersion::V3, "3.2");
}

#[test]
fn every_recorded_exchange_is_replayed_but_for_those_with_a_reason() {
    let recorded: Vec<Value> = serde_json::from_str(RECORDED).or_fail();
    let known: BTreeSet<&str> = recorded.iter().filter_map(|one| one.get("api")?.as_str()).collect();
    assert_eq!(known, BTreeSet::from(["2.9", "3.2"]));
    assert_eq!(recorded.len(), 139);
    assert_eq!(NOT_REPLAYED.len(), 0, "as few as possible");
}

fn replay(version: DataplaneVersion, api: &str) {
    let recorded: Vec<Value> = serde_json::from_str(RECORDED).or_fail();
    let mut wrong = Vec::new();
    let mut stage: Option<Stage> = None;
    for (at, exchange) in recorded.iter().enumerate() {
        let replayed = NOT_REPLAYED.iter().all(|(not, _)| *not != at);
        if exchange.get("api").and_then(Value::as_str) != Some(api) || !replayed {
            continue;
        }
        let given: Vec<Value> = exchange.get("given").and_then(Value::as_array).cloned().unwrap_or_default();
        let is = |word: &str| given.iter().any(|step| step == word);
        if is("fresh") || is("stats socket") {
            stage = None;
        }
        let mut ready = stage.take().unwrap_or_else(|| Stage::new(version, is("stats socket")));
        let mut told = one(&mut ready, exchange, &given);
        // The tick of the reloads may come between two requests that are to be between two ticks.
        for _ in 0..if is("at once") { 3 } else { 0 } {
            told = told.or_else(|_| one(&mut ready, exchange, &given));
        }
        if let Err(why) = told {
            let note = exchange.get("note").and_then(Value::as_str).unwrap_or_default();
            wrong.push(format!("exchange {at} ({note}): {why}"));
        }
        stage = Some(ready).filter(|stage| !stage.is_used_up());
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn one(stage: &mut Stage, exchange: &Value, given: &[Value]) -> Result<(), String> {
    for step in given {
        stage.step(step);
    }
    let request = exchange.get("request").cloned().unwrap_or_default();
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut sent = stage.rig.request(text("method"), &stage.with_ids(text("path")));
    let headers = request.get("headers").and_then(Value::as_object).cloned().unwrap_or_default();
    if headers.get("Content-Type").is_some_and(|kind| kind == "multipart/form-data") {
        let is_map = text("path").contains("maps");
        let (name, content) = if is_map {
            ("hosts.map", text("body").to_owned())
        } else {
            ("site.pem", stage.certificate.pem())
        };
        sent = sent.upload(name, &content);
    } else {
        sent = stage.filled(sent, request.get("query"), request.get("body"));
        for (name, value) in &headers {
            let value = value.as_str().unwrap_or_default();
            let long = format!("SetServerWeight app s1 10;Zz {}", "y".repeat(1_199_970));
            sent = sent.header(name, if value == "(1200000 bytes)" { &long } else { value });
        }
    }
    stage.before();
    let answer = stage.credentials(sent).send();
    let recorded = exchange.get("response").cloned().unwrap_or_default();
    let told = compare(stage, &recorded, &answer);
    let forced = request.get("query").is_some_and(|query| query.get("force_reload").is_some());
    stage.remember(&answer, forced);
    told
}

fn compare(stage: &Stage, recorded: &Value, answer: &Answer) -> Result<(), String> {
    let status = recorded.get("status").and_then(Value::as_u64).unwrap_or_default();
    if u64::from(answer.status) != status {
        return Err(format!("status {} instead of {status}: {}", answer.status, answer.text()));
    }
    for (name, value) in recorded.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let Some(own) = answer.header(name) else {
            return Err(format!("no header {name}: {:?}", answer.headers));
        };
        let same = match name.as_str() {
            "Content-Length" | "Configuration-Checksum" | "Reload-Id" => true,
            "Allow" => sorted(own) == sorted(value),
            _ => own == value,
        };
        if !same {
            return Err(format!("header {name}: {own} instead of {value}"));
        }
    }
    let has_reload = recorded.get("headers").is_some_and(|headers| headers.get("Reload-Id").is_some());
    if answer.header("Reload-Id").is_some() != has_reload {
        return Err("one reloads, the other does not".to_owned());
    }
    let body = recorded.get("body").cloned().unwrap_or_default();
    match body.as_str() {
        Some(text) => same_text(stage, text, answer),
        None => same_value(stage, &body, &answer.json(), "body"),
    }
}

fn sorted(list: &str) -> BTreeSet<&str> {
    list.split(',').map(str::trim).collect()
}

/// A text, or the JSON string of one. The first line is a checksum over what differs.
fn same_text(stage: &Stage, recorded: &str, answer: &Answer) -> Result<(), String> {
    let own = answer.json().as_str().map_or_else(|| answer.text(), str::to_owned);
    let without_checksum = |text: &str| match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("# _md5hash=") => rest.trim_end().to_owned(),
        _ => text.trim_end().to_owned(),
    };
    let (own, recorded) = (without_checksum(&own), without_checksum(&stage.localised(recorded)));
    if own == recorded { Ok(()) } else { Err(format!("text differs:\n{own}\n--- instead of\n{recorded}")) }
}

fn same_value(stage: &Stage, recorded: &Value, own: &Value, at: &str) -> Result<(), String> {
    match (recorded, own) {
        (Value::Object(recorded), Value::Object(own)) => {
            let names =
                |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
            let mut had = names(own);
            // The recorded certificate had no alternative names.
            had.remove("domains");
            if names(recorded) != had {
                return Err(format!("{at} has {had:?} instead of {:?}", names(recorded)));
            }
            recorded.iter().try_for_each(|(name, value)| {
                let own = own.get(name).unwrap_or(&Value::Null);
                if VARIES.contains(&name.as_str()) {
                    same_type(value, own, name)
                } else {
                    same_value(stage, value, own, name)
                }
            })
        }
        (Value::Array(recorded), Value::Array(own)) if recorded.len() == own.len() => {
            recorded.iter().zip(own).try_for_each(|(one, two)| same_value(stage, one, two, at))
        }
        // The rig of the recording had more servers.
        (Value::Array(recorded), Value::Array(own)) if !recorded.is_empty() && !own.is_empty() => {
            own.iter().try_for_each(|two| same_type(recorded.first().unwrap_or(&Value::Null), two, at))
        }
        (Value::String(recorded), Value::String(own)) => same_words(stage, recorded, own, at),
        _ if recorded == own => Ok(()),
        _ => Err(format!("{at} is {own} instead of {recorded}")),
    }
}

fn same_type(recorded: &Value, own: &Value, at: &str) -> Result<(), String> {
    let fits = match (recorded, own) {
        (Value::Object(one), Value::Object(two)) => one.keys().eq(two.keys()),
        _ => std::mem::discriminant(recorded) == std::mem::discriminant(own),
    };
    if fits { Ok(()) } else { Err(format!("{at} is {own}, of another kind than {recorded}")) }
}

fn same_words(stage: &Stage, recorded: &str, own: &str, at: &str) -> Result<(), String> {
    let plain = |text: &str| {
        let words: Vec<String> = stage
            .localised(text)
            .split(' ')
            .map(|word| if is_uuid(word) { "UUID".to_owned() } else { word.to_owned() })
            .collect();
        words.join(" ")
    };
    let (recorded, own) = (plain(recorded), plain(own));
    let open = OPEN_ENDED.iter().find(|open| recorded.starts_with(**open));
    let same = match open {
        Some(open) => own.starts_with(open),
        None => own == recorded || at == "message" && reload_id(&own) == reload_id(&recorded),
    };
    if same { Ok(()) } else { Err(format!("{at} is {own:?} instead of {recorded:?}")) }
}

/// A message about a reload, without the day.
fn reload_id(text: &str) -> Option<&str> {
    text.strip_prefix("Reload with ID ")?.get("2026-11-21".len()..)
}
