use super::*;
use crate::observed::State;

fn address(of: &str, name: &str, to: &str) -> Action {
    Action::SetServerAddr { backend: backend(of), server: server(name), to: endpoint(to) }
}

fn weighs(of: &str, name: &str, to: u32) -> Action {
    let to = LiveWeight::Is(weight(to));
    Action::SetServerWeight { backend: backend(of), server: server(name), to }
}

fn state(of: &str, name: &str, to: State) -> Action {
    Action::SetServerState { backend: backend(of), server: server(name), to }
}

fn edit(of: &str, name: &str, endpoint: Option<&str>, weight: Option<u32>, disabled: Option<bool>) -> Edit {
    let changes = ServerChange {
        endpoint: endpoint.map(super::endpoint),
        weight: weight.map_or(WeightChange::Keep, |number| WeightChange::Set(super::weight(number))),
        disabled,
        check_port: None,
    };
    change(of, name, changes)
}

fn new(text: &str, edits: &[Edit], actions: Vec<Action>) -> Result<LiveWrite, NotLive> {
    LiveWrite::new(text, edits, actions, &Process::new(), V3_0)
}

fn reasons(result: Result<LiveWrite, NotLive>) -> Vec<&'static str> {
    match result {
        Err(NotLive::NeedsReload(write)) => write.reasons().iter().map(ReloadReason::word).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_header_is_exactly_as_the_api_reads_it() {
    let actions = [
        state("app", "s1", State::Maint),
        address("app", "s1", "10.0.0.1:80"),
        address("app", "s2", "[fd00::1]:8080"),
        weighs("app", "s1", 256),
        Action::SetServerWeight {
            backend: backend("app"),
            server: server("s2"),
            to: LiveWeight::Full(weight(7)),
        },
        Action::SetServerCheckPort {
            backend: backend("app"),
            server: server("s1"),
            to: "81".parse().unwrap(),
        },
        state("app", "s1", State::Ready),
        state("app", "s2", State::Drain),
    ];
    assert_eq!(
        Actions(&actions).to_string(),
        "SetServerState app s1 maint;SetServerAddr app s1 10.0.0.1 80;SetServerAddr app s2 fd00::1 8080;\
         SetServerWeight app s1 256;SetServerWeight app s2 100%;SetServerCheckPort app s1 81;\
         SetServerState app s1 ready;SetServerState app s2 drain"
    );
}

#[test]
fn a_difference_that_an_action_brings_needs_no_reload() {
    let edits = [edit("app", "s1", Some("10.0.0.1:80"), Some(4), Some(true))];
    let actions =
        vec![state("app", "s1", State::Drain), address("app", "s1", "10.0.0.1:80"), weighs("app", "s1", 4)];
    let write = new(BY_API, &edits, actions).unwrap();
    assert_eq!(
        difference(BY_API, write.text()),
        "-  server s1 127.0.0.1:29001 weight 10 check inter 500\n\
         +  server s1 10.0.0.1:80 weight 4 check inter 500 disabled\n"
    );
    assert!(write.header().unwrap().starts_with("SetServerState app s1 drain;"));
}

#[test]
fn a_difference_that_nothing_brings_is_a_reload() {
    let edits = [edit("app", "s1", Some("10.0.0.1:80"), Some(4), Some(true))];
    assert_eq!(reasons(new(BY_API, &edits, Vec::new())), ["not_brought"; 3]);
    let half = vec![address("app", "s1", "10.0.0.1:80"), weighs("app", "s2", 20)];
    assert_eq!(reasons(new(BY_API, &edits, half)), ["not_brought"; 2]);
}

#[test]
fn an_action_that_says_other_than_the_text_is_none() {
    for action in [
        address("app", "s1", "10.0.0.1:81"),
        weighs("app", "s1", 9),
        state("app", "s1", State::Maint),
        weighs("nowhere", "s1", 9),
        weighs("app", "s9", 9),
    ] {
        assert_eq!(reasons(new(BY_API, &[], vec![action.clone()])), ["contradicted"], "{action}");
    }
    let last = vec![weighs("app", "s1", 3), weighs("app", "s1", 10)];
    assert_eq!(new(BY_API, &[], last).unwrap().text(), BY_API, "the last one counts");
}

#[test]
fn drift_is_repaired_by_an_action_without_a_difference() {
    let actions = vec![address("app", "s1", "127.0.0.1:29001"), state("app", "s1", State::Ready)];
    let write = new(BY_API, &[], actions).unwrap();
    assert_eq!((write.text(), write.actions().len(), write.is_empty()), (BY_API, 2, false));
    assert!(new(BY_API, &[], Vec::new()).unwrap().is_empty());
}

#[test]
fn what_the_process_shows_already_needs_no_action() {
    let edits = [edit("app", "s1", Some("10.0.0.1:80"), Some(4), Some(true))];
    let shown = ProcessServer {
        endpoint: Some(endpoint("10.0.0.1:80")),
        state: State::Maint,
        weight: Some(weight(4)),
        start_weight: None,
    };
    let process = |shown| Process::from([(backend("app"), [(server("s1"), shown)].into())]);
    assert!(LiveWrite::new(BY_API, &edits, Vec::new(), &process(shown), V3_0).is_ok());
    let blind = ProcessServer { weight: None, ..shown };
    assert_eq!(reasons(LiveWrite::new(BY_API, &edits, Vec::new(), &process(blind), V3_0)), ["not_brought"]);
}

#[test]
fn only_0_and_the_full_weight_are_live_where_the_algorithm_is_static() {
    let text = "backend x\n balance static-rr\n server s 10.0.0.1:80 weight 5\n";
    let to = |number| [edit("x", "s", None, Some(number), None)];
    assert_eq!(reasons(new(text, &to(7), vec![weighs("x", "s", 7)])), ["weight_not_live"]);
    assert!(new(text, &to(0), vec![weighs("x", "s", 0)]).is_ok());
    let full = LiveWeight::Full(weight(5));
    let action = Action::SetServerWeight { backend: backend("x"), server: server("s"), to: full };
    assert!(new(&text.replace("weight 5", "weight 0"), &to(5), vec![action]).is_ok());
}

#[test]
fn whatever_else_changes_is_a_reload_with_its_reason() {
    let made = edited(BY_API, &[put("fleet/web", whole("fresh", 2))]);
    let mut leastconn = whole("fresh", 2);
    leastconn.pool.balance = crate::render::Balance::LeastConn;
    let mut backup = whole("fresh", 2);
    backup.pool.servers[0].keywords.backup = true;
    let removed = Edit::RemoveBackend { mark: mark("fleet/web"), backend: backend("fresh") };
    let routes = Edit::Routes { frontend: frontend("fe"), routes: vec![route("any", "/x", "app")] };
    for (edit, word) in [
        (put("fleet/web", whole("newer", 1)), "backend_added"),
        (put("fleet/web", leastconn), "backend_changed"),
        (put("fleet/web", backup), "server_changed"),
        (put("fleet/web", whole("fresh", 3)), "slots_full"),
        (put("fleet/web", whole("fresh", 1)), "servers_removed"),
        (removed, "backend_removed"),
        (Edit::Checks { backend: backend("fresh"), check: None }, "checks_changed"),
        (routes, "routes_changed"),
    ] {
        assert_eq!(reasons(new(&made, std::slice::from_ref(&edit), Vec::new())), [word], "{edit:?}");
        let write = ReloadWrite::new(&made, std::slice::from_ref(&edit), Vec::new(), V3_0).unwrap().unwrap();
        assert_eq!(write.reasons().iter().map(ReloadReason::word).collect::<Vec<_>>(), [word]);
    }
    assert_eq!(ReloadWrite::new(&made, &[], Vec::new(), V3_0), Ok(None));
}

#[test]
fn a_server_that_the_process_has_no_more_leaves_the_file_without_a_reload() {
    let edits = [Edit::RemoveServer { backend: backend("app"), server: server("s2") }];
    let shown = |names: &[&str]| {
        let one = ProcessServer { endpoint: None, state: State::Maint, weight: None, start_weight: None };
        Process::from([(backend("app"), names.iter().map(|name| (server(name), one)).collect())])
    };
    let write = |process: &Process| LiveWrite::new(BY_API, &edits, Vec::new(), process, V3_0);
    let live = write(&shown(&["s1"])).unwrap();
    assert!(
        difference(BY_API, live.text()).starts_with("-  server s2 "),
        "{}",
        difference(BY_API, live.text())
    );
    assert_eq!(live.header(), None);
    // One that is still there, and a backend of which nothing was read.
    assert_eq!(reasons(write(&shown(&["s1", "s2"]))), ["servers_removed"]);
    assert_eq!(reasons(write(&Process::new())), ["servers_removed"]);
}

#[test]
fn more_actions_than_a_header_holds_need_a_reload() {
    let name = "s".repeat(100);
    let mut text = "backend x\n".to_owned();
    let mut actions = Vec::new();
    for number in 0..8000 {
        use std::fmt::Write as _;
        writeln!(text, " server {name}{number} 10.0.0.1:80").unwrap();
        actions.push(address("x", &format!("{name}{number}"), "10.0.0.1:80"));
    }
    assert_eq!(reasons(new(&text, &[], actions)), ["too_many_actions"]);
}

#[test]
fn a_server_whose_address_only_haproxy_knows_makes_no_reload_of_other_changes() {
    let edits = [edit("web", "s2", None, Some(9), None)];
    assert!(new(ODD, &edits, vec![weighs("web", "s2", 9)]).is_ok());
    let to = [edit("web", "s5", Some("10.0.0.5:80"), None, None)];
    assert_eq!(reasons(new(ODD, &to, Vec::new())), ["not_brought"]);
    assert!(new(ODD, &to, vec![address("web", "s5", "10.0.0.5:80")]).is_ok());
}

#[test]
fn servers_of_a_template_are_told_without_a_line() {
    let write = new(ODD, &[], vec![address("checked", "t2", "10.0.0.5:80")]).unwrap();
    assert_eq!(write.text(), ODD);
}

#[test]
fn a_server_that_the_process_has_already_comes_into_the_file_without_a_reload() {
    let text = "backend app\n  server srv1 10.0.0.1:80\n";
    let new = ServerLine { disabled: false, ..line(2) };
    let add = Edit::AddServer { backend: backend("app"), server: Box::new(new.clone()) };
    let has = |shown: Option<ProcessServer>| -> Process {
        let servers = shown.map(|shown| (new.name.clone(), shown));
        Process::from([(backend("app"), servers.into_iter().collect())])
    };
    let as_written = ProcessServer {
        endpoint: Some(new.at),
        state: State::Ready,
        weight: Some(new.weight.or(new.keywords.weight).unwrap_or(weight(1))),
        start_weight: None,
    };
    let write = |process: &Process, version| {
        LiveWrite::new(text, std::slice::from_ref(&add), Vec::new(), process, version)
    };
    let written = write(&has(Some(as_written)), V3_0).unwrap();
    assert!(written.actions().is_empty() && written.text().contains("server srv2 "), "{}", written.text());
    let elsewhere = ProcessServer { endpoint: Some(endpoint("10.9.9.9:9")), ..as_written };
    for process in
        [has(None), has(Some(elsewhere)), has(Some(ProcessServer { state: State::Maint, ..as_written }))]
    {
        assert_eq!(reasons(write(&process, V3_0)), ["slots_full"]);
    }
}
