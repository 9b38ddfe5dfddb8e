//! The places of a backend: each slot with its name, its server, its record and its instance, looked up once.

use std::collections::{BTreeSet, HashMap, HashSet};

use roster_haproxy::name::{InstanceId, InvalidName, ServerName};
use roster_haproxy::observed::ObservedServer;

use super::backend::{Inputs, replaces};
use super::derive::{Ours, is_refused, records};
use super::note::Note;
use crate::applied::AppliedServer;
use crate::departure::Departure;
use crate::exposure::{Names, Policy};
use crate::guard::Wish;
use crate::instance::Health;
use crate::slots::{Row, SlotNo, SlotTable, address_name};

/// One slot and all that is known of it.
pub(super) struct Place<'a> {
    pub slot: SlotNo,
    pub row: &'a Row,
    pub name: ServerName,
    pub seen: Option<&'a ObservedServer>,
    pub record: Option<&'a AppliedServer>,
    /// Why an instance is to be there.
    pub wish: Option<&'a Wish<'a>>,
}

impl Place<'_> {
    /// Keeps what a hold or a question needs that comes later: what the source last said of an instance, and why it left.
    pub(super) fn remember(&self, next: &mut AppliedServer, departure: &Departure, policy: &Policy) {
        let record = self.record;
        match self.wish {
            Some(wish) if wish.is_kept() => {
                next.health = record.map_or(Health::Unknown, |record| record.health);
                next.full_weight = record.and_then(|record| record.full_weight);
            }
            Some(wish) => {
                next.health = wish.instance.health;
                next.full_weight = crate::select::weight(policy, &wish.instance);
            }
            None if next.instance.is_some() => next.left = Some(departure.clone()),
            None => {}
        }
    }
}

/// The places of a table, in the order of their slots, and the slots for which there is no name.
pub(super) fn places<'a>(
    inputs: &Inputs<'a>,
    table: &'a SlotTable,
    ours: &[Ours<'a>],
    wishes: &'a [Wish<'_>],
) -> (Vec<Place<'a>>, Vec<Note>) {
    let kept: HashMap<SlotNo, &'a Wish<'_>> =
        wishes.iter().filter_map(|wish| Some((wish.kept_in?, wish))).collect();
    let reported = wishes.iter().filter(|wish| !wish.is_kept());
    let reported: HashMap<&InstanceId, &'a Wish<'_>> =
        reported.map(|wish| (&wish.instance.id, wish)).collect();
    let mut ours = ours.iter().peekable();
    let (mut places, mut notes) = (Vec::with_capacity(table.rows.len()), Vec::new());
    for (slot, row) in &table.rows {
        let there = ours.next_if(|one| one.slot == *slot);
        let wish = match row {
            Row::Held { instance, .. } => kept
                .get(slot)
                .or_else(|| instance.as_ref().and_then(|instance| reported.get(instance)))
                .copied(),
            _ => None,
        };
        match place(inputs, *slot, row, there) {
            Ok(place) => places.extend(place.map(|place| Place { wish, ..place })),
            Err(error) => notes.push(Note::NoName(error.to_string())),
        }
    }
    (places, notes)
}

fn place<'a>(
    inputs: &Inputs<'a>,
    slot: SlotNo,
    row: &'a Row,
    there: Option<&Ours<'a>>,
) -> Result<Option<Place<'a>>, InvalidName> {
    let name = match (&inputs.exposure.names, row.endpoint()) {
        (Names::Slot(names), _) if there.is_none() => names.name(slot)?,
        // The server that has the slot's number may be called after an address that it does not point at any more.
        (Names::Address, Some(endpoint)) => address_name(endpoint)?,
        _ => {
            return Ok(there.map(|Ours { name, seen, record, .. }| Place {
                slot,
                row,
                name: (*name).clone(),
                seen: Some(seen),
                // What the record gave the server was refused, and is another server's now.
                record: record
                    .filter(|record| !matches!(row, Row::Free { .. }) || !is_refused(inputs, name, record)),
                wish: None,
            }));
        }
    };
    let (seen, record) = (inputs.seen.servers.get(&name), records(inputs).get(&name));
    Ok(Some(Place { slot, row, name, seen, record, wish: None }))
}

/// The servers of a backend that take traffic, as far as anybody asks: whether there is another one than a given one.
#[derive(Debug, Default)]
pub(super) struct Serving {
    one: Option<ServerName>,
    several: bool,
}

impl Serving {
    /// The servers that take traffic now and will still: those of others, and ours whose instance stays where it is.
    pub(super) fn on(inputs: &Inputs<'_>, places: &[Place<'_>], waiting: &BTreeSet<ServerName>) -> Self {
        let stops = |place: &&Place<'_>| {
            (place.is_going() && !waiting.contains(&place.name)) || replaces(inputs, place).is_some()
        };
        let going: HashSet<&ServerName> = places.iter().filter(stops).map(|place| &place.name).collect();
        let serving = inputs.seen.servers.iter().filter(|(_, seen)| seen.serves());
        let mut staying = Self::default();
        // Two are as good as all.
        for (name, _) in serving.filter(|(name, _)| !going.contains(name)).take(2) {
            staying.add(name);
        }
        staying
    }

    pub(super) fn add(&mut self, server: &ServerName) {
        match &self.one {
            None => self.one = Some(server.clone()),
            Some(one) => self.several |= one != server,
        }
    }

    /// Whether any other server than this one takes traffic.
    pub(super) fn besides(&self, server: &ServerName) -> bool {
        self.several || self.one.as_ref().is_some_and(|one| one != server)
    }
}

impl Place<'_> {
    /// Whether a server that takes traffic is about to stop: its instance is gone, unwell or elsewhere.
    fn is_going(&self) -> bool {
        let stays = |seen: &ObservedServer| {
            self.wish.is_some_and(|wish| wish.well) && seen.endpoint() == self.row.endpoint()
        };
        self.seen.is_some_and(|seen| seen.serves() && !stays(seen))
    }
}
