//! What a client relies on, tried on both versions in front of their real HAProxy.

use std::time::Duration;

use roster_testkit::{DataplaneVersion, Poll, wait_until_or_fail};
use serde_json::{Value, json};

use super::{Answer, Rig};
use crate::CAP;

pub(super) fn on_both(test: impl Fn(Rig)) {
    for version in DataplaneVersion::ALL {
        eprintln!("on {}", version.word());
        test(Rig::start(version));
    }
}

pub(super) fn s1(rig: &Rig, more: Value) -> Value {
    let port = rig.servers.first().map(|server| server.addr().port());
    let mut body =
        json!({ "name": "s1", "address": "127.0.0.1", "port": port, "check": "enabled", "inter": 500 });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}

pub(super) fn put_s1(rig: &Rig, more: Value) -> Answer {
    let version = rig.version().to_string();
    rig.server_request("PUT", "app", "s1").query("version", &version).json(&s1(rig, more)).send()
}

pub(super) fn until_reloaded(rig: &Rig, id: &str) -> Value {
    wait_until_or_fail(CAP, "the end of the reload", || {
        let state = rig.get(&format!("~/reloads/{id}")).json();
        Poll::when(state, |state| state.get("status") != Some(&json!("in_progress")))
    })
}

#[test]
fn a_weight_is_changed_live_and_in_the_file_without_a_reload() {
    on_both(|rig| {
        let pid = rig.haproxy.worker_pid().unwrap();
        let answer = put_s1(&rig, json!({ "weight": 77 })).expect(200);
        assert_eq!(answer.header("Configuration-Version"), Some("2"));
        assert_eq!(answer.header("Reload-ID"), None);
        assert_eq!(rig.haproxy.server("app", "s1").unwrap().uweight, 77);
        assert!(rig.file().contains("weight 77"), "{}", rig.file());
        assert_eq!(rig.haproxy.worker_pid().unwrap(), pid);
    });
}

#[test]
fn a_cookie_needs_a_reload_which_the_api_makes_for_real() {
    on_both(|rig| {
        let pid = rig.haproxy.worker_pid().unwrap();
        let answer = put_s1(&rig, json!({ "weight": 10, "cookie": "c1" })).expect(202);
        let id = answer.header("Reload-ID").unwrap().to_owned();
        assert_eq!(until_reloaded(&rig, &id).get("status"), Some(&json!("succeeded")));
        wait_until_or_fail(CAP, "a new worker", || {
            Poll::when(rig.haproxy.worker_pid().unwrap_or(pid), |now| *now != pid)
        });
    });
}

#[test]
fn what_haproxy_refuses_is_not_written_and_stays_as_a_failed_transaction() {
    on_both(|rig| {
        let before = rig.file();
        let body = s1(&rig, json!({ "weight": 300 }));
        let answer =
            rig.server_request("PUT", "app", "s1").query("version", "1").json(&body).send().expect(400);
        assert!(
            answer.message().starts_with("validation error: exit status 1: err transactionId="),
            "{}",
            answer.text()
        );
        assert_eq!(rig.file(), before);
        assert_eq!(rig.version(), 1);
        let bad = before.replace("roundrobin", "nonsense");
        rig.request("POST", "~/configuration/raw").query("version", "1").text(&bad).send().expect(400);
        assert_eq!(rig.file(), before);
    });
}

#[test]
fn the_file_is_written_before_the_actions_run_and_they_stop_at_the_first_error() {
    on_both(|rig| {
        let text = rig.file().replace("weight 10", "weight 11");
        let answer = rig
            .request("POST", "~/configuration/raw")
            .query("version", "1")
            .query("skip_reload", "true")
            .header(
                "X-Runtime-Actions",
                "SetServerWeight app s1 11;SetServerWeight app nosuch 5;SetServerWeight app s2 55",
            )
            .text(&text)
            .send()
            .expect(500);
        assert!(answer.message().starts_with("cannot execute SetServerWeight: "), "{}", answer.text());
        assert!(rig.file().contains("weight 11"));
        assert_eq!(rig.version(), 2);
        assert_eq!(rig.haproxy.server("app", "s1").unwrap().uweight, 11);
        assert_eq!(rig.haproxy.server("app", "s2").unwrap().uweight, 20);
    });
}

