//! Where the next newcomer goes. What is free is sorted once and then only taken from, so that filling a backend
//! costs one walk over its slots and not one for every newcomer.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::scheme::SlotNo;
use super::table::{Limits, Row, Shape, SlotTable};

/// What newcomers can be given, for as long as nothing but its answers is added to the table.
#[derive(Debug)]
pub(super) struct Vacancies {
    /// The free slots of each shape, the best one last.
    free: BTreeMap<Shape, Vec<(bool, Tired, SlotNo)>>,
    /// No number below this one is missing from the table, but for those that are barred.
    gap: SlotNo,
    barred: BTreeSet<SlotNo>,
    avoided: BTreeSet<SlotNo>,
    can_grow: bool,
}

/// Since when a slot is free, unless it has rested for long enough: one that has comes before any that has not.
type Tired = Option<Timestamp>;

impl Vacancies {
    /// Finds out what is free. Where servers are called after their addresses, no slot is ever given to another one.
    pub(super) fn of(table: &SlotTable, limits: &Limits, now: Timestamp) -> Self {
        let rest = SignedDuration::try_from(limits.rest).unwrap_or_default();
        let mut free: BTreeMap<Shape, Vec<(bool, Tired, SlotNo)>> = BTreeMap::new();
        let is_given = |number: &SlotNo| !limits.by_address && !limits.barred.contains(number);
        for (number, row) in table.rows.iter().filter(|(number, _)| is_given(number)) {
            if let Row::Free { shape, since } = row {
                let tired = since.filter(|since| now.duration_since(*since) < rest);
                let avoided = limits.avoided.contains(number);
                free.entry(*shape).or_default().push((avoided, tired, *number));
            }
        }
        for slots in free.values_mut() {
            slots.sort_unstable_by(|a, b| b.cmp(a));
        }
        let Limits { barred, avoided, can_grow, .. } = limits;
        Self {
            free,
            gap: SlotNo::FIRST,
            barred: barred.clone(),
            avoided: avoided.clone(),
            can_grow: *can_grow,
        }
    }

    /// The slot for a newcomer: the first rested hole of its shape, else the one that has rested longest, else a new
    /// one. A hole that is avoided comes after a new one that is not. The answer is not given again if the caller puts it
    /// into the table.
    pub(super) fn take(&mut self, table: &SlotTable, shape: Shape) -> Option<SlotNo> {
        let new = self.can_grow.then(|| self.first_gap(table));
        let is_new_better = new.is_some_and(|new| !self.avoided.contains(&new));
        let holes = self.free.get_mut(&shape);
        let hole = holes.and_then(|holes| holes.pop_if(|(avoided, ..)| !(*avoided && is_new_better)));
        hole.map(|(.., number)| number).or(new)
    }

    /// The lowest number that is missing from the table.
    pub(super) fn first_gap(&mut self, table: &SlotTable) -> SlotNo {
        while table.rows.contains_key(&self.gap) || self.barred.contains(&self.gap) {
            let next = self.gap.next();
            if next == self.gap {
                break;
            }
            self.gap = next;
        }
        self.gap
    }
}
