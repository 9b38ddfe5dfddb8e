//! Why a server leaves, what a hold keeps of it, and what comes to another instance at its address.

use std::time::Duration;

use roster_haproxy::address::Endpoint;
use roster_haproxy::observed::State;
use roster_haproxy::weight::Weight;

use super::sim::{Sim, endpoint, instance, instances, name};
use crate::departure::{Departure, Grounds, Kept};
use crate::exposure::{BringUp, Drain, Guards, Names, OtherZones, Own, SlowStart, ZonePolicy};
use crate::instance::{Health, HealthAuthority, Instance, Lifecycle};
use crate::plan::{Operation, Reason, Status};

fn guarded() -> Sim {
    let mut sim = Sim::with_slots(6);
    sim.exposure().policy.guard = Guards::default();
    sim
}

fn ready(sim: &Sim) -> Vec<String> {
    sim.serving().into_iter().map(|(name, _)| name).collect()
}

fn with_health(numbers: &[u32], health: Health) -> Vec<Instance> {
    numbers.iter().map(|n| Instance { health, ..instance(*n) }).collect()
}

/// The same machines under other ids.
fn renamed(numbers: impl IntoIterator<Item = u32>) -> Vec<Instance> {
    let other = |n: u32| Instance { id: format!("other-{n}").parse().unwrap(), ..instance(n) };
    numbers.into_iter().map(other).collect()
}

fn reached(sim: &mut Sim, live: &[Instance]) {
    for order in sim.plan(live).probes {
        sim.probes.insert((order.backend, order.server), order.endpoint);
    }
}

#[test]
fn a_hold_keeps_the_health_that_each_instance_had() {
    let mut sim = guarded();
    let live = [with_health(&[1, 2], Health::Failing), with_health(&[3], Health::Passing)].concat();
    sim.settle(&with_health(&[1, 2, 3], Health::Passing));
    sim.settle(&live);
    assert_eq!(ready(&sim), ["srv3"]);
    assert!(sim.settle(&[]).is_empty(), "an empty answer made a failing instance ready, or took one out");
    assert_eq!(ready(&sim), ["srv3"]);
    sim.restart();
    sim.settle(&[]);
    assert_eq!(ready(&sim), ["srv3"], "after a restart of HAProxy too");
}

#[test]
fn an_instance_that_drains_for_its_health_is_kept_like_one_that_rests() {
    let mut sim = guarded();
    sim.exposure().policy.drain = Drain { cap: Duration::from_secs(60) };
    sim.settle(&with_health(&[1, 2, 3], Health::Passing));
    for called in ["srv1", "srv2", "srv3"] {
        sim.server(called).connections = Some(1);
    }
    sim.settle(&[with_health(&[1], Health::Failing), with_health(&[2, 3], Health::Passing)].concat());
    assert_eq!(sim.server("srv1").state(), State::Drain);
    sim.settle(&[]);
    let plan = sim.plan(&[]);
    let hold = plan.applied.guard.hold.as_ref().unwrap();
    assert_eq!((hold.leaving, hold.of), (3, 3));
    sim.pass_time(61);
    sim.settle(&[]);
    assert_eq!(
        sim.server("srv1").endpoint(),
        Some(endpoint(1)),
        "its slot was given up for an answer that is held"
    );
}

#[test]
fn where_all_that_are_reported_are_failing_they_serve_and_what_is_held_stays_as_it_was() {
    let mut sim = guarded();
    sim.settle(&with_health(&[1, 2, 3, 4], Health::Passing));
    let mut last = with_health(&[1, 2, 3], Health::Failing);
    sim.settle(&[last.clone(), with_health(&[4], Health::Passing)].concat());
    assert_eq!(ready(&sim), ["srv4"]);
    last.truncate(1);
    sim.settle(&last);
    assert_eq!(ready(&sim), ["srv4"], "one of them is held, and serves");
}

#[test]
fn a_hold_keeps_the_full_weight_though_a_slow_start_is_under_way() {
    let mut sim = guarded();
    sim.exposure().policy.slow_start =
        Some(SlowStart { from_percent: 10, over: Duration::from_secs(100), steps: 10 });
    let heavy = Instance { weight: Weight::new(200).ok(), ..instance(1) };
    sim.settle(&[heavy]);
    assert_eq!(sim.server("srv1").weight.get(), 20);
    sim.pass_time(50);
    sim.settle(&[]);
    let half = sim.server("srv1").weight.get();
    assert!(half > 100, "{half}");
    sim.pass_time(50);
    sim.settle(&[]);
    assert_eq!(sim.server("srv1").weight.get(), 200);
}

#[test]
fn whose_health_is_vouched_for_is_brought_up_at_once_whatever_the_others_say() {
    let mut sim = Sim::with_slots(4);
    sim.exposure().policy.bring_up = None;
    let vouched =
        |n| Instance { health: Health::Passing, health_authority: HealthAuthority::Source, ..instance(n) };
    sim.settle(&[vouched(1)]);
    sim.settle(&[vouched(1), vouched(2), instance(3)]);
    assert_eq!(ready(&sim), ["srv1", "srv2"]);
    assert_eq!(sim.plan(&[vouched(1), vouched(2), instance(3)]).probes.len(), 1);
}

