//! What goes wrong, most of it without the API saying so.

use roster_haproxy::observed::State;
use roster_targets::Target;
use roster_targets::dataplane::DataplaneError;
use roster_testkit::{DataplaneVersion, Fault, HaproxyVersion, OrFail};

use super::{Kind, PAIRS, Rig, on, on_each, point, state, weigh};

/// With faults, so on the stand-in only.
fn on_each_stand_in(test: &impl AsyncFn(&Rig)) {
    for pair in PAIRS {
        on(Kind { stand_in: true, ..Kind::new(pair) }, test);
    }
}

#[test]
fn an_api_that_cannot_read_haproxy_is_told_and_nothing_is_written() {
    on(Kind { by_master: true, ..Kind::new((DataplaneVersion::V2, HaproxyVersion::V2_6)) }, &async |rig| {
        // The last has no lines of servers in the file, only a template.
        for backend in ["app", "slots"] {
            let error = rig.look(&[backend]).await.unwrap_err();
            assert!(matches!(error, DataplaneError::Blind { .. }), "{backend}: {error}");
            assert!(!error.is_takeover() && !error.is_unreachable());
            let text = error.to_string();
            assert!(text.contains("master_runtime") && text.contains(backend), "{text}");
        }
        assert_eq!(rig.counts(), (0, 0));
    });
}

#[test]
fn haproxy_3_0_is_read_through_the_master_too() {
    let kind = Kind::new((DataplaneVersion::V3, HaproxyVersion::V3_0));
    on(Kind { by_master: true, ..kind }, &async |rig| {
        rig.carry_out(&[weigh("app", "s1", 33)]).await.or_fail();
        assert_eq!(rig.runs("app", "s1").2, 33);
    });
}

#[test]
fn a_file_that_somebody_changed_meanwhile_is_read_anew() {
    on_each(&async |rig| {
        let process = rig.read(&["app"]).await.process;
        let raw = rig.target.client().raw().await.or_fail();
        let other = raw.text.replace("weight 20", "weight 21");
        rig.target.client().write_live(other, raw.version, "").await.or_fail();
        let error = rig.target.apply(process, &[weigh("app", "s1", 33)]).await.unwrap_err();
        assert!(error.is_takeover(), "{error}");
        assert_eq!(rig.runs("app", "s1").2, 10);
        rig.carry_out(&[weigh("app", "s1", 33)]).await.or_fail();
        assert!(rig.text().contains("weight 21") && rig.text().contains("weight 33"), "{}", rig.text());
        assert!(rig.target.client().transactions(None).await.or_fail().is_empty());
    });
}

#[test]
fn a_file_that_somebody_changed_elsewhere_meanwhile_is_written_anew_at_once() {
    on_each(&async |rig| {
        // The API has put the file in its own order.
        let raw = rig.target.client().raw().await.or_fail();
        rig.target.client().write_live(raw.text, raw.version, "").await.or_fail();
        let process = rig.read(&["app"]).await.process;
        let raw = rig.target.client().raw().await.or_fail();
        let other = raw.text.replace("timeout connect 1s", "timeout connect 2s");
        rig.target.client().write_live(other, raw.version, "").await.or_fail();
        rig.target.apply(process, &[weigh("app", "s1", 33)]).await.or_fail();
        assert_eq!(rig.runs("app", "s1").2, 33);
        assert!(rig.text().contains("weight 33"), "{}", rig.text());
        assert!(rig.text().contains("timeout connect 2"), "{}", rig.text());
    });
}

#[test]
fn a_backend_that_only_the_file_has_is_missing_and_hides_no_other() {
    on_each(&async |rig| {
        let raw = rig.target.client().raw().await.or_fail();
        let text = raw.text + "\nbackend ahead\n  balance roundrobin\n  server s1 127.0.0.1:1 disabled\n";
        rig.target.client().write_live(text, raw.version, "").await.or_fail();
        for backends in [&["ahead"][..], &["ahead", "app"]] {
            let reading = rig.read(backends).await;
            assert_eq!(reading.observed.missing, ["ahead".parse().or_fail()].into(), "{backends:?}");
            assert_eq!(reading.observed.backends.len(), backends.len() - 1);
        }
    });
}

#[test]
fn another_process_than_the_one_that_was_read_is_given_nothing() {
    on_each(&async |rig| {
        let process = rig.read(&["app"]).await.process;
        let text = rig.text();
        let raw = rig.target.client().raw().await.or_fail();
        rig.target.client().write_reload(raw.text, raw.version, true).await.or_fail();
        while rig.target.identify().await.is_ok_and(|now| now == process) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let error = rig.target.apply(process, &[weigh("app", "s1", 33)]).await.unwrap_err();
        assert!(matches!(error, DataplaneError::OtherProcess { .. }) && error.is_takeover(), "{error}");
        assert!(!rig.text().contains("weight 33"), "{text}");
    });
}

#[test]
fn nothing_is_applied_that_was_not_read_before() {
    on_each(&async |rig| {
        let process = rig.target.identify().await.or_fail();
        let error = rig.target.apply(process, &[weigh("app", "s1", 33)]).await.unwrap_err();
        assert!(error.is_takeover(), "{error}");
    });
}

#[test]
fn a_weight_behind_an_action_that_failed_is_told_again() {
    on_each_stand_in(&async |rig| {
        // The second action fails: the file has the weight, the process has not, and nobody shows it.
        rig.api.inject(Fault::ActionFails(2), 1).or_fail();
        let operations = [point("app", "s1", 2001), weigh("app", "s1", 99), state("app", "s3", State::Maint)];
        let error = rig.carry_out(&operations).await.unwrap_err();
        assert!(error.to_string().contains("the running HAProxy is not as it says"), "{error}");
        assert!(rig.says("server s1 127.0.0.1:2001 weight 99 # a word on s1"), "{}", rig.text());
        assert_eq!(rig.runs("app", "s1"), (2001, false, 10));

        let reading = rig.read(&["app"]).await;
        assert_eq!(reading.observed.backends["app"].servers["s1"].weight.get(), 99);
        assert_eq!(rig.runs("app", "s1").2, 99, "the look says 99, and HAProxy has another one");
        // What the process shows is for the plan to see.
        assert_eq!(reading.observed.backends["app"].servers["s3"].state(), State::Ready);
        let writes = rig.counts().0;
        rig.read(&["app"]).await;
        assert_eq!(rig.counts().0, writes, "it was told once too often");
    });
}

#[test]
fn a_weight_whose_answer_was_lost_is_told_again() {
    on_each_stand_in(&async |rig| {
        let process = rig.read(&["app"]).await.process;
        rig.api.inject(Fault::HalfBody, 1).or_fail();
        rig.target.apply(process, &[weigh("app", "s1", 99)]).await.unwrap_err();
        // Whatever became of it there.
        rig.haproxy.cli("set server app/s1 weight 10").or_fail();
        rig.read(&["app"]).await;
        assert_eq!(rig.runs("app", "s1").2, 99);
    });
}
