//! What holds for every table: filling it in one go is the same as looking for each newcomer's slot anew.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

use super::table::{Limits, Row, Shape, SlotTable, Wanted, assign};
use super::vacancy::Vacancies;
use super::{Growth, SlotNo};
use crate::instance::Instance;

fn now() -> Timestamp {
    Timestamp::from_second(1_000).unwrap()
}

fn at(n: u32) -> Instance {
    Instance::at(format!("10.0.{}.{}:80", n / 250, n % 250 + 1).parse().unwrap())
}

fn shape() -> impl Strategy<Value = Shape> {
    any::<bool>().prop_map(|backup| Shape { backup })
}

fn row() -> impl Strategy<Value = Row> {
    // Few values, so that a slot is often at the very end of its rest, and an address often in two slots.
    let since = proptest::option::of((0..10i64).prop_map(|s| Timestamp::from_second(s * 100).unwrap()));
    let held = (shape(), 0..20u32, any::<bool>()).prop_map(|(shape, n, known)| {
        let Instance { id, endpoint, .. } = at(n);
        Row::Held { shape, instance: known.then_some(id), endpoint, well: true }
    });
    prop_oneof![3 => (shape(), since).prop_map(|(shape, since)| Row::Free { shape, since }), 1 => held]
}

fn table() -> impl Strategy<Value = SlotTable> {
    let number = (1..40u32).prop_map(|n| SlotNo::new(n).unwrap());
    btree_map(number, row(), 0..30).prop_map(|rows| SlotTable { rows })
}

fn limits() -> impl Strategy<Value = Limits> {
    let some = || btree_set((1..40u32).prop_map(|n| SlotNo::new(n).unwrap()), 0..6);
    (any::<bool>(), any::<bool>(), 0..10u64, 0..60u32, some(), some()).prop_map(
        |(by_address, can_grow, rest, base, barred, avoided)| Limits {
            base,
            growth: Growth::EXACT,
            by_address,
            can_grow,
            rest: Duration::from_secs(rest * 100),
            barred,
            avoided,
        },
    )
}

/// As the module's documentation says it: every slot is looked at for every newcomer.
fn naive_vacancy(table: &SlotTable, shape: Shape, limits: &Limits) -> Option<SlotNo> {
    let free = |row: &Row| match row {
        Row::Free { shape: has, since } if *has == shape && !limits.by_address => Some(*since),
        _ => None,
    };
    let given = table.rows.iter().filter(|(no, _)| !limits.barred.contains(no));
    let free: Vec<_> = given.filter_map(|(no, row)| Some((free(row)?, *no))).collect();
    let rest = SignedDuration::try_from(limits.rest).unwrap();
    let rested = |since: &Option<Timestamp>| since.is_none_or(|since| now().duration_since(since) >= rest);
    let best = |avoided: bool| {
        let free: Vec<_> = free.iter().filter(|(_, no)| limits.avoided.contains(no) == avoided).collect();
        let first = free.iter().find(|(since, _)| rested(since)).or_else(|| free.iter().min());
        first.map(|(_, no)| *no)
    };
    let new = limits.can_grow.then(|| naive_gap(table, limits));
    let better_new = new.filter(|new| !limits.avoided.contains(new));
    best(false).or(better_new).or_else(|| best(true)).or(new)
}

fn naive_gap(table: &SlotTable, limits: &Limits) -> SlotNo {
    let is_gap = |no: &SlotNo| !table.rows.contains_key(no) && !limits.barred.contains(no);
    (1..=1_000).filter_map(SlotNo::new).find(is_gap).unwrap()
}

proptest! {
    #[test]
    fn each_newcomer_gets_the_slot_that_a_search_of_the_whole_table_finds(
        (mut table, limits, newcomers) in (table(), limits(), vec(shape(), 0..60)),
    ) {
        let mut vacancies = Vacancies::of(&table, &limits, now());
        for (n, shape) in (100..).zip(newcomers) {
            let found = vacancies.take(&table, shape);
            prop_assert_eq!(found, naive_vacancy(&table, shape, &limits));
            let Some(found) = found else { continue };
            let Instance { id, endpoint, .. } = at(n);
            table.rows.insert(found, Row::Held { shape, instance: Some(id), endpoint, well: true });
        }
        for _ in 0..10 {
            let gap = vacancies.first_gap(&table);
            prop_assert_eq!(gap, naive_gap(&table, &limits));
            table.rows.insert(gap, Row::Free { shape: Shape::default(), since: None });
        }
    }

    #[test]
    fn whoever_has_a_slot_that_fits_keeps_it_and_nobody_has_two(
        (table, limits, live) in (table(), limits(), vec((0..40u32, shape()), 0..60)),
    ) {
        let wanted: Vec<(Instance, Shape)> = live.into_iter().map(|(n, shape)| (at(n), shape)).collect();
        let wanted: Vec<Wanted<'_>> =
            wanted.iter().map(|(instance, shape)| Wanted { instance, shape: *shape, kept_in: None }).collect();
        let assignment = assign(table.clone(), &wanted, &limits, now());
        for one in &wanted {
            let id = &one.instance.id;
            let holds = |row: &Row| matches!(row, Row::Held { instance: Some(held), .. } if held == id);
            let after: Vec<_> = assignment.table.rows.iter().filter(|(_, row)| holds(row)).collect();
            let unplaced = assignment.unplaced.iter().filter(|unplaced| unplaced.instance == *id).count();
            prop_assert_eq!(after.len() + unplaced, 1, "{} in {:?}", id, after);
            let before = table.rows.iter().find(|(_, row)| {
                holds(row) && after.first().is_some_and(|(_, now)| now.shape() == row.shape())
            });
            if let Some((no, _)) = before {
                prop_assert_eq!(after.first().map(|(now, _)| *now), Some(no));
            }
        }
    }
}
