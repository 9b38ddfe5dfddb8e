use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::keywords::{ProxyProtocol, TlsKeywords, Verify};

fn calls(text: &str, edits: &[Edit]) -> Vec<ObjectCall> {
    object_calls(text, edits, &BTreeMap::new(), V3_0).unwrap()
}

#[test]
fn a_new_backend_is_an_object_with_its_checks_and_servers() {
    let mut hashed = whole("hashed", 0);
    hashed.pool.balance = "hdr(X-User)".parse().unwrap();
    hashed.pool.check = None;
    let edits = [put("fleet/web", whole("fresh", 2)), put("fleet/hashed", hashed)];
    let options = json!({ "name": "evil", "server_timeout": 5000, "balance": { "algorithm": "first" } });
    let Value::Object(options) = options else { unreachable!() };
    let options = BTreeMap::from([(backend("fresh"), options)]);
    insta::assert_debug_snapshot!("new_objects", object_calls(BY_API, &edits, &options, V3_0).unwrap());
}

#[test]
fn a_server_object_has_all_that_its_line_has() {
    let mut full = line(1);
    let check = full.keywords.check.as_mut().unwrap();
    check.port = "81".parse().ok();
    check.addr = "10.0.0.9".parse().ok();
    check.tls = true;
    check.sni = HostName::new("sni.example").ok();
    check.send_proxy = true;
    full.keywords = ServerKeywords {
        weight: Some(weight(3)),
        maxconn: 100.try_into().ok(),
        backup: true,
        cookie: "srv1".parse().ok(),
        slowstart: 2000.try_into().ok(),
        init_state: Some(crate::keywords::InitState::Down),
        tls: Some(TlsKeywords { verify: Verify::None, sni: HostName::new("a.example").ok(), alpn: None }),
        send_proxy: Some(ProxyProtocol::V2),
        ..full.keywords
    };
    full.disabled = true;
    let object = server_object(&full, Version::new(3, 2, 0));
    insta::assert_snapshot!("server_object", serde_json::to_string_pretty(&object).unwrap());
    assert!(!server_object(&full, V3_0).contains_key("init-state"));
}

#[test]
fn a_shape_is_a_change_of_the_object() {
    let shape = ServerShape { check: line(1).keywords.check, cookie: "s1".parse().ok() };
    let shape = Edit::Shape { backend: backend("app"), server: server("s1"), shape: Box::new(shape) };
    let calls = calls(BY_API, &[shape]);
    let [ObjectCall::PutServer { server, change, .. }] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(
        (server.as_str(), &change["check"], &change["cookie"]),
        ("s1", &json!("enabled"), &json!("s1"))
    );
}

#[test]
fn a_changed_server_is_merged_into_what_was_read() {
    let changes = ServerChange {
        endpoint: Some(endpoint("[fd00::1]:80")),
        weight: WeightChange::Remove,
        disabled: Some(true),
        check_port: "81".parse().ok(),
    };
    let calls = calls(BY_API, &[change("app", "s1", changes)]);
    let [ObjectCall::PutServer { change, .. }] = &calls[..] else { panic!("{calls:?}") };
    let Value::Object(read) = json!({
        "name": "s1", "address": "127.0.0.1", "port": 29001, "weight": 10, "check": "enabled", "inter": 500,
        "metadata": { "comment": "note" },
    }) else {
        unreachable!()
    };
    assert_eq!(
        Value::Object(merged(read, change)),
        json!({
            "name": "s1", "address": "fd00::1", "port": 80, "check": "enabled", "inter": 500,
            "maintenance": "enabled", "health_check_port": 81, "metadata": { "comment": "note" },
        })
    );
}

#[test]
fn what_is_there_already_is_no_call() {
    let same = ServerChange {
        endpoint: Some(endpoint("127.0.0.1:29001")),
        weight: WeightChange::Set(weight(10)),
        disabled: Some(false),
        check_port: None,
    };
    let made = edited(BY_API, &[put("fleet/web", whole("fresh", 2))]);
    let edits = [
        change("app", "s1", same),
        put("fleet/web", whole("fresh", 2)),
        Edit::RemoveServer { backend: backend("app"), server: server("gone") },
        Edit::RemoveBackend { mark: mark("a/b"), backend: backend("gone") },
        Edit::Routes { frontend: frontend("fe"), routes: Vec::new() },
    ];
    assert_eq!(calls(&made, &edits), []);
}

