//! Servers, backends, lists of frontends.

use roster_targets::dataplane::client::{
    ConfigVersion, HttpCheck, Outcome, Reload, ReloadId, Server, TransactionId, View, Why, Write,
};
use roster_testkit::OrFail;

use super::super::why;
use super::recorded;

const BACKENDS_V3: &str = "cb838cf1-e8be-42a3-968c-a81e5a6b5cf5";

fn id(text: &str) -> TransactionId {
    TransactionId::new(text).unwrap()
}

fn at(version: u64) -> Write<'static> {
    Write::At(ConfigVersion(version))
}

fn live(version: u64) -> Outcome {
    Outcome { version: ConfigVersion(version), reload: Reload::None }
}

fn reloads(version: u64, reload: &str) -> Outcome {
    let reload = Reload::Scheduled(ReloadId::new(reload).unwrap());
    Outcome { version: ConfigVersion(version), reload }
}

#[tokio::test]
async fn servers_are_read_with_what_only_one_version_has() {
    for name in ["objects/servers_v2", "objects/servers_v3"] {
        let (_, replay) = recorded(name);
        let read = replay.client.servers("app", View::InForce).await.or_fail();
        assert_eq!(read.version, ConfigVersion(1));
        let names: Vec<_> = read.value.iter().map(Server::name).collect();
        assert_eq!(names, ["s1", "s2", "s3"]);
        let [s1, s2, _] = &read.value[..] else { panic!() };
        assert_eq!((s1.address(), s1.port(), s1.weight()), (Some("127.0.0.1"), Some(29001), Some(10)));
        assert_eq!((s1.check(), s1.maintenance(), s1.cookie()), (Some(true), None, None));
        let comment = s2.get("metadata").and_then(|metadata| metadata["comment"].as_str());
        assert_eq!(comment, name.ends_with("v3").then_some("note on s2"));
        replay.done();
    }
}

