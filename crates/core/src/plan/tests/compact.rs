//! Compacting: spare slots go from the end, and nothing else does.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use roster_haproxy::observed::State;

use super::properties::{backend, fleet};
use super::sim::{Sim, endpoint, instances, name};
use crate::departure::Grounds;
use crate::exposure::{Drain, Guards, Names};
use crate::instance::Instance;
use crate::plan::{Change, Compaction, Kept, Status, Stays, compact};
use crate::slots::Growth;

/// What can go now. What is still to be done is done first, as a running roster does it.
fn look(sim: &mut Sim, live: &[Instance]) -> Compaction {
    sim.settle(live);
    look_as_it_is(sim, live)
}

fn look_as_it_is(sim: &Sim, live: &[Instance]) -> Compaction {
    sim.with(live, |inputs| compact(inputs, &crate::plan::plan_backend(inputs)))
}

/// Removes what can go, and answers what went.
fn shed(sim: &mut Sim, live: &[Instance]) -> Vec<String> {
    let compaction = look(sim, live);
    for operation in compaction.operations(&sim.exposure.backend) {
        assert_eq!(operation.change, Change::Delete);
        sim.seen.servers.remove(&operation.server).unwrap();
    }
    compaction.going.iter().map(ToString::to_string).collect()
}

fn names(sim: &Sim) -> Vec<String> {
    sim.seen.servers.keys().map(ToString::to_string).collect()
}

