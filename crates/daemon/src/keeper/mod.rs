//! The keeper of one target: it looks when something changed or is due, and makes a pass.

mod ahead;
mod awaiting;
mod lines;
mod memory;
mod orders;
mod outcome;
mod owned;
mod owner;
mod pass;
mod probes;
mod schedule;
mod status;
mod takeover;
mod task;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use roster_core::agenda::Agenda;
use roster_core::applied::{Applied, ProcessId};
use roster_core::catalog::Catalog;
use roster_core::exposure::Rule;
use roster_haproxy::name::{BackendName, TargetName};
use roster_haproxy::version::Version;
use roster_targets::Target;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use lines::OwnLines;
pub(crate) use memory::Memory;
pub(crate) use orders::{Order, how_alone};
pub(crate) use owner::Owner;
pub(crate) use pass::{Bench, Passed, Refused, Weights};
pub(crate) use probes::Unreached;
pub(crate) use status::{BackendStatus, TargetStatus};
pub(crate) use takeover::Takeover;
pub(crate) use task::{Keeping, Made, Make};

use crate::clock;
use crate::events::{Event, LeftOut, NotReached, NotReachedMany, Reporter, TargetBack};
use crate::metrics::PassResult;
use crate::own::Book;
use crate::store::Store;
use ahead::Ahead;
use awaiting::Awaiting;
use owned::own_changed;
use pass::SIDE_BY_SIDE;
use probes::{Probed, Probes};
use schedule::{Schedule, Step};

/// How often each backend is looked at though nothing changed.
const DRIFT: Duration = Duration::from_secs(60);

/// How long to wait for nothing in particular.
const LONG: Duration = Duration::from_secs(3600);
/// Of more operations in one write, or more instances that are not reached, only a summary is logged, and each at debug.
const MANY: usize = 100;

/// What a keeper keeps, and by what.
pub(crate) struct Keeper<T> {
    name: TargetName,
    target: T,
    rules: Arc<[Rule]>,
    store: Store,
    /// HAProxy's own memory, where there is no folder for the records.
    memory: Option<Memory>,
    applied: Applied,
    /// What HAProxy refused lately.
    refusals: Refused,
    /// How many parts of a pass HAProxy's socket takes at once.
    side_by_side: usize,
    agenda: Agenda,
    schedule: Schedule,
    probes: Probes,
    poll: Duration,
    reporter: Reporter,
    awaiting: Awaiting,
    ahead: Ahead,
    /// Whoever sees to HAProxy's file, where that is Roster's to see to.
    own: Option<Owner>,
    /// The version whose limits were told.
    greeted: Option<Version>,
    /// Whether so many instances are not reached that each is logged at debug only.
    many_unreached: bool,
    /// Whether the agenda is to be drawn up anew though no source has answered.
    is_outdated: bool,
    status: watch::Sender<TargetStatus>,
}

/// What a keeper listens to.
pub(crate) struct Ears {
    /// What the sources say.
    pub catalog: watch::Receiver<Arc<Catalog>>,
    /// Signs that the target's socket was made anew.
    pub socket: mpsc::Receiver<()>,
    /// What an operator asks for.
    pub orders: mpsc::Receiver<Order>,
    /// The end.
    pub stop: CancellationToken,
}

