//! Guards: what keeps servers though an answer lacks their instances.
//!
//! A guard judges a source's *answer*. It never holds back an addition. What looks like a failure of the source is held
//! until the answer has lasted, or gets better. What no answer can speak for ([`Kept`]), and what an entry that cannot be
//! read may explain, is held for as long as that is so. An operator's `release` ends any hold.

mod flapping;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use jiff::Timestamp;
use roster_haproxy::address::Endpoint;
use roster_haproxy::name::InstanceId;
use serde::{Deserialize, Serialize};

pub use self::flapping::FLAP_WINDOW;
use crate::departure::{Grounds, Kept};
use crate::exposure::Guards;
use crate::instance::{Instance, Lifecycle, Likeness, Unread};
use crate::later::later;
use crate::slots::{Row, Shape, SlotNo, SlotTable};

/// What guards remember of one backend.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct GuardRecord {
    /// What is held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// When instances left lately, newest last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left: BTreeMap<InstanceId, Vec<Timestamp>>,
    /// The instances that are kept out because they come and go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flapping: Vec<InstanceId>,
    /// How many entries could not be read that may be any instance, when an answer last lacked no instance. So many of them
    /// explain no loss that comes later.
    #[serde(default, skip_serializing_if = "is_none")]
    pub unread: usize,
    /// Since when servers whose instances left stay, for others do not serve in their place yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Timestamp>,
    /// Whether an operator has let what is held go through.
    #[serde(default)]
    pub released: bool,
}

/// A hold on one backend.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Which guard.
    pub guard: Guard,
    /// Since when.
    pub since: Timestamp,
    /// The answer that was last judged.
    pub answer: Timestamp,
    /// How many answers in a row said so.
    pub answers: u32,
    /// How many instances would leave.
    pub leaving: usize,
    /// Of how many.
    pub of: usize,
}

/// Which guard holds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Too large a share would leave at once.
    Share,
    /// Too few would stay.
    Minimum,
    /// Entries of the answer cannot be read, and may be the instances that it lacks.
    Unread,
    /// No answer speaks for the service.
    Kept(Kept),
}

/// What an operator's release lets through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Released {
    /// What was held back.
    pub hold: Option<Hold>,
    /// How many instances were kept out because they come and go.
    pub flapping: usize,
    /// Whether servers stayed until others serve in their place.
    pub waiting: bool,
}

/// An instance that an exposure wants, and how.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The instance.
    pub instance: Cow<'a, Instance>,
    /// The shape of slot that it needs.
    pub shape: Shape,
    /// Whether it may take traffic.
    pub well: bool,
    /// The slot in which a guard keeps it, though no answer reports it.
    pub kept_in: Option<SlotNo>,
}

impl<'a> Wish<'a> {
    /// Whether only a guard keeps the instance.
    pub fn is_kept(&self) -> bool {
        self.kept_in.is_some()
    }

    /// A wish for an instance that is well.
    pub fn for_instance(instance: &'a Instance, shape: Shape) -> Self {
        Self { instance: Cow::Borrowed(instance), shape, well: true, kept_in: None }
    }
}

/// What the guards are told of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// What may take servers out.
    pub grounds: &'a Grounds,
    /// When the answer was taken.
    pub answer: Timestamp,
    /// Whether the source answers now. While it does not, no hold ends by time.
    pub current: bool,
    /// What the answer reports. An instance that it reports as leaving is not missing from it.
    pub reported: &'a [&'a Instance],
    /// What of the answer cannot be read and may be an instance of the service.
    pub unread: &'a [&'a Unread],
}

/// What the guards say.
#[derive(Debug)]
pub struct Judged<'a> {
    /// What to go on with.
    pub wishes: Vec<Wish<'a>>,
    /// What to remember.
    pub record: GuardRecord,
    /// When to judge again.
    pub wake: Option<Timestamp>,
}

