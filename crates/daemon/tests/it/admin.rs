//! What the running roster tells over HTTP, and what it can be asked to do.

mod client;
mod hostile;
mod orders;
mod reading;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use roster_testkit::{OrFail, Poll, free_port, http_get, wait_until, wait_until_or_fail};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::rig::{CAP, Daemon, Rig, THREE_SLOTS, one_version};
use client::{Events, Reply, get, post, request, request_over};

const EXPOSE: &str = "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s } } ]\n";

/// A rig whose roster tells of itself at this address.
struct Told {
    rig: Rig,
    at: SocketAddr,
}

impl Told {
    fn new() -> Self {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().or_fail()));
        // Without checks, which would find out in time that nobody listens at the servers' ports.
        let sections = THREE_SLOTS.replace(" check inter 200ms", "");
        let told = Self { rig: Rig::new(&one_version(), &sections, EXPOSE), at };
        told.configure(&format!("admin: {{ listen: \"{at}\" }}\n{EXPOSE}"));
        told
    }

    /// Writes the configuration anew, with this after the sources and targets.
    fn configure(&self, rest: &str) {
        self.rig.configure("");
        let text = fs::read_to_string(self.rig.config()).unwrap();
        fs::write(self.rig.config(), text.replace("admin: off\n", "") + rest).unwrap();
    }

    /// Starts the daemon with these servers, and waits until it is ready.
    fn run(&self, ports: &[u16]) -> Daemon {
        self.rig.web(ports);
        let daemon = self.rig.run();
        wait_until_or_fail(CAP, "readiness", || {
            let reply = http_get(self.at, "/readyz");
            match reply {
                Ok(reply) if reply.status == 200 => Poll::Ready(()),
                other => Poll::Pending(format!("{other:?}")),
            }
        });
        daemon
    }

    fn get(&self, path: &str) -> Reply {
        get(self.at, path)
    }

    fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map(|value| value.parse().unwrap())
    }

    fn until_metric(&self, series: &str, value: f64) {
        wait_until_or_fail(CAP, series, || {
            Poll::when(self.metric(series), |told| told.is_some_and(|told| (told - value).abs() < 0.001))
        });
    }

    fn control(&self) -> std::path::PathBuf {
        self.rig.state().join("control.sock")
    }

    fn status(&self) -> Value {
        serde_json::from_str(&self.get("/api/v1/status").body).unwrap()
    }
}