impl<T: Target> Keeper<T>
where
    T::Error: Takeover,
{
    /// A keeper that has done nothing yet. `poll` is how often it asks which process serves.
    pub(crate) fn new(
        name: TargetName,
        target: T,
        rules: Arc<[Rule]>,
        store: Store,
        applied: Applied,
        poll: Duration,
        reporter: Reporter,
    ) -> Self {
        let (status, _) = watch::channel(TargetStatus::default());
        let schedule = Schedule::new(DRIFT);
        let (agenda, probes) = (Agenda::default(), Probes::default());
        Self {
            name,
            target,
            rules,
            memory: store.is_by_haproxy().then(Memory::default),
            store,
            applied,
            refusals: Refused::new(),
            side_by_side: SIDE_BY_SIDE,
            agenda,
            schedule,
            probes,
            poll,
            reporter,
            awaiting: Awaiting::new(clock::now()),
            ahead: Ahead::default(),
            own: None,
            greeted: None,
            many_unreached: false,
            is_outdated: false,
            status,
        }
    }

    /// The same for a HAProxy that Roster owns.
    pub(crate) fn with(self, own: Option<Owner>) -> Self {
        Self { own, ..self }
    }

    /// Lets go of the HAProxy itself, as its configuration says. `for_good` where Roster ends.
    pub(crate) async fn let_go(self, for_good: bool) -> (Applied, Option<Book>) {
        let book = match self.own {
            Some(own) => own.end(&self.agenda, for_good).await,
            None => None,
        };
        (self.applied, book)
    }

    /// The same that shows there how it is doing.
    pub(crate) fn shown_by(self, status: watch::Sender<TargetStatus>) -> Self {
        Self { status, ..self }
    }

    /// Where to see how it is doing.
    pub(crate) fn status(&self) -> watch::Receiver<TargetStatus> {
        self.status.subscribe()
    }

    /// Keeps the target until stopped. A pass that was begun is finished.
    pub(crate) async fn run(mut self, ears: &mut Ears) -> Self {
        let mut poll = tokio::time::interval(self.poll);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if let Some(own) = &mut self.own {
            own.begin().await;
        }
        self.hear(&ears.catalog.borrow_and_update().clone());
        let mut has_passed = false;
        while !ears.stop.is_cancelled() {
            if self.is_outdated {
                self.hear(&ears.catalog.borrow_and_update().clone());
            }
            let step = self.schedule.step(clock::now());
            if self.see_to_own().await {
                self.is_outdated |= self.own.as_mut().is_some_and(Owner::has_found);
                continue;
            }
            let (due, wait) = self.due(step);
            let process = self.status.borrow().process;
            if let Some(backends) = due.as_ref().filter(|_| !has_passed) {
                self.pass(backends).await;
                has_passed = true;
                continue;
            }
            has_passed = false;
            let is_idle = due.is_none();
            // Between two passes that are due something else is heard, if there is something; which of it is left to chance.
            tokio::select! {
                () = ears.stop.cancelled() => break,
                probed = self.probes.next() => self.probed(probed),
                Some(()) = ears.socket.recv() => self.socket_changed().await,
                () = ahead::read(&self.target, &self.name, &self.rules), if is_idle && self.ahead.is_due(process) => {
                    self.ahead.over(process);
                }
                _ = poll.tick(), if self.is_up() => {
                    self.identify().await;
                    self.see_to_old_workers().await;
                }
                serves = own_changed(&mut self.own) => self.own_changed(serves),
                () = tokio::time::sleep(wait) => {}
                changed = ears.catalog.changed() => match changed {
                    Ok(()) => self.hear(&ears.catalog.borrow_and_update().clone()),
                    Err(_closed) => break,
                },
                Some(order) = ears.orders.recv() => self.obey(order).await,
                Some(backends) = std::future::ready(due) => self.pass(&backends).await,
            }
        }
        self
    }

    /// The backends to pass over now, and how long there is nothing else to do.
    fn due(&self, step: Step) -> (Option<BTreeSet<BackendName>>, Duration) {
        let (due, wait) = match step {
            Step::Pass(backends) if self.is_up() => (Some(backends), LONG),
            Step::Pass(_) => (None, LONG),
            Step::Wait(until) => (None, until.map_or(LONG, clock::until)),
        };
        let own = self.own.as_ref().and_then(Owner::wake).map_or(wait, |at| clock::until(at).min(wait));
        (due, own)
    }

    /// The target's socket was made anew, so another process may serve.
    async fn socket_changed(&mut self) {
        self.schedule.hurry(clock::now());
        self.identify().await;
    }

    /// Takes in what the sources say.
    pub(crate) fn hear(&mut self, catalog: &Catalog) {
        self.is_outdated = false;
        let found = self.own.as_ref().map(Owner::found).unwrap_or_default();
        let agenda = Agenda::new(catalog, &self.rules, &self.name, &self.applied, found, clock::now());
        let changed: Vec<BackendName> = agenda.changed(&self.agenda).cloned().collect();
        // A hold is judged by every answer, also by one that says the same again.
        let held = self.applied.backends.iter().filter(|(_, record)| record.guard.hold.is_some());
        let held: Vec<BackendName> = held.map(|(backend, _)| backend.clone()).collect();
        for why in agenda.unexposed.iter().filter(|why| !self.agenda.unexposed.contains(why)) {
            LeftOut { target: &self.name, why }.emit(&self.reporter);
        }
        for (backend, item) in changed.iter().filter_map(|backend| agenda.items.get_key_value(backend)) {
            self.awaiting.changed(backend, item.taken());
        }
        let before = std::mem::replace(&mut self.agenda, agenda);
        self.schedule.add(changed.iter().chain(&held));
        self.schedule.retain(|backend| self.agenda.items.contains_key(backend));
        self.refusals.retain(|backend, _| self.agenda.items.contains_key(backend));
        self.status.send_modify(|status| status.keep_only(&self.agenda, catalog.is_complete(), clock::now()));
        if let Some(own) = &mut self.own {
            own.hear(&before, &self.agenda, catalog.is_complete(), clock::now());
        }
        self.show_own();
    }

    /// Asks which process serves; another one than before has to be filled anew.
    async fn identify(&mut self) {
        let known = self.applied.process;
        match self.target.identify().await {
            Ok(process) if self.agenda.items.is_empty() => self.seen(process),
            // It answers again: whatever the pause was for is over.
            Ok(_) if self.is_lost() => self.schedule.hurry(clock::now()),
            Err(_) if self.is_lost() => {}
            // A pause because of what HAProxy shows is not over because HAProxy answers.
            Ok(process) if known == Some(process) => {}
            Ok(_) => {
                self.schedule.add(self.agenda.items.keys());
                self.schedule.hurry(clock::now());
            }
            Err(error) if error.is_takeover() => self.schedule.add(self.agenda.items.keys()),
            Err(error) => self.lost(&error, &self.agenda.items.keys().cloned().collect()),
        }
    }

    /// Whether it could not be read or written when last tried.
    fn is_lost(&self) -> bool {
        self.status.borrow().trouble.is_some()
    }

    /// Nothing is wanted of it, so that it answers is all there is to know.
    fn seen(&mut self, process: ProcessId) {
        if self.is_lost() {
            TargetBack { target: &self.name }.emit(&self.reporter);
        }
        self.schedule.passed(&BTreeMap::new(), clock::now());
        self.status.send_if_modified(|status| status.seen(process));
    }

    /// Takes in what came of reaching an instance.
    fn probed(&mut self, probed: Probed) {
        match probed {
            Probed::Reached(backend) => self.schedule.add([&backend]),
            Probed::Unreached(place) => {
                let Some(unreached) = self.probes.unreached().get(&place) else { return };
                let (target, (backend, server), why) = (&self.name, &place, unreached.error.as_str());
                let status = self.status.borrow();
                let known = status.backends.get(backend);
                let told = known.and_then(|known| known.unreached.get(server));
                let is_news = told.is_none_or(|told| told.error != why);
                let endpoint = known.and_then(|known| known.servers.get(server)?.endpoint);
                drop(status);
                let of_many = self.probes.unreached().len() > MANY;
                if is_news {
                    NotReached { target, backend, server, endpoint, why, of_many }.emit(&self.reporter);
                }
                if of_many && !self.many_unreached {
                    NotReachedMany { target, more_than: MANY }.emit(&self.reporter);
                }
                self.many_unreached = of_many;
                self.status.send_modify(|status| status.unreached(&place, unreached));
            }
        }
    }

    async fn pass(&mut self, backends: &BTreeSet<BackendName>) {
        let (passed, ended) = self.bench().pass(backends).await;
        let result = match &ended {
            Ok(()) if passed.settled => PassResult::Settled,
            Ok(()) => PassResult::Unsettled,
            Err(_) => PassResult::Failed,
        };
        self.reporter.metrics().pass(&self.name, result);
        match ended {
            Ok(()) => self.passed(passed),
            // An owner hears of a whole pass.
            Err(error) if self.own.is_none() && !passed.plans.is_empty() => {
                let left = backends.iter().filter(|backend| !passed.plans.contains_key(*backend));
                let left = left.cloned().collect();
                self.passed_in_part(passed);
                self.lost(&error, &left);
            }
            Err(error) => self.lost(&error, &self.agenda.items.keys().cloned().collect()),
        }
    }

    fn bench(&mut self) -> Bench<'_, T> {
        Bench {
            name: &self.name,
            target: &self.target,
            agenda: &self.agenda,
            applied: &mut self.applied,
            refusals: &mut self.refusals,
            side_by_side: &mut self.side_by_side,
            store: &self.store,
            probes: &self.probes.results,
            reporter: &self.reporter,
            memory: self.memory.as_ref(),
            owned: self.own.is_some(),
            own_lines: self.own.as_ref().map(Owner::own_lines).unwrap_or_default(),
            left_alone: self.own.as_ref().map(Owner::left_alone).unwrap_or_default(),
            awaited: self.own.as_ref().map(|own| own.awaited(&self.agenda)).unwrap_or_default(),
        }
    }
}
