//! Where Roster writes HAProxy's file, what is kept stands in it.

use roster_testkit::{Poll, TrafficLoad, wait_until_or_fail};

use crate::managed::site::{Site, backends, on_each, ports};
use crate::rig::CAP;

fn rules(rules: &str) -> String {
    format!("expose: [ {rules} ]\nadmin: off\n")
}

#[test]
fn a_backend_whose_rule_is_gone_stays_in_the_file_with_its_servers_while_others_come() {
    on_each(|bin| {
        let mut site = Site::new(bin);
        let servers = backends(&["a", "b"]);
        let all = ports(&servers);
        let at_once = "bring_up: registry, drain: { cap: 0s }";
        site.rest = rules(&format!(
            "{{ service: fleet/web, {at_once}, backend: {{ balance: leastconn, lines: \"timeout server 29s\" }} }}"
        ));
        site.services(&[("web", &all[..1])]);
        let roster = site.run();
        site.until_ready("web", &all[..1]);
        site.until_served();
        drop(roster);
        let load = TrafficLoad::builder(site.address()).start();
        site.rest = rules(&format!("{{ service: fleet/shop, {at_once} }}"));
        site.services(&[("web", &all[..1]), ("shop", &all[1..])]);
        let roster = site.run();
        roster.until_log("no rule of the configuration leads service fleet/web to this backend any more");
        site.until_ready("shop", &all[1..]);
        site.until_ready("web", &all[..1]);
        let section = "\nbackend web\n";
        assert!(
            site.text().contains(section) && site.text().contains("timeout server 29s"),
            "{}",
            site.text()
        );
        let totals = load.stop();
        assert!(totals.failed() == 0 && totals.ok > 0, "{totals:?}");
        assert!(site.get().is_some(), "no server answers any more");
        assert_eq!(site.command(&["release", "web"]).code, Some(0));
        wait_until_or_fail(CAP, "the backend to go", || {
            Poll::when(site.text(), |text| !text.contains(section))
        });
    });
}
