use serde_json::{Value, json};

use super::*;
use crate::keywords::{ProxyProtocol, TlsKeywords, Verify};

#[test]
fn a_new_backend_is_an_object_with_its_checks_and_servers() {
    let mut hashed = whole("hashed", 0);
    hashed.pool.balance = "hdr(X-User)".parse().unwrap();
    hashed.pool.check = None;
    let options = json!({ "name": "evil", "server_timeout": 5000, "balance": { "algorithm": "first" } });
    let Value::Object(options) = options else { unreachable!() };
    let objects = [
        backend_objects(&mark("fleet/web"), &whole("fresh", 2), &options, V3_0).unwrap(),
        backend_objects(&mark("fleet/hashed"), &hashed, &Fields::new(), V3_0).unwrap(),
    ];
    insta::assert_debug_snapshot!("new_objects", objects);
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
fn lines_that_are_no_field_cannot_be_objects() {
    let mut lines = whole("fresh", 1);
    let place = crate::render::Place::Backend;
    lines.lines = vec![crate::render::RawLine::new(place, "option forwardfor").unwrap()];
    let refused = backend_objects(&mark("fleet/web"), &lines, &Fields::new(), V3_0).unwrap_err();
    assert_eq!(refused, NotObjects(backend("fresh")));
}
