//! Whose doing a server's state is: the source's, Roster's or an operator's.

use std::time::Duration;

use jiff::Timestamp;
use roster_haproxy::observed::State;
use roster_haproxy::weight::Weight;

use super::sim::{Sim, endpoint, instance, instances, name};
use crate::applied::OperatorHold;
use crate::departure::Grounds;
use crate::exposure::{BringUp, Guards};
use crate::guard::Guard;
use crate::instance::Instance;
use crate::plan::Status;

fn status(sim: &Sim, live: &[Instance], called: &str) -> Status {
    sim.plan(live).standings[&name(called)].status.clone()
}

/// One instance of this weight.
fn weighted(weight: u32) -> Vec<Instance> {
    let weight = Weight::new(weight).ok();
    instances([1]).into_iter().map(|instance| Instance { weight, ..instance }).collect()
}

#[test]
fn maintenance_by_an_operator_stays_and_is_told_with_since_when() {
    let mut sim = Sim::with_slots(2);
    let live = instances([1, 2]);
    sim.settle(&live);
    sim.pass_time(100);
    let seen_at = sim.now;
    sim.operator("srv1", State::Maint);
    assert!(sim.settle(&live).is_empty());
    sim.pass_time(100);
    assert!(sim.settle(&live).is_empty());
    let Status::Operator(hold) = status(&sim, &live, "srv1") else { panic!("not told") };
    assert_eq!(hold, OperatorHold { state: Some(State::Maint), weight: None, since: seen_at });
    sim.operator("srv1", State::Ready);
    sim.settle(&live);
    assert_eq!(status(&sim, &live, "srv1"), Status::Active);
}

#[test]
fn an_operators_weight_stays() {
    let mut sim = Sim::with_slots(2);
    let live = instances([1]);
    sim.settle(&live);
    sim.server("srv1").weight = Weight::new(7).unwrap();
    assert!(sim.settle(&live).is_empty());
    assert!(matches!(status(&sim, &live, "srv1"), Status::Operator(OperatorHold { state: None, .. })));
}

#[test]
fn an_operators_weight_that_another_process_shows_too_is_still_the_operators() {
    let mut sim = Sim::with_slots(2);
    let live = weighted(20);
    sim.settle(&live);
    sim.server("srv1").weight = Weight::new(7).unwrap();
    sim.settle(&live);
    // The API writes it into the server's line, a state file beside it.
    for initial in [Weight::ONE, Weight::new(7).unwrap()] {
        sim.server("srv1").initial_weight = initial;
        sim.same_process = false;
        assert!(sim.settle(&live).is_empty());
        sim.same_process = true;
        assert!(sim.settle(&live).is_empty());
        let Status::Operator(hold) = status(&sim, &live, "srv1") else { panic!("not told") };
        assert_eq!((hold.weight, hold.since), (Weight::new(7).ok(), Timestamp::UNIX_EPOCH));
    }
}

#[test]
fn an_operators_weight_that_a_restart_lost_is_over() {
    let mut sim = Sim::with_slots(2);
    let live = weighted(20);
    sim.settle(&live);
    sim.server("srv1").weight = Weight::new(7).unwrap();
    sim.settle(&live);
    sim.server("srv1").weight = Weight::ONE;
    sim.same_process = false;
    sim.settle(&live);
    assert_eq!(sim.server("srv1").weight, Weight::new(20).unwrap());
    sim.same_process = true;
    assert_eq!(status(&sim, &live, "srv1"), Status::Active);
}