#[test]
fn another_instance_at_the_same_address_earns_its_traffic_and_keeps_the_slot() {
    for how in [BringUp::Probe, BringUp::Check] {
        let mut sim = Sim::with_slots(4);
        sim.settle(&instances([1, 2, 3]));
        sim.exposure().policy.bring_up = Some(how);
        let live = [renamed([1]), instances([2, 3])].concat();
        let done = sim.settle(&live);
        let replaced = Reason::Replaced { instance: live[0].id.clone(), before: instance(1).id };
        assert!(done.iter().all(|operation| operation.why == replaced), "{done:?}");
        assert_eq!((sim.server("srv1").state(), ready(&sim).len()), (State::Drain, 2), "{how}");
        assert_eq!(sim.plan(&live).standings[&name("srv1")].status, Status::Rising(how));
        reached(&mut sim, &live);
        sim.server("srv1").check.health = 1;
        sim.settle(&live);
        assert_eq!(ready(&sim), ["srv1", "srv2", "srv3"], "{how}");
    }
}

#[test]
fn by_registry_another_instance_at_the_same_address_begins_its_slow_start_anew_and_is_told() {
    let mut sim = Sim::with_slots(4);
    sim.exposure().policy.weight = Weight::new(100).ok();
    sim.exposure().policy.slow_start =
        Some(SlowStart { from_percent: 10, over: Duration::from_secs(100), steps: 10 });
    sim.settle(&instances([1, 2]));
    sim.pass_time(100);
    sim.settle(&instances([1, 2]));
    assert_eq!(sim.server("srv1").weight.get(), 100);
    let live = [renamed([1]), instances([2])].concat();
    let told = sim.plan(&live).replaced;
    assert_eq!(told.iter().map(|one| one.before.as_str()).collect::<Vec<_>>(), ["i-001"]);
    sim.settle(&live);
    assert_eq!((sim.server("srv1").weight.get(), ready(&sim).len()), (10, 2));
    assert!(sim.plan(&live).replaced.is_empty(), "told again");
}

#[test]
fn a_fleet_whose_ids_all_change_at_once_is_tried_in_parts_and_never_empty() {
    for how in [BringUp::Probe, BringUp::Check] {
        let mut sim = guarded();
        sim.settle(&instances(1..=6));
        sim.exposure().policy.bring_up = Some(how);
        let live = renamed(1..=6);
        let (mut least, mut rounds) = (6, 0);
        let is_old = |sim: &Sim| {
            let mut ids = sim.applied.as_ref().unwrap().servers.values().flat_map(|server| &server.instance);
            ids.any(|id| id.as_str().starts_with("i-"))
        };
        while is_old(&sim) || sim.serving().len() < 6 {
            sim.settle(&live);
            least = least.min(sim.serving().len());
            reached(&mut sim, &live);
            for server in sim.seen.servers.values_mut().filter(|server| server.state() == State::Drain) {
                server.check.health = 1;
            }
            rounds += 1;
            assert!(rounds < 20, "{how}: {:?}", sim.plan(&live).standings);
        }
        assert!(least >= 3, "{how}: {least} of 6 served");
        assert!(rounds > 1, "{how}");
    }
}

#[test]
fn the_only_instance_is_not_taken_out_of_traffic_for_its_id() {
    let mut sim = Sim::with_slots(2);
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    sim.settle(&instances([1]));
    assert!(sim.settle(&renamed([1])).is_empty());
    assert_eq!(sim.plan(&renamed([1])).standings[&name("srv1")].instance, Some(renamed([1])[0].id.clone()));
}

#[test]
fn an_id_that_is_an_address_and_that_of_another_source_say_nothing_of_who_is_there() {
    let bare = |n| Instance::at(endpoint(n));
    let cases: [(Vec<Instance>, Vec<Instance>, bool); 3] = [
        (vec![bare(1), bare(2)], instances([1, 2]), false),
        (instances([1, 2]), vec![bare(1), bare(2)], false),
        (instances([1, 2]), renamed([1, 2]), true),
    ];
    for (before, after, other_source) in cases {
        let mut sim = Sim::with_slots(4);
        sim.exposure().policy.bring_up = Some(BringUp::Probe);
        sim.settle(&before);
        reached(&mut sim, &before);
        sim.settle(&before);
        if other_source {
            sim.exposure().service.source = "cloud".parse().unwrap();
        }
        assert!(sim.settle(&after).is_empty(), "{before:?} {after:?}");
        assert!(sim.plan(&after).replaced.is_empty());
        assert_eq!(ready(&sim), ["srv1", "srv2"]);
    }
}

#[test]
fn what_an_operator_did_stays_though_another_instance_is_at_the_address() {
    let mut sim = Sim::with_slots(4);
    sim.settle(&instances([1, 2]));
    sim.operator("srv1", State::Maint);
    sim.settle(&instances([1, 2]));
    assert!(sim.settle(&[renamed([1]), instances([2])].concat()).is_empty());
    assert_eq!(sim.server("srv1").state(), State::Maint);
}

