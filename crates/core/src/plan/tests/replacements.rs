//! Who leaves when, where others come in their place, and what becomes of an instance that HAProxy refuses a server.

use std::time::Duration;

use roster_haproxy::address::Endpoint;
use roster_haproxy::cli::OpState;
use roster_haproxy::observed::State;

use super::sim::{Sim, endpoint, instance, instances, name};
use crate::exposure::{BringUp, Drain};
use crate::instance::Health;
use crate::plan::{BackendPlan, Note, Status};

fn serving(sim: &Sim) -> Vec<Endpoint> {
    let mut serving: Vec<Endpoint> = sim.serving().into_iter().map(|(_, at)| at).collect();
    serving.sort();
    serving
}

fn endpoints<const N: usize>(numbers: [u32; N]) -> Vec<Endpoint> {
    numbers.map(endpoint).into()
}

fn status(plan: &BackendPlan, server: &str) -> Status {
    plan.standings[server].status.clone()
}

/// Carries out a plan, but for additions: HAProxy refuses those.
fn without_additions(sim: &mut Sim, live: &[crate::instance::Instance]) {
    for _ in 0..10 {
        let plan = sim.plan(live);
        if plan.operations.is_empty() {
            return;
        }
        let mut possible = plan.clone();
        let added: Vec<_> = plan
            .operations
            .iter()
            .filter(|op| op.change.word() == "add")
            .map(|op| op.server.clone())
            .collect();
        possible.operations.retain(|op| !added.contains(&op.server));
        sim.carry_out(&possible);
        for server in added {
            sim.refuse(&plan, server.as_str(), "add");
        }
    }
    panic!("does not come to rest");
}

#[test]
fn servers_stay_while_those_in_their_place_are_not_up() {
    let mut sim = Sim::with_slots(4);
    sim.settle(&instances([1, 2]));
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    sim.settle(&instances([3, 4]));
    let plan = sim.plan(&instances([3, 4]));
    assert_eq!(serving(&sim), endpoints([1, 2]));
    assert_eq!(
        (status(&plan, "srv1"), status(&plan, "srv3")),
        (Status::Leaving, Status::Rising(BringUp::Probe))
    );
    let awaited =
        |note: &Note| matches!(note, Note::ReplacementsAwaited { servers, .. } if servers.len() == 2);
    assert!(plan.notes.iter().any(awaited), "{:?}", plan.notes);
    sim.come_up(&plan);
    sim.settle(&instances([3, 4]));
    assert_eq!(serving(&sim), endpoints([3, 4]));
}

#[test]
fn where_all_takes_effect_at_once_a_deployment_is_one_write() {
    let mut sim = Sim::with_slots(4);
    sim.seen.limits.at_once = true;
    sim.settle(&instances([1, 2]));
    let plan = sim.plan(&instances([3, 4]));
    sim.carry_out(&plan);
    assert_eq!(serving(&sim), endpoints([3, 4]));
    // What has to be probed comes later, and so do those that leave leave later.
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    sim.settle(&instances([5, 6]));
    assert_eq!(serving(&sim), endpoints([3, 4]));
}

#[test]
fn each_newcomer_that_serves_lets_one_server_go() {
    let mut sim = Sim::with_slots(4);
    sim.settle(&instances([1, 2]));
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    sim.settle(&instances([3, 4]));
    let mut plan = sim.plan(&instances([3, 4]));
    plan.probes.truncate(1);
    sim.come_up(&plan);
    sim.settle(&instances([3, 4]));
    assert_eq!(serving(&sim), endpoints([2, 3]));
}

#[test]
fn servers_without_successors_leave_at_once() {
    let mut sim = Sim::with_slots(6);
    sim.settle(&instances([1, 2, 3, 4]));
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    sim.settle(&instances([1]));
    assert_eq!(serving(&sim), endpoints([1]));
    // Of four that leave one has a successor.
    sim.settle(&instances([1, 2, 3, 4]));
    sim.come_up(&sim.plan(&instances([1, 2, 3, 4])));
    sim.settle(&instances([1, 2, 3, 4]));
    sim.settle(&instances([5]));
    assert_eq!(sim.serving().len(), 1);
}

#[test]
fn who_is_down_or_kept_out_for_long_is_no_successor() {
    let mut sim = Sim::with_slots(4);
    sim.settle(&instances([1, 2, 3]));
    sim.operator("srv2", State::Maint);
    sim.settle(&instances([1, 2, 3]));
    sim.settle(&instances([2, 3]));
    assert_eq!(serving(&sim), endpoints([3]), "an operator keeps srv2 out");
    sim.pass_time(301);
    sim.server("srv3").op = OpState::Stopped;
    sim.settle(&instances([2, 3, 4]));
    sim.settle(&instances([2, 3]));
    assert!(!serving(&sim).contains(&endpoint(4)), "srv3 has been there for long");
}

