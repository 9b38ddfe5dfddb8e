//! What goes wrong with an API, and who else writes.

use std::time::Duration;

use roster_testkit::{DataplaneVersion, Fault, HaproxyVersion, OrFail};

use super::site::{Site, on_each, on_each_stand_in};

/// Injects a fault, changes what is wanted, and looks that it is told and then made up for.
fn told_and_repaired(site: &Site, fault: Fault, says: &str) {
    let ports = site.ports();
    site.services(&[("web", &ports[..1])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..1]);
    site.until_written(&format!("server srv1 127.0.0.1:{} weight 10 # a word on srv1", ports[0]));
    site.api.inject(fault, 3).or_fail();
    site.services(&[("web", &ports[..2])]);
    daemon.until_log(says);
    site.until_ready("web", &ports[..2]);
    site.until_written(&format!("server srv2 127.0.0.1:{} weight 10", ports[1]));
    assert_eq!(site.api.counters().reloads_asked, 0, "{}", daemon.log());
    assert!(!daemon.log().contains("test-password"));
}

fn alone(version: DataplaneVersion) -> Site {
    let haproxy = if version == DataplaneVersion::V2 { HaproxyVersion::V2_6 } else { HaproxyVersion::V3_0 };
    Site::stand_in(version, haproxy, false)
}

#[test]
fn a_web_page_instead_of_an_answer_is_told_and_made_up_for() {
    told_and_repaired(&alone(DataplaneVersion::V3), Fault::BadGateway, "a web page came with status 502");
}

#[test]
fn half_an_answer_is_told_and_made_up_for() {
    told_and_repaired(&alone(DataplaneVersion::V2), Fault::HalfBody, "the answer broke off");
}

#[test]
fn an_action_that_fails_is_told_and_made_up_for() {
    told_and_repaired(
        &alone(DataplaneVersion::V3),
        Fault::ActionFails(1),
        "the running HAProxy is not as it says",
    );
}

#[test]
fn a_wrong_password_is_told_and_not_repeated_in_the_log() {
    let site = Site::start(DataplaneVersion::V2, HaproxyVersion::V2_6, false);
    let text = std::fs::read_to_string(site.rig.config()).or_fail().replace("test-password", "pa55-w0rd");
    std::fs::write(site.rig.config(), text).or_fail();
    site.services(&[("web", &site.ports()[..1])]);
    let daemon = site.rig.run();
    daemon.until_log("does not accept this user with this password");
    assert!(!daemon.log().contains("pa55-w0rd"), "{}", daemon.log());
}

#[test]
fn an_api_that_is_down_is_waited_for() {
    on_each(|site| {
        let ports = site.ports();
        site.api.refuse();
        site.services(&[("web", &ports[..1])]);
        let daemon = site.rig.run();
        daemon.until_log("no connection");
        if site.keys.contains("socket") {
            // HAProxy itself can be reached: its servers do not wait for the API.
            site.until_ready("web", &ports[..1]);
        }
        site.api.listen_again().or_fail();
        site.until_ready("web", &ports[..1]);
        site.until_written(&format!("server srv1 127.0.0.1:{} weight 10 # a word on srv1", ports[0]));
    });
}

#[test]
fn a_second_writer_loses_nothing_and_neither_does_roster() {
    on_each_stand_in(|site| {
        let ports = site.ports();
        site.services(&[("web", &ports[..1])]);
        let _daemon = site.rig.run();
        site.until_ready("web", &ports[..1]);
        for pass in 0..20_usize {
            // Every other write finds that somebody was faster.
            site.api.inject(Fault::OtherWriter, 1).or_fail();
            let web = &ports[pass % 2..pass % 2 + 2];
            site.services(&[("web", web)]);
            site.until_ready("web", web);
        }
        assert!(site.text().contains("server own 127.0.0.1:9 weight 7"), "{}", site.text());
        assert_eq!(site.api.counters().reloads_asked, 0);
    });
}

#[test]
fn a_file_that_somebody_put_back_is_seen_and_repaired() {
    on_each(|site| {
        let ports = site.ports();
        let original = site.text();
        site.services(&[("web", &ports[..2])]);
        let _daemon = site.rig.run();
        site.until_ready("web", &ports[..2]);
        let line = format!("server srv2 127.0.0.1:{} weight 10", ports[1]);
        site.until_written(&line);
        site.api.edit_by_hand(&site.rig.haproxy.config_path(), &original).or_fail();
        site.until_written(&line);
        site.until_ready("web", &ports[..2]);
    });
}

#[test]
fn a_version_that_goes_backwards_is_seen_and_repaired() {
    // The real program sometimes counts on instead.
    on_each_stand_in(|site| {
        let (ports, original) = (site.ports(), site.text());
        let _daemon = site.rig.run();
        for web in [&ports[..2], &ports[1..3], &ports[..1], &ports[2..4]] {
            site.services(&[("web", web)]);
            site.until_ready("web", web);
            site.until_file_follows("web");
        }
        let before = site.version();
        site.api.edit_by_hand(&site.rig.haproxy.config_path(), &original).or_fail();
        site.until_ready("web", &ports[2..4]);
        site.until_file_follows("web");
        assert!(site.version() < before, "{} is not before {before}", site.version());
    });
}

#[test]
fn an_api_that_answers_late_is_waited_for() {
    let site = alone(DataplaneVersion::V3);
    let ports = site.ports();
    site.api.inject(Fault::Slow(Duration::from_millis(300)), 5).or_fail();
    site.services(&[("web", &ports[..2])]);
    let _daemon = site.rig.run();
    site.until_ready("web", &ports[..2]);
}