#[test]
fn an_adopted_server_is_brought_back_whatever_was_done_to_it() {
    let mut sim = Sim::with_slots(2);
    let live = instances([1, 2]);
    for state in [State::Maint, State::Drain] {
        sim.settle(&live);
        sim.operator("srv1", state);
        sim.settle(&live);
        let record = sim.applied.as_mut().unwrap();
        assert_eq!(record.adopt(&name("srv1")).and_then(|hold| hold.state), Some(state));
        assert_eq!(record.adopt(&name("srv1")), None, "taken back twice");
        sim.settle(&live);
        assert_eq!(status(&sim, &live, "srv1"), Status::Active);
    }
    sim.server("srv1").weight = Weight::new(7).unwrap();
    sim.settle(&live);
    sim.applied.as_mut().unwrap().adopt(&name("srv1")).unwrap();
    sim.settle(&live);
    assert_eq!(sim.server("srv1").weight, Weight::ONE);
}

#[test]
fn an_adopted_server_that_an_operator_changes_again_is_the_operators_again() {
    let mut sim = Sim::with_slots(2);
    let live = instances([1, 2]);
    sim.settle(&live);
    sim.operator("srv1", State::Maint);
    sim.settle(&live);
    sim.applied.as_mut().unwrap().adopt(&name("srv1")).unwrap();
    sim.settle(&live);
    sim.operator("srv1", State::Maint);
    assert!(sim.settle(&live).is_empty());
    assert!(matches!(status(&sim, &live, "srv1"), Status::Operator(_)));
}

#[test]
fn an_adopted_server_earns_its_traffic_like_a_new_one() {
    let mut sim = Sim::with_slots(2);
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    let live = instances([1, 2]);
    sim.probes.extend((1..=2).map(|n| (("be".parse().unwrap(), name(&format!("srv{n}"))), endpoint(n))));
    sim.settle(&live);
    sim.settle(&live);
    sim.operator("srv1", State::Maint);
    sim.settle(&live);
    sim.probes.clear();
    sim.applied.as_mut().unwrap().adopt(&name("srv1")).unwrap();
    sim.settle(&live);
    assert_eq!(status(&sim, &live, "srv1"), Status::Rising(BringUp::Probe));
}

#[test]
fn an_operators_hold_ends_with_the_instance() {
    let mut sim = Sim::with_slots(1);
    sim.settle(&instances([1]));
    sim.operator("srv1", State::Maint);
    sim.settle(&instances([1]));
    sim.settle(&[]);
    sim.settle(&instances([2]));
    assert_eq!(sim.serving(), [("srv1".into(), endpoint(2))]);
}

#[test]
fn an_operators_hold_goes_along_when_the_instance_moves() {
    let mut sim = Sim::with_slots(1);
    sim.settle(&instances([1]));
    sim.operator("srv1", State::Drain);
    sim.settle(&instances([1]));
    let mut moved = instance(1);
    moved.endpoint = endpoint(9);
    sim.settle(&[moved]);
    assert_eq!(sim.server("srv1").endpoint(), Some(endpoint(9)));
    assert_eq!(sim.server("srv1").state(), State::Drain);
}

#[test]
fn at_first_start_maintenance_at_a_live_address_is_the_operators() {
    let mut sim = Sim::with_slots(2);
    (sim.server("srv1").ip, sim.server("srv1").port) = (Some(endpoint(1).ip), 8080);
    let live = instances([1]);
    assert!(sim.settle(&live).is_empty());
    assert!(matches!(status(&sim, &live, "srv1"), Status::Operator(_)));
}

#[test]
fn at_first_start_what_already_serves_is_adopted_where_it_is() {
    let mut sim = Sim::with_slots(3);
    sim.settle(&instances([1, 2]));
    sim.settle(&instances([2]));
    sim.applied = None;
    assert!(sim.settle(&instances([2])).is_empty());
    assert_eq!(sim.serving(), [("srv2".into(), endpoint(2))]);
}