#[test]
fn what_came_with_a_server_or_before_does_not_replace_it() {
    let mut sim = Sim::with_slots(4);
    sim.settle(&instances([1, 2, 3, 4]));
    sim.server("srv3").op = OpState::Stopped;
    sim.operator("srv1", State::Maint);
    sim.settle(&instances([1, 2, 3]));
    assert_eq!(
        serving(&sim),
        endpoints([2, 3]),
        "srv3 is ready and down; an operator's command comes with the answer"
    );
}

#[test]
fn a_server_that_an_operator_kept_out_before_there_was_a_record_is_no_successor() {
    let mut sim = Sim::with_slots(3);
    sim.settle(&instances([1, 2, 3]));
    sim.operator("srv2", State::Maint);
    sim.applied = None;
    sim.settle(&instances([1, 2]));
    assert_eq!(serving(&sim), endpoints([1]));
}

#[test]
fn a_newcomer_that_its_check_finds_down_is_waited_for() {
    let mut sim = Sim::with_slots(2);
    sim.settle(&instances([1]));
    sim.pass_time(1);
    sim.settle(&instances([1, 2]));
    sim.server("srv2").op = OpState::Stopped;
    sim.settle(&instances([2]));
    assert!(serving(&sim).contains(&endpoint(1)));
    let plan = sim.plan(&instances([2]));
    assert_eq!((status(&plan, "srv1"), status(&plan, "srv2")), (Status::Leaving, Status::Down));
}

#[test]
fn failing_newcomers_let_nobody_go() {
    let mut sim = Sim::with_slots(4);
    sim.settle(&instances([1, 2]));
    let mut failing = instance(4);
    failing.health = Health::Failing;
    sim.settle(&[instance(3), failing]);
    assert_eq!(sim.serving().len(), 2, "{:?}", sim.serving());
}

#[test]
fn a_wait_ends_after_five_minutes_and_that_is_told() {
    let mut sim = Sim::with_slots(4);
    sim.settle(&instances([1, 2]));
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    sim.settle(&instances([3, 4]));
    assert_eq!(
        sim.plan(&instances([3, 4])).wake,
        Some(crate::later::later(sim.now, Duration::from_secs(300)))
    );
    sim.pass_time(299);
    sim.settle(&instances([3, 4]));
    assert_eq!(serving(&sim), endpoints([1, 2]));
    sim.pass_time(1);
    let plan = sim.plan(&instances([3, 4]));
    let over = |note: &Note| matches!(note, Note::ReplacementsAwaited { servers, .. } if servers.is_empty());
    assert!(plan.notes.iter().any(over), "{:?}", plan.notes);
    sim.settle(&instances([3, 4]));
    assert!(!serving(&sim).iter().any(|at| endpoints([1, 2]).contains(at)));
}

#[test]
fn an_operators_release_ends_the_wait() {
    let mut sim = Sim::with_slots(4);
    sim.settle(&instances([1, 2]));
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    sim.settle(&instances([3, 4]));
    let released = sim.applied.as_mut().unwrap().release().unwrap();
    assert_eq!(released.to_string(), "servers stayed until others serve in their place");
    sim.settle(&instances([3, 4]));
    assert!(!serving(&sim).iter().any(|at| endpoints([1, 2]).contains(at)));
}

#[test]
fn who_waits_is_let_go_once_and_comes_back_where_it_was() {
    let mut sim = Sim::with_slots(4);
    sim.settle(&instances([1, 2]));
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    sim.exposure().policy.guard.flaps = 5;
    for _ in 0..3 {
        sim.settle(&instances([3, 4]));
        sim.pass_time(1);
    }
    let guard = &sim.applied.as_ref().unwrap().guard;
    assert_eq!(guard.left.len(), 2);
    assert!(guard.left.values().all(|left| left.len() == 1), "{:?}", guard.left);
    sim.settle(&instances([1, 2]));
    assert_eq!(sim.serving()[..2], [("srv1".into(), endpoint(1)), ("srv2".into(), endpoint(2))]);
    assert!(sim.plan(&instances([1, 2])).operations.is_empty());
}

