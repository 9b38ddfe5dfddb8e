//! Backends whose service went while no Roster ran, and of which nothing was kept.

use std::fs;

use roster_testkit::{OrFail, wait_until_or_fail};

use super::site::{CONFIG, PAIRS, Site, on_each};
use crate::rig::CAP;

fn forgotten(mut site: Site) {
    site.with_backends();
    let ports = site.ports();
    site.services(&[("web", &ports[..1]), ("shop", &ports[..2])]);
    let daemon = site.rig.run();
    site.until_ready("shop", &ports[..2]);
    site.until_file_follows("shop");
    assert_eq!(daemon.stop(), Some(0));
    let state = site.rig.state();
    fs::remove_dir_all(&state).or_fail();
    fs::create_dir(&state).or_fail();
    site.services(&[("web", &ports[..1])]);
    let reloads = site.reloads();

    let plan = site.rig.roster(&["plan"]);
    assert!(plan.out.contains("edge shop, service fleet/shop"), "{plan:?}");
    let daemon = site.rig.run();
    site.until_ready("shop", &[]);
    wait_until_or_fail(CAP, "the file to follow", || {
        let text = site.text();
        let (_, shop) = text.split_once("backend shop\n")?;
        let servers = shop.split("\n\n").next()?.lines().filter(|line| line.contains("server srv"));
        let parked = servers.map(|line| line.contains(" 127.0.0.1:1 ") && line.contains("disabled"));
        (parked.collect::<Vec<_>>() == [true, true]).then_some(())
    });
    site.until_ready("web", &ports[..1]);
    assert!(site.text().contains("backend shop"), "it is never removed\n{}", site.text());
    assert!(site.text().contains("server own 127.0.0.1:9 weight 7"), "{}", site.text());
    assert_eq!(site.reloads(), reloads, "{}", daemon.log());
    assert_eq!(daemon.stop(), Some(0));

    // It comes back into the backend that stayed.
    site.services(&[("web", &ports[..1]), ("shop", &ports[2..3])]);
    let daemon = site.rig.run();
    site.until_ready("shop", &ports[2..3]);
    assert_eq!(site.reloads(), reloads, "{}", daemon.log());
}

#[test]
fn a_service_that_went_while_no_roster_ran_is_taken_out_of_its_backend() {
    on_each(forgotten);
}

#[test]
fn a_backend_of_another_program_is_taken_over_by_its_name_where_names_count() {
    for (api, haproxy) in PAIRS {
        for claim in ["marked", "named"] {
            let theirs = "backend old-shop\n  server srv1 127.0.0.1:9 weight 10\n\n\
                          backend old-mixed\n  server srv1 127.0.0.1:9 weight 10\n  server canary 127.0.0.1:9\n\n";
            let config = CONFIG.replace("backend foreign", &format!("{theirs}backend foreign"));
            let mut site = Site::with(api, haproxy, false, &config, |_, api| api);
            let ports = site.ports();
            site.expose = format!(
                "expose: [ {{ service: fleet/web, bring_up: registry, guard: off }}, \
                 {{ each: fleet, bring_up: registry, drain: {{ cap: 0s }}, guard: off, \
                 backend: {{ name: 'old-{{service}}', claim: {claim} }} }} ]\n"
            );
            site.configure();
            site.services(&[("web", &ports[..1])]);
            let daemon = site.rig.run();
            site.until_ready("web", &ports[..1]);
            let left: &[u16] = if claim == "named" { &[] } else { &[9] };
            site.until_ready("old-shop", left);
            daemon.until_log("HAProxy shows what is wanted");
            site.until_ready("old-shop", left);
            site.until_ready("old-mixed", &[9, 9]);
            site.until_ready("foreign", &[9]);
        }
    }
}
