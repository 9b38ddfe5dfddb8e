//! One pass over a target: read, decide, write, and read again until it shows what is wanted.
//!
//! A pass over many backends is cut into parts that go on side by side, so that HAProxy need not wait while Roster
//! decides, nor Roster while HAProxy works. A part has whole backends, and nothing that one backend is given depends on
//! another one.

mod efforts;
mod part;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt};
use roster_core::agenda::Agenda;
use roster_core::applied::{Applied, ProcessId};
use roster_core::layout::Lines;
use roster_core::plan::{BackendPlan, Compaction, Operation, ProbeResults};
use roster_core::refusals::Refusals;
use roster_haproxy::name::{BackendName, ServerName, TargetName};
use roster_haproxy::version::Version;
use roster_haproxy::weight::Weight;
use roster_targets::Target;

use self::part::{Books, Part, Scene};
use super::lines::OwnLines;
use super::memory::Memory;
use super::takeover::Takeover;
use crate::clock;
use crate::events::{Converged, Event, NotConverged, Reporter};
use crate::store::Store;

/// How many instances a part has, or a little more: enough that its connections cost little beside its commands.
const PART: usize = 500;
/// How many parts are under way at once: HAProxy works for some while Roster decides others.
pub(super) const SIDE_BY_SIDE: usize = 4;

/// Everything a pass works with.
pub(crate) struct Bench<'a, T> {
    pub name: &'a TargetName,
    pub target: &'a T,
    pub agenda: &'a Agenda,
    pub applied: &'a mut Applied,
    /// What HAProxy refused lately.
    pub refusals: &'a mut Refused,
    /// How many parts may be under way at once: fewer where HAProxy's socket takes no more connections.
    pub side_by_side: &'a mut usize,
    pub store: &'a Store,
    pub probes: &'a ProbeResults,
    pub reporter: &'a Reporter,
    /// HAProxy's own memory, where there is no folder for the records.
    pub memory: Option<&'a Memory>,
    /// Whether Roster writes HAProxy's file.
    pub owned: bool,
    /// Whose the lines of the servers are in that file.
    pub own_lines: OwnLines,
    /// Backends that are not to be touched.
    pub left_alone: BTreeSet<BackendName>,
    /// Backends that are not there yet, whatever HAProxy has under their names.
    pub awaited: BTreeSet<BackendName>,
}

/// What HAProxy refused lately, by backend.
pub(crate) type Refused = BTreeMap<BackendName, Refusals>;

/// Weights of servers, by their backends.
pub(crate) type Weights = BTreeMap<BackendName, BTreeMap<ServerName, Weight>>;

/// What a pass came to.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The process that serves.
    pub process: Option<ProcessId>,
    /// Its version.
    pub version: Option<Version>,
    /// Each backend's last plan; without operations where it came to rest.
    pub plans: BTreeMap<BackendName, BackendPlan>,
    /// What of each backend's slots could go; only by a look that writes nothing.
    pub spare: BTreeMap<BackendName, Compaction>,
    /// Backends that are wanted and not there.
    pub missing: BTreeSet<BackendName>,
    /// The servers of each backend that came to rest, as they stand in HAProxy's file; only where Roster writes that.
    pub lines: Lines,
    /// Those among them that do not run, since HAProxy does not take them live.
    pub lacking: Lines,
    /// Weights that the backends' algorithms do not take live; only where a Data Plane API has HAProxy's file.
    pub weights: Weights,
    /// What was carried out.
    pub done: Vec<Operation>,
    /// Whether HAProxy shows what is wanted.
    pub settled: bool,
}