#[tokio::test]
async fn a_server_of_a_transaction_is_read() {
    for (name, transaction) in [
        ("objects/server_within_v2", "1dbfc741-39db-41be-8252-9e415f50f029"),
        ("objects/server_within_v3", "5403b426-8fec-47e1-85a0-4c6188a14b89"),
    ] {
        let (_, replay) = recorded(name);
        let read = replay.client.server("app", "s1", View::Within(&id(transaction))).await.or_fail();
        assert_eq!((read.value.weight(), read.version), (Some(44), ConfigVersion(5)));
        replay.done();
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_by_name() {
    let (_, replay) = recorded("objects/server_missing_v2");
    let Why::NotFound { what } = why(replay.client.server("app", "nosuch", View::InForce).await) else {
        panic!()
    };
    assert_eq!(what, "missing object: server nosuch does not exist in app backend");
    let (exchange, replay) = recorded("objects/server_without_backend_v3");
    let result = replay.client.add_server("nobackend", &exchange.sent_as(), at(1)).await;
    let Why::NotFound { what } = why(result) else { panic!() };
    assert_eq!(what, "missing parent: backend nobackend does not exist");
}

#[tokio::test]
async fn a_server_is_changed_live_or_with_a_reload() {
    let (exchange, replay) = recorded("objects/server_live_v2");
    let server: Server = exchange.sent_as();
    assert_eq!(replay.client.replace_server("app", "s1", &server, at(2)).await.or_fail(), live(3));
    replay.done();
    let (exchange, replay) = recorded("objects/server_reload_v2");
    let changed = replay.client.replace_server("app", "s1", &exchange.sent_as(), at(21)).await.or_fail();
    assert_eq!(changed, reloads(22, "2026-11-21-14"));
    replay.done();
    let (exchange, replay) = recorded("objects/server_rename_v3");
    let renamed = replay.client.replace_server("app", "s1", &exchange.sent_as(), at(1)).await.or_fail();
    assert_eq!(renamed.version, ConfigVersion(2));
    assert!(matches!(renamed.reload, Reload::Scheduled(_)));
    replay.done();
}

#[tokio::test]
async fn a_server_is_added() {
    let (exchange, replay) = recorded("objects/server_added_v2");
    let added = replay.client.add_server("app", &exchange.sent_as(), at(2)).await.or_fail();
    assert!(matches!(added.reload, Reload::Scheduled(_)), "2.9 reloads");
    replay.done();
    let (exchange, replay) = recorded("objects/server_added_v3");
    assert_eq!(replay.client.add_server("app", &exchange.sent_as(), at(2)).await.or_fail(), live(3));
    replay.done();
}

#[tokio::test]
async fn a_stale_write_of_a_server_is_told_with_both_versions() {
    for (name, given) in [("objects/server_stale_v2", 243), ("objects/server_stale_v3", 9)] {
        let (exchange, replay) = recorded(name);
        let result = replay.client.replace_server("app", "s1", &exchange.sent_as(), at(given)).await;
        let Why::StaleVersion { given: Some(told), current: Some(current) } = why(result) else { panic!() };
        assert_eq!((told, current), (ConfigVersion(given), ConfigVersion(given + 1)));
        assert_eq!(replay.done().asked().len(), 1, "a stale write is not repeated");
    }
}

#[tokio::test]
async fn each_refusal_of_a_server_is_of_its_kind() {
    let (exchange, replay) = recorded("objects/server_exists_v3");
    let Why::Exists { what } = why(replay.client.add_server("app", &exchange.sent_as(), at(1)).await) else {
        panic!()
    };
    assert_eq!(what, "object already exists: server s1 already exists in app backend");
    let (exchange, replay) = recorded("objects/server_bad_name_v3");
    let Why::Rejected { text } = why(replay.client.add_server("app", &exchange.sent_as(), at(3)).await)
    else {
        panic!()
    };
    assert!(text.starts_with("name in body should match"), "{text}");
    let (exchange, replay) = recorded("objects/server_refused_v3");
    let Why::Refused { text } = why(replay.client.add_server("app", &exchange.sent_as(), at(3)).await) else {
        panic!()
    };
    assert_eq!(text, "line 36: character '/' is not permitted in server name 'a/b'.");
    assert_eq!(replay.deleted(), ["75c43966-747e-472f-baa3-c78c8c0e9a0a"]);
    let (exchange, replay) = recorded("objects/server_unresolvable_v3");
    let Why::Refused { text } = why(replay.client.add_server("app", &exchange.sent_as(), at(7)).await) else {
        panic!()
    };
    assert_eq!(
        text,
        "line 40: 'server app/b3' could not resolve address 'nosuch.invalid'.; Failed to initialize server(s) addr."
    );
}

#[tokio::test]
async fn a_write_within_a_transaction_keeps_its_version() {
    let (exchange, replay) = recorded("objects/server_put_within_v3");
    let transaction = id("5403b426-8fec-47e1-85a0-4c6188a14b89");
    let write = Write::Within(&transaction);
    let written = replay.client.replace_server("app", "s1", &exchange.sent_as(), write).await.or_fail();
    assert_eq!(written, live(5));
    let (exchange, replay) = recorded("objects/server_put_in_unknown_v3");
    let nonsense = id("nonsense");
    let write = Write::Within(&nonsense);
    let Why::TransactionDead { text } =
        why(replay.client.replace_server("app", "s1", &exchange.sent_as(), write).await)
    else {
        panic!()
    };
    assert_eq!(text, "transaction does not exist: nonsense");
}

#[tokio::test]
async fn backends_are_read_and_added() {
    for name in ["objects/backend_v2", "objects/backend_v3"] {
        let (_, replay) = recorded(name);
        let backend = replay.client.backend("app", View::InForce).await.or_fail().value;
        assert_eq!((backend.name(), backend.balance(), backend.mode()), ("app", Some("roundrobin"), None));
        assert!(!backend.has_default_server());
    }
    let (exchange, replay) = recorded("objects/backend_forced_v3");
    let write = Write::Reloading(ConfigVersion(9));
    let added = replay.client.add_backend(&exchange.sent_as(), write).await.or_fail();
    assert_eq!(added, Outcome { version: ConfigVersion(10), reload: Reload::Done });
    let transaction = id(BACKENDS_V3);
    let (exchange, replay) = recorded("objects/backend_within_v3");
    let added = replay.client.add_backend(&exchange.sent_as(), Write::Within(&transaction)).await.or_fail();
    assert_eq!(added, live(1));
    let (exchange, replay) = recorded("objects/backend_exists_v3");
    let result = replay.client.add_backend(&exchange.sent_as(), Write::Within(&transaction)).await;
    assert!(matches!(why(result), Why::Exists { .. }));
    let (exchange, replay) = recorded("objects/backend_bad_v3");
    let transaction = id("661a2ba6-bf99-420f-98a7-a2fad39ad0b0");
    let result = replay.client.add_backend(&exchange.sent_as(), Write::Within(&transaction)).await;
    let Why::Rejected { text } = why(result) else { panic!() };
    assert!(text.starts_with("balance.algorithm in body should be one of"), "{text}");
}

#[tokio::test]
async fn an_http_check_is_inserted_at_its_place() {
    let (exchange, replay) = recorded("objects/http_check_v3");
    let check: HttpCheck = exchange.sent_as();
    assert_eq!(check.kind(), "send");
    let transaction = id(BACKENDS_V3);
    replay.client.insert_http_check("nb", 1, &check, Write::Within(&transaction)).await.or_fail();
    replay.done();
}
