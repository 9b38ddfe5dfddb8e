//! What the API answers as if all were well: Roster notices, and repairs it or says why it cannot.

use roster_targets::dataplane::client::{Client, Transaction};
use roster_testkit::{
    DataplaneVersion, Fault, HaproxyVersion, OrFail, Poll, RuntimeSocket, wait_until_or_fail,
};

use super::proxy::{How, Proxy};
use super::site::{CONFIG, PAIRS, Site, alone, alone_stand_in, wait_for};
use crate::rig::CAP;

/// What 2.9 sees of HAProxy 2.6 through its master: nothing, and no errors.
fn blind(socket: bool) -> Site {
    let set_up = |haproxy: &roster_testkit::Haproxy, api: roster_testkit::DataplaneBuilder| {
        api.runtime(RuntimeSocket::Master(haproxy.master_socket()))
    };
    Site::with(DataplaneVersion::V2, HaproxyVersion::V2_6, socket, CONFIG, set_up)
}

#[test]
fn an_api_that_sees_no_server_is_told_and_nothing_is_written_through_it() {
    let mut site = blind(false);
    let ports = site.ports();
    site.with_backends();
    site.services(&[("web", &ports[..2])]);
    let (before, daemon) = (site.text(), site.rig.run());
    daemon.until_log("sets no `master_runtime`");
    let status = site.rig.roster(&["status"]);
    assert!(status.out.contains("shows no running server of backend web"), "{status:?}");
    let once = {
        daemon.stop();
        site.rig.roster(&["once"])
    };
    assert_eq!(once.code, Some(1), "{once:?}");
    assert!(once.err.contains("master_runtime"), "{once:?}");
    assert_eq!((site.text(), site.api.counters().writes), (before, 0));
}

#[test]
fn an_api_that_sees_no_server_writes_the_file_where_haproxys_own_socket_is_given() {
    let mut site = blind(true);
    let ports = site.ports();
    site.with_backends();
    site.services(&[("web", &ports[..2])]);
    let daemon = site.rig.run();
    site.until_ready("web", &ports[..2]);
    site.until_written(&format!("server srv2 127.0.0.1:{} weight 10", ports[1]));
    assert_eq!(site.reloads(), 0, "{}", daemon.log());
    site.services(&[("web", &ports[..2]), ("api", &ports[2..3])]);
    site.until_ready("api", &ports[2..3]);
    assert_eq!(site.reloads(), 1, "{}", daemon.log());
    site.until_ready("web", &ports[..2]);
}

#[test]
fn weights_that_nobody_shows_are_named_by_status() {
    alone(|site| {
        site.services(&[("web", &site.ports()[..1])]);
        let _daemon = site.rig.run();
        site.until_ready("web", &site.ports()[..1]);
        let status = site.rig.roster(&["status"]);
        assert!(status.out.contains("does not show weights and checks"), "{status:?}");
        assert!(status.out.contains("with `socket` Roster sees them"), "{status:?}");
        assert_eq!(status.code, Some(0), "{status:?}");
    });
}

/// What an operator does to a running server stays, but it has to be seen.
#[test]
fn a_weight_that_somebody_changed_in_the_process_is_seen_with_the_socket() {
    for (api, haproxy) in PAIRS {
        let site = Site::start(api, haproxy, true);
        let ports = site.ports();
        site.services(&[("web", &ports[..2])]);
        let daemon = site.rig.run();
        site.until_ready("web", &ports[..2]);
        daemon.until_log("HAProxy shows what is wanted");
        let status = site.rig.roster(&["status"]);
        assert!(!status.out.contains("does not show weights"), "{status:?}");
        assert_eq!(daemon.stop(), Some(0));
        site.rig.haproxy.cli("set server web/srv2 weight 77").or_fail();
        let status = site.rig.roster(&["status"]);
        assert!(
            status.out.contains(&format!("srv2 127.0.0.1:{}: operator (weight)", ports[1])),
            "{status:?}"
        );
        // The file follows what runs.
        assert_eq!(site.rig.roster(&["once"]).code, Some(0));
        site.until_written(&format!("server srv2 127.0.0.1:{} weight 77", ports[1]));
        assert_eq!(site.rig.haproxy.server("web", "srv2").or_fail().uweight, 77);
    }
}