#[test]
fn since_when_is_told_of_the_state_that_holds_and_of_nothing_else() {
    let mut sim = Sim::with_slots(2);
    let live = instances([1, 2]);
    sim.settle(&live);
    let since = |sim: &Sim, called: &str| sim.plan(&live).standings[&name(called)].since;
    let began = sim.now;
    sim.pass_time(100);
    assert_eq!(since(&sim, "srv1"), Some(began), "it serves since then");
    sim.operator("srv1", State::Maint);
    let held = sim.now;
    sim.settle(&live);
    sim.pass_time(100);
    assert_eq!(since(&sim, "srv1"), Some(held), "not since it serves");
    sim.applied = None;
    assert_eq!(since(&sim, "srv2"), None, "it serves since nobody knows when");
}

#[test]
fn what_a_crash_left_half_done_is_finished_and_not_taken_for_an_operators_wish() {
    let mut sim = Sim::with_slots(1);
    let plan = sim.plan(&instances([1]));
    // The record was written, the address was set, then Roster died.
    sim.applied = Some(plan.applied);
    (sim.server("srv1").ip, sim.server("srv1").port) = (Some(endpoint(1).ip), 8080);
    sim.settle(&instances([1]));
    assert_eq!(sim.serving(), [("srv1".into(), endpoint(1))]);
}

#[test]
fn an_address_changed_by_somebody_is_put_right() {
    let mut sim = Sim::with_slots(1);
    sim.settle(&instances([1]));
    sim.server("srv1").port = 9;
    let done = sim.settle(&instances([1]));
    assert!(done.iter().all(|op| op.why == crate::plan::Reason::Drifted), "{done:?}");
    assert_eq!(sim.serving(), [("srv1".into(), endpoint(1))]);
}

#[test]
fn a_parked_slot_that_somebody_made_ready_is_put_back() {
    let mut sim = Sim::with_slots(1);
    sim.settle(&[]);
    sim.operator("srv1", State::Ready);
    sim.settle(&[]);
    assert!(sim.serving().is_empty());
}

fn guarded() -> Sim {
    let mut sim = Sim::with_slots(10);
    sim.exposure().policy.guard = Guards::default();
    sim
}

#[test]
fn an_empty_answer_is_held_until_it_has_lasted() {
    let mut sim = guarded();
    sim.settle(&instances(0..4));
    sim.pass_time(1);
    assert!(sim.settle(&[]).is_empty());
    let plan = sim.plan(&[]);
    assert_eq!(plan.applied.guard.hold.as_ref().map(|hold| hold.guard.clone()), Some(Guard::Minimum));
    assert_eq!(plan.wake, Some(crate::later::later(sim.now, Duration::from_secs(300))));
    assert_eq!(plan.standings[&name("srv1")].status, Status::Held);
    sim.pass_time(300);
    sim.settle(&[]);
    assert!(sim.serving().is_empty());
}

#[test]
fn a_large_share_is_held_and_a_small_one_is_not() {
    let mut sim = guarded();
    sim.settle(&instances(0..10));
    sim.settle(&instances(0..5));
    assert_eq!(sim.serving().len(), 5, "half is allowed");
    sim.settle(&instances(0..2));
    assert_eq!(sim.serving().len(), 5, "three of five went at once");
    sim.settle(&instances(0..4));
    assert_eq!(sim.serving().len(), 4, "the better answer is believed");
}

#[test]
fn new_instances_come_in_while_others_are_held() {
    let mut sim = guarded();
    sim.settle(&instances(0..6));
    sim.settle(&instances([20]));
    assert_eq!(sim.serving().len(), 7);
}

#[test]
fn a_fleet_that_is_replaced_one_for_one_is_no_outage() {
    let mut sim = guarded();
    sim.settle(&instances(0..4));
    sim.settle(&instances(10..14));
    assert_eq!(sim.serving().len(), 4);
    assert!(sim.serving().iter().all(|(_, at)| *at >= endpoint(10)));
}

#[test]
fn a_service_that_was_removed_on_purpose_is_not_held() {
    let mut sim = guarded();
    sim.settle(&instances(0..4));
    sim.grounds = Grounds::Removed;
    sim.settle(&[]);
    assert!(sim.serving().is_empty());
}

