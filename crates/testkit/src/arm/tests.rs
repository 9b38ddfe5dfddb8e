//! The stand-in against answers that Azure's own clients parsed.

use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::routes::{Asked, Reply};
use super::{ArmFault, ArmSet, ArmWorld, State};

const TAGS: [(&str, &str); 2] = [("haproxy.enable", "true"), ("haproxy.backend", "web")];
const URL: &str = "http://127.0.0.1:18999";

fn recorded() -> Vec<Value> {
    serde_json::from_str(include_str!("exchanges.json")).unwrap()
}

/// The world that the exchanges were recorded in.
fn world() -> ArmWorld {
    let mut world = ArmWorld { page_size: 2, ..ArmWorld::default() };
    world.groups.extend(["denied".to_owned(), "throttled".to_owned()]);
    world.denied.insert("denied".to_owned());
    world.add_vm("web-1", "10.0.0.4", &TAGS).nics[0].addresses[0].public = true;
    world.add_vm("web-2", "10.0.0.5", &TAGS).power("deallocated");
    world.add_vm("flexset_a1b2", "10.0.0.6", &TAGS).set = Some("flexset".to_owned());
    world.orphans.push(("rg-edge".to_owned(), super::ArmNic::new("orphan-nic", "10.0.0.9")));
    let uniform: &mut ArmSet = world.add_set("uniset", true, &TAGS);
    uniform.add_member(0, "10.0.1.4");
    uniform.add_member(1, "10.0.1.5").power("starting");
    world.add_set("flexset", false, &TAGS);
    world
}

fn ask(state: &mut State, request: &Value) -> Reply {
    let (path, query) =
        request["path"].as_str().map(|path| path.split_once('?').unwrap_or((path, ""))).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in request["headers"].as_object().unwrap() {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.insert(name, HeaderValue::from_str(value.as_str().unwrap()).unwrap());
    }
    let body = Bytes::from(request["body"].as_str().unwrap_or_default().to_owned());
    let method = request["method"].as_str().unwrap();
    state.answer(URL, &Asked::new(method, path, query, headers, body))
}

/// Without what is made up anew each time: ids that the recording drew from names, tokens and their times.
fn comparable(mut value: Value) -> Value {
    const MADE_UP: [&str; 6] =
        ["vmId", "access_token", "expires_on", "expires_in", "ext_expires_in", "not_before"];
    match &mut value {
        Value::Object(object) => {
            for (key, inner) in object.iter_mut() {
                let inner_was = inner.take();
                *inner = match inner_was {
                    Value::String(_) if MADE_UP.contains(&key.as_str()) => {
                        Value::String("made up".to_owned())
                    }
                    Value::Number(_) if MADE_UP.contains(&key.as_str()) => Value::from(0),
                    other => comparable(other),
                };
            }
        }
        Value::Array(array) => {
            for inner in array.iter_mut() {
                *inner = comparable(inner.take());
            }
        }
        _ => {}
    }
    value
}

#[test]
fn every_recorded_exchange_is_answered_with_the_same_status_headers_and_body() {
    let mut state = State { world: world(), ..State::default() };
    state.faults.add(ArmFault::Throttled(1), "/resourceGroups/throttled/", 1);
    let recorded = recorded();
    assert_eq!(recorded.len(), 22);
    for exchange in &recorded {
        let label = exchange["label"].as_str().unwrap();
        let (request, response) = (&exchange["request"], &exchange["response"]);
        // Other lists than that of machines were recorded in one page.
        let machines = request["path"]
            .as_str()
            .is_some_and(|path| path.contains("/providers/Microsoft.Compute/virtualMachines"));
        state.world.page_size = if machines { 2 } else { 50 };
        let reply = ask(&mut state, request);
        if label.starts_with("vm list: throttled") && response["status"] == 200 {
            // The recording showed a machine of another group; here the group is really empty.
            assert_eq!(reply.status, 200, "{label}");
            continue;
        }
        assert_eq!(u64::from(reply.status), response["status"].as_u64().unwrap(), "{label}");
        let body: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_same(label, &comparable(response["body"].clone()), &comparable(body));
        for (name, value) in response["headers"].as_object().unwrap() {
            let sent = reply.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            assert_eq!(sent.map(|(_, value)| value.as_str()), value.as_str(), "{label}: {name}");
        }
    }
}

fn assert_same(label: &str, recorded: &Value, sent: &Value) {
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    assert!(recorded == sent, "{label}\n--- recorded\n{}\n--- sent\n{}", pretty(recorded), pretty(sent));
}

#[test]
fn a_revoked_token_is_refused_and_a_new_one_is_not() {
    let mut state = State { world: world(), ..State::default() };
    let list = "/subscriptions/00000000-1111-2222-3333-444444444444/providers/Microsoft.Compute/virtualMachines?api-version=1";
    let ask_with = |state: &mut State, token: &str| {
        let headers = serde_json::json!({ "Authorization": format!("Bearer {token}") });
        ask(state, &serde_json::json!({ "method": "GET", "path": list, "headers": headers })).status
    };
    assert_eq!(ask_with(&mut state, "one"), 200);
    state.tokens.revoke();
    assert_eq!((ask_with(&mut state, "one"), ask_with(&mut state, "two")), (401, 200));
}
