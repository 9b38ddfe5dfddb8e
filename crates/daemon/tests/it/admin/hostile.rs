//! What the admin address and the control socket stand: questions that change nothing, and clients that hang.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use roster_testkit::{OrFail, wait_until_or_fail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

use super::client::{request, request_over};
use super::{EXPOSE, Told};
use crate::rig::CAP;

#[test]
fn no_get_of_any_path_changes_anything() {
    let told = Told::new();
    let daemon = told.run(&[8001]);
    told.rig.haproxy.cli("set server web/srv1 addr 127.0.0.1 port 9").or_fail();
    let list = told.rig.state().join("sources/fleet.state");
    wait_until_or_fail(CAP, "the record of the source", || list.exists());
    let (state, log) = (servers(&told), daemon.log());
    let kept = kept(&told.rig.state());
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/readyz?verbose",
        "/metrics",
        "/api/v1/status",
        "/api/v1/status?look",
        "/api/v1/status?look=1",
        "/api/v1/status?look&apply",
        "/api/v1/plan",
        "/api/v1/plan?apply=true",
        "/api/v1/release?backend=web",
        "/api/v1/adopt?backend=web&server=srv1",
        "/api/v1/compact?apply=true",
    ] {
        let text =
            |method| format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        for method in ["GET", "HEAD"] {
            request(told.at, &text(method));
            request_over(UnixStream::connect(told.control()).unwrap(), &text(method));
        }
    }
    let looked: Value = serde_json::from_str(&told.get("/api/v1/status?look").body).unwrap();
    assert_ne!(looked["targets"]["local"]["backends"]["web"]["pending"], 0, "not a fresh look: {looked}");
    assert_eq!(
        told.status()["targets"]["local"]["backends"]["web"]["pending"],
        0,
        "the status is the last pass's"
    );
    assert_eq!(servers(&told), state);
    assert!(self::kept(&told.rig.state()) == kept, "a record was written");
    assert_eq!(daemon.log(), log);
}

/// What HAProxy shows of its servers, without the time since each changed last.
fn servers(told: &Told) -> Vec<Vec<String>> {
    let shown = told.rig.haproxy.cli("show servers state").or_fail();
    let without_time = |line: &str| {
        let columns = line.split(' ').enumerate().filter(|(place, _)| *place != 9);
        columns.map(|(_, column)| column.to_owned()).collect()
    };
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].split(' ').nth(10) == Some("srv_time_since_last_change"), "behind `#`: {shown}");
    lines.into_iter().map(without_time).collect()
}

/// Every file of a folder, with what is in it.
fn kept(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(self::kept(&entry.path())),
            kind if kind.is_file() => found.push((entry.path(), fs::read(entry.path()).unwrap())),
            _ => {}
        }
    }
    found.sort();
    found
}

/// Asks for metrics again and again and reads nothing, until nothing more is taken.
fn deaf(at: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    while stream.write_all(request.as_bytes()).is_ok() {}
    stream
}

/// Lets this process have the files that its clients need: some systems give a process 1,024.
fn more_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(4096, |most| most.min(4096));
    if limit.current.is_some_and(|now| now < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).unwrap();
    }
}

#[test]
fn clients_that_read_nothing_or_send_half_a_request_keep_no_other_from_asking() {
    let told = Told::new();
    let _daemon = told.run(&[8001]);
    let _deaf: Vec<TcpStream> = std::thread::scope(|scope| {
        let each: Vec<_> = (0..64).map(|_| scope.spawn(|| deaf(told.at))).collect();
        each.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let asked = Instant::now();
    assert_eq!(told.get("/healthz").status, 200);
    assert_eq!(told.get("/readyz").status, 200);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());

    more_open_files();
    let half = |_| {
        let mut stream = UnixStream::connect(told.control()).unwrap();
        stream.write_all(b"POST /api/v1/rel").unwrap();
        stream
    };
    let _half: Vec<_> = (0..1000).map(half).collect();
    let asked = Instant::now();
    let status = told.rig.roster(&["status"]);
    assert_eq!((status.code, status.err.as_str()), (Some(0), ""), "{status:?}");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[test]
fn trace_writes_each_command_and_its_answer_and_nothing_of_libraries() {
    let told = Told::new();
    told.configure(&format!("admin: {{ listen: \"{}\" }}\nlog: {{ level: trace }}\n{EXPOSE}", told.at));
    let daemon = told.run(&[8001]);
    daemon.until_log("command=\"set server web/srv1 addr 127.0.0.1 port 8001\"");
    let log = daemon.log();
    let answered = |line: &str| line.contains("HAProxy answered") && line.contains("command=\"show info\"");
    let line = log.lines().find(|line| answered(line)).unwrap();
    assert!(line.contains("Version: "), "no answer: {line}");
    assert!(!log.contains("hyper"), "{log}");
}
