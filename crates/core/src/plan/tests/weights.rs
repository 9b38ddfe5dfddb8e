//! A server's weight: slow start, and whose it is.

use std::time::Duration;

use roster_haproxy::weight::Weight;

use super::sim::{Sim, instance, instances, name};
use crate::exposure::SlowStart;
use crate::instance::Instance;

#[test]
fn a_slow_start_raises_the_weight_in_steps_from_the_moment_the_server_is_ready() {
    let mut sim = Sim::with_slots(2);
    sim.exposure().policy.weight = Some(Weight::new(100).unwrap());
    sim.exposure().policy.slow_start =
        Some(SlowStart { from_percent: 10, over: Duration::from_secs(90), steps: 9 });
    sim.settle(&instances([1]));
    assert_eq!(sim.server("srv1").weight.get(), 10);
    assert_eq!(sim.plan(&instances([1])).wake, Some(crate::later::later(sim.now, Duration::from_secs(10))));
    sim.pass_time(45);
    sim.settle(&instances([1]));
    assert_eq!(sim.server("srv1").weight.get(), 50);
    sim.pass_time(45);
    sim.settle(&instances([1]));
    assert_eq!(sim.server("srv1").weight.get(), 100);
    assert_eq!(sim.plan(&instances([1])).wake, None);
}

#[test]
fn a_reused_slot_gets_the_weight_of_its_line_back() {
    let mut sim = Sim::with_slots(1);
    let mut heavy = instance(1);
    heavy.weight = Some(Weight::new(50).unwrap());
    sim.settle(&[heavy]);
    assert_eq!(sim.server("srv1").weight.get(), 50);
    sim.settle(&[]);
    sim.settle(&instances([2]));
    assert_eq!(sim.server("srv1").weight, Weight::ONE);
}

/// A file that says what runs, and a process that was started from it.
fn follows(sim: &mut Sim) {
    for server in sim.seen.servers.values_mut() {
        server.initial_weight = server.weight;
    }
}

#[test]
fn a_weight_that_roster_wrote_into_the_file_is_taken_back_when_nobody_wants_it_any_more() {
    let heavy = || Instance { weight: Some(Weight::new(80).unwrap()), ..instance(1) };
    for leaves in [false, true] {
        let mut sim = Sim::with_slots(1);
        sim.seen.servers.get_mut(&name("srv1")).unwrap().initial_weight = Weight::new(10).unwrap();
        sim.settle(&[heavy()]);
        follows(&mut sim);
        assert_eq!(sim.settle(&[heavy()]), []);
        if leaves {
            sim.settle(&[]);
            follows(&mut sim);
        }
        sim.settle(&instances([if leaves { 2 } else { 1 }]));
        assert_eq!(sim.server("srv1").weight.get(), 10, "leaves: {leaves}");
        follows(&mut sim);
        assert_eq!(sim.settle(&instances([if leaves { 2 } else { 1 }])), []);
        assert_eq!(sim.applied.as_ref().unwrap().servers["srv1"].own_weight, None);
    }
}

#[test]
fn what_the_line_of_a_server_of_rosters_says_is_taken_back_also_without_a_record() {
    let mut sim = Sim::with_slots(2);
    sim.seen.limits.line_weight = Some(Weight::ONE);
    let heavy = Instance { weight: Some(Weight::new(80).unwrap()), ..instance(1) };
    sim.settle(&[heavy.clone(), instance(2)]);
    follows(&mut sim);
    sim.applied = None;
    assert_eq!(sim.settle(&[heavy, instance(2)]), []);
    sim.applied = None;
    sim.settle(&instances([1, 2]));
    assert_eq!(sim.server("srv1").weight, Weight::ONE);
}

#[test]
fn a_server_that_was_added_with_a_weight_has_none_of_its_own() {
    let mut sim = Sim::with_slots(0);
    let heavy = Instance { weight: Some(Weight::new(80).unwrap()), ..instance(1) };
    sim.settle(&[heavy]);
    assert_eq!(sim.server("srv1").weight.get(), 80);
    sim.settle(&instances([1]));
    assert_eq!(sim.server("srv1").weight, Weight::ONE);
}

#[test]
fn a_slow_start_ends_at_the_full_weight_also_where_the_file_says_what_runs() {
    let mut sim = Sim::with_slots(1);
    sim.seen.servers.get_mut(&name("srv1")).unwrap().initial_weight = Weight::new(40).unwrap();
    sim.exposure().policy.slow_start =
        Some(SlowStart { from_percent: 10, over: Duration::from_secs(90), steps: 9 });
    sim.settle(&instances([1]));
    for weight in [4, 20, 40] {
        assert_eq!(sim.server("srv1").weight.get(), weight);
        follows(&mut sim);
        sim.pass_time(45);
        sim.settle(&instances([1]));
    }
    assert_eq!(sim.server("srv1").weight.get(), 40);
}
