//! The file: how it is written, what hand edits, restarts and failed reloads make of it and of the memory.

use roster_testkit::{DataplaneVersion, OrFail, Poll, ReloadWay, wait_until_or_fail};
use serde_json::{Value, json};

use super::truths::{on_both, put_s1, s1, until_reloaded};
use super::{Answer, CONFIG, Rig};
use crate::CAP;

#[test]
fn a_hand_edit_raises_the_version_and_a_client_of_the_old_one_loses() {
    on_both(|rig| {
        put_s1(&rig, json!({ "weight": 9 })).expect(200);
        let text = rig.file().replace("weight 9", "weight 8");
        rig.api.edit_by_hand(&rig.haproxy.config_path(), &text).unwrap();
        wait_until_or_fail(CAP, "the edit to be seen", || Poll::when(rig.version(), |version| *version == 3));
        let read = rig.servers_path("s1").send();
        assert_eq!(read.data().get("weight"), Some(&json!(8)));
        let stale =
            rig.server_request("PUT", "app", "s1").query("version", "2").json(&s1(&rig, json!({}))).send();
        stale.expect(409);
    });
}

#[test]
fn open_transactions_survive_a_restart_of_the_api_and_reload_ids_do_not() {
    on_both(|mut rig| {
        put_s1(&rig, json!({ "weight": 9, "cookie": "a" })).expect(202);
        let opened = rig.request("POST", "~/transactions").query("version", "2").send().expect(201);
        let id = opened.json().get("id").and_then(Value::as_str).unwrap().to_owned();
        rig.api.restart().unwrap();
        let found = rig.get(&format!("~/transactions/{id}")).expect(200).json();
        assert_eq!(found.get("status"), Some(&json!("in_progress")));
        rig.request("PUT", &format!("~/transactions/{id}")).send().expect(202);
        assert_eq!(rig.version(), 3);
    });
}

#[test]
fn the_written_file_is_sorted_and_its_foreign_comments_stay() {
    on_both(|rig| {
        rig.request("POST", "~/configuration/raw")
            .query("version", "1")
            .query("skip_reload", "true")
            .text(&rig.file())
            .send()
            .expect(201);
        let text = rig.file();
        let order: Vec<usize> = [
            "# Managed by hand",
            "\nglobal\n",
            "\ndefaults unnamed_defaults_1\n",
            "\nuserlist ",
            "\nfrontend fe\n",
            "\nbackend app\n",
        ]
        .iter()
        .map(|part| text.find(part).unwrap_or(usize::MAX))
        .collect();
        assert!(order.is_sorted() && !order.contains(&usize::MAX), "{order:?} in {text}");
        assert!(
            CONFIG.contains("  # comment in fe") && text.contains("  # comment in fe\n  acl is_api"),
            "{text}"
        );
        assert!(text.contains("check inter 500 # note on s2\n"), "{text}");
    });
}

#[test]
fn a_file_that_is_taken_over_gets_two_comments_and_names_its_defaults_but_not_by_a_raw_write() {
    on_both(|rig| {
        let from = |rig: &Rig| rig.get("~/configuration/backends/app").data().get("from").cloned();
        let before = rig.file();
        assert_eq!(from(&rig), Some(json!("unnamed_defaults_1")));
        put_s1(&rig, json!({ "weight": 9 })).expect(200);
        let text = rig.file();
        let top =
            "# _version=2\n# Dataplaneapi managed File\n# changing file directly can cause a conflict if ";
        assert!(text.contains(top), "{text}");
        assert!(text.contains("\nbackend app from unnamed_defaults_1\n"), "{text}");

        let raw =
            rig.request("POST", "~/configuration/raw").query("version", "2").query("skip_reload", "true");
        raw.text(&before).send().expect(201);
        assert!(
            !rig.file().contains("managed File") && rig.file().contains("\nbackend app\n"),
            "{}",
            rig.file()
        );
        assert_eq!(from(&rig), None);

        rig.api
            .edit_by_hand(&rig.haproxy.config_path(), &rig.file().replace("weight 10", "weight 8"))
            .unwrap();
        wait_until_or_fail(CAP, "the edit to be seen", || Poll::when(rig.version(), |version| *version == 4));
        wait_until_or_fail(CAP, "the file to be written anew", || {
            Poll::when(rig.file(), |text| text.contains("managed File"))
        });
        assert!(rig.file().contains("\nbackend app from unnamed_defaults_1\n"), "{}", rig.file());
    });
}

/// An API whose reload command fails.
fn failing(version: DataplaneVersion) -> Rig {
    Rig::start_with(version, |builder, haproxy| {
        let script = haproxy.dir().join("fails.sh");
        std::fs::write(&script, "echo boom >&2\nexit 3\n").or_fail();
        builder.reload(ReloadWay::Command(vec!["sh".to_owned(), script.display().to_string()]))
    })
}

fn until_failed(rig: &Rig, answer: &Answer) {
    let state = until_reloaded(rig, answer.header("Reload-ID").unwrap_or_default());
    assert_eq!(state.get("status"), Some(&json!("failed")));
    assert_eq!(state.get("response"), Some(&json!("boom\n")));
}

#[test]
fn a_reload_that_fails_puts_the_old_file_back_but_not_the_memory() {
    for version in DataplaneVersion::ALL {
        let mut rig = failing(version);
        rig.take_over_the_file();
        put_s1(&rig, json!({ "weight": 88 })).expect(200);
        let answer = put_s1(&rig, json!({ "weight": 88, "cookie": "q" })).expect(202);
        until_failed(&rig, &answer);
        assert!(rig.file().contains("weight 10"), "{}", rig.file());
        assert_eq!(rig.version(), 4);
        let memory = rig.servers_path("s1").send().data();
        assert_eq!(memory.get("weight"), Some(&json!(88)));
        assert_eq!(memory.get("cookie"), Some(&json!("q")));
        assert_eq!(rig.haproxy.server("app", "s1").unwrap().uweight, 88);
    }
}

#[test]
fn a_failed_reload_that_puts_back_a_file_written_by_hand_is_taken_for_a_hand_edit() {
    for version in DataplaneVersion::ALL {
        let rig = failing(version);
        let answer = put_s1(&rig, json!({ "weight": 10, "cookie": "q" })).expect(202);
        until_failed(&rig, &answer);
        wait_until_or_fail(CAP, "the memory to go back too", || {
            Poll::when(rig.servers_path("s1").send().data(), |memory| memory.get("cookie").is_none())
        });
        assert_eq!(rig.version(), 2);
    }
}
