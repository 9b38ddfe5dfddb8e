//! A HAProxy that somebody else runs, with the file that Roster writes.

use std::process::{Command, Stdio};

use roster_testkit::{OrFail, Poll, wait_until_or_fail};

use super::site::{Site, backends, on_each, ports};
use crate::rig::CAP;

#[test]
fn a_haproxy_that_somebody_else_runs_is_reloaded_by_its_master_and_never_started_or_ended() {
    on_each(|bin| {
        let mut site = Site::new(bin);
        site.keys += "settle: { quiet: 0s }\nprocess: { reload: { master: run/theirs.sock } }\n";
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        site.services(&[("web", &all[..1])]);
        let roster = site.run();
        wait_until_or_fail(CAP, "the file", || site.text().contains("backend web\n"));
        assert_eq!(site.processes(), [] as [u32; 0], "Roster started one");
        // It is ended with the folder's other processes.
        let socket = site.path("run/theirs.sock").display().to_string() + ",mode,600";
        let mut haproxy = Command::new(bin.path());
        haproxy.args(["-W", "-db", "-S", &socket, "-f"]).arg(&site.file);
        haproxy.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut haproxy = haproxy.spawn().or_fail();
        site.until_served();
        site.until_ready("web", &all[..1]);
        let reloads = site.reloads();
        site.services(&[("web", &all[..1]), ("api", &all[1..])]);
        site.until_ready("api", &all[1..]);
        wait_until_or_fail(CAP, "one reload", || Poll::when(site.reloads(), |count| *count == reloads + 1));
        drop(roster);
        assert!(haproxy.try_wait().or_fail().is_none(), "it ended with Roster");
        assert!(site.get().is_some());
        haproxy.kill().or_fail();
        haproxy.wait().or_fail();
    });
}