#[test]
fn a_weight_behind_an_action_that_failed_is_repaired_though_the_file_has_it() {
    alone_stand_in(|site| {
        let ports = site.ports();
        let weighted = |weight: u32| {
            let text = format!(
                "services: {{ web: [ {{ address: 127.0.0.1, port: {}, weight: {weight} }} ] }}\n",
                ports[0]
            );
            site.rig.services(&text);
        };
        weighted(20);
        let daemon = site.rig.run();
        site.until_ready("web", &ports[..1]);
        site.until_written(&format!("server srv1 127.0.0.1:{} weight 20 # a word on srv1", ports[0]));
        site.api.inject(Fault::ActionFails(1), 1).or_fail();
        weighted(30);
        daemon.until_log("the running HAProxy is not as it says");
        wait_until_or_fail(CAP, "the weight in the process", || {
            Poll::when(site.rig.haproxy.server("web", "srv1").or_fail().uweight, |weight| *weight == 30)
        });
        site.until_written(&format!("server srv1 127.0.0.1:{} weight 30 # a word on srv1", ports[0]));
    });
}

/// The API takes each of these for done, and HAProxy does not.
#[test]
fn what_the_api_would_swallow_never_reaches_it_and_keeps_nobody_else_out() {
    alone(|site| {
        let ports = site.ports();
        let text = format!(
            "services:\n  web:\n    - \"127.0.0.1:{}\"\n    - {{ address: www.example.org, port: 80 }}\n    \
             - {{ address: 127.0.0.1, port: 99999 }}\n    \
             - {{ address: \"127.0.0.1;SetServerAddr foreign own 127.0.0.1\", port: 80 }}\n    \
             - {{ address: 127.0.0.1, port: {}, weight: 999 }}\n",
            ports[0], ports[1]
        );
        site.rig.services(&text);
        let daemon = site.rig.run();
        site.until_ready("web", &ports[..1]);
        for word in ["www.example.org", "99999", "SetServerAddr", "999"] {
            daemon.until_log(word);
            let status = site.rig.roster(&["status"]);
            assert!(status.out.contains(word), "{status:?}");
        }
        assert!(!site.text().contains("example.org") && !site.text().contains("99999"), "{}", site.text());
        assert_eq!(site.rig.haproxy.server("foreign", "own").or_fail().port, 9);
    });
}

/// With a backend whose text only the API knows, which it makes in a transaction that is thrown away.
fn with_options(site: &mut Site) {
    site.expose =
        site.expose.replace("guard: off", "guard: off, backend: { options: { server_timeout: 4321 } }");
}

/// Each way in which a call within a transaction can fail.
#[test]
fn a_transaction_that_failed_is_deleted_and_made_anew() {
    for (api, haproxy) in PAIRS {
        for (method, part) in [("POST", "/transactions?"), ("POST", "/backends?"), ("GET", "transaction_id=")]
        {
            for how in [How::Unsent, How::Unanswered, How::Page] {
                eprintln!("on {}: {method} …{part}…: {how:?}", api.word());
                let mut site = Site::start(api, haproxy, false);
                with_options(&mut site);
                let proxy = Proxy::before(site.api.url());
                site.configure_at(&proxy.url());
                let ports = site.ports();
                site.services(&[("api", &ports[..2])]);
                proxy.trap(method, part, how, 2);
                let daemon = site.rig.run();
                site.until_ready("api", &ports[..2]);
                daemon.until_log("ERROR");
                assert!(proxy.is_over(), "{}", daemon.log());
                assert!(site.text().contains("timeout server 4321"), "{}", site.text());
                // One whose answer was lost nobody knows the name of.
                let lost = part == "/transactions?" && how != How::Unsent;
                assert!(lost || site.transactions().is_empty(), "{:?}", site.transactions());
            }
        }
    }
}

/// As many transactions of somebody else's as the API takes.
fn fill(other: &Client) -> Vec<Transaction> {
    wait_for(async {
        let version = other.version().await.or_fail();
        let mut theirs = Vec::new();
        for _ in 0..20 {
            theirs.push(other.begin(version).await.or_fail());
        }
        theirs
    })
}

fn abandon(theirs: Vec<Transaction>) {
    wait_for(async {
        for one in theirs {
            one.abandon().await.or_fail();
        }
    });
}

#[test]
fn a_backend_that_waits_for_room_among_the_transactions_is_not_left_out() {
    for (api, haproxy) in PAIRS {
        let mut site = Site::start(api, haproxy, false);
        with_options(&mut site);
        site.configure();
        let (ports, other) = (site.ports(), site.client());
        let theirs = fill(&other);
        site.services(&[("api", &ports[..2])]);
        let daemon = site.rig.run();
        daemon.until_log("takes no more open transactions");
        assert_eq!(site.transactions().len(), 20, "another client's were deleted");
        abandon(theirs);
        site.until_ready("api", &ports[..2]);
        assert!(site.transactions().is_empty());
        assert!(site.text().contains("timeout server 4321"), "{}", site.text());
    }
}