#[test]
fn where_no_slot_is_free_and_none_can_be_added_slots_are_given_up_a_part_at_a_time() {
    let mut sim = Sim::with_slots(4);
    sim.seen.limits.grows = false;
    sim.settle(&instances([1, 2, 3, 4]));
    sim.exposure().policy.drain = Drain { cap: Duration::from_secs(30) };
    sim.exposure().policy.bring_up = Some(BringUp::Probe);
    sim.exposure().policy.guard.max_removal_percent = 50;
    let live = instances([5, 6, 7, 8]);
    sim.settle(&live);
    assert_eq!(sim.serving().len(), 2, "half of them, as the guards allow");
    sim.pass_time(30);
    sim.settle(&live);
    assert_eq!(sim.serving().len(), 2, "the others stay until the two that have slots serve");
    for _ in 0..4 {
        sim.come_up(&sim.plan(&live));
        sim.settle(&live);
        assert!(sim.serving().len() >= 2);
        sim.pass_time(30);
        sim.settle(&live);
    }
    assert_eq!(serving(&sim), endpoints([5, 6, 7, 8]));
}

#[test]
fn where_additions_are_refused_nobody_leaves_but_to_give_up_a_slot_and_the_slots_are_used() {
    let mut sim = Sim::with_slots(2);
    sim.settle(&instances([1, 2]));
    sim.exposure().policy.drain = Drain { cap: Duration::from_secs(3) };
    let live = instances([11, 12]);
    for _ in 0..20 {
        without_additions(&mut sim, &live);
        assert!(!sim.serving().is_empty());
        sim.pass_time(1);
    }
    assert_eq!(serving(&sim), endpoints([11, 12]));
    assert!(sim.plan(&live).refused.is_empty());
}

#[test]
fn the_only_server_does_not_leave_for_an_addition_that_is_refused() {
    let mut sim = Sim::with_slots(1);
    sim.settle(&instances([1]));
    without_additions(&mut sim, &instances([2]));
    assert_eq!(serving(&sim), endpoints([1]));
    let plan = sim.plan(&instances([2]));
    assert_eq!(plan.refused[&name("srv2")].why, "HAProxy answered \"no\"");
    assert_eq!(plan.wake, Some(plan.refused[&name("srv2")].again));
}

#[test]
fn a_refused_instance_gets_another_slot_and_the_refused_one_comes_last() {
    let mut sim = Sim::with_slots(2);
    let live = instances([1]);
    sim.refuse(&sim.plan(&live), "srv1", "address");
    let plan = sim.plan(&live);
    assert_eq!(plan.standings[&name("srv1")].status, Status::Spare);
    sim.settle(&live);
    assert_eq!(sim.serving(), [("srv2".to_owned(), endpoint(1))]);
    // The next one is rather added than given the slot.
    sim.settle(&instances([1, 2]));
    assert_eq!(sim.serving().last(), Some(&("srv3".to_owned(), endpoint(2))));
}

#[test]
fn where_nothing_else_is_free_the_refused_slot_is_tried_again_after_pauses_that_grow() {
    let mut sim = Sim::with_slots(1);
    sim.seen.limits.grows = false;
    let live = instances([1]);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        sim.refuse(&sim.plan(&live), "srv1", "address");
        let plan = sim.plan(&live);
        assert!(plan.operations.is_empty(), "{:?}", plan.operations);
        assert_eq!(status(&plan, "srv1"), Status::Rising(BringUp::Registry));
        let again = plan.wake.unwrap();
        pauses.push(again.duration_since(sim.now).as_millis());
        sim.now = again;
    }
    assert_eq!(pauses, [250, 500, 1_000, 2_000]);
    sim.settle(&live);
    assert_eq!(serving(&sim), endpoints([1]));
}

#[test]
fn nobody_is_active_whom_haproxy_does_not_show_ready_at_the_address() {
    let mut sim = Sim::with_slots(2);
    let live = instances([1]);
    assert_eq!(status(&sim.plan(&live), "srv1"), Status::Rising(BringUp::Registry));
    sim.settle(&live);
    assert_eq!(status(&sim.plan(&live), "srv1"), Status::Active);
    // It goes to another address, and its weight alone changes nothing of where it stands.
    let mut moved = instance(1);
    moved.endpoint = endpoint(9);
    assert_ne!(status(&sim.plan(&[moved]), "srv1"), Status::Active);
    sim.server("srv1").op = OpState::Stopped;
    assert_eq!(status(&sim.plan(&live), "srv1"), Status::Down);
    sim.server("srv1").admin = roster_haproxy::cli::AdminState::from_bits(0x02);
    assert_eq!(status(&sim.plan(&live), "srv1"), Status::Inherited);
    assert!(sim.plan(&live).operations.is_empty(), "what it inherits is not the server's own");
}