#[test]
fn a_returning_address_with_another_instance_is_no_return() {
    let mut sim = Sim::with_slots(4);
    sim.exposure().policy.drain = Drain { cap: Duration::from_secs(60) };
    sim.settle(&instances([1, 2]));
    sim.server("srv1").connections = Some(1);
    sim.settle(&instances([2]));
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    let live = [renamed([1]), instances([2])].concat();
    sim.settle(&live);
    assert_eq!((sim.server("srv1").state(), ready(&sim)), (State::Drain, vec!["srv2".to_owned()]));
    reached(&mut sim, &live);
    sim.settle(&live);
    assert_eq!(ready(&sim), ["srv1", "srv2"]);
}

/// The departures that a change brings about, as the record keeps them.
fn departures(sim: &Sim) -> Vec<Departure> {
    sim.applied.as_ref().unwrap().servers.values().filter_map(|server| server.left.clone()).collect()
}

fn reasons(done: &[Operation]) -> Vec<Departure> {
    let mut all: Vec<Departure> = Vec::new();
    for operation in done {
        if let Reason::Left { why, .. } = &operation.why
            && !all.contains(why)
        {
            all.push(why.clone());
        }
    }
    all
}

#[test]
fn each_way_to_leave_is_told_by_its_name_and_stands_in_the_record() {
    let gone = |grounds: Grounds| {
        let mut sim = Sim::with_slots(4);
        sim.settle(&instances([1]));
        sim.grounds = grounds;
        let done = sim.settle(&[]);
        (reasons(&done), departures(&sim))
    };
    for (grounds, why) in [
        (Grounds::Answer, Departure::NotReported),
        (Grounds::Absent, Departure::ServiceAbsent),
        (Grounds::Removed, Departure::ServiceRemoved),
    ] {
        assert_eq!(gone(grounds), (vec![why.clone()], vec![why]));
    }
    let changed = |change: &dyn Fn(&mut Sim, &mut Vec<Instance>)| {
        let mut sim = Sim::with_slots(4);
        let mut live = instances([1, 2]);
        sim.settle(&live);
        change(&mut sim, &mut live);
        reasons(&sim.settle(&live))
    };
    assert_eq!(changed(&|_, live| live[0].lifecycle = Lifecycle::Leaving), [Departure::Ending]);
    let group: roster_haproxy::name::Label = "blue".parse().unwrap();
    assert_eq!(
        changed(&|sim, live| {
            live[1].group = Some(group.clone());
            sim.exposure().select.group = [group.clone()].into();
        }),
        [Departure::NotSelected]
    );
    assert_eq!(
        changed(&|sim, live| {
            let zones = ZonePolicy { local: "a".parse().unwrap(), others: OtherZones::Backup };
            sim.exposure().policy.zones = Some(zones);
            live[0].zone = "b".parse().ok();
        }),
        [Departure::OtherShape]
    );
    assert_eq!(
        changed(&|_, live| live[1].endpoint = live[0].endpoint),
        [Departure::SameAddress { holder: Some(instance(1).id) }]
    );
}

#[test]
fn an_operators_release_and_a_takeover_are_told_as_such() {
    let mut sim = guarded();
    sim.settle(&instances([1, 2]));
    sim.grounds = Grounds::Nothing(Kept::SourceGone { source: "fleet".parse().unwrap() });
    assert!(sim.settle(&[]).is_empty());
    sim.applied.as_mut().unwrap().release().unwrap();
    assert_eq!(reasons(&sim.settle(&[])), [Departure::Released]);

    let mut sim = guarded();
    sim.settle(&instances([1, 2]));
    let from = sim.exposure.service.clone();
    sim.exposure().service.service = "shop".parse().unwrap();
    assert_eq!(reasons(&sim.settle(&instances([3, 4]))), [Departure::TakenOver { from }]);
}

#[test]
fn in_a_backend_that_is_wholly_rosters_an_answer_without_an_instance_takes_no_other_server_out() {
    let mut sim = guarded();
    let mut old = super::sim::spare(90);
    (old.ip, old.port) = (Some(endpoint(20).ip), 8080);
    sim.seen.servers.insert(name("old"), old);
    sim.operator("old", State::Ready);
    sim.exposure().own = Own::Whole;
    assert!(sim.settle(&[]).is_empty());
    for grounds in [Grounds::Absent, Grounds::Nothing(Kept::SourceGone { source: "fleet".parse().unwrap() })]
    {
        sim.grounds = grounds;
        assert!(sim.settle(&[]).is_empty());
    }
    sim.grounds = Grounds::Answer;
    assert_eq!(reasons(&sim.settle(&instances([1]))), [Departure::NoSlot]);
    assert_eq!(ready(&sim), ["srv1"]);
}

#[test]
fn servers_called_after_addresses_say_that_their_instance_moved() {
    let mut sim = Sim::with_slots(0);
    sim.exposure().names = Names::Address;
    sim.settle(&instances([1, 2]));
    let at: Endpoint = endpoint(9);
    let moved = [Instance { endpoint: at, ..instance(1) }, instance(2)];
    assert_eq!(reasons(&sim.settle(&moved)), [Departure::Moved]);
}
