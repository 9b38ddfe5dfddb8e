//! What HAProxy sees of Roster's environment.

use std::fs;

use roster_testkit::{HaproxyBin, OrFail, cli_at};

use super::site::{Site, backends, on_each_at_once, ports};

fn environment_is_clean(bin: &HaproxyBin) {
    let mut site = Site::new(bin);
    site.keys += "pass_environment: [APP_NAMED]\n";
    site.sections += "    http-response set-header X-Named \"${APP_NAMED}\"\n";
    let servers = backends(&["web"]);
    site.services(&[("web", &ports(&servers))]);
    site.configure();
    let roster =
        site.run_under(&["env", "APP_NAMED=seen", "APP_SECRET=hunter2", "AWS_SECRET_ACCESS_KEY=hunter2"]);
    site.until_served();
    let (master, worker) = (site.master().unwrap(), site.worker().unwrap());
    let shown = [
        site.cli("show env").unwrap(),
        cli_at(&site.path("run/master.sock"), "@master show env").or_fail(),
        fs::read_to_string(format!("/proc/{master}/environ")).or_fail(),
        fs::read_to_string(format!("/proc/{worker}/environ")).or_fail(),
    ];
    for text in shown {
        assert!(!text.contains("hunter2") && !text.contains("SECRET"), "{bin}: {text}");
    }
    assert!(site.cli("show env APP_NAMED").unwrap().contains("seen"), "{bin}");
    assert_eq!(roster.stop(), Some(0));
}

#[test]
fn haproxy_gets_of_rosters_environment_what_it_needs_and_what_is_named() {
    on_each_at_once(environment_is_clean);
}