#[test]
fn it_is_ready_once_haproxy_shows_what_is_wanted_and_alive_before() {
    let told = Told::new();
    told.rig.web(&[8001]);
    told.rig.haproxy.pause().or_fail();
    let daemon = told.rig.run();
    daemon.until_log("Roster tries again");
    let waiting = told.get("/readyz");
    assert_eq!(waiting.status, 503);
    assert!(waiting.body.contains("target local: "), "{}", waiting.body);
    assert!(waiting.body.ends_with("not ready\n"), "{}", waiting.body);
    assert_eq!(told.get("/healthz").status, 200);
    assert_eq!(told.metric(r#"roster_target_up{target="local"}"#), Some(0.0));

    told.rig.haproxy.resume();
    wait_until_or_fail(CAP, "readiness", || told.get("/readyz").status == 200);
    let verbose = told.get("/readyz?verbose").body;
    assert_eq!(verbose, "source fleet: ready\ntarget local: ready\nready\n");
    told.rig.until_ready("web", &[("srv1", 8001)]);
}

#[test]
fn a_scrape_has_convergence_slots_and_noughts() {
    let told = Told::new();
    let _daemon = told.run(&[8001, 8002]);
    told.until_metric(r#"roster_slots{target="local",backend="web",state="active"}"#, 2.0);
    let reply = told.get("/metrics");
    assert!(
        reply.head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{}",
        reply.head
    );
    assert!(reply.body.ends_with("# EOF\n"));
    let is = |series: &str| told.metric(series).unwrap_or_else(|| panic!("no {series} in {}", reply.body));
    assert!((is(r#"roster_convergence_seconds_count{target="local"}"#) - 1.0).abs() < 0.001);
    assert!(is(r#"roster_convergence_seconds_sum{target="local"}"#) < 10.0);
    assert!((is(r#"roster_slots{target="local",backend="web",state="spare"}"#) - 1.0).abs() < 0.001);
    assert!((is(r#"roster_commands_total{target="local",op="ready",result="done"}"#) - 2.0).abs() < 0.001);
    assert!((is(r#"roster_target_up{target="local"}"#) - 1.0).abs() < 0.001);
    assert!((is("roster_config_last_reload_successful") - 1.0).abs() < 0.001);
    for nought in [
        r#"roster_reloads_total{target="local",reason="structure"}"#,
        r#"roster_guard_active{target="local"}"#,
        r#"roster_pending_operations{target="local"}"#,
        r#"roster_process_replaced_total{target="local"}"#,
        r#"roster_source_errors_total{source="fleet"}"#,
    ] {
        assert!(is(nought).abs() < 0.001, "{nought}");
    }
}

#[test]
fn a_backend_that_is_gone_leaves_no_series() {
    let told = Told::new();
    let _daemon = told.run(&[8001]);
    let active = r#"roster_slots{target="local",backend="web",state="active"}"#;
    told.until_metric(active, 1.0);
    told.rig.services("services: {}\n");
    told.until_metric(r#"roster_held{target="local",backend="web",guard="minimum"}"#, 1.0);
    assert_eq!(told.rig.roster(&["release", "web"]).code, Some(0));
    wait_until_or_fail(CAP, "the series to end", || Poll::when(told.metric(active), Option::is_none));
}

#[test]
fn losses_and_restarts_are_counted() {
    let mut told = Told::new();
    let daemon = told.run(&[8001]);
    told.rig.services("services: { web: [\"127.0.0.1:80");
    told.until_metric(r#"roster_source_errors_total{source="fleet"}"#, 1.0);
    told.until_metric(r#"roster_source_up{source="fleet"}"#, 0.0);
    assert_eq!(told.get("/readyz").status, 200, "a loss took readiness away");
    told.rig.haproxy.restart().or_fail();
    daemon.until_log("HAProxy was restarted or reloaded");
    told.until_metric(r#"roster_process_replaced_total{target="local"}"#, 1.0);
    told.rig.until_ready("web", &[("srv1", 8001)]);
}

#[test]
fn status_and_explain_are_the_running_rosters_where_there_is_one() {
    let told = Told::new();
    let daemon = told.run(&[8001, 8002]);
    told.rig.haproxy.cli("set server web/srv2 state maint").or_fail();
    let status = told.rig.roster(&["status"]);
    assert_eq!((status.code, status.err.as_str()), (Some(0), ""), "{status:?}");
    assert!(
        status.out.contains("source fleet: up, 1 services, 2 instances, last new answer"),
        "{}",
        status.out
    );
    assert!(status.out.contains("srv2 127.0.0.1:8002: operator (maint)"), "not a fresh one: {}", status.out);
    let explained = told.rig.roster(&["explain", "web/srv1"]);
    assert_eq!((explained.code, explained.err.as_str()), (Some(0), ""), "{explained:?}");
    assert!(explained.out.contains("It serves 127.0.0.1:8001"), "{}", explained.out);
    let wrong = told.rig.roster(&["explain", "web/srv9"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.err.contains("did you mean web/srv1?"), "{}", wrong.err);

    let running = told.rig.roster(&["status", "--json"]).out;
    assert_eq!(daemon.stop(), Some(0));
    let fresh = told.rig.roster(&["status", "--json"]);
    assert_eq!(fresh.err, "no running roster found; this is a fresh look\n");
    let shape = |text: &str| shape(&serde_json::from_str(text).unwrap());
    assert_eq!(shape(&running), shape(&fresh.out));
}

/// The keys of a JSON value, without what stands there.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(entries) => entries
            .iter()
            .filter(|(key, _)| {
                !matches!(key.as_str(), "status" | "since" | "settled_at" | "from_disk" | "roster")
            })
            .map(|(key, value)| (key.clone(), shape(value)))
            .collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        _ => Value::Null,
    }
}

#[test]
fn without_a_state_folder_the_admin_address_is_asked_and_another_rosters_is_not_believed() {
    let told = Told::new();
    let _daemon = told.run(&[8001]);
    let config = told.rig.config();
    let status = |config: &str| crate::rig::roster(&["status", "-c", config]);
    let asked = status(config.to_str().unwrap());
    assert_eq!((asked.code, asked.err.as_str()), (Some(0), ""), "{asked:?}");

    let other = told.rig.folder().join("other.yaml");
    fs::write(&other, fs::read_to_string(&config).unwrap().replace("local:", "another:")).unwrap();
    let asked = status(other.to_str().unwrap());
    assert!(asked.err.contains("this is a fresh look"), "{asked:?}");
}

#[test]
fn the_plan_is_a_fresh_look_that_changes_nothing() {
    let told = Told::new();
    let _daemon = told.run(&[8001]);
    let plan: Value = serde_json::from_str(&told.get("/api/v1/plan").body).unwrap();
    assert_eq!((&plan["changes"], &plan["targets"][0]["target"]), (&json!(0), &json!("local")), "{plan}");
    told.rig.haproxy.cli("set server web/srv1 addr 127.0.0.1 port 9").or_fail();
    let plan: Value = serde_json::from_str(&told.get("/api/v1/plan").body).unwrap();
    assert!(plan["changes"].as_u64() > Some(0), "{plan}");
    assert_eq!(plan["targets"][0]["operations"][0]["lines"][0], "set server web/srv1 state maint", "{plan}");
}

#[test]
fn the_events_tell_every_change_and_go_on_over_a_reload() {
    let told = Told::new();
    let daemon = told.run(&[8001]);
    let mut events = Events::open(told.at);
    told.rig.web(&[8001, 8002]);
    let added = events.until(|event| event["event"] == "changed" && event["op"] == "ready");
    assert_eq!(
        (&added["target"], &added["backend"], &added["server"]),
        (&json!("local"), &json!("web"), &json!("srv2"))
    );
    assert_eq!(added["reason"], "127.0.0.1:8002 appeared");
    told.rig.until_ready("web", &[("srv1", 8001), ("srv2", 8002)]);

    daemon.signal(Signal::HUP);
    daemon.until_log("the configuration was read again");
    told.rig.web(&[]);
    let held = events.until(|event| event["event"] == "held");
    assert_eq!((&held["guard"], &held["leaving"], &held["of"]), (&json!("minimum"), &json!(2), &json!(2)));
}

#[test]
fn a_reload_moves_the_address_and_a_refused_one_is_told() {
    let told = Told::new();
    let daemon = told.run(&[8001]);
    let elsewhere = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port().or_fail()));
    told.configure("expose: [ { nonsense: 1 } ]\n");
    daemon.signal(Signal::HUP);
    told.until_metric("roster_config_last_reload_successful", 0.0);

    told.configure(&format!("admin: {{ listen: \"{elsewhere}\" }}\n{EXPOSE}"));
    daemon.signal(Signal::HUP);
    wait_until_or_fail(CAP, "the new address", || {
        http_get(elsewhere, "/readyz").is_ok_and(|r| r.status == 200)
    });
    wait_until_or_fail(CAP, "the old address to be free", || TcpStream::connect(told.at).is_err());
    let moved = Told { at: elsewhere, ..told };
    moved.until_metric("roster_config_last_reload_successful", 1.0);
    assert_eq!(moved.status()["targets"]["local"]["synced"], true);
    assert_eq!(moved.rig.roster(&["status"]).err, "", "the control socket no longer answers");
}

#[test]
fn nothing_can_be_changed_over_tcp_and_only_the_owner_has_the_socket() {
    let told = Told::new();
    let _daemon = told.run(&[8001]);
    let mode = fs::metadata(told.control()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for path in ["/api/v1/release", "/api/v1/adopt"] {
        let body = r#"{"backend":"web","server":"srv1"}"#;
        let over_tcp = request(told.at, &post(path, body));
        assert_eq!(over_tcp.status, 404, "{over_tcp:?}");
        let over_socket =
            request_over(std::os::unix::net::UnixStream::connect(told.control()).unwrap(), &post(path, body));
        assert_eq!(over_socket.status, 409, "{over_socket:?}");
        let error: Value = serde_json::from_str(&over_socket.body).unwrap();
        assert!(error["error"].is_string(), "{error}");
    }
}

#[test]
fn a_browser_that_was_lured_here_is_refused() {
    let told = Told::new();
    let _daemon = told.run(&[8001]);
    let with_host = |host: &str| {
        request(told.at, &format!("GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    };
    for host in ["rebound.example", "rebound.example:9876", "127.0.0.1.rebound.example"] {
        assert_eq!(with_host(host).status, 403, "{host}");
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]:9876"] {
        assert_eq!(with_host(host).status, 200, "{host}");
    }
    let page = told.get("/");
    assert!(page.head.contains("content-security-policy: default-src 'none'"), "{}", page.head);
    assert!(page.body.contains("<h2>local</h2>"), "{}", page.body);
}

#[test]
fn an_address_that_was_asked_for_must_be_free_and_the_usual_one_need_not_be() {
    let told = Told::new();
    let taken = TcpListener::bind(told.at).unwrap();
    let ended = told.rig.roster(&["run"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains(&format!("admin.listen {}", told.at)), "{}", ended.err);
    drop(taken);

    // This test has it, or somebody who keeps it.
    let _taken = wait_until(Duration::from_secs(10), "it", || TcpListener::bind((Ipv4Addr::LOCALHOST, 9876)));
    told.configure(EXPOSE);
    told.rig.web(&[8001]);
    let daemon = told.rig.run();
    daemon.until_log("no status page and no metrics");
    told.rig.until_ready("web", &[("srv1", 8001)]);
    assert_eq!(told.rig.roster(&["status"]).err, "", "the control socket does not depend on the address");
}

#[test]
fn the_end_is_not_held_up_by_those_who_listen() {
    let told = Told::new();
    let daemon = told.run(&[8001]);
    let mut events = Events::open(told.at);
    let _idle = TcpStream::connect(told.at).unwrap();
    let _silent = std::os::unix::net::UnixStream::connect(told.control()).unwrap();
    let started = Instant::now();
    assert_eq!(daemon.stop(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(events.ended(), "the stream did not end cleanly");
}
