//! The commands as an operator uses them.

use roster_testkit::OrFail;

use crate::rig::{Rig, THREE_SLOTS, one_version, roster};

fn rig() -> Rig {
    Rig::new(&one_version(), THREE_SLOTS, "expose: [ { each: fleet, bring_up: registry } ]\n")
}

#[test]
fn plan_shows_the_changes_and_why_once_makes_them_and_then_there_are_none() {
    // Nothing listens at these ports, which a check would find out.
    let unchecked = THREE_SLOTS.replace(" check inter 200ms", "");
    let rig = Rig::new(&one_version(), &unchecked, "expose: [ { each: fleet, bring_up: registry } ]\n");
    rig.web(&[8001, 8002]);
    let plan = rig.roster(&["plan"]);
    assert_eq!(plan.code, Some(2), "{plan:?}");
    for line in [
        "local web, service fleet/web",
        "  srv1  address 127.0.0.1:8001  (127.0.0.1:8001 appeared)",
        "  srv2  state ready  (127.0.0.1:8002 appeared)",
        "4 changes. `roster once ",
    ] {
        assert!(plan.out.contains(line), "no {line:?} in\n{}", plan.out);
    }
    assert!(rig.ready("web").is_empty(), "a plan changed something");

    let once = rig.roster(&["once"]);
    assert_eq!(once.code, Some(0), "{once:?}");
    assert_eq!(rig.ready("web"), [("srv1".into(), 8001), ("srv2".into(), 8002)]);
    assert!(once.err.contains("srv1: address 127.0.0.1:8001"), "not a line for each change: {}", once.err);

    let again = rig.roster(&["plan"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(again.out, "Nothing to do: HAProxy shows what the sources say.\n");
}

#[test]
fn once_asks_again_whether_a_loss_lasts_where_guards_count_answers() {
    let rig = rig();
    rig.web(&[8001, 8002, 8003]);
    assert_eq!(rig.roster(&["once"]).code, Some(0));
    rig.web(&[8003]);
    let held = rig.roster(&["once"]);
    assert_eq!(held.code, Some(1), "{held:?}");
    assert!(held.err.contains("held back") && rig.ready("web").len() == 3, "{held:?}");
    rig.configure("expose: [ { guard: { hold_passes: 2 } } ]\n");
    let once = rig.roster(&["once"]);
    assert_eq!(once.code, Some(0), "{once:?}");
    assert_eq!(rig.ready("web"), [("srv3".into(), 8003)]);
}

#[test]
fn plan_prints_the_socket_lines_on_request_and_json_for_programs() {
    let rig = rig();
    rig.web(&[8001]);
    let verbose = rig.roster(&["plan", "-v"]);
    assert!(verbose.out.contains("set server web/srv1 addr 127.0.0.1 port 8001"), "{}", verbose.out);
    assert!(verbose.out.contains("set server web/srv1 state ready"), "{}", verbose.out);

    let json = rig.roster(&["plan", "--json"]);
    assert_eq!(json.code, Some(2));
    let plan: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(plan["changes"], 2);
    let first = &plan["targets"][0]["operations"][0];
    assert_eq!(first["server"], "srv1");
    assert_eq!(first["reason"], "127.0.0.1:8001 appeared");
    assert_eq!(first["lines"][0], "set server web/srv1 addr 127.0.0.1 port 8001");
}

#[test]
fn status_and_explain_tell_of_every_kind_of_server() {
    let sections = THREE_SLOTS.replace("disabled\n", "disabled\n    server canary 127.0.0.1:9999\n");
    let rig = Rig::new(&one_version(), &sections, "expose: [ { each: fleet, bring_up: registry } ]\n");
    rig.web(&[8001, 8002]);
    assert_eq!(rig.roster(&["once"]).code, Some(0));
    rig.haproxy.cli("set server web/srv2 state maint").or_fail();

    let status = rig.roster(&["status"]);
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.out.contains("source fleet: up, 1 services, 2 instances"), "{}", status.out);
    assert!(status.out.contains("srv2 127.0.0.1:8002: operator (maint)"), "{}", status.out);

    let says = |what: &str| rig.roster(&["explain", what]).out;
    assert!(says("web/srv2").contains("kept as an operator left it"), "{}", says("web/srv2"));
    assert!(says("127.0.0.1:8002").contains("web/srv2"), "{}", says("127.0.0.1:8002"));
    assert!(says("web/srv3").contains("spare slot"), "{}", says("web/srv3"));
    assert!(says("web/canary").contains("not Roster's"), "{}", says("web/canary"));
    let nobody = rig.roster(&["explain", "web/srv9"]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.err.contains("nothing is called \"web/srv9\""), "{}", nobody.err);
}

#[test]
fn a_wrong_configuration_is_told_whole_and_nothing_is_applied() {
    let rig = rig();
    rig.web(&[8001]);
    rig.configure("expose: [ { each: flet, bring_upp: registry, slots: { base: many } } ]\n");
    for command in ["once", "plan", "check", "status", "run"] {
        let ended = rig.roster(&[command]);
        assert_eq!(ended.code, Some(64), "{command}: {ended:?}");
        assert!(ended.err.contains("unknown key `bring_upp`"), "{}", ended.err);
        assert!(ended.err.contains("did you mean `bring_up`"), "{}", ended.err);
        assert!(ended.err.contains("roster.yaml:4:"), "no position: {}", ended.err);
        assert!(ended.err.contains("no source `flet`"), "{}", ended.err);
        assert!(ended.err.contains("3 errors; nothing was applied"), "{}", ended.err);
    }
    assert!(rig.ready("web").is_empty());
}

#[test]
fn a_haproxy_that_is_not_there_is_a_clear_error() {
    let mut rig = rig();
    rig.web(&[8001]);
    rig.haproxy.stop().or_fail();
    let plan = rig.roster(&["plan"]);
    assert_eq!(plan.code, Some(1), "{plan:?}");
    assert!(plan.err.contains("target local"), "{}", plan.err);
    assert!(plan.err.contains("HAProxy"), "{}", plan.err);
    let once = rig.roster(&["once"]);
    assert_eq!(once.code, Some(1), "{once:?}");
}

#[test]
fn a_backend_that_haproxy_does_not_have_is_told_and_the_others_are_kept() {
    let rig = rig();
    rig.services("services: { web: [\"127.0.0.1:8001\"], api: [\"127.0.0.1:8002\"] }\n");
    let once = rig.roster(&["once"]);
    assert_eq!(once.code, Some(1), "{once:?}");
    assert!(once.err.contains("HAProxy has no backend api"), "{}", once.err);
    assert_eq!(rig.ready("web"), [("srv1".into(), 8001)]);
}

#[test]
fn a_source_that_does_not_answer_is_a_failure_and_changes_nothing() {
    let rig = rig();
    rig.web(&[8001]);
    assert_eq!(rig.roster(&["once"]).code, Some(0));
    rig.services("services: { web: [\"127.0.0.1:80");
    let once = rig.roster(&["once"]);
    assert_eq!(once.code, Some(1), "{once:?}");
    assert!(once.err.contains("services.yaml:"), "{}", once.err);
    assert_eq!(rig.ready("web"), [("srv1".into(), 8001)]);
}

#[test]
fn hostile_names_are_left_out_with_a_report_and_reach_neither_socket_nor_neighbour() {
    let rig = rig();
    rig.services(
        "services:\n  web:\n    - { address: \"127.0.0.1:8001\", id: \"a;disable server web/srv1\" }\n    \
         - \"127.0.0.1:8002\"\n    - \"10.0.0.1; shutdown:80\"\n  \"api\\nx\": [\"127.0.0.1:8003\"]\n",
    );
    let once = rig.roster(&["once"]);
    assert_eq!(once.code, Some(1), "not all of it was done: {once:?}");
    assert_eq!(rig.ready("web"), [("srv1".into(), 8002)]);
    let status = rig.roster(&["status"]);
    assert_eq!(status.out.matches("  left out: ").count(), 3, "{}", status.out);
}

#[test]
fn what_roster_is_can_be_asked() {
    let version = concat!("roster ", env!("CARGO_PKG_VERSION"), "\n");
    for word in ["version", "--version", "-V"] {
        assert_eq!(roster(&[word]).out, version, "{word}");
    }
    assert!(roster(&["man"]).out.contains(".TH roster"));
    assert!(roster(&["completions", "bash"]).out.contains("_roster"));
    let schema: serde_json::Value = serde_json::from_str(&roster(&["schema"]).out).unwrap();
    assert!(schema["properties"]["sources"].is_object());
    assert_eq!(roster(&["--help"]).code, Some(0));
}

#[test]
fn an_installation_has_the_program_a_page_for_each_command_and_completions() {
    let into = tempfile::tempdir().unwrap();
    let install = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/install");
    let done = std::process::Command::new(install)
        .arg(env!("CARGO_BIN_EXE_roster"))
        .arg(into.path())
        .status()
        .unwrap();
    assert!(done.success());
    for file in [
        "bin/roster",
        "share/man/man1/roster.1",
        "share/man/man1/roster-plan.1",
        "share/man/man1/roster-as-haproxy-cloud-discovery.1",
        "share/bash-completion/completions/roster",
        "share/zsh/site-functions/_roster",
        "share/fish/vendor_completions.d/roster.fish",
    ] {
        assert!(into.path().join(file).metadata().is_ok_and(|found| found.len() > 0), "{file}");
    }
    let page = roster(&["man", "plan"]).out;
    assert!(page.contains(".TH roster-plan") && page.contains("EXIT STATUS"), "{page}");
    let unknown = roster(&["man", "plann"]);
    assert_eq!(unknown.code, Some(64), "{unknown:?}");
    assert!(unknown.err.contains("(did you mean plan?)"), "{}", unknown.err);
}

#[test]
fn a_wrong_command_line_ends_with_64() {
    for words in [vec!["plann"], vec!["plan", "--nope"], vec![], vec!["explain"]] {
        assert_eq!(roster(&words).code, Some(64), "{words:?}");
    }
}

#[test]
fn a_backend_that_takes_no_servers_live_is_told_of_and_its_neighbour_is_kept() {
    let sections = "backend web\n    balance static-rr\n    server-template srv 1-2 127.0.0.1:1 disabled\n\
                    backend api\n    server-template srv 1-1 127.0.0.1:1 disabled\n";
    let rig = Rig::new(&one_version(), sections, "expose: [ { each: fleet, bring_up: registry } ]\n");
    let list = "[\"127.0.0.1:8001\", \"127.0.0.1:8002\", \"127.0.0.1:8003\"]";
    rig.services(&format!("services: {{ web: {list}, api: {list} }}\n"));
    let plan = rig.roster(&["plan"]);
    assert!(plan.out.contains("balance static-rr takes no servers live"), "{}", plan.out);
    assert!(plan.out.contains("127.0.0.1:8003 at 127.0.0.1:8003 has no server"), "{}", plan.out);
    let once = rig.roster(&["once"]);
    assert_eq!(once.code, Some(1), "{once:?}");
    assert_eq!(rig.ready("web"), [("srv1".into(), 8001), ("srv2".into(), 8002)]);
    assert_eq!(rig.ready("api").len(), 3);
}

#[test]
fn no_word_or_file_can_name_a_target_after_another_folder() {
    let rig = rig();
    rig.web(&[8001]);
    assert_eq!(rig.roster(&["once"]).code, Some(0));
    let wrong = "begins with a dot";
    for name in [".", "..", "..x"] {
        let detached = rig.roster(&["detach", "--target", name]);
        assert_eq!(detached.code, Some(64), "{detached:?}");
        assert!(detached.err.contains(wrong), "{}", detached.err);
    }
    rig.configure("");
    let text = std::fs::read_to_string(rig.config()).unwrap();
    for (from, to) in [(" local:", " \"..\":"), (" fleet:", " \"..\":")] {
        std::fs::write(rig.config(), text.replace(from, to)).unwrap();
        let detached = rig.roster(&["detach"]);
        assert_eq!(detached.code, Some(64), "{detached:?}");
        assert!(detached.err.contains(wrong), "{}", detached.err);
    }
    let record = rig.state().join("applied/local/backends/web.state");
    assert!(record.exists(), "the records are gone");
}