#[test]
fn a_typing_error_in_an_action_passes_as_success() {
    on_both(|rig| {
        let text = rig.file();
        let send = |version: &str, actions: &str| {
            rig.request("POST", "~/configuration/raw")
                .query("version", version)
                .query("skip_reload", "true")
                .header("X-Runtime-Actions", actions)
                .text(&text)
                .send()
        };
        send("1", "SetServerWait app s1 5; SetServerWeight app s1 6;SetServerAddr app s2 not-an-ip 80")
            .expect(201);
        assert_eq!(rig.haproxy.server("app", "s1").unwrap().uweight, 10);
        send("2", "SetServerWeight app s1 7;SetServerWeight app s2 300").expect(500);
        assert_eq!(rig.haproxy.server("app", "s1").unwrap().uweight, 7);
    });
}

#[test]
fn an_old_haproxy_behind_its_master_swallows_errors_and_shows_no_servers() {
    let rig = Rig::start_behind_master(DataplaneVersion::V2);
    let answer = rig
        .request("POST", "~/configuration/raw")
        .query("version", "1")
        .query("skip_reload", "true")
        .header(
            "X-Runtime-Actions",
            "SetServerWeight app s1 12;SetServerWeight app nosuch 5;SetServerWeight app s2 55",
        )
        .text(&rig.file())
        .send();
    answer.expect(201);
    assert_eq!(rig.haproxy.server("app", "s1").unwrap().uweight, 12);
    assert_eq!(rig.haproxy.server("app", "s2").unwrap().uweight, 55);
    assert_eq!(rig.runtime_request("GET", "app", "").send().expect(200).json(), json!([]));
    rig.runtime_request("GET", "app", "s1").send().expect(404);
    rig.runtime_request("PUT", "app", "s1").json(&json!({ "admin_state": "maint" })).send().expect(500);
}

#[test]
fn a_server_drained_at_runtime_is_shown_so_and_the_file_does_not_change() {
    on_both(|rig| {
        let answer = rig
            .runtime_request("PUT", "app", "s1")
            .json(&json!({ "admin_state": "drain" }))
            .send()
            .expect(200);
        assert_eq!(answer.json().get("admin_state"), Some(&json!("drain")));
        assert!(rig.haproxy.server("app", "s1").unwrap().in_drain());
        let all = rig.runtime_request("GET", "app", "").send().expect(200).json();
        assert_eq!(all.as_array().map(Vec::len), Some(3));
        assert_eq!(rig.version(), 1);
    });
}

#[test]
fn a_weight_and_an_address_are_set_at_runtime_from_3_3_on_and_ignored_before() {
    on_both(|rig| {
        let port = rig.servers.get(3).map(|server| server.addr().port());
        let body = json!({ "weight": 33, "port": port });
        let answer = rig.runtime_request("PUT", "app", "s3").json(&body).send().expect(200).json();
        let taken = rig.api.version() == DataplaneVersion::V3_3;
        assert_eq!(answer.get("weight"), taken.then(|| json!(33)).as_ref(), "{answer}");
        let wanted =
            if taken { (33, port) } else { (30, rig.servers.get(2).map(|server| server.addr().port())) };
        wait_until_or_fail(CAP, "the address that was taken", || {
            let live = rig.haproxy.server("app", "s3").unwrap();
            Poll::when((live.uweight, Some(live.port)), |live| *live == wanted)
        });
        assert_eq!(rig.version(), 1, "the file is as it was");
    });
}

#[test]
fn a_new_server_needs_a_reload_on_2_9_and_is_live_in_maintenance_on_3_2() {
    on_both(|rig| {
        let port = rig.servers.get(3).map(|server| server.addr().port());
        let body = json!({ "name": "g1", "address": "127.0.0.1", "port": port, "weight": 5, "check": "enabled", "cookie": "x" });
        let answer = rig.server_request("POST", "app", "").query("version", "1").json(&body).send();
        if rig.v2() {
            let id = answer.expect(202).header("Reload-ID").unwrap().to_owned();
            until_reloaded(&rig, &id);
            wait_until_or_fail(CAP, "the new server", || rig.haproxy.server("app", "g1"));
        } else {
            answer.expect(201);
            let live = rig.haproxy.server("app", "g1").unwrap();
            assert!(live.in_maintenance(), "{live:?}");
            assert_eq!(live.uweight, 5);
            rig.runtime_request("PUT", "app", "g1")
                .json(&json!({ "admin_state": "ready" }))
                .send()
                .expect(200);
            assert!(!rig.haproxy.server("app", "g1").unwrap().in_maintenance());
        }
    });
}

