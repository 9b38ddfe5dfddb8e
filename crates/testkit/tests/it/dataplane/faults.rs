//! What a test may let go wrong.

use std::time::{Duration, Instant};

use roster_testkit::{DataplaneVersion, Fault};
use serde_json::{Value, json};

use super::Rig;

fn rig() -> Rig {
    Rig::start_with(DataplaneVersion::V3, |builder, _| builder.stand_in_only())
}

#[test]
fn connections_are_refused_until_told_otherwise_and_the_port_stays() {
    let rig = rig();
    rig.api.refuse();
    let error = rig.request("GET", "/v3/info").try_send().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    rig.api.listen_again().unwrap();
    rig.get("/v3/info").expect(200);
}

#[test]
fn half_a_body_ends_the_connection_though_the_change_was_made() {
    let rig = rig();
    rig.api.inject(Fault::HalfBody, 1).unwrap();
    let request = rig.request("POST", "~/configuration/backends").query("version", "1");
    let error = request.json(&json!({ "name": "nb" })).try_send().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    rig.get("~/configuration/backends/nb").expect(200);
}

#[test]
fn a_proxy_in_between_answers_with_a_page_and_nothing_was_done() {
    let rig = rig();
    rig.api.inject(Fault::BadGateway, 1).unwrap();
    let answer = rig.write_unchecked();
    assert_eq!((answer.status, answer.header("Content-Type")), (502, Some("text/html")));
    assert_eq!(rig.version(), 1);
}

#[test]
fn good_credentials_may_be_refused() {
    let rig = rig();
    rig.api.inject(Fault::Unauthorized, 1).unwrap();
    rig.get("~/configuration/version").expect(401);
    rig.get("~/configuration/version").expect(200);
}

#[test]
fn another_writer_comes_first_as_often_as_asked() {
    let rig = rig();
    rig.api.inject(Fault::OtherWriter, 2).unwrap();
    for _ in 0..2 {
        rig.write("POST", "~/configuration/backends", &json!({ "name": "nb" })).expect(409);
    }
    rig.write("POST", "~/configuration/backends", &json!({ "name": "nb" })).expect(202);
    assert_eq!(rig.version(), 4);
}

#[test]
fn an_answer_may_come_late() {
    let rig = rig();
    rig.api.inject(Fault::Slow(Duration::from_millis(400)), 1).unwrap();
    let began = Instant::now();
    rig.get("/v3/info").expect(200);
    assert!(began.elapsed() >= Duration::from_millis(400));
}

#[test]
fn an_action_may_fail_and_those_before_it_were_run() {
    let rig = rig();
    rig.api.inject(Fault::ActionFails(2), 1).unwrap();
    rig.request("POST", "~/configuration/raw")
        .query("version", "1")
        .query("skip_reload", "true")
        .header("X-Runtime-Actions", "SetServerWeight app s1 11;SetServerWeight app s2 22")
        .text(&rig.file())
        .send()
        .expect(500);
    assert_eq!(rig.haproxy.server("app", "s1").unwrap().uweight, 11);
    assert_eq!(rig.haproxy.server("app", "s2").unwrap().uweight, 20);
}

#[test]
fn a_reload_may_fail_and_the_file_goes_back() {
    let mut rig = rig();
    rig.take_over_the_file();
    let before = rig.file();
    rig.api.inject(Fault::ReloadFails("boom\n".to_owned()), 1).unwrap();
    let request =
        rig.request("POST", "~/configuration/backends").query("version", "2").query("force_reload", "true");
    let answer = request.json(&json!({ "name": "nb" })).send().expect(400);
    assert!(answer.message().starts_with("Reload failed: "), "{}", answer.text());
    assert_eq!(rig.file(), before);
    assert_eq!(rig.get("~/configuration/backends/nb").expect(200).data().get("name"), Some(&json!("nb")));
    assert_eq!(rig.api.counters().reloads_failed, 1);
}

impl Rig {
    fn write_unchecked(&self) -> super::Answer {
        let request = self.request("POST", "~/configuration/backends").query("version", "1");
        request.json(&Value::Object(serde_json::Map::from_iter([("name".to_owned(), json!("nb"))]))).send()
    }
}
