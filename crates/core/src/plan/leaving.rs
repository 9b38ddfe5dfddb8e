//! Which servers may leave now: their replacements have to be there first.
//!
//! An answer that replaces instances one for one says nothing of whether the new ones can be reached, or whether HAProxy takes
//! them. So for each newcomer that does not take traffic yet one server that is to leave stays. Where newcomers can only have the
//! slots of those that leave, some of these go first. The wait has an end, which is reported.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use roster_haproxy::name::ServerName;
use roster_haproxy::observed::{ObservedServer, State};

use super::backend::{Inputs, bring_up};
use super::departed::Departed;
use super::places::Place;
use crate::applied::{AppliedServer, Phase};
use crate::departure::Departure;
use crate::exposure::{BringUp, Names};
use crate::guard::Wish;
use crate::later::later;
use crate::slots::Row;

/// How long servers wait for their replacements, and how long an instance counts as a newcomer.
const LONGEST: Duration = Duration::from_mins(5);

/// The servers that stay until their replacements serve.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Which.
    pub servers: BTreeSet<ServerName>,
    /// Since when some wait.
    pub since: Option<Timestamp>,
    /// When the wait ends.
    pub until: Option<Timestamp>,
}

/// Newcomers that have no server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WithoutServer {
    /// Those for which there is no slot.
    pub unplaced: usize,
    /// Those that are given none before they are well.
    pub unwell: usize,
}

/// The servers of a backend, as far as the wait depends on them.
struct Crew<'p, 'a> {
    /// They take traffic, and are to leave.
    leavers: Vec<&'p Place<'a>>,
    /// They take traffic, and their instances are wanted.
    there: Vec<&'p Place<'a>>,
    /// Their instances are wanted, and take no traffic yet.
    newcomers: Vec<&'p Place<'a>>,
    /// They drain.
    draining: usize,
}

impl Waiting {
    /// Finds those that wait. `since` is when the wait began, if it has.
    pub(super) fn of(
        inputs: &Inputs<'_>,
        places: &[Place<'_>],
        departed: &Departed<'_>,
        without: WithoutServer,
        since: Option<Timestamp>,
    ) -> Self {
        let leavers: Vec<&Place<'_>> = places.iter().filter(|place| waits(place, departed)).collect();
        if leavers.is_empty() {
            return Self::default();
        }
        let began = since.unwrap_or(inputs.now);
        let crew = Crew::of(inputs, places, leavers, began);
        let awaited = crew.newcomers.len() + without.unplaced + without.unwell;
        let given_up = crew.given_up(inputs, awaited, without.unplaced);
        let stay = crew.leavers.len().min(awaited).saturating_sub(given_up);
        if stay == 0 {
            return Self::default();
        }
        let until = later(crew.progress(inputs.now).max(began), LONGEST);
        // Those with the highest numbers wait.
        let servers = crew.leavers.iter().rev().take(stay).map(|place| place.name.clone());
        let servers = if inputs.now < until { servers.collect() } else { BTreeSet::new() };
        Self { servers, since: Some(began), until: Some(until) }
    }
}

impl<'p, 'a> Crew<'p, 'a> {
    fn of(
        inputs: &Inputs<'_>,
        places: &'p [Place<'a>],
        leavers: Vec<&'p Place<'a>>,
        began: Timestamp,
    ) -> Self {
        let wanted = places.iter().filter(|place| place.wish.is_some_and(|wish| wish.well));
        let (there, others): (Vec<&Place<'_>>, Vec<&Place<'_>>) = wanted.partition(|place| is_there(place));
        let came = leavers.iter().map(|place| place.record.map_or(Timestamp::MIN, |record| record.since));
        let oldest = came.min().unwrap_or(Timestamp::MIN);
        let newcomers =
            others.into_iter().filter(|place| is_newcomer(inputs, place, began, oldest)).collect();
        let drains = |place: &&Place<'_>| place.record.is_some_and(|record| record.phase == Phase::Draining);
        Self { leavers, there, newcomers, draining: places.iter().filter(drains).count() }
    }

