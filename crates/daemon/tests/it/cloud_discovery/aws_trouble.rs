//! A region of AWS that does not answer, and an API that is away: nothing is lost, and little is said.

use std::fs;
use std::process::{Command, Stdio};

use roster_testkit::{Fault, OrFail, Poll, free_port, http_get, wait_until_or_fail};

use super::aws::{BACKEND, Cloud, MYAPP, OWN_PORT};
use super::site::{PAIRS, Site};
use crate::rig::{CAP, Daemon, at_home};

/// The log's lines of this level, as JSON.
fn lines(daemon: &Daemon, level: &str) -> Vec<serde_json::Value> {
    let log = daemon.log();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line["level"] == level).collect()
}

/// Waits until one server is active, at this place.
#[track_caller]
fn until_at(site: &Site, endpoint: &str) {
    wait_until_or_fail(CAP, endpoint, || {
        Poll::when(site.active(BACKEND), |active| active.values().any(|at| at == endpoint))
    });
}

#[test]
fn a_region_that_refuses_keeps_the_servers_and_is_told_of_once() {
    let cloud = Cloud::start();
    let ids = cloud.instances(2, &MYAPP);
    let site = cloud.site(PAIRS[0]);
    let daemon = site.run();
    wait_until_or_fail(CAP, "two servers", || Poll::when(site.active(BACKEND), |active| active.len() == 2));
    let before = site.active(BACKEND);
    for (status, code) in [(400, "ExpiredToken"), (403, "UnauthorizedOperation"), (401, "AuthFailure")] {
        let errors = lines(&daemon, "ERROR").len();
        cloud.gate.fail(status, code);
        // The first one is in the pause that was planned before; the others follow after shorter ones.
        cloud.gate.until_asked(4);
        let told = lines(&daemon, "ERROR");
        assert_eq!(told.len(), errors + 1, "{code}: {told:?}");
        let message = told.last().unwrap()["message"].as_str().unwrap();
        assert!(message.contains(code) && message.contains("the last good answer stays"), "{message}");
        assert_eq!(site.active(BACKEND), before);
    }
    // What changed meanwhile is not forgotten.
    cloud.moto.tag(&ids[0], OWN_PORT, "9999").or_fail();
    cloud.gate.answer();
    until_at(&site, &cloud.at(&ids[0], 9999));
    assert_eq!(site.active(BACKEND).len(), 2);
    let log = daemon.log();
    assert!(!log.contains("wJalrXUtnFEMISECRET") && !log.contains("test-password"), "{log}");
    assert_eq!(site.reloads(), 1);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn once_fails_where_the_region_or_the_api_does() {
    let cloud = Cloud::start();
    cloud.instances(1, &MYAPP);
    let site = cloud.site(PAIRS[1]);
    cloud.gate.fail(403, "UnauthorizedOperation");
    let ended = site.once();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("UnauthorizedOperation"), "{ended:?}");
    assert_eq!(site.changes(), 0);
    cloud.gate.answer();
    site.api.refuse();
    let ended = site.once();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains(site.api.url().trim_start_matches("http://")), "{ended:?}");
    site.api.listen_again().or_fail();
    site.once_well();
    assert_eq!(site.active(BACKEND).len(), 1);
}

fn the_api_is_away_and_others_write(site: &Site, cloud: &Cloud, id: &str) {
    let daemon = site.run();
    wait_until_or_fail(CAP, "a server", || Poll::when(site.active(BACKEND), |active| active.len() == 1));
    // Somebody else is faster, more often than the original tried: each time between a read and its write, where only the
    // stand-in can let another writer in.
    site.api.inject(Fault::OtherWriter, 5).or_fail();
    cloud.moto.tag(id, OWN_PORT, "9001").or_fail();
    until_at(site, &cloud.at(id, 9001));
    site.api.clear_faults().or_fail();
    // The change comes while nobody takes it.
    site.until_written(BACKEND, &format!("server srv1 {}", cloud.at(id, 9001)));
    site.api.refuse();
    cloud.moto.tag(id, OWN_PORT, "9002").or_fail();
    cloud.gate.until_asked(4);
    let errors = lines(&daemon, "ERROR").len() + lines(&daemon, "WARNING").len();
    assert!((1..=6).contains(&errors), "{}", daemon.log());
    site.api.listen_again().or_fail();
    until_at(site, &cloud.at(id, 9002));
    site.until_written(BACKEND, &format!("server srv1 {}", cloud.at(id, 9002)));
    assert_eq!(site.reloads(), 1, "{}", daemon.log());
}

#[test]
fn a_change_is_not_forgotten_while_the_api_is_away_or_others_write() {
    let cloud = Cloud::start();
    let ids = cloud.instances(1, &MYAPP);
    for pair in PAIRS {
        eprintln!("with version {} of the API", pair.0.word());
        cloud.moto.tag(&ids[0], OWN_PORT, "9000").or_fail();
        the_api_is_away_and_others_write(&cloud.stand_in(pair), &cloud, &ids[0]);
    }
}

#[test]
fn a_region_that_fails_for_long_is_counted_by_the_metrics() {
    let cloud = Cloud::start();
    let ids = cloud.instances(1, &MYAPP);
    let site = cloud.site(PAIRS[1]);
    // The metrics have an address in Roster's own configuration only.
    let mut convert = Command::new(env!("CARGO_BIN_EXE_roster"));
    convert
        .envs(&site.env)
        .args(["convert", "--from", "haproxy-cloud-discovery"])
        .arg(site.path("config.yaml"));
    let native = String::from_utf8(convert.output().unwrap().stdout).unwrap();
    let admin = free_port().or_fail();
    let native = native.replace("admin: \"off\"", &format!("admin: {{ listen: \"127.0.0.1:{admin}\" }}"));
    fs::write(site.path("roster.yaml"), native).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    command.envs(&site.env).stdin(Stdio::null());
    at_home(&mut command, &site.path("."));
    command.args(["run", "-c"]).arg(site.path("roster.yaml"));
    let daemon = Daemon::start(command, site.path("roster.log"));
    let until = |line: &str| {
        wait_until_or_fail(CAP, line, || {
            let reply = http_get(([127, 0, 0, 1], admin).into(), "/metrics").map(|reply| reply.body);
            Poll::when(reply.unwrap_or_default(), |text| text.lines().any(|one| one == line))
        })
    };
    until(r#"roster_source_up{source="aws"} 1"#);
    until_at(&site, &cloud.at(&ids[0], 8080));
    cloud.gate.fail(500, "InternalError");
    until(r#"roster_source_up{source="aws"} 0"#);
    // Five attempts a listing.
    until(r#"roster_source_api_calls_total{source="aws",api="DescribeInstances",code="500"} 10"#);
    let text = until(r#"roster_source_errors_total{source="aws"} 1"#);
    assert!(text.contains(r#"roster_source_instances{source="aws"} 1"#), "{text}");
    assert_eq!(site.active(BACKEND).len(), 1);
    assert_eq!(lines(&daemon, "error").len() + lines(&daemon, "ERROR").len(), 1, "{}", daemon.log());
    cloud.gate.answer();
    until(r#"roster_source_up{source="aws"} 1"#);
    assert_eq!(daemon.stop(), Some(0));
}
