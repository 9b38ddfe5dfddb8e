//! An API behind TLS, and what is not TLS.

use std::path::Path;

use roster_targets::dataplane::client::{
    Client, ClientError, ConfigVersion, SettingsError, Tls, VersionChoice, Why,
};
use roster_testkit::{MadeCertificate, OrFail};
use serde_json::json;

use super::scripted::{Act, Asked, Scripted, answer};
use super::{Settings, settings};

fn api(asked: &Asked) -> Act {
    if asked.target.ends_with("/info") {
        answer(200, 7, &json!({ "api": {} }))
    } else {
        answer(200, 7, &json!(7))
    }
}

async fn ask(url: &str, verify: bool, ca: Option<&Path>) -> Result<ConfigVersion, ClientError> {
    let tls = Tls { verify, ca_file: ca.map(Path::to_owned) };
    let settings = Settings { tls, ..settings(url, VersionChoice::V3) };
    Client::new(settings).or_fail().version().await
}

fn reason(result: Result<ConfigVersion, ClientError>) -> String {
    let error = result.unwrap_err();
    assert!(!error.may_be_done());
    let Why::Tls { why } = error.why else { panic!("{error:?}") };
    why
}

#[tokio::test]
async fn only_a_trusted_certificate_of_the_right_name_is_talked_to() {
    let folder = tempfile::tempdir().or_fail();
    let ours = MadeCertificate::new("127.0.0.1");
    let stranger = MadeCertificate::new("127.0.0.1");
    let (ca, other) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
    std::fs::write(&ca, &ours.certificate).or_fail();
    std::fs::write(&other, &stranger.certificate).or_fail();
    let server = Scripted::start_tls(&ours, api);

    assert_eq!(ask(&server.url(), true, Some(&ca)).await.or_fail(), ConfigVersion(7));
    assert_eq!(ask(&server.url(), false, None).await.or_fail(), ConfigVersion(7));
    let asked = server.asked().len();
    for ca in [None, Some(other.as_path())] {
        let why = reason(ask(&server.url(), true, ca).await);
        assert!(why.contains("set `ca_file` to its authority's certificate"), "{why}");
    }
    let by_name = server.url().replace("127.0.0.1", "localhost");
    let why = reason(ask(&by_name, true, Some(&ca)).await);
    assert!(why.contains("is for another name"), "{why}");
    assert_eq!(server.asked().len(), asked, "no password goes to a stranger");
}

#[tokio::test]
async fn https_towards_http_is_told_and_the_reverse_too() {
    let server = Scripted::start(api);
    let why = reason(ask(&server.url().replace("http:", "https:"), false, None).await);
    assert!(why.contains("does not speak TLS; write http://"), "{why}");

    // What Go's HTTP server says to those who come without TLS.
    let said = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    let server = Scripted::start(move |_| Act::Bytes(said.as_bytes().to_vec()));
    let why = reason(ask(&server.url(), true, None).await);
    assert!(why.contains("write https:// in `url`"), "{why}");
}

#[test]
fn a_file_of_authorities_that_is_none_is_told() {
    let folder = tempfile::tempdir().or_fail();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").or_fail();
    let settings = |file: &Path| Settings {
        tls: Tls { verify: true, ca_file: Some(file.to_owned()) },
        ..settings("https://127.0.0.1:1", VersionChoice::Auto)
    };
    assert!(matches!(Client::new(settings(&empty)), Err(SettingsError::CaEmpty(_))));
    let gone = folder.path().join("gone.pem");
    assert!(matches!(Client::new(settings(&gone)), Err(SettingsError::CaUnreadable { .. })));
}
