//! What goes wrong between us and the API: no answer, half an answer, somebody else's answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use roster_targets::dataplane::client::{
    ApiVersion, Client, ConfigVersion, Endpoint, ReloadId, SettingsError, VersionChoice, View, Why, Write,
};
use roster_testkit::{OrFail, dead_port};
use serde_json::json;

use super::scripted::{Act, Asked, Scripted, answer};
use super::{client, settings, why};

/// Answers as version 3 does, and otherwise acts so.
fn acting(act: Act) -> (Scripted, Client) {
    let server = Scripted::start(move |asked| if is_info(asked) { info() } else { act.clone() });
    let client = client(&server.url(), VersionChoice::Auto);
    (server, client)
}

fn is_info(asked: &Asked) -> bool {
    asked.target.ends_with("/info")
}

fn info() -> Act {
    answer(200, 1, &json!({ "api": { "version": "v3.2.4 1a2b3c4d\n" }, "system": {} }))
}

fn not_there(asked: &Asked) -> Act {
    answer(404, 1, &json!({ "code": 404, "message": format!("path {} was not found", asked.target) }))
}

fn bytes(head: &str, body: &str) -> Act {
    Act::Bytes(format!("HTTP/1.1 200 OK\r\nConfiguration-Version: 1\r\n{head}\r\n{body}").into_bytes())
}

#[tokio::test]
async fn the_version_is_found_out_once() {
    for (path, speaks) in [("/v2/", ApiVersion::V2), ("/v3/", ApiVersion::V3)] {
        let server = Scripted::start(move |asked| match asked.target.as_str() {
            target if !target.starts_with(path) => not_there(asked),
            _ if is_info(asked) => info(),
            _ => answer(200, 7, &json!(7)),
        });
        let client = client(&server.url(), VersionChoice::Auto);
        let info = client.info().await.or_fail();
        assert_eq!((info.speaks, info.program.as_str()), (speaks, "v3.2.4 1a2b3c4d"));
        assert_eq!(client.clone().version().await.or_fail(), ConfigVersion(7));
        assert_eq!(client.version().await.or_fail(), ConfigVersion(7));
        assert!(server.asked().iter().all(|asked| asked.target.starts_with(path)), "{:?}", server.asked());
    }
}