#[test]
fn with_a_default_server_growth_always_reloads() {
    let rig = Rig::start(DataplaneVersion::V3);
    let text = rig.file().replace("balance roundrobin", "balance roundrobin\n    default-server inter 1s");
    rig.request("POST", "~/configuration/raw")
        .query("version", "1")
        .query("skip_reload", "true")
        .text(&text)
        .send()
        .expect(201);
    let body = json!({ "name": "g1", "address": "127.0.0.1", "port": 1 });
    let answer = rig.server_request("POST", "app", "").query("version", "2").json(&body).send().expect(202);
    assert!(answer.header("Reload-ID").is_some());
}

#[test]
fn a_change_that_equals_the_file_repairs_nothing_that_drifted_live() {
    on_both(|rig| {
        rig.haproxy.cli("set server app/s1 weight 200").unwrap();
        put_s1(&rig, json!({ "weight": 10 })).expect(200);
        assert_eq!(rig.haproxy.server("app", "s1").unwrap().uweight, 200);
        assert_eq!(rig.version(), 2);
    });
}

#[test]
fn a_commit_outdates_the_others_and_always_reloads() {
    on_both(|rig| {
        let open = || {
            let answer = rig.request("POST", "~/transactions").query("version", "1").send().expect(201);
            answer.json().get("id").and_then(Value::as_str).unwrap().to_owned()
        };
        let (one, two) = (open(), open());
        let body = s1(&rig, json!({ "weight": 44 }));
        rig.server_request("PUT", "app", "s1").query("transaction_id", &one).json(&body).send().expect(202);
        let own = rig.servers_path("s1").query("transaction_id", &one).send().expect(200);
        assert_eq!(own.data().get("weight"), Some(&json!(44)));
        assert_eq!(rig.servers_path("s1").send().data().get("weight"), Some(&json!(10)));
        let committed = rig.request("PUT", &format!("~/transactions/{one}")).send().expect(202);
        assert_eq!(committed.json().get("_version"), Some(&json!(1)));
        assert_eq!(committed.header("Configuration-Version"), Some("2"));
        let id = committed.header("Reload-ID").unwrap().to_owned();
        rig.request("PUT", &format!("~/transactions/{two}")).send().expect(406);
        assert_eq!(until_reloaded(&rig, &id).get("status"), Some(&json!("succeeded")));
    });
}

#[test]
fn changes_within_one_tick_share_a_reload() {
    on_both(|rig| {
        let ids: Vec<String> = (1..=3)
            .map(|version| {
                let answer = rig
                    .request("POST", "~/configuration/backends")
                    .query("version", &version.to_string())
                    .json(&json!({ "name": format!("nb{version}") }))
                    .send()
                    .expect(202);
                answer.header("Reload-ID").unwrap().to_owned()
            })
            .collect();
        assert!(ids.windows(2).any(|two| two.first() == two.last()), "{ids:?}");
        let last = until_reloaded(&rig, ids.last().unwrap());
        assert_eq!(last.get("status"), Some(&json!("succeeded")));
        if !rig.api.is_real() {
            let counters = rig.api.counters();
            assert_eq!(counters.reloads_asked, 3);
            assert!(counters.reloads_done < 3, "{counters:?}");
            assert_eq!(counters.requests.get("POST ~/configuration/backends"), Some(&3));
        }
    });
}

#[test]
fn haproxy_says_who_it_is_through_both_apis() {
    on_both(|rig| {
        let info = rig.get("~/runtime/info").expect(200).json();
        let info = if rig.v2() { info.get(0).cloned().unwrap_or_default() } else { info };
        let pid = info.get("info").and_then(|info| info.get("pid")).and_then(Value::as_u64);
        assert_eq!(pid, Some(u64::from(rig.haproxy.worker_pid().unwrap())), "{info}");
        let stats = rig.get("~/stats/native").query_stats().to_string();
        assert!(stats.contains("\"s1\""), "{stats}");
    });
}

trait Stats {
    fn query_stats(&self) -> Value;
}

impl Stats for Answer {
    fn query_stats(&self) -> Value {
        let value = self.json();
        value.get(0).cloned().unwrap_or(value)
    }
}

#[test]
fn latency_is_a_floor() {
    let latency = roster_testkit::Latency {
        read: roster_testkit::Cost { base: Duration::from_millis(300), per_thousand: Duration::ZERO },
        ..Default::default()
    };
    let rig = Rig::start_with(DataplaneVersion::V3, |builder, _| builder.latency(latency).stand_in_only());
    let began = std::time::Instant::now();
    rig.get("~/configuration/version").expect(200);
    assert!(began.elapsed() >= Duration::from_millis(300));
}
