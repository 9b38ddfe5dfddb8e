//! Transactions.

use roster_targets::dataplane::client::{
    Backend, ConfigVersion, HttpCheck, Reload, TransactionStatus, View, Why, Write,
};
use roster_testkit::OrFail;
use serde_json::json;

use super::super::why;
use super::on_each;

#[test]
fn a_transaction_builds_a_backend_with_its_checks_in_order() {
    on_each(&async |rig| {
        let client = &rig.client;
        let transaction = client.begin(client.version().await.or_fail()).await.or_fail();
        let write = || transaction.write();
        let mut backend = Backend::new("new");
        backend.set("mode", "http").set("balance", json!({ "algorithm": "leastconn" }));
        backend.set("adv_check", "httpchk");
        client.add_backend(&backend, write()).await.or_fail();
        let mut send = HttpCheck::new("send");
        send.set("method", "GET").set("uri", "/health");
        let mut expect = HttpCheck::new("expect");
        expect.set("match", "status").set("pattern", "200");
        client.insert_http_check("new", 0, &expect, write()).await.or_fail();
        client.insert_http_check("new", 0, &send, write()).await.or_fail();
        client.add_server("new", &rig.new_server("a"), write()).await.or_fail();
        assert!(
            matches!(why(client.backend("new", View::InForce).await), Why::NotFound { .. }),
            "not in force yet"
        );
        assert_eq!(client.backend("new", transaction.view()).await.or_fail().value.name(), "new");
        let made = client.raw_within(transaction.id()).await.or_fail();
        let at = |line: &str| made.find(line).unwrap_or_else(|| panic!("no {line:?} in\n{made}"));
        assert!(at("http-check send") < at("http-check expect"), "{made}");
        let outcome = transaction.commit(true).await.or_fail();
        assert_eq!((outcome.version, outcome.reload), (ConfigVersion(2), Reload::Done));

        let read = client.backend("new", View::InForce).await.or_fail().value;
        assert_eq!((read.mode(), read.balance()), (Some("http"), Some("leastconn")));
        assert_eq!(client.transactions(None).await.or_fail(), []);
    });
}

#[test]
fn whatever_is_refused_leaves_no_transaction_behind() {
    on_each(&async |rig| {
        let client = &rig.client;
        let raw = client.raw().await.or_fail();
        let wrong = raw.text.replace("balance roundrobin", "balance sideways");
        let Why::Refused { text } = why(client.write_live(wrong, raw.version, "").await) else { panic!() };
        assert!(text.starts_with("line ") && text.contains("balance"), "{text}");
        let mut unresolvable = rig.new_server("x");
        unresolvable.set_address("nosuch.invalid");
        let result = client.add_server("app", &unresolvable, Write::At(raw.version)).await;
        assert!(matches!(why(result), Why::Refused { .. }));
        let transaction = client.begin(raw.version).await.or_fail();
        client.add_server("app", &unresolvable, transaction.write()).await.or_fail();
        let Why::Refused { text } = why(transaction.commit(false).await) else { panic!() };
        assert!(text.contains("nosuch.invalid"), "{text}");
        let outdated = client.begin(raw.version).await.or_fail();
        let first = client.begin(raw.version).await.or_fail();
        first.commit(true).await.or_fail();
        assert!(matches!(why(outdated.commit(false).await), Why::TransactionDead { .. }));
        drop(client.begin(raw.version.next()).await.or_fail());
        assert_eq!(client.transactions(Some(TransactionStatus::InProgress)).await.or_fail().len(), 1);
        assert_eq!(client.sweep().await, 0);
        assert_eq!(client.transactions(None).await.or_fail(), []);
    });
}

#[test]
fn the_limit_of_open_transactions_is_told_and_dropped_ones_make_room() {
    on_each(&async |rig| {
        let client = &rig.client;
        let mut open = Vec::new();
        let error = loop {
            match client.begin(ConfigVersion(1)).await {
                Ok(transaction) => open.push(transaction),
                Err(error) => break error,
            }
        };
        assert!(matches!(error.why, Why::TooManyTransactions), "{error:?}");
        assert_eq!(open.len(), 20);
        drop(open);
        client.begin(ConfigVersion(1)).await.or_fail().abandon().await.or_fail();
        assert_eq!(client.transactions(None).await.or_fail(), []);
    });
}