/// The slots whose instances an answer lacks, by what becomes of them.
struct Missing<'t> {
    /// They stay: no answer speaks for them, or entries that cannot be read may be they.
    explained: Vec<(SlotNo, &'t Row)>,
    /// The others.
    lost: Vec<(SlotNo, &'t Row)>,
}

/// Judges an answer against the slots that are held.
pub fn judge<'a>(
    table: &SlotTable,
    wishes: Vec<Wish<'a>>,
    evidence: &Evidence<'_>,
    record: &GuardRecord,
    guards: &Guards,
    now: Timestamp,
) -> Judged<'a> {
    let mut record = record.clone();
    let before = record.hold.take();
    let missing = missing(table, &wishes, evidence, &mut record);
    let Missing { explained, lost } = &missing;
    let is_free = record.released || *evidence.grounds == Grounds::Removed;
    let staying = wishes.len() + explained.len();
    let verdict = if is_free { None } else { verdict(table.held(), staying, lost.len(), guards) };
    let hold = |guard, leaving| hold(before.as_ref(), guard, leaving, table.held(), evidence, now);
    let loss = verdict.map(|guard| hold(guard, lost.len()));
    let held = loss.filter(|loss| !lasts(loss, evidence, guards, now));
    let mut judged = Judged { wishes, record, wake: None };
    judged.wishes.extend(explained.iter().filter_map(|(slot, row)| kept(*slot, row)));
    if let Some(loss) = held {
        judged.wishes.extend(lost.iter().filter_map(|(slot, row)| kept(*slot, row)));
        judged.wake = ends(&loss, guards).filter(|_| evidence.current);
        judged.record.hold = Some(loss);
    } else {
        let is_unheard = matches!(evidence.grounds, Grounds::Nothing(Kept::NotHeard { .. }));
        if let Some(before) = before.as_ref().filter(|before| is_unheard && before.guard.judges_loss())
            && explained.len() <= before.leaving
        {
            // What was held before a start is held on, and its time goes on.
            judged.record.hold = Some(before.clone());
        } else if !explained.is_empty() {
            let guard = match evidence.grounds {
                Grounds::Nothing(kept) => Guard::Kept(kept.clone()),
                _ => Guard::Unread,
            };
            judged.record.hold = Some(hold(guard, explained.len()));
        }
        flapping::note(&mut judged.record, lost, guards, now);
    }
    flapping::keep_out(&mut judged, table, guards, now);
    judged
}

/// The slots whose instance the answer no longer has.
fn missing<'t>(
    table: &'t SlotTable,
    wishes: &[Wish<'_>],
    evidence: &Evidence<'_>,
    record: &mut GuardRecord,
) -> Missing<'t> {
    let rows = leaving(table, wishes, evidence.reported);
    if rows.is_empty() {
        record.released = false;
    }
    let unclear = evidence.unread.iter().filter(|unread| unread.ip.is_none()).count();
    let is_new = unclear > record.unread;
    if rows.is_empty() || record.released {
        record.unread = unclear;
    }
    record.unread = record.unread.min(unclear);
    let is_explained = |(_, row): &(SlotNo, &Row)| match evidence.grounds {
        _ if record.released => false,
        Grounds::Removed => false,
        Grounds::Nothing(_) => true,
        Grounds::Answer | Grounds::Absent => evidence.unread.iter().any(|unread| {
            let likeness = row.endpoint().map(|endpoint| unread.likeness(row.instance(), endpoint));
            likeness == Some(Likeness::Same) || (is_new && likeness == Some(Likeness::Unclear))
        }),
    };
    let (explained, lost) = rows.into_iter().partition(is_explained);
    Missing { explained, lost }
}

fn leaving<'t>(table: &'t SlotTable, wishes: &[Wish<'_>], reported: &[&Instance]) -> Vec<(SlotNo, &'t Row)> {
    let on_purpose = reported.iter().copied().filter(|one| one.lifecycle == Lifecycle::Leaving);
    let there = wishes.iter().map(|wish| &*wish.instance).chain(on_purpose);
    let ids: HashSet<&InstanceId> = there.clone().map(|instance| &instance.id).collect();
    let held = table.rows.iter().filter(|(_, row)| matches!(row, Row::Held { .. }));
    let missing = held.filter(|(_, row)| !row.instance().is_some_and(|id| ids.contains(id)));
    let mut missing: Vec<(SlotNo, &Row)> = missing.map(|(slot, row)| (*slot, row)).collect();
    if !missing.is_empty() {
        let endpoints: HashSet<Endpoint> = there.map(|instance| instance.endpoint).collect();
        missing.retain(|(_, row)| !row.endpoint().is_some_and(|endpoint| endpoints.contains(&endpoint)));
    }
    missing
}

