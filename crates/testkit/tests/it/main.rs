//! The test kit against real HAProxy, on every version that is set up.

#![allow(clippy::doc_markdown, reason = "HAProxy is a name, not code")]

mod lifecycle;
mod master_worker;
mod traffic;

use std::time::Duration;

use roster_testkit::{HaproxyBin, HttpBackend, OrFail};

const CAP: Duration = Duration::from_secs(20);

/// Runs the same test on each HAProxy, and says which one failed.
fn on_each(test: impl Fn(&HaproxyBin)) {
    for bin in HaproxyBin::all().or_fail() {
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

/// Whether a process of this number runs; one that has ended but is not reaped counts as running.
fn runs(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}