impl<T: Target> Bench<'_, T>
where
    T::Error: Takeover,
{
    /// Reads and decides, and writes nothing anywhere.
    pub(crate) async fn look(&mut self, backends: &BTreeSet<BackendName>) -> Result<Passed, T::Error> {
        let scene = self.scene();
        let books = Books { records: self.applied.backends.clone(), refusals: self.refusals.clone() };
        let mut part = Part::new(&scene, self.to_touch(backends), books);
        let reading = part.read_with_connections().await?;
        part.recall(&reading).await?;
        let now = clock::now();
        let mut passed = part.decide(&reading, now);
        passed.missing.extend(backends.intersection(&self.awaited).cloned());
        Ok(Passed { spare: part.compact(&reading, &passed.plans, now), ..passed })
    }

    /// Brings these backends to what is wanted, as far as that is possible now. Where another process serves than
    /// before, all backends are brought there. Where it fails, what was done until then counts.
    pub(crate) async fn pass(&mut self, backends: &BTreeSet<BackendName>) -> (Passed, Result<(), T::Error>) {
        let started = Instant::now();
        let known = self.applied.process;
        let mut asked: BTreeSet<BackendName> = backends.clone();
        let (mut whole, mut result) = self.parts(&self.to_touch(backends)).await;
        if result.is_ok() && known.is_some() && whole.process != known {
            let others =
                self.agenda.items.keys().filter(|backend| !backends.contains(*backend)).cloned().collect();
            let touched = self.to_touch(&others);
            asked.extend(others);
            if !touched.is_empty() {
                let (more, ended) = self.parts(&touched).await;
                whole.join(more);
                result = ended;
            }
        }
        let count = self.to_touch(&asked).len();
        whole.missing.extend(asked.intersection(&self.awaited).cloned());
        if result.is_err() {
            whole.settled = false;
            return (whole, result);
        }
        self.applied.process = whole.process.or(known);
        if whole.is_at_rest() {
            self.tell(&whole, started, count);
            // Whoever follows the log hears it now, and not after the records.
            tokio::task::yield_now().await;
            result = self.confirm(&whole).await;
        } else {
            let left = whole.plans.values().map(|plan| plan.operations.len()).sum();
            NotConverged { target: self.name, left }.emit(self.reporter);
        }
        (whole, result)
    }

    /// Confirms in the records what HAProxy shows. That can wait: until then what was done counts as unfinished, and a look
    /// would find it done.
    async fn confirm(&mut self, whole: &Passed) -> Result<(), T::Error> {
        let mut records = std::mem::take(&mut self.applied.backends);
        let scene = self.scene();
        scene.record(&mut records, &whole.plans);
        let remembered = match whole.process {
            Some(process) => scene.remember(process, &records, whole.plans.keys()).await,
            None => Ok(()),
        };
        self.applied.backends = records;
        remembered
    }

    /// Those among them that are there and Roster's.
    fn to_touch(&self, backends: &BTreeSet<BackendName>) -> BTreeSet<BackendName> {
        backends
            .iter()
            .filter(|name| !self.left_alone.contains(*name) && !self.awaited.contains(*name))
            .cloned()
            .collect()
    }

    /// Passes over these backends, in parts. A part that fails ends the pass once those under way are over; where HAProxy had
    /// no time for it beside the others, the parts go on one after the other.
    async fn parts(&mut self, backends: &BTreeSet<BackendName>) -> (Passed, Result<(), T::Error>) {
        let mut books = Books {
            records: std::mem::take(&mut self.applied.backends),
            refusals: std::mem::take(self.refusals),
        };
        let scene = self.scene();
        let mut side_by_side = *self.side_by_side;
        let mut waiting: VecDeque<BTreeSet<BackendName>> = self.cut(backends).into();
        let mut running = FuturesUnordered::new();
        let mut whole = Passed { settled: true, ..Passed::default() };
        let mut result = Ok(());
        loop {
            while result.is_ok() && running.len() < side_by_side {
                let Some(backends) = waiting.pop_front() else { break };
                let part = Part::new(&scene, backends.clone(), books.take(&backends));
                running.push(async move { (backends, part.pass().await) });
            }
            let Some((backends, (of, passed))) = running.next().await else { break };
            books.put_back(of);
            match passed {
                Ok(passed) => whole.join(passed),
                Err(error) if error.is_busy() && side_by_side > 1 => {
                    side_by_side = 1;
                    waiting.push_back(backends);
                }
                Err(_) if result.is_err() => {}
                Err(error) => result = Err(error),
            }
        }
        drop(running);
        (self.applied.backends, *self.refusals) = (books.records, books.refusals);
        *self.side_by_side = side_by_side;
        (whole, result)
    }

    /// Cuts backends into parts of about as many instances.
    fn cut(&self, backends: &BTreeSet<BackendName>) -> Vec<BTreeSet<BackendName>> {
        let (mut parts, mut size) = (vec![BTreeSet::new()], 0);
        for backend in backends {
            if size >= PART && !self.target.is_one_write() {
                parts.push(BTreeSet::new());
                size = 0;
            }
            size += self.agenda.items.get(backend).map_or(0, |item| item.instances().count()).max(1);
            if let Some(part) = parts.last_mut() {
                part.insert(backend.clone());
            }
        }
        parts
    }

    fn scene(&self) -> Scene<'_, T> {
        Scene {
            name: self.name,
            target: self.target,
            agenda: self.agenda,
            store: self.store,
            probes: self.probes,
            reporter: self.reporter,
            memory: self.memory,
            owned: self.owned,
            own_lines: &self.own_lines,
            known: self.applied.process,
            announced: AtomicBool::new(false),
        }
    }

    fn tell(&self, whole: &Passed, started: Instant, backends: usize) {
        if whole.settled && !whole.done.is_empty() {
            let (operations, took) = (whole.done.len(), started.elapsed());
            let standings = whole.plans.values().flat_map(|plan| plan.standings.values());
            let waiting = standings.filter(|standing| standing.status.is_moving()).count();
            Converged { target: self.name, operations, backends, waiting, took }.emit(self.reporter);
        }
    }
}

impl Passed {
    /// Whether nothing can be done now: HAProxy shows what is wanted, or what it refused waits for its next try.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.plans.values().all(|plan| plan.operations.is_empty())
    }

    /// Adds what another part came to.
    fn join(&mut self, other: Passed) {
        self.process = other.process.or(self.process);
        self.version = other.version.or(self.version);
        self.plans.extend(other.plans);
        self.missing.extend(other.missing);
        self.lines.extend(other.lines);
        self.lacking.extend(other.lacking);
        self.weights.extend(other.weights);
        self.spare.extend(other.spare);
        self.done.extend(other.done);
        self.settled &= other.settled;
    }
}