fn verdict(held: usize, staying: usize, leaving: usize, guards: &Guards) -> Option<Guard> {
    // What counts is how many are lost: a fleet that is replaced one for one has lost nothing.
    let lost = leaving.min(held.saturating_sub(staying));
    if lost == 0 {
        return None;
    }
    let minimum = usize::try_from(guards.min_servers).unwrap_or(usize::MAX);
    if staying < minimum.min(held) {
        return Some(Guard::Minimum);
    }
    let share = lost >= 2 && lost * 100 > held * usize::from(guards.max_removal_percent);
    share.then_some(Guard::Share)
}

fn hold(
    before: Option<&Hold>,
    guard: Guard,
    leaving: usize,
    of: usize,
    evidence: &Evidence<'_>,
    now: Timestamp,
) -> Hold {
    // More that would leave is another answer, which has not lasted yet.
    let before = before.filter(|hold| hold.guard.goes_on_as(&guard) && leaving <= hold.leaving);
    let since = before.map_or(now, |hold| hold.since);
    let again = before.filter(|hold| hold.answer == evidence.answer);
    let answers =
        again.map_or_else(|| before.map_or(1, |hold| hold.answers.saturating_add(1)), |hold| hold.answers);
    Hold { guard, since, answer: evidence.answer, answers, leaving, of }
}

fn lasts(hold: &Hold, evidence: &Evidence<'_>, guards: &Guards, now: Timestamp) -> bool {
    let answers = guards.hold_passes > 0 && hold.answers > guards.hold_passes;
    answers || (evidence.current && ends(hold, guards).is_some_and(|end| now >= end))
}

/// When a hold ends by itself, if it does.
pub fn ends(hold: &Hold, guards: &Guards) -> Option<Timestamp> {
    (hold.guard.judges_loss() && !guards.hold_for.is_zero()).then(|| later(hold.since, guards.hold_for))
}

fn kept<'a>(slot: SlotNo, row: &Row) -> Option<Wish<'a>> {
    let Row::Held { shape, instance, endpoint, well } = row else { return None };
    let mut kept = Instance::at(*endpoint);
    if let Some(id) = instance {
        kept.id = id.clone();
    }
    Some(Wish { instance: Cow::Owned(kept), shape: *shape, well: *well, kept_in: Some(slot) })
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives the field as it is")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

impl GuardRecord {
    /// Lets what is held back go through at the next pass, and what is kept out come in. Answers what that is, if it is
    /// anything.
    pub fn release(&mut self) -> Option<Released> {
        let (hold, flapping) = (self.hold.clone(), std::mem::take(&mut self.flapping));
        if !flapping.is_empty() {
            self.left.clear();
        }
        let waiting = self.waiting.take().is_some();
        self.released |= hold.is_some() || waiting;
        let released = Released { flapping: flapping.len(), hold, waiting };
        (released.hold.is_some() || released.flapping > 0 || waiting).then_some(released)
    }
}

impl Guard {
    /// One word for it, for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Guard::Share => "share",
            Guard::Minimum => "minimum",
            Guard::Unread => "unread",
            Guard::Kept(kept) => kept.word(),
        }
    }

    /// Whether it judges how much an answer lacks, so that the hold ends once the answer has lasted.
    pub fn judges_loss(&self) -> bool {
        matches!(self, Guard::Share | Guard::Minimum)
    }

    /// Whether it only waits for a source to answer for the first time, as after each start.
    pub fn waits_for_source(&self) -> bool {
        matches!(self, Guard::Kept(Kept::NotHeard { .. }))
    }

    /// Whether a hold of this guard goes on when another one holds the same.
    fn goes_on_as(&self, other: &Guard) -> bool {
        self == other || (self.judges_loss() && other.judges_loss())
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hold { leaving, of, .. } = self;
        match &self.guard {
            Guard::Share => write!(f, "{leaving} of {of} servers would leave at once"),
            Guard::Minimum => write!(f, "{leaving} of {of} servers would leave, too few would stay"),
            Guard::Unread => write!(
                f,
                "{leaving} of {of} servers would leave, and entries that cannot be read may be their instances"
            ),
            Guard::Kept(kept) => write!(f, "{leaving} of {of} servers stay as they are: {kept}"),
        }
    }
}

impl fmt::Display for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hold = self.hold.as_ref().map(ToString::to_string);
        let waiting = self.waiting.then(|| "servers stayed until others serve in their place".to_owned());
        let flapping =
            (self.flapping > 0).then(|| format!("{} instances that come and go may come in", self.flapping));
        let all: Vec<String> = [hold, waiting, flapping].into_iter().flatten().collect();
        f.write_str(&all.join("; "))
    }
}

#[cfg(test)]
mod tests;
