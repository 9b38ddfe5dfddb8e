//! Transactions, from their beginning to whatever end.

use roster_targets::dataplane::client::{
    ClientError, ConfigVersion, Outcome, Reload, Transaction, TransactionStatus, Why,
};
use roster_testkit::OrFail;
use serde_json::json;

use super::super::why;
use super::{Exchange, Replay, exchange, recorded, replay};

/// The beginning of the transaction that a recorded call ends.
fn beginning(version: u64, end: &Exchange) -> Exchange {
    let mut begin = exchange("transactions/begin");
    let path = end.0["request"]["path"].as_str().unwrap();
    let id = path.rsplit('/').next().unwrap();
    begin.0["request"]["query"]["version"] = json!(version);
    begin.0["response"]["body"]["id"] = json!(id);
    begin.0["response"]["body"]["_version"] = json!(version);
    begin.0["response"]["headers"]["Configuration-Version"] = json!(version.to_string());
    begin
}

async fn begun(end: &str, version: u64) -> (Replay, Transaction) {
    let end = exchange(end);
    let replay = replay([beginning(version, &end), end]);
    let transaction = replay.client.begin(ConfigVersion(version)).await.or_fail();
    (replay, transaction)
}

async fn committed(end: &str, version: u64, now: bool) -> (Replay, Result<Outcome, ClientError>) {
    let (replay, transaction) = begun(end, version).await;
    let committed = transaction.commit(now).await;
    (replay, committed)
}

#[tokio::test]
async fn a_commit_gives_the_new_version_and_the_reload() {
    let (replay, outcome) = committed("transactions/commit", 5, false).await;
    let outcome = outcome.or_fail();
    assert_eq!(outcome.version, ConfigVersion(6), "not the 5 of the body");
    assert!(matches!(outcome.reload, Reload::Scheduled(_)));
    assert_eq!(replay.deleted(), [""; 0]);
    replay.done();
    let (replay, outcome) = committed("transactions/commit_forced", 8, true).await;
    assert_eq!(outcome.or_fail(), Outcome { version: ConfigVersion(9), reload: Reload::Done });
    replay.done();
}

#[tokio::test]
async fn each_way_a_commit_fails_is_told_and_leaves_nothing() {
    for (name, version, now) in [
        ("transactions/commit_outdated", 5, false),
        ("transactions/commit_failed", 7, false),
        ("transactions/commit_stale", 7, false),
        ("transactions/commit_refused", 8, false),
        ("transactions/commit_without_backend", 1, false),
        ("transactions/commit_twice", 5, false),
        ("transactions/commit_reload_failed", 4, true),
    ] {
        let (replay, outcome) = committed(name, version, now).await;
        let error = outcome.unwrap_err();
        let fits = match name.rsplit_once("commit_").unwrap().1 {
            "outdated" | "failed" => matches!(error.why, Why::TransactionDead { .. }),
            "stale" => error.is_stale(),
            "refused" | "without_backend" => matches!(error.why, Why::Refused { .. }),
            "twice" => matches!(error.why, Why::NotFound { .. }),
            _ => matches!(error.why, Why::ReloadFailed { .. }),
        };
        assert!(fits, "{name}: {error:?}");
        let deleted = replay.deleted();
        assert_eq!(deleted.len(), 1, "{name}: {deleted:?}");
        assert_eq!(replay.client.sweep().await, 0);
        replay.done();
    }
}

#[tokio::test]
async fn no_transaction_begins_on_an_old_version_or_beyond_the_limit() {
    let (_, replay) = recorded("transactions/begin_stale");
    let Why::StaleVersion { current, .. } = why(replay.client.begin(ConfigVersion(10)).await) else {
        panic!()
    };
    assert_eq!(current, Some(ConfigVersion(5)));
    let (_, replay) = recorded("transactions/begin_too_many");
    let error = replay.client.begin(ConfigVersion(9)).await.unwrap_err();
    assert!(error.to_string().contains("delete those that nobody works on"), "{error}");
    assert!(matches!(error.why, Why::TooManyTransactions));
}

#[tokio::test]
async fn transactions_are_listed_with_how_they_stand() {
    let (_, replay) = recorded("transactions/list");
    let list = replay.client.transactions(None).await.or_fail();
    assert_eq!(list.len(), 2);
    assert!(list.iter().all(|one| one.status == TransactionStatus::InProgress));
    assert_eq!(list[0].version, Some(ConfigVersion(5)));
    let (_, replay) = recorded("transactions/list_outdated");
    let list = replay.client.transactions(None).await.or_fail();
    assert_eq!((list[0].status, list[0].version), (TransactionStatus::Outdated, None));
}

#[tokio::test]
async fn an_abandoned_transaction_is_deleted_even_if_it_is_gone() {
    let (replay, transaction) = begun("transactions/delete_committed", 5).await;
    transaction.abandon().await.or_fail();
    assert_eq!(replay.client.sweep().await, 0);
    replay.done();
}

#[tokio::test]
async fn a_dropped_transaction_is_deleted_before_the_next_begins() {
    let first = exchange("transactions/begin");
    let second = beginning(5, &exchange("transactions/commit_outdated"));
    let replay = replay([first, second]);
    let dropped = replay.client.begin(ConfigVersion(5)).await.or_fail();
    let id = dropped.id().to_string();
    drop(dropped);
    let next = replay.client.begin(ConfigVersion(5)).await.or_fail();
    assert_eq!(replay.deleted(), [id]);
    let methods: Vec<_> = replay.server.asked().into_iter().map(|asked| asked.method).collect();
    assert_eq!(methods, ["POST", "DELETE", "POST"]);
    next.abandon().await.or_fail();
}
