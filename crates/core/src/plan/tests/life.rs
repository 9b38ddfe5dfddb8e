//! A server's life: bring-up, drain, return, restart.

use std::time::Duration;

use roster_haproxy::address::Endpoint;
use roster_haproxy::observed::State;

use super::sim::{Sim, endpoint, instance, instances, name, slot_names};
use crate::exposure::{BringUp, Drain, Names};
use crate::instance::Health;
use crate::plan::{BackendPlan, Change, Note, Reason, Status};
use crate::slots::Growth;

fn texts(operations: &[crate::plan::Operation]) -> Vec<String> {
    operations.iter().map(|op| format!("{} {}: {}", op.server, op.change, op.why)).collect()
}

fn names(sim: &Sim) -> Vec<String> {
    sim.serving().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn instances_fill_the_first_slots_in_the_order_of_their_ids() {
    let mut sim = Sim::with_slots(3);
    let done = sim.settle(&instances([2, 1]));
    assert_eq!(
        texts(&done),
        [
            "srv1 address 10.0.0.2:8080: i-001 appeared",
            "srv1 state ready: i-001 appeared",
            "srv2 address 10.0.0.3:8080: i-002 appeared",
            "srv2 state ready: i-002 appeared",
        ]
    );
}

#[test]
fn a_freed_slot_is_a_hole_that_is_filled_first_and_moves_nobody() {
    let mut sim = Sim::with_slots(4);
    sim.settle(&instances([1, 2, 3]));
    sim.settle(&instances([1, 3]));
    assert_eq!(names(&sim), ["srv1", "srv3"]);
    sim.settle(&instances([0, 1, 3]));
    assert_eq!(sim.server("srv2").endpoint(), Some(endpoint(0)));
    assert_eq!(sim.server("srv3").endpoint(), Some(endpoint(3)));
}

#[test]
fn a_freed_slot_goes_to_the_parking_address() {
    let mut sim = Sim::with_slots(2);
    sim.settle(&instances([1]));
    sim.settle(&[]);
    assert_eq!(sim.server("srv1").endpoint(), Some(sim.exposure().slots.parking));
    assert_eq!(sim.server("srv1").state(), State::Maint);
}

#[test]
fn an_instance_with_a_new_address_keeps_its_slot_and_goes_through_maintenance() {
    let mut sim = Sim::with_slots(2);
    sim.settle(&instances([1]));
    let mut moved = instance(1);
    moved.endpoint = endpoint(9);
    let done = sim.settle(&[moved]);
    assert_eq!(
        texts(&done),
        [
            "srv1 state maint: i-001 moved from 10.0.0.2:8080",
            "srv1 address 10.0.0.10:8080: i-001 moved from 10.0.0.2:8080",
            "srv1 state ready: i-001 moved from 10.0.0.2:8080",
        ]
    );
}

#[test]
fn an_instance_replaced_at_the_same_address_changes_nothing() {
    let mut sim = Sim::with_slots(2);
    sim.settle(&instances([1]));
    let mut heir = instance(7);
    heir.endpoint = endpoint(1);
    assert!(sim.settle(&[heir]).is_empty());
}

#[test]
fn servers_are_added_with_their_number_when_slots_run_out() {
    let mut sim = Sim::with_slots(1);
    let done = sim.settle(&instances([1, 2]));
    assert_eq!(
        texts(&done)[2..],
        [
            "srv2 add 10.0.0.3:8080 id 2 check: i-002 appeared",
            "srv2 switch its check on: i-002 appeared",
            "srv2 state ready: i-002 appeared"
        ]
    );
}

#[test]
fn a_number_that_somebody_else_has_is_not_given_again() {
    let mut sim = Sim::with_slots(1);
    let mut canary = super::sim::spare(2);
    canary.admin = roster_haproxy::cli::AdminState::from_bits(0);
    sim.seen.servers.insert(name("canary"), canary);
    sim.settle(&instances([1, 2]));
    assert_eq!(sim.server("srv2").id.get(), 3);
    assert_eq!(sim.server("canary").port, 1, "a foreign server was touched");
}

#[test]
fn without_slots_and_with_a_static_algorithm_the_instance_is_reported() {
    let mut sim = Sim::with_slots(1);
    (sim.seen.limits.dynamic, sim.seen.limits.grows) = (false, false);
    sim.settle(&instances([1, 2]));
    let plan = sim.plan(&instances([1, 2]));
    let [Note::Unplaced(unplaced), Note::Static { slots: 1, .. }] = plan.notes.as_slice() else {
        panic!("{:?}", plan.notes)
    };
    assert_eq!(unplaced.instance.as_str(), "i-002");
    assert_eq!(names(&sim), ["srv1"]);
}

#[test]
fn growth_makes_slots_ahead_of_need() {
    let mut sim = Sim::with_slots(0);
    sim.exposure().slots.base = 3;
    sim.exposure().slots.growth = Growth::linear(2.0).unwrap();
    sim.settle(&instances([1]));
    assert_eq!(sim.seen.servers.len(), 3);
    sim.settle(&instances([1, 2, 3, 4]));
    assert_eq!(sim.seen.servers.len(), 5);
    sim.settle(&instances([1]));
    assert_eq!(sim.seen.servers.len(), 5, "slots never shrink by themselves");
}

#[test]
fn a_drained_server_goes_when_its_connections_have_ended() {
    let mut sim = Sim::with_slots(2);
    sim.exposure().policy.drain = Drain { cap: Duration::from_secs(60) };
    sim.settle(&instances([1, 2]));
    sim.server("srv2").connections = Some(3);
    let done = sim.settle(&instances([1]));
    assert_eq!(texts(&done), ["srv2 state drain: i-002 at 10.0.0.3:8080 is no longer reported"]);
    sim.pass_time(10);
    assert!(sim.settle(&instances([1])).is_empty());
    assert!(sim.plan(&instances([1])).wake.is_some(), "nobody would look again");
    sim.server("srv2").connections = Some(0);
    assert_eq!(texts(&sim.settle(&instances([1])))[0], "srv2 state maint: its connections have ended");
}

#[test]
fn a_drain_ends_at_its_cap_and_says_what_is_left() {
    let mut sim = Sim::with_slots(2);
    sim.exposure().policy.drain = Drain { cap: Duration::from_secs(60) };
    sim.settle(&instances([1, 2]));
    sim.server("srv2").connections = Some(3);
    sim.settle(&instances([1]));
    sim.pass_time(60);
    let done = sim.settle(&instances([1]));
    assert_eq!(texts(&done)[0], "srv2 state maint: the drain cap is over, 3 connections are left");
}

#[test]
fn an_instance_that_returns_while_it_drains_is_ready_at_once() {
    let mut sim = Sim::with_slots(2);
    sim.exposure().policy.drain = Drain { cap: Duration::from_secs(60) };
    sim.exposure().policy.bring_up = Some(BringUp::Check);
    sim.settle(&instances([1]));
    sim.server("srv1").connections = Some(1);
    sim.settle(&[]);
    let done = sim.settle(&instances([1]));
    assert_eq!(texts(&done), ["srv1 state ready: i-001 is back"]);
}

#[test]
fn a_leaving_slot_is_not_given_to_somebody_else() {
    let mut sim = Sim::with_slots(2);
    sim.exposure().policy.drain = Drain { cap: Duration::from_secs(60) };
    sim.settle(&instances([1]));
    sim.server("srv1").connections = Some(1);
    sim.settle(&instances([2]));
    assert_eq!(sim.server("srv2").endpoint(), Some(endpoint(2)));
    assert_eq!(sim.server("srv1").state(), State::Drain);
}

#[test]
fn by_check_a_server_is_ready_only_after_a_fresh_pass() {
    let mut sim = Sim::with_slots(2);
    sim.exposure().policy.bring_up = Some(BringUp::Check);
    sim.settle(&instances([1]));
    // The slot still shows the pass of the address it had before.
    sim.server("srv2").check.health = 4;
    let done = sim.settle(&instances([1, 2]));
    assert_eq!(
        texts(&done)[1..],
        ["srv2 state drain: i-002 appeared", "srv2 wait for a fresh check: i-002 appeared"]
    );
    assert_eq!(names(&sim), ["srv1"]);
    sim.server("srv2").check.health = 1;
    let done = sim.settle(&instances([1, 2]));
    assert_eq!(
        texts(&done),
        ["srv2 take its check for passed: its check passed", "srv2 state ready: its check passed"]
    );
}

#[test]
fn by_probe_a_server_is_ready_only_once_it_was_reached_at_its_address() {
    let mut sim = Sim::with_slots(2);
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    sim.settle(&instances([1]));
    sim.settle(&instances([1, 2]));
    assert_eq!(names(&sim), ["srv1"]);
    let order = sim.plan(&instances([1, 2])).probes;
    assert_eq!(order.iter().map(|o| o.endpoint).collect::<Vec<_>>(), [endpoint(2)]);
    sim.probes.insert(("be".parse().unwrap(), name("srv2")), endpoint(3));
    sim.settle(&instances([1, 2]));
    assert_eq!(names(&sim), ["srv1"], "an answer from another address counted");
    sim.probes.insert(("be".parse().unwrap(), name("srv2")), endpoint(2));
    sim.settle(&instances([1, 2]));
    assert_eq!(names(&sim), ["srv1", "srv2"]);
}

#[test]
fn the_first_server_of_an_empty_backend_comes_at_once_and_the_others_wait() {
    let mut sim = Sim::with_slots(3);
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    sim.settle(&instances([1, 2, 3]));
    assert_eq!(names(&sim), ["srv1"]);
}

#[test]
fn the_last_servers_leave_only_after_one_that_comes_is_ready() {
    for how in [BringUp::Registry, BringUp::Probe, BringUp::Check] {
        let mut sim = Sim::with_slots(6);
        sim.exposure().policy.drain = Drain { cap: Duration::from_secs(60) };
        sim.exposure().policy.bring_up = Some(how);
        sim.settle(&instances([5]));
        let drains = |plan: &BackendPlan| {
            plan.operations.iter().any(|op| op.change == Change::State(State::Drain) && op.is_going())
        };
        let mut plan = sim.plan(&instances([1, 2]));
        for _ in 0..10 {
            if drains(&plan) {
                break;
            }
            sim.carry_out(&plan);
            sim.come_up(&plan);
            plan = sim.plan(&instances([1, 2]));
        }
        assert!(drains(&plan), "{how}: {:?}", texts(&plan.operations));
        let serving: Vec<Endpoint> = sim.serving().into_iter().map(|(_, at)| at).collect();
        assert!([1, 2].iter().all(|n| serving.contains(&endpoint(*n))), "{how}: {serving:?}");
    }
}

#[test]
fn a_restarted_haproxy_is_filled_again_with_everyone_in_place() {
    let mut sim = Sim::with_slots(3);
    sim.settle(&instances([1, 2, 3, 4]));
    let before = sim.serving();
    sim.settle(&instances([2, 3, 4]));
    sim.restart();
    let done = sim.settle(&instances([2, 3, 4]));
    assert!(done.iter().all(|op| op.why == Reason::Restarted), "{:?}", texts(&done));
    assert_eq!(sim.serving(), before[1..]);
}

#[test]
fn an_unhealthy_instance_rests_in_its_slot_and_comes_back_to_it() {
    let mut sim = Sim::with_slots(3);
    sim.settle(&instances([1, 2]));
    let mut unwell = instances([1, 2]);
    unwell[0].health = Health::Failing;
    sim.settle(&unwell);
    assert_eq!(names(&sim), ["srv2"]);
    assert_eq!(sim.plan(&unwell).standings[&name("srv1")].status, Status::Unhealthy);
    let mut more = unwell.clone();
    more.push(instance(3));
    sim.settle(&more);
    assert_eq!(sim.server("srv3").endpoint(), Some(endpoint(3)), "the slot of the unwell one was given away");
    more[0].health = Health::Passing;
    sim.settle(&more);
    assert_eq!(names(&sim), ["srv1", "srv2", "srv3"]);
    assert_eq!(sim.server("srv1").endpoint(), Some(endpoint(1)));
}

#[test]
fn when_all_are_unhealthy_all_stay() {
    let mut sim = Sim::with_slots(2);
    sim.settle(&instances([1, 2]));
    let mut unwell = instances([1, 2]);
    for one in &mut unwell {
        one.health = Health::Failing;
    }
    assert!(sim.settle(&unwell).is_empty());
}

#[test]
fn a_server_called_after_its_address_is_added_and_deleted() {
    let mut sim = Sim::with_slots(0);
    sim.exposure().names = Names::Address;
    sim.settle(&instances([1, 2]));
    assert_eq!(names(&sim), ["10.0.0.2:8080", "10.0.0.3:8080"]);
    let mut moved = instances([1, 2]);
    moved[0].endpoint = endpoint(5);
    sim.settle(&moved);
    assert_eq!(names(&sim), ["10.0.0.3:8080", "10.0.0.6:8080"]);
    assert_eq!(sim.seen.servers.len(), 2, "the old server is still there");
    sim.restart();
    sim.settle(&moved);
    assert_eq!(names(&sim), ["10.0.0.3:8080", "10.0.0.6:8080"]);
}

#[test]
fn names_that_fit_no_server_are_told() {
    let mut sim = Sim::with_slots(2);
    sim.exposure().names = slot_names("web");
    let plan = sim.plan(&instances([1]));
    assert!(matches!(plan.notes.as_slice(), [Note::NoSlots { .. }]), "{:?}", plan.notes);
    assert!(plan.operations.iter().any(|op| matches!(op.change, Change::Add { .. })));
}

#[test]
fn what_cannot_be_done_live_is_told_before_it_is_needed() {
    let mut sim = Sim::with_slots(2);
    sim.exposure().policy.cookie = true;
    sim.exposure().policy.bring_up = Some(BringUp::Check);
    sim.server("srv2").check.configured = false;
    (sim.seen.limits.dynamic, sim.seen.limits.grows) = (false, false);
    sim.seen.limits.algorithm = Some("static-rr".into());
    let told: Vec<String> = sim.plan(&instances([1])).notes.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("balance static-rr takes no servers live"), "{told:?}");
    assert!(told[1].starts_with("bring_up is check, but 1 slots"), "{told:?}");
    assert_eq!(told.len(), 2, "nobody is added live, so nobody is without a cookie: {told:?}");
    (sim.seen.limits.dynamic, sim.seen.limits.grows) = (true, true);
    sim.seen.limits.algorithm = None;
    let told: Vec<String> = sim.plan(&instances([1])).notes.iter().map(ToString::to_string).collect();
    assert!(told[1].starts_with("servers that are added live get no cookie on HAProxy 2.6.0"), "{told:?}");
}

#[test]
fn a_freed_slot_rests_before_it_is_given_away_unless_no_other_is_free() {
    let mut sim = Sim::with_slots(2);
    sim.exposure().policy.rest = Duration::from_secs(60);
    sim.settle(&instances([1]));
    sim.settle(&[]);
    sim.settle(&instances([2]));
    assert_eq!(names(&sim), ["srv2"], "the slot was given away while its sessions may still come");
    sim.settle(&instances([2, 3]));
    assert_eq!(names(&sim), ["srv1", "srv2"], "no other was free");
    sim.settle(&[]);
    sim.pass_time(61);
    sim.settle(&instances([4]));
    assert_eq!(names(&sim), ["srv1"]);
}
