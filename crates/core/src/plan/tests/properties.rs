//! What holds for every fleet, every backend and every order.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use roster_haproxy::address::Endpoint;
use roster_haproxy::observed::State;
use roster_haproxy::weight::Weight;

use super::sim::{Sim, endpoint, instances, name};
use crate::exposure::{BringUp, Drain};
use crate::instance::Instance;
use crate::slots::{Limits, SlotTable, Wanted, assign};

/// A backend in any state: some slots were used by whoever was there before.
pub(super) fn backend() -> impl Strategy<Value = Sim> {
    let server =
        (0..30u32, prop_oneof![Just(State::Ready), Just(State::Drain), Just(State::Maint)], 0..=256u32);
    vec(proptest::option::of(server), 0..12).prop_map(|slots| {
        let mut sim = Sim::with_slots(u32::try_from(slots.len()).unwrap());
        for (n, slot) in slots.into_iter().enumerate() {
            let Some((at, state, weight)) = slot else { continue };
            let called = format!("srv{}", n + 1);
            let to: Endpoint = endpoint(at);
            (sim.server(&called).ip, sim.server(&called).port) = (Some(to.ip), to.port.get());
            sim.server(&called).weight = Weight::new(weight).unwrap();
            sim.operator(&called, state);
        }
        sim
    })
}

pub(super) fn fleet() -> impl Strategy<Value = Vec<Instance>> {
    let some = btree_set(0..30u32, 0..15);
    some.prop_map(instances)
}

/// What should serve: everyone but those whom an operator keeps out by hand.
fn wanted(sim: &Sim, live: &[Instance]) -> BTreeSet<Endpoint> {
    let kept_out = |at: &Endpoint| {
        let mut there = sim.seen.servers.values().filter(|s| s.endpoint() == Some(*at)).peekable();
        there.peek().is_some() && there.all(|s| s.state() != State::Ready)
    };
    live.iter().map(|one| one.endpoint).filter(|at| !kept_out(at)).collect()
}

fn serving(sim: &Sim) -> BTreeSet<Endpoint> {
    sim.serving().into_iter().map(|(_, at)| at).collect()
}

proptest! {
    #[test]
    fn two_plans_carried_out_give_what_is_desired_and_a_third_plan_is_empty(
        (mut sim, first, second) in (backend(), fleet(), fleet()),
    ) {
        for live in [first, second] {
            // Those that are replaced leave by the second plan.
            for _ in 0..2 {
                let plan = sim.plan(&live);
                sim.carry_out(&plan);
            }
            prop_assert_eq!(serving(&sim), wanted(&sim, &live));
            prop_assert_eq!(sim.plan(&live).operations, vec![]);
        }
    }

    #[test]
    fn with_drains_and_probes_it_comes_to_the_same_in_the_end(
        (mut sim, first, second, by_check) in (backend(), fleet(), fleet(), any::<bool>()),
    ) {
        sim.exposure().policy.drain = Drain { cap: Duration::from_secs(30) };
        sim.exposure().policy.bring_up = Some(if by_check { BringUp::Check } else { BringUp::Probe });
        for live in [first, second] {
            for _ in 0..10 {
                sim.settle(&live);
                sim.come_up(&sim.plan(&live));
                sim.pass_time(31);
            }
            sim.settle(&live);
            prop_assert_eq!(serving(&sim), wanted(&sim, &live));
        }
    }

    #[test]
    fn no_fewer_servers_take_traffic_than_did_before_or_are_wanted(
        (slots, first, second, how, grows) in (
            0..12u32, fleet(), fleet(),
            prop_oneof![Just(BringUp::Registry), Just(BringUp::Probe), Just(BringUp::Check)],
            any::<bool>(),
        ),
    ) {
        let mut sim = Sim::with_slots(slots);
        sim.settle(&first);
        sim.exposure().policy.drain = Drain { cap: Duration::from_secs(30) };
        sim.exposure().policy.bring_up = Some(how);
        // A backend that takes no new servers has a slot for each at least.
        sim.seen.limits.grows = grows || sim.seen.servers.len() < first.len() + second.len();
        let least = sim.serving().len().min(second.len());
        for _ in 0..10 {
            for _ in 0..5 {
                let plan = sim.plan(&second);
                sim.carry_out(&plan);
                prop_assert!(sim.serving().len() >= least, "{:?}", plan.operations);
                sim.come_up(&plan);
            }
            sim.pass_time(31);
        }
        prop_assert_eq!(serving(&sim), wanted(&sim, &second));
    }

    #[test]
    fn the_same_instances_in_any_order_give_the_same_plan(
        (sim, live) in (backend(), fleet().prop_shuffle()),
    ) {
        let mut sorted = live.clone();
        sorted.sort_by(|a, b| a.id.cmp(&b.id));
        prop_assert_eq!(sim.plan(&live).operations, sim.plan(&sorted).operations);
    }

    #[test]
    fn one_instance_less_moves_nobody_else((mut sim, live, gone) in (backend(), fleet(), any::<proptest::sample::Index>())) {
        prop_assume!(!live.is_empty());
        sim.settle(&live);
        let before: BTreeSet<_> = sim.serving().into_iter().collect();
        let mut fewer = live.clone();
        let gone = fewer.remove(gone.index(live.len()));
        sim.settle(&fewer);
        let expected: BTreeSet<_> = before.into_iter().filter(|(_, at)| *at != gone.endpoint).collect();
        prop_assert_eq!(sim.serving().into_iter().collect::<BTreeSet<_>>(), expected);
    }

    #[test]
    fn what_is_not_ours_is_never_touched((mut sim, live) in (backend(), fleet())) {
        let mut foreign = super::sim::spare(900);
        foreign.port = 7777;
        for called in ["canary", "srv01", "srv", "xsrv1"] {
            foreign.id = roster_haproxy::weight::ServerId::new(foreign.id.get() + 1).unwrap();
            sim.seen.servers.insert(name(called), foreign.clone());
        }
        for operation in sim.settle(&live) {
            prop_assert!(!["canary", "srv01", "srv", "xsrv1"].contains(&operation.server.as_str()));
        }
    }

    #[test]
    fn assigning_twice_changes_nothing(live in fleet(), base in 0..20u32) {
        let wanted: Vec<Wanted<'_>> =
            live.iter().map(|instance| Wanted {
                instance,
                shape: crate::slots::Shape::default(),
                kept_in: None,
            }).collect();
        let limits = Limits {
            base, growth: crate::slots::Growth::linear(1.5).unwrap(), by_address: false, can_grow: true,
            rest: Duration::ZERO, barred: BTreeSet::new(), avoided: BTreeSet::new(),
        };
        let now = jiff::Timestamp::UNIX_EPOCH;
        let once = assign(SlotTable::default(), &wanted, &limits, now);
        prop_assert!(once.unplaced.is_empty());
        prop_assert_eq!(assign(once.table.clone(), &wanted, &limits, now), once);
    }
}