fn kept(compaction: &Compaction) -> (&str, &Kept) {
    match &compaction.stays {
        Some(Stays::Last { server, why }) => (server.as_str(), why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn spare_slots_past_what_the_scheme_wants_go_from_the_last_one_back() {
    let mut sim = Sim::with_slots(8);
    (sim.exposure().slots.base, sim.exposure().slots.growth) = (2, Growth::linear(1.5).unwrap());
    let live = instances([1, 2, 3]);
    let compaction = look(&mut sim, &live);
    assert_eq!((compaction.instances, compaction.slots, compaction.wanted), (3, 8, 4));
    assert_eq!(compaction.stays, None);
    assert_eq!(shed(&mut sim, &live), ["srv8", "srv7", "srv6", "srv5"]);
    assert_eq!(names(&sim), ["srv1", "srv2", "srv3", "srv4"]);
    assert!(sim.settle(&live).is_empty(), "the backend grows again");
    assert!(look(&mut sim, &live).going.is_empty());
}

#[test]
fn a_backend_with_as_many_slots_as_are_wanted_keeps_them() {
    let mut sim = Sim::with_slots(5);
    sim.exposure().slots.base = 5;
    let compaction = look(&mut sim, &instances([1]));
    assert_eq!((compaction.going, compaction.stays), (vec![], None));
}

#[test]
fn a_hole_stays_for_who_comes_next() {
    let mut sim = Sim::with_slots(4);
    sim.settle(&instances([1, 2, 3]));
    let live = instances([1, 3]);
    let compaction = look(&mut sim, &live);
    assert_eq!(compaction.going, [name("srv4")]);
    assert_eq!(kept(&compaction), ("srv3", &Kept::Is(Status::Active)));
    shed(&mut sim, &live);
    assert_eq!(names(&sim), ["srv1", "srv2", "srv3"]);
}

#[test]
fn a_server_that_drains_keeps_its_slot_and_those_before_it() {
    let mut sim = Sim::with_slots(6);
    sim.exposure().policy.drain = Drain { cap: Duration::from_secs(60) };
    sim.settle(&instances([1, 2, 3, 4, 5]));
    sim.server("srv5").connections = Some(3);
    sim.settle(&instances([1, 2, 3, 4]));
    sim.server("srv4").connections = Some(2);
    sim.settle(&instances([1]));
    let compaction = look(&mut sim, &instances([1]));
    assert_eq!(compaction.going, [name("srv6")]);
    assert!(matches!(kept(&compaction), ("srv5", Kept::Is(Status::Draining { .. }))));
}

#[test]
fn a_slot_that_rests_stays_until_it_has_rested() {
    let mut sim = Sim::with_slots(4);
    sim.exposure().policy.rest = Duration::from_secs(60);
    sim.settle(&instances([1, 2, 3, 4]));
    sim.settle(&instances([1]));
    let compaction = look(&mut sim, &instances([1]));
    assert!(compaction.going.is_empty());
    let until = crate::later::later(sim.now, Duration::from_secs(60));
    assert_eq!(kept(&compaction), ("srv4", &Kept::Resting { until }));
    sim.pass_time(60);
    assert_eq!(shed(&mut sim, &instances([1])), ["srv4", "srv3", "srv2"]);
}

#[test]
fn while_a_slot_rests_another_one_stays_for_who_comes_next() {
    let mut sim = Sim::with_slots(6);
    sim.exposure().slots.base = 3;
    sim.exposure().policy.rest = Duration::from_secs(60);
    sim.settle(&instances([1, 2, 3]));
    let live = instances([1, 3]);
    assert_eq!(shed(&mut sim, &live), ["srv6", "srv5"]);
    assert_eq!(look(&mut sim, &live).stays, Some(Stays::StandIn { slots: 1 }));
    sim.settle(&instances([1, 3, 4]));
    assert_eq!(sim.server("srv2").state(), State::Maint, "a session of who left could reach somebody else");
    assert_eq!(sim.server("srv4").endpoint(), Some(endpoint(4)));
}

#[test]
fn what_an_operator_keeps_out_stays() {
    let mut sim = Sim::with_slots(3);
    let live = instances([1, 2]);
    sim.settle(&live);
    sim.operator("srv2", State::Maint);
    let compaction = look(&mut sim, &live);
    assert_eq!(compaction.going, [name("srv3")]);
    sim.exposure().policy.guard = Guards::OFF;
    sim.settle(&instances([2]));
    let compaction = look(&mut sim, &instances([2]));
    assert!(matches!(kept(&compaction), ("srv2", Kept::Is(Status::Operator(_)))), "{compaction:?}");
}

#[test]
fn a_server_in_maintenance_at_an_address_of_its_own_is_not_taken_for_a_spare_one() {
    let mut sim = Sim::with_slots(4);
    (sim.server("srv4").ip, sim.server("srv4").port) = (Some(endpoint(9).ip), 8080);
    let compaction = look(&mut sim, &instances([1]));
    assert_eq!(compaction.going, []);
    assert_eq!(kept(&compaction), ("srv4", &Kept::Elsewhere(endpoint(9))));
}

#[test]
fn the_slots_of_a_template_go_wherever_they_all_point() {
    let mut sim = Sim::with_slots(4);
    for called in ["srv1", "srv2", "srv3", "srv4"] {
        sim.server(called).port = 80;
    }
    assert_eq!(look(&mut sim, &instances([1])).going, [name("srv4"), name("srv3"), name("srv2")]);
}

#[test]
fn a_spare_server_with_a_connection_stays() {
    let mut sim = Sim::with_slots(3);
    sim.server("srv3").connections = Some(1);
    assert_eq!(kept(&look(&mut sim, &instances([1]))), ("srv3", &Kept::Connections(1)));
}

#[test]
fn nothing_goes_before_the_backend_is_as_it_should_be() {
    let sim = Sim::with_slots(4);
    let compaction = look_as_it_is(&sim, &instances([1]));
    assert_eq!((compaction.going, compaction.stays), (vec![], Some(Stays::Unsettled { changes: 2 })));
}

#[test]
fn what_a_guard_holds_keeps_its_slots() {
    let mut sim = Sim::with_slots(6);
    sim.exposure().policy.guard = Guards::default();
    sim.settle(&instances(0..4));
    let compaction = look(&mut sim, &[]);
    assert_eq!((compaction.instances, compaction.going.len()), (4, 2));
}

#[test]
fn servers_that_are_called_after_their_addresses_and_those_of_a_service_that_is_gone_stay() {
    let mut sim = Sim::with_slots(3);
    sim.settle(&instances([1, 2]));
    sim.grounds = Grounds::Removed;
    assert_eq!(look(&mut sim, &[]).stays, Some(Stays::ServiceGone));
    let mut sim = Sim::with_slots(0);
    sim.exposure().names = Names::Address;
    assert_eq!(look(&mut sim, &instances([1])).going, []);
}

/// A world that has run for a while: some came, some left lately, an operator has been there.
fn world() -> impl Strategy<Value = (Sim, Vec<Instance>)> {
    let operator = proptest::option::of((1..12u32, prop_oneof![Just(State::Drain), Just(State::Maint)]));
    let scheme = (0..8u32, 1..30u32, any::<bool>(), 0..3u64);
    (backend(), fleet(), fleet(), operator, scheme).prop_map(|(mut sim, first, second, operator, scheme)| {
        let (base, tenths, drains, rest) = scheme;
        sim.exposure().slots.base = base;
        sim.exposure().slots.growth = Growth::linear(f64::from(tenths) / 10.0).unwrap();
        sim.exposure().policy.rest = Duration::from_secs(rest * 60);
        sim.settle(&first);
        if let Some((slot, state)) = operator
            && sim.seen.servers.contains_key(&name(&format!("srv{slot}")))
        {
            sim.operator(&format!("srv{slot}"), state);
        }
        sim.pass_time(100);
        if drains {
            sim.exposure().policy.drain = Drain { cap: Duration::from_secs(60) };
            for server in sim.seen.servers.values_mut().skip(2) {
                server.connections = Some(1);
            }
        }
        sim.settle(&second);
        (sim, second)
    })
}

fn slot(called: &str) -> u32 {
    called.trim_start_matches("srv").parse().unwrap()
}

proptest! {
    #[test]
    fn only_servers_that_nobody_has_go_and_only_from_the_end((mut sim, live) in world()) {
        let (before, standings) = (sim.seen.clone(), sim.plan(&live).standings);
        let (serving, held) = (sim.serving(), sim.applied.clone().unwrap());
        let gone = shed(&mut sim, &live);
        prop_assert_eq!(sim.serving(), serving);
        for called in &gone {
            let server = &before.servers[&name(called)];
            prop_assert_eq!(server.state(), State::Maint);
            prop_assert_eq!(server.connections.unwrap_or(0), 0);
            prop_assert_eq!(&standings[&name(called)].status, &Status::Spare);
            let record = &held.servers[&name(called)];
            let rested = crate::later::later(record.since, sim.exposure().policy.rest);
            prop_assert!(record.instance.is_none() || rested <= sim.now, "{} still rests", called);
        }
        let numbers: Vec<u32> = gone.iter().map(|called| slot(called)).collect();
        prop_assert!(numbers.is_sorted_by(|a, b| a > b));
        let last = names(&sim).iter().map(|called| slot(called)).max().unwrap_or(0);
        prop_assert!(numbers.iter().all(|number| *number > last), "{:?} went, {} stays", numbers, last);
    }

    #[test]
    fn after_it_the_same_world_changes_nothing((mut sim, live) in world()) {
        let wanted = look(&mut sim, &live).wanted;
        let gone = shed(&mut sim, &live);
        prop_assert!(gone.is_empty() || sim.seen.servers.len() >= wanted);
        for _ in 0..3 {
            prop_assert_eq!(sim.settle(&live), vec![]);
            prop_assert_eq!(look(&mut sim, &live).going, vec![]);
        }
        // Time alone brings nothing back either.
        for _ in 0..3 {
            sim.pass_time(61);
            sim.settle(&live);
            shed(&mut sim, &live);
            let grows = sim.settle(&live).iter().any(|one| matches!(one.change, Change::Add { .. }));
            prop_assert!(!grows);
        }
    }

    #[test]
    fn whoever_comes_afterwards_gets_a_slot((mut sim, live) in world(), more in fleet()) {
        shed(&mut sim, &live);
        let all: BTreeSet<_> = more.iter().map(|one| one.endpoint).collect();
        let operators = sim.plan(&more).standings.values().any(|one| matches!(one.status, Status::Operator(_)));
        sim.exposure().policy.drain = Drain { cap: Duration::ZERO };
        sim.settle(&more);
        let serving: BTreeSet<_> = sim.serving().into_iter().map(|(_, at)| at).collect();
        prop_assert!(operators || serving == all, "{:?} instead of {:?}", serving, all);
    }
}
