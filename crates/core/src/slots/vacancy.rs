//! Where the next newcomer goes. What is free is sorted once and then only taken from, so that filling a backend
//! costs one walk over its slots and not one for every newcomer.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::scheme::SlotNo;
use super::table::{Limits, Row, Shape, SlotTable};

/// What newcomers can be given, for as long as nothing but its answers is added to the table.
#[derive(Debug)]
pub(super) struct Vacancies {
    /// The free slots of each shape, the best one last.
    free: BTreeMap<Shape, Vec<(Tired, SlotNo)>>,
    /// No number below this one is missing from the table.
    gap: SlotNo,
    can_grow: bool,
}

/// Since when a slot is free, unless it has rested for long enough: one that has comes before any that has not.
type Tired = Option<Timestamp>;

impl Vacancies {
    /// Finds out what is free. Where servers are called after their addresses, no slot is ever given to another one.
    pub(super) fn of(table: &SlotTable, limits: &Limits, now: Timestamp) -> Self {
        let rest = SignedDuration::try_from(limits.rest).unwrap_or_default();
        let mut free: BTreeMap<Shape, Vec<(Tired, SlotNo)>> = BTreeMap::new();
        for (number, row) in table.rows.iter().filter(|_| !limits.by_address) {
            if let Row::Free { shape, since } = row {
                let tired = since.filter(|since| now.duration_since(*since) < rest);
                free.entry(*shape).or_default().push((tired, *number));
            }
        }
        for slots in free.values_mut() {
            slots.sort_unstable_by(|a, b| b.cmp(a));
        }
        Self { free, gap: SlotNo::FIRST, can_grow: limits.can_grow }
    }

    /// The slot for a newcomer: the first rested hole of its shape, else the one that has rested longest, else a new
    /// one. The answer is not given again if the caller puts it into the table.
    pub(super) fn take(&mut self, table: &SlotTable, shape: Shape) -> Option<SlotNo> {
        let hole = self.free.get_mut(&shape).and_then(Vec::pop).map(|(_, number)| number);
        hole.or_else(|| self.can_grow.then(|| self.first_gap(table)))
    }

    /// The lowest number that is missing from the table.
    pub(super) fn first_gap(&mut self, table: &SlotTable) -> SlotNo {
        for (number, _) in table.rows.range(self.gap..) {
            if *number != self.gap {
                break;
            }
            self.gap = self.gap.next();
        }
        self.gap
    }
}
