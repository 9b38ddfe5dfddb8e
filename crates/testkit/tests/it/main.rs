//! The test kit against real HAProxy, on every version that is set up.

#![allow(clippy::doc_markdown, reason = "HAProxy is a name, not code")]

mod dataplane;
mod lifecycle;
mod master_worker;
mod traffic;

use std::path::Path;
use std::time::Duration;

use roster_testkit::{HaproxyBin, HttpBackend};

const CAP: Duration = Duration::from_secs(20);

/// Runs the same test on each HAProxy, and says which one failed.
fn on_each(test: impl Fn(&HaproxyBin)) {
    for bin in HaproxyBin::each() {
        eprintln!("on {bin}");
        test(&bin);
    }
}

/// One frontend `web`, one backend `be` with two servers.
fn two_servers(one: &HttpBackend, two: &HttpBackend) -> String {
    format!(
        "frontend web\n    bind 127.0.0.1:{{port:web}}\n    default_backend be\n\
         backend be\n    balance roundrobin\n    server one {}\n    server two {}\n",
        one.addr(),
        two.addr()
    )
}

/// Whether there is a process of this number. One that has ended and is not reaped counts: no child of a test may stay.
fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Whether a process of this number runs. A killed master's workers are reaped by whoever adopts them, some day.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}