    /// How many of the servers leave though newcomers are awaited: those whose slots newcomers need. No more are given up at
    /// once than the guards let an answer take out.
    fn given_up(&self, inputs: &Inputs<'_>, awaited: usize, unplaced: usize) -> usize {
        let is_refused = |place: &&&Place<'_>| is_refused(inputs, place);
        let is_short =
            unplaced > 0 || self.newcomers.iter().filter(is_refused).any(|place| place.seen.is_none());
        if !is_short || inputs.exposure.names == Names::Address {
            return 0;
        }
        let serving = self.leavers.len() + self.there.len();
        let share = serving * usize::from(inputs.exposure.policy.guard.max_removal_percent) / 100;
        // The last server leaves only where there is no other way. Where an addition is refused, it may be taken yet.
        let most = serving.saturating_sub(1).max(usize::from(unplaced > 0));
        let to_come = self.newcomers.iter().filter(|place| place.seen.is_some()).count();
        let leaving = self.leavers.len().saturating_sub(awaited);
        share.max(1).min(most).saturating_sub(self.draining + to_come + leaving)
    }

    /// When a newcomer came to serve last. What drains makes room for one.
    fn progress(&self, now: Timestamp) -> Timestamp {
        if self.draining > 0 {
            return now;
        }
        let came = self.there.iter().filter_map(|place| place.record.map(|record| record.since));
        came.max().unwrap_or(Timestamp::MIN)
    }
}

/// Whether a server takes traffic, and is to leave for a reason that says nothing of whether its instance still runs.
fn waits(place: &Place<'_>, departed: &Departed<'_>) -> bool {
    let serves = place.seen.is_some_and(|seen| seen.serves() && seen.endpoint().is_some());
    serves
        && matches!(place.row, Row::Leaving { .. })
        && match departed.why(place, true) {
            Departure::NotReported
            | Departure::ServiceAbsent
            | Departure::NotSelected
            | Departure::TakenOver { .. }
            | Departure::OtherShape
            | Departure::Moved => true,
            Departure::ServiceRemoved
            | Departure::Ending
            | Departure::Released
            | Departure::SameAddress { .. }
            | Departure::NoSlot => false,
        }
}

/// Whether HAProxy shows that the instance takes traffic.
fn is_there(place: &Place<'_>) -> bool {
    let is_its = |seen: &ObservedServer| seen.serves() && seen.endpoint() == place.row.endpoint();
    place.seen.is_some_and(is_its)
}

/// Whether an instance that takes no traffic replaces one that leaves: it came after `oldest`, when the first of those came, and
/// lately when the wait began.
fn is_newcomer(inputs: &Inputs<'_>, place: &Place<'_>, began: Timestamp, oldest: Timestamp) -> bool {
    // Where all takes effect at once, it takes traffic as soon as the others leave.
    let comes_at_once = || {
        let by_registry = |wish: &Wish<'_>| bring_up(inputs, &wish.instance) == BringUp::Registry;
        inputs.seen.limits.at_once && place.wish.is_some_and(by_registry)
    };
    let is_at_its_address = place.seen.is_some_and(|seen| seen.endpoint() == place.row.endpoint());
    let came_lately = || {
        // Without a record, what is at its address was there before Roster.
        let Some(record) = place.record else { return !is_at_its_address };
        let is_its = place.wish.is_some_and(|wish| record.instance.as_ref() == Some(&wish.instance.id));
        let is_rising = matches!(record.phase, Phase::Rising(_));
        let is_young = (is_rising || record.since > oldest) && began < later(record.since, LONGEST);
        !is_its || (is_young && !is_kept_out(place, record))
    };
    is_refused(inputs, place) || (!comes_at_once() && came_lately())
}

/// Whether an operator keeps the server out, also one whose command is seen for the first time.
fn is_kept_out(place: &Place<'_>, record: &AppliedServer) -> bool {
    let was_ready = record.confirmed && record.phase.state() == State::Ready;
    record.operator.is_some_and(|hold| hold.state.is_some())
        || (was_ready && place.seen.is_some_and(|seen| seen.told() != State::Ready))
}

fn is_refused(inputs: &Inputs<'_>, place: &Place<'_>) -> bool {
    inputs.refusals.of(&place.name).is_some_and(|refused| refused.brings)
}
