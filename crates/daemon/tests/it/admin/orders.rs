//! `roster release` and `roster adopt`, with a running roster and without one.

use roster_testkit::OrFail;

use super::{EXPOSE, Told};
use crate::rig::{Rig, THREE_SLOTS, one_version, roster};

#[test]
fn a_release_lets_an_emptied_answer_through() {
    let told = Told::new();
    let daemon = told.run(&[8001, 8002]);
    let nothing = told.rig.roster(&["release", "web"]);
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(nothing.err.contains("nothing is held back"), "{}", nothing.err);

    told.rig.web(&[]);
    told.until_metric(r#"roster_held{target="local",backend="web",guard="minimum"}"#, 2.0);
    told.until_metric(r#"roster_guard_active{target="local"}"#, 1.0);
    let mistyped = told.rig.roster(&["release", "wbe"]);
    assert_eq!(mistyped.code, Some(1), "{mistyped:?}");
    assert!(mistyped.err.contains("did you mean web?"), "{}", mistyped.err);
    assert_eq!(told.rig.ready("web").len(), 2);

    let released = told.rig.roster(&["release", "web", "--target", "local"]);
    assert_eq!(released.code, Some(0), "{released:?}");
    assert!(released.out.contains("local web: let go: 2 of 2 servers"), "{}", released.out);
    told.rig.until_ready("web", &[]);
    daemon.until_log("by an operator's order");
    told.until_metric(r#"roster_guard_active{target="local"}"#, 0.0);
}

#[test]
fn an_adopted_server_comes_back_at_once() {
    let told = Told::new();
    let _daemon = told.run(&[8001, 8002]);
    let untouched = told.rig.roster(&["adopt", "web/srv1"]);
    assert_eq!(untouched.code, Some(1), "{untouched:?}");
    assert!(untouched.err.contains("nobody but Roster has changed it"), "{}", untouched.err);

    told.rig.haproxy.cli("set server web/srv1 state maint").or_fail();
    let mistyped = told.rig.roster(&["adopt", "web/svr1"]);
    assert!(mistyped.err.contains("did you mean srv1?"), "{mistyped:?}");
    assert_eq!(told.rig.ready("web"), [("srv2".into(), 8002)]);

    let adopted = told.rig.roster(&["adopt", "web/srv1"]);
    assert_eq!(adopted.code, Some(0), "{adopted:?}");
    assert!(adopted.out.contains("local web/srv1: taken back, an operator's state maint"), "{}", adopted.out);
    told.rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);
}

#[test]
fn orders_without_a_running_roster_count_from_the_next_pass_on() {
    let told = Told::new();
    let daemon = told.run(&[8001, 8002]);
    told.rig.haproxy.cli("set server web/srv1 state drain").or_fail();
    // The answer that is held makes a pass, which sees what was done by hand.
    told.rig.web(&[]);
    told.until_metric(r#"roster_slots{target="local",backend="web",state="operator"}"#, 1.0);
    told.rig.web(&[8001, 8002]);
    told.until_metric(r#"roster_guard_active{target="local"}"#, 0.0);
    assert_eq!(daemon.stop(), Some(0));
    assert!(!told.control().exists(), "the control socket was left behind");

    let adopted = told.rig.roster(&["adopt", "web/srv1"]);
    assert_eq!(adopted.code, Some(0), "{adopted:?}");
    assert!(adopted.out.contains("no roster runs"), "{}", adopted.out);
    assert_eq!(told.rig.ready("web"), [("srv2".into(), 8002)], "the command itself touched HAProxy");
    assert_eq!(told.rig.roster(&["once"]).code, Some(0));
    assert_eq!(told.rig.ready("web"), [("srv1".into(), 8001), ("srv2".into(), 8002)]);

    told.rig.web(&[]);
    assert!(told.rig.roster(&["once"]).err.contains("held back"));
    assert_eq!(told.rig.roster(&["release", "web"]).code, Some(0));
    told.rig.roster(&["once"]);
    assert_eq!(told.rig.ready("web"), []);
}

#[test]
fn an_order_needs_records_and_a_name_that_can_be_one() {
    let rig = Rig::new(&one_version(), THREE_SLOTS, EXPOSE);
    let config = rig.config();
    let order = |words: &[&str]| {
        let mut all = words.to_vec();
        all.extend(["-c", config.to_str().unwrap()]);
        roster(&all)
    };
    let ended = order(&["release", "web"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("none has kept records"), "{}", ended.err);
    for words in [["release", "web;x"], ["adopt", "web"], ["adopt", "web/srv 1"]] {
        assert_eq!(order(&words).code, Some(64), "{words:?}");
    }
}