#[test]
fn a_released_hold_lets_the_answer_through_once() {
    let mut sim = guarded();
    sim.settle(&instances(0..4));
    sim.settle(&[]);
    let held =
        sim.applied.as_mut().unwrap().release().and_then(|released| released.hold).map(|hold| hold.leaving);
    assert_eq!(held, Some(4));
    sim.settle(&[]);
    assert!(sim.serving().is_empty());
    sim.settle(&instances(0..4));
    sim.settle(&[]);
    assert_eq!(sim.serving().len(), 4, "the release outlived its hold");
    sim.settle(&instances(0..4));
    assert_eq!(sim.applied.as_mut().unwrap().release(), None, "there is nothing to release");
}

#[test]
fn an_instance_that_comes_and_goes_is_kept_out_until_it_is_calm() {
    let mut sim = guarded();
    for _ in 0..5 {
        sim.settle(&instances([1, 2, 3]));
        sim.pass_time(10);
        sim.settle(&instances([1, 2]));
        sim.pass_time(10);
    }
    sim.settle(&instances([1, 2, 3]));
    assert_eq!(sim.serving().len(), 2);
    assert_eq!(sim.plan(&instances([1, 2, 3])).applied.guard.flapping.len(), 1);
    sim.pass_time(600);
    sim.settle(&instances([1, 2, 3]));
    assert_eq!(sim.serving().len(), 3);
}

#[test]
fn instances_that_are_reported_as_leaving_go_without_a_hold() {
    let mut sim = guarded();
    sim.settle(&instances(0..4));
    let mut leaving = instances(0..4);
    for one in &mut leaving {
        one.lifecycle = crate::instance::Lifecycle::Leaving;
    }
    sim.settle(&leaving);
    assert!(sim.serving().is_empty());
}

#[test]
fn in_a_backend_that_is_wholly_ours_servers_of_others_are_taken_out() {
    let mut sim = Sim::with_slots(2);
    let mut old = super::sim::spare(9);
    (old.ip, old.port) = (Some(endpoint(20).ip), 8080);
    sim.seen.servers.insert(name("old"), old);
    sim.operator("old", State::Ready);
    sim.settle(&instances([1]));
    assert_eq!(sim.serving().len(), 2, "the default leaves it alone");
    sim.exposure().own = crate::exposure::Own::Whole;
    sim.settle(&instances([1]));
    assert_eq!(sim.serving(), [("srv1".into(), endpoint(1))]);
}

#[test]
fn servers_of_a_template_that_take_traffic_at_one_address_are_judged_by_the_guards() {
    let mut sim = Sim::with_slots(5);
    for n in 1..=5 {
        let called = format!("srv{n}");
        sim.operator(&called, State::Ready);
        sim.server(&called).admin = roster_haproxy::cli::AdminState::from_bits(0);
        sim.server(&called).port = 80;
    }
    sim.exposure().policy.guard = Guards::default();
    assert!(sim.settle(&[]).is_empty());
    assert_eq!(sim.serving().len(), 5);
    sim.settle(&instances([1]));
    assert_eq!(sim.serving().len(), 6, "a newcomer is never held");
    sim.applied.as_mut().unwrap().release().unwrap();
    sim.settle(&instances([1]));
    assert_eq!(sim.serving(), [("srv6".into(), endpoint(1))]);
}

#[test]
fn servers_of_a_template_where_nothing_answers_are_free_slots() {
    let mut sim = Sim::with_slots(3);
    for n in 1..=3 {
        let called = format!("srv{n}");
        sim.operator(&called, State::Ready);
        sim.server(&called).port = 80;
        sim.server(&called).op = roster_haproxy::cli::OpState::Stopped;
    }
    sim.exposure().policy.guard = Guards::default();
    sim.settle(&instances([1]));
    assert_eq!(sim.serving(), [("srv1".into(), endpoint(1))]);
}
