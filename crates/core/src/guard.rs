//! Guards: what holds back changes that look like a failure of the source rather than of the fleet.
//!
//! A guard judges a source's *answer*. It never holds back an addition, never judges a definition that was removed
//! on purpose, and always ends: by the answer lasting, by the answer getting better, or by an operator's word.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::address::Endpoint;
use crate::exposure::Guards;
use crate::instance::{Instance, Lifecycle};
use crate::name::InstanceId;
use crate::plan::later;
use crate::slots::{Row, Shape, SlotTable};

/// Leaving counts as flapping when it happens this often within this time.
pub const FLAP_WINDOW: Duration = Duration::from_mins(10);

/// What guards remember of one backend.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct GuardRecord {
    /// What is held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// When instances left lately, newest last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left: BTreeMap<InstanceId, Vec<Timestamp>>,
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
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Too large a share would leave at once.
    Share,
    /// Too few would stay.
    Minimum,
    /// An instance comes and goes too often.
    Flapping,
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
    /// Whether only a guard keeps it.
    pub held: bool,
}

/// What the guards are told of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// When the answer was taken.
    pub answer: Timestamp,
    /// Whether the service itself was removed, and not just its instances.
    pub removed: bool,
    /// What the answer reports. An instance that it reports as leaving is not missing from it.
    pub reported: &'a [&'a Instance],
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
    /// The instances that are kept out because they come and go.
    pub flapping: Vec<InstanceId>,
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
    let leaving: Vec<&Row> = leaving(table, &wishes, evidence.reported);
    if leaving.is_empty() {
        record.released = false;
    }
    let verdict =
        if evidence.removed || record.released { None } else { verdict(table, &wishes, &leaving, guards) };
    let hold = verdict.map(|guard| hold(record.hold.as_ref(), guard, &leaving, table.held(), evidence, now));
    let believed = hold.as_ref().is_none_or(|hold| lasts(hold, guards, now));
    let mut judged = Judged { wishes, record, wake: None, flapping: Vec::new() };
    if believed {
        judged.record.hold = None;
        note_leaving(&mut judged.record, &leaving, guards, now);
    } else {
        judged.wishes.extend(leaving.iter().filter_map(|row| kept(row)));
        judged.wake = hold.as_ref().and_then(|hold| ends(hold, guards));
        judged.record.hold = hold;
    }
    keep_out_flapping(&mut judged, table, guards, now);
    judged
}

