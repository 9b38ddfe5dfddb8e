//! What a server past the slots is given of what the slots have.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use roster_haproxy::address::Port;
use roster_haproxy::keywords::{CheckKeywords, ServerKeywords, TlsKeywords, Verify};
use roster_haproxy::observed::{ObservedLine, State};
use roster_haproxy::weight::Weight;

use super::sim::{Sim, endpoint, instances, name};
use crate::exposure::{Drain, Names};
use crate::plan::{BackendPlan, Change, Note};
use crate::slots::NoSlot;

/// A backend with one slot, which is as `make` says.
fn one_slot(make: impl FnOnce(&mut roster_haproxy::observed::ObservedServer)) -> Sim {
    let mut sim = Sim::with_slots(1);
    sim.server("srv1").check = roster_haproxy::observed::ObservedCheck::default();
    make(sim.server("srv1"));
    sim
}

/// The line of the second server.
fn added(plan: &BackendPlan) -> Option<ServerKeywords> {
    plan.operations.iter().find_map(|operation| match &operation.change {
        Change::Add { keywords, .. } if operation.server == name("srv2") => Some((**keywords).clone()),
        _ => None,
    })
}

#[test]
fn a_server_that_is_added_is_checked_where_the_slots_are() {
    let sim = one_slot(|slot| {
        slot.check.configured = true;
        (slot.check.port, slot.check.address) = (Port::new(8081), Some(IpAddr::from([10, 9, 9, 9])));
    });
    let plan = sim.plan(&instances([1, 2]));
    let check = CheckKeywords {
        port: Port::new(8081),
        addr: Some(IpAddr::from([10, 9, 9, 9])),
        ..CheckKeywords::default()
    };
    assert_eq!(added(&plan).unwrap().check, Some(check));
    let switched_on =
        |op: &&crate::plan::Operation| op.server == name("srv2") && op.change == Change::EnableCheck;
    assert!(plan.operations.iter().any(|op| switched_on(&op)), "{:?}", plan.operations);
}

#[test]
fn a_server_that_is_added_has_the_weight_the_limit_and_the_cookie_of_the_slots() {
    let mut sim = one_slot(|slot| {
        (slot.weight, slot.initial_weight) = (Weight::new(33).unwrap(), Weight::new(33).unwrap());
        slot.line = ObservedLine { maxconn: NonZeroU32::new(77), cookie_is_name: true, backup: false };
    });
    sim.seen.limits.version = roster_haproxy::version::Version::new(2, 8, 0);
    let line = added(&sim.plan(&instances([1, 2]))).unwrap();
    assert_eq!((line.weight, line.maxconn), (Weight::new(33).ok(), NonZeroU32::new(77)));
    assert_eq!(line.cookie.unwrap().as_str(), "srv2");
    sim.settle(&instances([1, 2]));
    assert_eq!(sim.server("srv2").weight.get(), 33);
    assert!(sim.plan(&instances([1, 2])).operations.is_empty());
    sim.seen.limits.version = roster_haproxy::version::Version::new(2, 6, 0);
    assert!(sim.plan(&instances([1, 2])).notes.iter().any(|note| matches!(note, Note::NoCookie { .. })));
}

#[test]
fn what_the_rule_says_goes_before_what_the_slots_have() {
    let mut sim = one_slot(|slot| {
        slot.check.configured = true;
        slot.check.port = Port::new(8081);
        slot.line.maxconn = NonZeroU32::new(77);
    });
    let rule = &mut sim.exposure().policy.server;
    (rule.check, rule.maxconn) = (Some(CheckKeywords::default()), NonZeroU32::new(5));
    let line = added(&sim.plan(&instances([1, 2]))).unwrap();
    assert_eq!((line.check.unwrap().port, line.maxconn), (None, NonZeroU32::new(5)));
}

#[test]
fn what_not_all_slots_have_is_not_taken_over() {
    let mut sim = Sim::with_slots(2);
    sim.server("srv2").check.configured = false;
    sim.server("srv2").line.maxconn = NonZeroU32::new(77);
    let plan = sim.plan(&instances([1, 2, 3]));
    let line = plan.operations.iter().find_map(|operation| match &operation.change {
        Change::Add { keywords, .. } => Some(keywords.clone()),
        _ => None,
    });
    let line = line.unwrap();
    assert_eq!((line.check, line.maxconn, line.weight), (None, None, None));
}

#[test]
fn no_server_is_added_in_clear_text_beside_slots_with_tls() {
    let mut sim = one_slot(|slot| slot.tls = true);
    let plan = sim.plan(&instances([1, 2]));
    assert_eq!(added(&plan), None);
    assert!(plan.notes.contains(&Note::NoTls), "{:?}", plan.notes);
    let full = |note: &Note| matches!(note, Note::Unplaced(one) if matches!(one.why, NoSlot::Full { .. }));
    assert!(plan.notes.iter().any(full), "{:?}", plan.notes);
    sim.settle(&instances([1, 2]));
    assert_eq!(sim.serving().len(), 1);
    // As soon as the rule says how, it is added.
    let tls = TlsKeywords { verify: Verify::None, sni: None, alpn: None };
    sim.exposure().policy.server.tls = Some(tls);
    sim.settle(&instances([1, 2]));
    assert!(sim.server("srv2").tls);
    assert!(!sim.plan(&instances([1, 2])).notes.contains(&Note::NoTls));
}

#[test]
fn servers_that_were_added_do_not_say_how_others_are_added() {
    // They were added with TLS, and the rule has no `ssl` any more: the slots of the file have none.
    let mut sim = one_slot(|_| {});
    let tls = TlsKeywords { verify: Verify::None, sni: None, alpn: None };
    sim.exposure().policy.server.tls = Some(tls);
    sim.settle(&instances([1, 2]));
    sim.exposure().policy.server.tls = None;
    sim.settle(&instances([1, 2, 3]));
    assert_eq!(sim.serving().len(), 3);
}

#[test]
fn of_servers_called_after_addresses_only_those_that_roster_added_are_deleted() {
    let mut sim = Sim::with_slots(0);
    sim.exposure().names = Names::Address;
    sim.exposure().policy.drain = Drain { cap: Duration::from_secs(5) };
    let own = format!("{}:{}", endpoint(1).ip, endpoint(1).port);
    let mut by_file = super::sim::spare(900);
    (by_file.ip, by_file.port) = (Some(endpoint(1).ip), endpoint(1).port.get());
    sim.seen.servers.insert(name(&own), by_file);
    sim.operator(&own, State::Ready);
    sim.settle(&instances([1, 2]));
    assert_eq!(sim.serving().len(), 2);
    for _ in 0..3 {
        sim.settle(&[]);
        sim.pass_time(6);
    }
    assert!(sim.seen.servers.keys().eq([&name(&own)]), "{:?}", sim.seen.servers.keys());
    assert_eq!(sim.server(&own).state(), State::Maint);
}
