//! Transactions.

use roster_targets::dataplane::client::{
    Acl, Backend, ConfigVersion, HttpCheck, Reload, Server, SwitchingRule, TransactionStatus, View, Why,
    Write,
};
use roster_testkit::OrFail;
use serde_json::json;

use super::super::{CAP, why};
use super::on_each;

#[test]
fn a_transaction_builds_a_backend_and_the_way_to_it() {
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
        let mut acl = Acl::new("is_new");
        acl.set("criterion", "path_beg").set("value", "/new");
        client.insert_acl("fe", 0, &acl, write()).await.or_fail();
        let mut rule = SwitchingRule::new("new");
        rule.set("cond", "if").set("cond_test", "is_new");
        client.insert_switching_rule("fe", 1, &rule, write()).await.or_fail();
        assert_eq!(client.backends(View::InForce).await.or_fail().value.len(), 1, "not in force yet");
        assert_eq!(client.backends(transaction.view()).await.or_fail().value.len(), 2);
        let outcome = transaction.commit(true).await.or_fail();
        assert_eq!((outcome.version, outcome.reload), (ConfigVersion(2), Reload::Done));

        let read = client.backend("new", View::InForce).await.or_fail().value;
        assert_eq!((read.mode(), read.balance()), (Some("http"), Some("leastconn")));
        let checks = client.http_checks("new", View::InForce).await.or_fail().value;
        assert_eq!(checks.iter().map(HttpCheck::kind).collect::<Vec<_>>(), ["send", "expect"]);
        let acls = client.acls("fe", View::InForce).await.or_fail().value;
        assert_eq!(acls.iter().map(Acl::name).collect::<Vec<_>>(), ["is_new", "is_api"]);
        let rules = client.switching_rules("fe", View::InForce).await.or_fail().value;
        assert_eq!(rules.iter().map(SwitchingRule::backend).collect::<Vec<_>>(), ["app", "new"]);
        assert_eq!(client.transactions(None).await.or_fail(), []);
    });
}

#[test]
fn what_a_transaction_deletes_is_gone_in_the_order_of_the_rest() {
    on_each(&async |rig| {
        let client = &rig.client;
        let transaction = client.begin(ConfigVersion(1)).await.or_fail();
        let mut acl = Acl::new("other");
        acl.set("criterion", "path_beg").set("value", "/other");
        client.insert_acl("fe", 1, &acl, transaction.write()).await.or_fail();
        client.delete_switching_rule("fe", 0, transaction.write()).await.or_fail();
        client.delete_acl("fe", 0, transaction.write()).await.or_fail();
        client.delete_server("app", "s2", transaction.write()).await.or_fail();
        let mut app = client.backend("app", transaction.view()).await.or_fail().value;
        app.set("balance", json!({ "algorithm": "leastconn" }));
        client.replace_backend(&app, transaction.write()).await.or_fail();
        let outcome = transaction.commit(false).await.or_fail();
        let Reload::Scheduled(id) = outcome.reload else { panic!() };
        client.wait_reload(&id, CAP).await.or_fail();
        let acls = client.acls("fe", View::InForce).await.or_fail().value;
        assert_eq!(acls.iter().map(Acl::name).collect::<Vec<_>>(), ["other"]);
        assert_eq!(client.switching_rules("fe", View::InForce).await.or_fail().value, []);
        let servers = client.servers("app", View::InForce).await.or_fail().value;
        assert_eq!(
            servers.iter().map(Server::name).collect::<Vec<_>>(),
            ["s1"],
            "servers outlive their backend's change"
        );
        assert_eq!(client.backend("app", View::InForce).await.or_fail().value.balance(), Some("leastconn"));
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
        client.delete_backend("app", transaction.write()).await.or_fail();
        let Why::Refused { text } = why(transaction.commit(false).await) else { panic!() };
        assert!(text.contains("default_backend"), "{text}");
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