/// The slots whose instance the answer no longer has.
fn leaving<'t>(table: &'t SlotTable, wishes: &[Wish<'_>], reported: &[&Instance]) -> Vec<&'t Row> {
    let on_purpose = reported.iter().copied().filter(|one| one.lifecycle == Lifecycle::Leaving);
    let there = wishes.iter().map(|wish| &*wish.instance).chain(on_purpose);
    let ids: HashSet<&InstanceId> = there.clone().map(|instance| &instance.id).collect();
    let held = table.rows.values().filter(|row| matches!(row, Row::Held { .. }));
    let missing = held.filter(|row| !row.instance().is_some_and(|id| ids.contains(id)));
    let mut missing: Vec<&Row> = missing.collect();
    if !missing.is_empty() {
        let endpoints: HashSet<Endpoint> = there.map(|instance| instance.endpoint).collect();
        missing.retain(|row| !row.endpoint().is_some_and(|endpoint| endpoints.contains(&endpoint)));
    }
    missing
}

fn verdict(table: &SlotTable, wishes: &[Wish<'_>], leaving: &[&Row], guards: &Guards) -> Option<Guard> {
    let held = table.held();
    // What counts is how many are lost: a fleet that is replaced one for one has lost nothing.
    let lost = leaving.len().min(held.saturating_sub(wishes.len()));
    if lost == 0 {
        return None;
    }
    let minimum = usize::try_from(guards.min_servers).unwrap_or(usize::MAX);
    if wishes.len() < minimum.min(held) {
        return Some(Guard::Minimum);
    }
    let share = lost >= 2 && lost * 100 > held * usize::from(guards.max_removal_percent);
    share.then_some(Guard::Share)
}

fn hold(
    before: Option<&Hold>,
    guard: Guard,
    leaving: &[&Row],
    of: usize,
    evidence: &Evidence<'_>,
    now: Timestamp,
) -> Hold {
    let since = before.map_or(now, |hold| hold.since);
    let again = before.filter(|hold| hold.answer == evidence.answer);
    let answers =
        again.map_or_else(|| before.map_or(1, |hold| hold.answers.saturating_add(1)), |hold| hold.answers);
    Hold { guard, since, answer: evidence.answer, answers, leaving: leaving.len(), of }
}

fn lasts(hold: &Hold, guards: &Guards, now: Timestamp) -> bool {
    let answers = guards.hold_passes > 0 && hold.answers > guards.hold_passes;
    answers || ends(hold, guards).is_some_and(|end| now >= end)
}

/// When a hold ends by itself.
pub fn ends(hold: &Hold, guards: &Guards) -> Option<Timestamp> {
    (!guards.hold_for.is_zero()).then(|| later(hold.since, guards.hold_for))
}

fn kept<'a>(row: &Row) -> Option<Wish<'a>> {
    let Row::Held { shape, instance, endpoint } = row else { return None };
    let mut kept = Instance::at(*endpoint);
    if let Some(id) = instance {
        kept.id = id.clone();
    }
    Some(Wish { instance: Cow::Owned(kept), shape: *shape, well: true, held: true })
}

fn note_leaving(record: &mut GuardRecord, leaving: &[&Row], guards: &Guards, now: Timestamp) {
    if guards.flaps == 0 {
        return;
    }
    for id in leaving.iter().filter_map(|row| row.instance()) {
        record.left.entry(id.clone()).or_default().push(now);
    }
    let window = SignedDuration::try_from(FLAP_WINDOW).unwrap_or_default();
    let most = usize::try_from(guards.flaps).unwrap_or(usize::MAX);
    for times in record.left.values_mut() {
        times.retain(|at| now.duration_since(*at) < window);
        let extra = times.len().saturating_sub(most);
        times.drain(..extra);
    }
    record.left.retain(|_, times| !times.is_empty());
}

/// Keeps out what came and went too often, unless nothing else would be left.
fn keep_out_flapping(judged: &mut Judged<'_>, table: &SlotTable, guards: &Guards, now: Timestamp) {
    if guards.flaps == 0 || judged.record.left.is_empty() {
        return;
    }
    let most = usize::try_from(guards.flaps).unwrap_or(usize::MAX);
    let calm_at = |id: &InstanceId| {
        let times = judged.record.left.get(id).filter(|times| times.len() >= most)?;
        times.first().map(|first| later(*first, FLAP_WINDOW)).filter(|at| *at > now)
    };
    let newcomers = judged.wishes.iter().filter(|wish| !wish.held).map(|wish| &wish.instance.id);
    let mut out: BTreeMap<InstanceId, Timestamp> =
        newcomers.filter_map(|id| calm_at(id).map(|at| (id.clone(), at))).collect();
    for row in table.rows.values().filter(|row| matches!(row, Row::Held { .. })) {
        // Whoever has a slot keeps it.
        row.instance().and_then(|id| out.remove(id));
    }
    if out.is_empty() || out.len() >= judged.wishes.len() {
        return;
    }
    judged.wishes.retain(|wish| !out.contains_key(&wish.instance.id));
    judged.wake = out.values().copied().chain(judged.wake).min();
    judged.flapping = out.into_keys().collect();
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Guard::Share => "share",
            Guard::Minimum => "minimum",
            Guard::Flapping => "flapping",
        })
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hold { leaving, of, .. } = self;
        match self.guard {
            Guard::Share => write!(f, "{leaving} of {of} servers would leave at once"),
            Guard::Minimum => write!(f, "{leaving} of {of} servers would leave, too few would stay"),
            Guard::Flapping => write!(f, "{leaving} of {of} servers come and go too often"),
        }
    }
}
