//! The password goes to the API and nowhere else.

use roster_targets::dataplane::client::{Client, ConfigVersion, RawConfig, VersionChoice, View};
use roster_testkit::{OrFail, dead_port};
use serde_json::json;

use super::scripted::{Act, Scripted, answer};
use super::{PASSWORD, client, settings};

/// How HTTP's basic authentication writes user and password.
const ENCODED: &str = "YWRtaW46aHVudGVyMit2ZXJ5L3NlY3JldA==";

fn no_secret_in(shown: &str) {
    assert!(!shown.contains(PASSWORD) && !shown.contains(ENCODED), "{shown}");
}

#[tokio::test]
async fn the_password_goes_with_each_call() {
    let server = Scripted::start(|_| answer(200, 7, &json!({ "api": {} })));
    let _unread = client(&server.url(), VersionChoice::V3).servers("app", View::InForce).await;
    let asked = server.asked();
    assert_eq!(asked[0].header("authorization"), Some(format!("Basic {ENCODED}").as_str()));
}

#[tokio::test]
async fn an_api_that_repeats_the_password_is_not_repeated() {
    let said = format!("invalid password: {PASSWORD}, from Authorization: Basic {ENCODED}");
    for status in [400, 401, 403, 404, 405, 406, 409, 415, 422, 429, 500, 503] {
        for message in [
            said.clone(),
            format!("validation error: msg=\"config {said}\""),
            format!("Reload failed: {said}"),
            format!("cannot execute {said}"),
            format!("transaction {said}"),
            format!("object already exists: {said}"),
        ] {
            let server = Scripted::start(move |asked| {
                let said = json!({ "code": status, "message": message });
                if asked.target.ends_with("/info") {
                    answer(200, 1, &json!({}))
                } else {
                    answer(status, 1, &said)
                }
            });
            let client = client(&server.url(), VersionChoice::V3);
            let error = client.write_live("global\n".to_owned(), ConfigVersion(1), "").await.unwrap_err();
            no_secret_in(&format!("{error} {error:?} {error:#?} {client:?}"));
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_no_answer_does_not_show_the_password_either() {
    for body in
        [format!("{PASSWORD} {ENCODED}"), format!("{{\"name\": \"{PASSWORD}\"}}"), format!("\"{PASSWORD}\"")]
    {
        let server =
            Scripted::start(move |_| Act::Answer { status: 200, headers: Vec::new(), body: body.clone() });
        let error = client(&server.url(), VersionChoice::V3).info().await.unwrap_err();
        no_secret_in(&format!("{error} {error:?}"));
    }
}

#[tokio::test]
async fn neither_settings_nor_client_nor_a_failed_connection_show_the_password() {
    let url = format!("http://127.0.0.1:{}", dead_port().or_fail());
    let settings = settings(&url, VersionChoice::Auto);
    no_secret_in(&format!("{settings:?} {settings:#?}"));
    let client = Client::new(settings).or_fail();
    let error = client.info().await.unwrap_err();
    no_secret_in(&format!("{client:?} {client:#?} {error} {error:?}"));
}

#[test]
fn the_file_is_not_in_debug_output() {
    let config =
        RawConfig { text: "user admin insecure-password hunter2".to_owned(), version: ConfigVersion(1) };
    assert_eq!(format!("{config:?}"), "RawConfig { text: (36 bytes), version: ConfigVersion(1) }");
}