#[tokio::test]
async fn a_version_that_the_api_does_not_speak_is_told_with_the_one_it_speaks() {
    for (choice, path, text) in [
        (
            VersionChoice::V2,
            "/v3/",
            "the API does not speak v2 but v3; let the configuration name the version that it speaks",
        ),
        (
            VersionChoice::V3,
            "/v2/",
            "the API does not speak v3 but v2; let the configuration name the version that it speaks",
        ),
    ] {
        let server = Scripted::start(
            move |asked| if asked.target.starts_with(path) { info() } else { not_there(asked) },
        );
        let error = client(&server.url(), choice).version().await.unwrap_err();
        assert!(error.to_string().ends_with(text), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_is_no_api_is_told() {
    let server = Scripted::start(not_there);
    let error = client(&server.url(), VersionChoice::Auto).raw().await.unwrap_err();
    assert!(matches!(error.why, Why::NoApi), "{error:?}");
    assert!(error.to_string().starts_with(&format!("GET {}/v3/info: neither", server.url())), "{error}");
}

#[tokio::test]
async fn an_api_that_is_replaced_by_another_version_is_found_out_by_the_next_call() {
    let now = Arc::new(AtomicUsize::new(2));
    let speaks = Arc::clone(&now);
    let server = Scripted::start(move |asked| {
        let path = format!("/v{}/", speaks.load(Ordering::SeqCst));
        match asked.target.starts_with(&path) {
            true if is_info(asked) => info(),
            true => answer(200, 7, &json!(7)),
            false => not_there(asked),
        }
    });
    let client = client(&server.url(), VersionChoice::Auto);
    client.version().await.or_fail();
    now.store(3, Ordering::SeqCst);
    assert!(matches!(why(client.version().await), Why::WrongVersion { set: ApiVersion::V2, .. }));
    client.version().await.or_fail();
    assert_eq!(client.api().await.or_fail(), ApiVersion::V3);
}

#[tokio::test]
async fn calls_after_one_another_share_a_connection() {
    let (server, client) = acting(answer(200, 7, &json!(7)));
    for _ in 0..5 {
        client.clone().version().await.or_fail();
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 5);
    assert!(asked.iter().all(|asked| asked.connection == 0), "{asked:?}");
}

#[tokio::test]
async fn nobody_who_listens_is_unreachable() {
    let url = format!("http://127.0.0.1:{}", dead_port().or_fail());
    let error = client(&url, VersionChoice::Auto).raw().await.unwrap_err();
    assert!(!error.may_be_done());
    let Why::Unreachable { why } = error.why else { panic!("{error:?}") };
    assert!(why.contains("refused"), "{why}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout_and_not_waited_for() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a".to_vec();
    for sent in [Vec::new(), half] {
        let server =
            Scripted::start(move |asked| if is_info(asked) { info() } else { Act::Stall(sent.clone()) });
        let after = Duration::from_millis(300);
        let client =
            Client::new(super::Settings { timeout: after, ..settings(&server.url(), VersionChoice::V3) });
        let error = client.or_fail().raw().await.unwrap_err();
        assert!(error.may_be_done());
        let Why::Timeout { after: waited } = error.why else { panic!("{error:?}") };
        assert_eq!(waited, after);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    for act in [
        bytes("Content-Type: application/json\r\nContent-Length: 100\r\n", "[{\"name\":\"s1\"},"),
        bytes(
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n",
            "f\r\n[{\"name\":\"s1\"},\r\n",
        ),
        // Without a length only the JSON shows it.
        bytes("Content-Type: application/json\r\nConnection: close\r\n", "[{\"name\":\"s1\"},"),
    ] {
        let (_server, client) = acting(act);
        let error = client.servers("app", View::InForce).await.unwrap_err();
        assert!(error.may_be_done());
        let Why::HalfBody { got } = error.why else { panic!("{error:?}") };
        assert_eq!(got, 15);
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_lost_and_nothing_is_sent_twice() {
    for act in [Act::Reset, Act::Bytes(Vec::new()), Act::Bytes(b"HTTP/1.1 2".to_vec())] {
        let (server, client) = acting(act);
        let written = client.write_live("global\n".to_owned(), ConfigVersion(1), "").await;
        let error = written.unwrap_err();
        assert!(error.may_be_done());
        assert!(matches!(error.why, Why::Lost { .. }), "{error:?}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_question_whose_connection_ended_is_asked_once_more() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let server = Scripted::start(move |asked| match is_info(asked) {
        true => info(),
        false if counted.fetch_add(1, Ordering::SeqCst) == 0 => Act::Bytes(Vec::new()),
        false => answer(200, 1, &json!([])),
    });
    let client = client(&server.url(), VersionChoice::Auto);
    assert!(client.servers("app", View::InForce).await.unwrap().value.is_empty());
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    let (server, client) = acting(Act::Reset);
    assert!(matches!(why(client.servers("app", View::InForce).await), Why::Lost { .. }));
    assert_eq!(server.asked().len(), 2, "and not for ever");
}

#[tokio::test]
async fn a_web_page_is_told_as_one() {
    let page = "<!DOCTYPE html><html><h1>Sign in</h1></html>";
    for status in [200, 404, 502] {
        let headers = vec![("Content-Type".to_owned(), "text/html".to_owned())];
        let (_server, client) = acting(Act::Answer { status, headers, body: page.to_owned() });
        let Why::Html { status: told } = why(client.servers("app", View::InForce).await) else { panic!() };
        assert_eq!(told, status);
    }
}

#[tokio::test]
async fn bytes_that_are_no_json_are_shown() {
    let (_server, client) = acting(bytes("Content-Length: 5\r\n", "hello"));
    let Why::NotJson { begins } = why(client.servers("app", View::InForce).await) else { panic!() };
    assert_eq!(begins, "hello");
    let (_server, client) = acting(answer(200, 1, &json!({ "servers": 7 })));
    assert!(matches!(why(client.servers("app", View::InForce).await), Why::Unexpected { .. }));
    let (_server, client) = acting(Act::Bytes(b"220 smtp.example ESMTP\r\n".to_vec()));
    assert!(matches!(why(client.servers("app", View::InForce).await), Why::Lost { .. }));
}

#[tokio::test]
async fn any_other_refusal_is_told_with_its_status_and_its_words() {
    let plain = Act::Answer { status: 500, headers: Vec::new(), body: "internal error".to_owned() };
    for act in [answer(500, 1, &json!({ "code": 500, "message": "internal error" })), plain] {
        let (_server, client) = acting(act);
        let error = client.version().await.unwrap_err();
        assert!(matches!(error.why, Why::Server { status: 500, .. }), "{error:?}");
        let told = "/configuration/version: the API answers 500: internal error; look at its log";
        assert!(error.to_string().ends_with(told), "{error}");
    }
}

#[tokio::test]
async fn why_a_commit_failed_is_told_also_where_its_transaction_cannot_be_deleted() {
    let deletions = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&deletions);
    let server = Scripted::start(move |asked| match asked.method.as_str() {
        _ if is_info(asked) => info(),
        "POST" => answer(201, 1, &json!({ "id": "txn-1", "status": "in_progress", "_version": 1 })),
        "PUT" => answer(409, 2, &json!({ "code": 409, "message": "version mismatch: given version is 1" })),
        _ if counted.fetch_add(1, Ordering::SeqCst) == 0 => answer(500, 2, &json!({ "message": "busy" })),
        _ => Act::Answer { status: 204, headers: Vec::new(), body: String::new() },
    });
    let client = client(&server.url(), VersionChoice::V3);
    let transaction = client.begin(ConfigVersion(1)).await.or_fail();
    assert!(transaction.commit(false).await.unwrap_err().is_stale());
    assert_eq!(deletions.load(Ordering::SeqCst), 1);
    assert_eq!(client.sweep().await, 0, "the next time it goes");
    assert_eq!(deletions.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Scripted::start(|_| answer(200, 1, &json!([])));
    let headers = vec![("Location".to_owned(), elsewhere.url())];
    let (_server, client) = acting(Act::Answer { status: 302, headers, body: String::new() });
    assert!(matches!(why(client.servers("app", View::InForce).await), Why::Server { status: 302, .. }));
    assert!(elsewhere.asked().is_empty(), "the password would go elsewhere");
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let body = "x".repeat(65 * 1024 * 1024);
    let (_server, client) = acting(bytes("Content-Type: text/plain\r\n", &body));
    assert!(matches!(why(client.raw().await), Why::TooLarge { limit: 67_108_864 }));
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection_and_the_next_one_works() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let server = Scripted::start(move |asked| match is_info(asked) {
        true => info(),
        false if counted.fetch_add(1, Ordering::SeqCst) == 0 => Act::Stall(Vec::new()),
        false => answer(200, 7, &json!(7)),
    });
    let client = client(&server.url(), VersionChoice::V3);
    tokio::select! {
        biased;
        result = client.version() => panic!("{result:?}"),
        () = async { while calls.load(Ordering::SeqCst) == 0 { tokio::task::yield_now().await; } } => {}
    }
    assert_eq!(client.version().await.or_fail(), ConfigVersion(7));
}

#[tokio::test]
async fn a_file_is_paired_with_its_own_version_only() {
    // Between reading the file and looking its version up, somebody writes: text of 4, version 5.
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let file = |line: u64, header: u64| {
        let headers = vec![("Configuration-Version".to_owned(), header.to_string())];
        Act::Answer { status: 200, headers, body: format!("# _md5hash=x\n# _version={line}\nglobal\n") }
    };
    let server = Scripted::start(move |asked| match is_info(asked) {
        true => info(),
        false if counted.fetch_add(1, Ordering::SeqCst) == 0 => file(4, 5),
        false => file(5, 5),
    });
    let read = client(&server.url(), VersionChoice::V3).raw().await.or_fail();
    assert_eq!((read.written_as(), read.version), (Some(ConfigVersion(5)), ConfigVersion(5)));
    assert_eq!(looks.load(Ordering::SeqCst), 2);

    // After a failed reload the older file stays with the newer version.
    let (_server, client) = acting(file(1, 3));
    let read = client.raw().await.or_fail();
    assert_eq!((read.written_as(), read.version), (Some(ConfigVersion(1)), ConfigVersion(3)));

    let count = Arc::new(AtomicUsize::new(0));
    let server = Scripted::start(move |asked| {
        if is_info(asked) {
            return info();
        }
        let look = count.fetch_add(1, Ordering::SeqCst) as u64;
        file(look, look + 5)
    });
    let client = super::client(&server.url(), VersionChoice::V3);
    assert!(matches!(why(client.raw().await), Why::Unsettled { looks: 4 }));
}

#[tokio::test]
async fn a_write_never_returns_the_version_of_somebody_who_wrote_behind() {
    let (_server, client) = acting(answer(200, 9, &json!({ "name": "s1" })));
    let server = serde_json::from_value(json!({ "name": "s1" })).unwrap();
    let outcome = client.replace_server("app", "s1", &server, Write::At(ConfigVersion(5))).await.or_fail();
    assert_eq!(outcome.version, ConfigVersion(6));
}

#[tokio::test]
async fn an_answer_without_a_version_is_not_taken() {
    let (_server, client) = acting(Act::Answer { status: 200, headers: Vec::new(), body: "[]".to_owned() });
    let Why::Unexpected { what } = why(client.servers("app", View::InForce).await) else { panic!() };
    assert_eq!(what, "it has no Configuration-Version");
}

#[tokio::test]
async fn names_that_would_lead_elsewhere_are_not_sent() {
    let (server, client) = acting(answer(200, 1, &json!([])));
    for name in ["", ".", ".."] {
        let result = client.server("app", name, View::InForce).await;
        assert!(matches!(why(result), Why::Rejected { .. }), "{name:?}");
    }
    assert!(server.asked().is_empty());
    let _refused = client.server("a/../b", "x?y#z", View::InForce).await;
    let target = &server.asked()[0].target;
    assert_eq!(target, "/v3/services/haproxy/configuration/backends/a%2F..%2Fb/servers/x%3Fy%23z");
}

#[tokio::test]
async fn actions_that_fit_no_header_are_not_sent() {
    let (server, client) = acting(answer(201, 2, &json!("")));
    let long = "SetServerWeight app s1 1;".repeat(50_000);
    for actions in [long.as_str(), "SetServerWeight app s1 1\r\nX-Other: y"] {
        let result = client.write_live("global\n".to_owned(), ConfigVersion(1), actions).await;
        let Why::ActionsUnsendable { bytes, .. } = why(result) else { panic!() };
        assert_eq!(bytes, actions.len());
    }
    assert!(server.asked().is_empty());
    // What fits is sent, however long.
    let actions = "SetServerWeight app s1 1;".repeat(20_000);
    client.write_live("global\n".to_owned(), ConfigVersion(1), &actions).await.or_fail();
    assert_eq!(server.asked()[0].header("x-runtime-actions"), Some(actions.as_str()));
}

#[tokio::test]
async fn an_api_that_restarts_during_a_reload_is_waited_for() {
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    let server = Scripted::start(move |asked| match is_info(asked) {
        true => info(),
        false if counted.fetch_add(1, Ordering::SeqCst) < 2 => Act::Reset,
        false => answer(200, 1, &json!({ "id": "2026-11-21-0", "status": "succeeded" })),
    });
    let client = client(&server.url(), VersionChoice::V3);
    let id = ReloadId::new("2026-11-21-0").unwrap();
    client.wait_reload(&id, super::CAP).await.or_fail();
    assert_eq!(looks.load(Ordering::SeqCst), 3);
}

#[test]
fn settings_that_cannot_work_are_told() {
    let mut wrong = settings("http://127.0.0.1:1", VersionChoice::Auto);
    wrong.username = "ad:min".to_owned();
    assert!(matches!(Client::new(wrong), Err(SettingsError::Username)));
    assert!("http://admin:hunter2@127.0.0.1".parse::<Endpoint>().is_err());
}
