//! Reading is reading: no GET changes HAProxy, a record or the log.

use std::fs;
use std::path::{Path, PathBuf};

use roster_testkit::{OrFail, wait_until_or_fail};
use serde_json::Value;

use super::Told;
use super::client::{request, request_over};
use crate::rig::CAP;

#[test]
fn no_get_of_any_path_changes_anything() {
    let told = Told::new();
    let daemon = told.run(&[8001]);
    told.rig.haproxy.cli("set server web/srv1 addr 127.0.0.1 port 9").or_fail();
    let list = told.rig.state().join("sources/fleet.state");
    wait_until_or_fail(CAP, "the record of the source", || list.exists());
    let (state, log) = (servers_state(&told), daemon.log());
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
            request_over(std::os::unix::net::UnixStream::connect(told.control()).unwrap(), &text(method));
        }
    }
    let looked: Value = serde_json::from_str(&told.get("/api/v1/status?look").body).unwrap();
    assert_ne!(looked["targets"]["local"]["backends"]["web"]["pending"], 0, "not a fresh look: {looked}");
    assert_eq!(
        told.status()["targets"]["local"]["backends"]["web"]["pending"],
        0,
        "the status is the last pass's"
    );
    assert_eq!(servers_state(&told), state);
    assert!(self::kept(&told.rig.state()) == kept, "a record was written");
    assert_eq!(daemon.log(), log);
}

/// What HAProxy shows of its servers, but for how long each has been in its state.
fn servers_state(told: &Told) -> Vec<Vec<String>> {
    const TIME_SINCE_LAST_CHANGE: usize = 9;
    let shown = told.rig.haproxy.cli("show servers state").or_fail();
    let fields = |line: &str| {
        line.split(' ')
            .enumerate()
            .filter(|(column, _)| *column != TIME_SINCE_LAST_CHANGE)
            .map(|(_, field)| field.to_owned())
            .collect()
    };
    shown.lines().filter(|line| !line.starts_with('#')).map(fields).collect()
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