#[test]
fn a_changed_backend_loses_its_old_checks_from_the_last_one_on() {
    let made = edited(BY_API, &[put("fleet/web", whole("fresh", 2))]);
    let mut other = whole("fresh", 2);
    other.pool.check.as_mut().unwrap().path = "/ready".parse().unwrap();
    other.pool.servers[1].keywords.backup = true;
    other.pool.servers.remove(0);
    insta::assert_debug_snapshot!("changed_objects", calls(&made, &[put("fleet/web", other)]));
}

#[test]
fn lines_that_are_no_field_cannot_be_objects() {
    let mut lines = whole("fresh", 1);
    let place = crate::render::Place::Backend;
    lines.lines = vec![crate::render::RawLine::new(place, "option forwardfor").unwrap()];
    let refused = object_calls(BY_API, &[put("fleet/web", lines)], &BTreeMap::new(), V3_0).unwrap_err();
    assert_eq!(refused, ObjectError::Lines(backend("fresh")));
}

/// The lists of a frontend as the API keeps them.
fn lists(text: &str) -> (Vec<String>, Vec<String>) {
    let of = |word: &str| -> Vec<String> {
        let inside = text.split("frontend fe\n").nth(1).unwrap().split("\n\n").next().unwrap();
        inside.lines().map(str::trim).filter(|line| line.starts_with(word)).map(str::to_owned).collect()
    };
    (of("acl "), of("use_backend "))
}

/// Carries the calls out as the API does.
fn carried_out(text: &str, calls: &[ObjectCall]) -> (Vec<String>, Vec<String>) {
    let (mut acls, mut rules) = lists(text);
    let field = |body: &Fields, name: &str| body[name].as_str().unwrap().to_owned();
    for call in calls {
        match call {
            ObjectCall::DeleteAcl { index, .. } => _ = acls.remove(*index),
            ObjectCall::DeleteRule { index, .. } => _ = rules.remove(*index),
            ObjectCall::PostAcl { index, body, .. } => {
                let [name, criterion, value] =
                    ["acl_name", "criterion", "value"].map(|name| field(body, name));
                acls.insert(*index, format!("acl {name} {criterion} {value}"));
            }
            ObjectCall::PostRule { index, body, .. } => {
                let [to, word, condition] = ["name", "cond", "cond_test"].map(|name| field(body, name));
                rules.insert(*index, format!("use_backend {to} {word} {condition}"));
            }
            other => panic!("{other:?}"),
        }
    }
    (acls, rules)
}

#[test]
fn the_calls_for_routes_come_to_what_the_text_would() {
    let set = |routes: &[Route]| [Edit::Routes { frontend: frontend("fe"), routes: routes.to_vec() }];
    let all = [
        route("any", "/api", "app"),
        route("a.example", "", "two"),
        route("b.example", "/long/path", "app"),
        route("a.example", "/l", "two"),
        route("any", "/api/v2", "two"),
    ];
    for before in 0..32_usize {
        let some = |bits: usize| -> Vec<Route> {
            all.iter()
                .enumerate()
                .filter(|(at, _)| bits >> at & 1 == 1)
                .map(|(_, route)| route.clone())
                .collect()
        };
        let text = edited(BY_API, &set(&some(before)));
        let text = text.replace("  default_backend", "  use_backend two if is_img\n  default_backend");
        for after in 0..32 {
            let edits = set(&some(after));
            let (mut acls, rules) = carried_out(&text, &calls(&text, &edits));
            let (mut wanted_acls, wanted_rules) = lists(&edited(&text, &edits));
            acls.sort();
            wanted_acls.sort();
            assert_eq!((acls, rules), (wanted_acls, wanted_rules), "{before:b} to {after:b}");
        }
    }
}
