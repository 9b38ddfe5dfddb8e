//! The file of a HAProxy that is kept through its Data Plane API.
//!
//! The keeper keeps servers, by the runtime socket or by the API. What is to stand in the file besides is done here: new
//! backends, slots that only a reload brings, routes, and, where servers are kept by the socket, where they are now.
//! Invariants:
//! - What the API holds is read before each write, and the write names the version that was read: nobody's change is lost.
//! - A write differs from what was read only in lines of Roster's own.
//! - A write that does not reload changes nothing that does not already run.

mod compact;
mod judge;
mod lines;
mod options;
mod settle;
mod tell;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use roster_config::native::DataplaneReach;
use roster_core::agenda::Agenda;
use roster_core::applied::ProcessId;
use roster_core::exposure::Layout;
use roster_core::found::{Found, found};
use roster_core::layout::Lines;
use roster_haproxy::dataplane::{Conflict, FileView, Strategy};
use roster_haproxy::name::{BackendName, ServerName, TargetName};
use roster_haproxy::version::Version;
use roster_haproxy::weight::Weight;
use roster_targets::dataplane::client::{Client, ClientError, RawConfig};

use crate::clock;
use crate::events::{Event, OwnTrouble, Reporter, chain};
use crate::keeper::{Passed, Weights};
use crate::own::{Budget, Retry};

/// How long after a change of servers the file follows; a crash before that starts with what was there a moment ago.
const FILE_AFTER: Duration = Duration::from_millis(300);

/// How often a change is made anew because somebody else was faster.
const TRIES: u32 = 3;

/// The file of one target.
#[derive(Debug)]
pub(crate) struct ApiFile {
    name: TargetName,
    client: Client,
    reach: DataplaneReach,
    reporter: Reporter,
    /// The file as it was last read or written.
    raw: Option<RawConfig>,
    /// How each backend is written, also while its service leaves.
    layouts: BTreeMap<BackendName, Arc<Layout>>,
    /// The servers of each backend as they last ran.
    lines: Lines,
    /// Servers that an operator had removed and that may still stand in the file.
    retired: BTreeMap<BackendName, BTreeSet<ServerName>>,
    /// What backends it has, and whether that is news.
    found: Vec<Found>,
    found_anew: bool,
    /// The backends whose servers' lines are Roster's own, each with the weight that `default-server` gives there.
    own_lines: BTreeMap<BackendName, Option<Weight>>,
    /// Weights that the backends' algorithms do not take live.
    weights: Weights,
    /// Backends that are somebody else's and not to be used, and why.
    conflicts: BTreeMap<BackendName, Conflict>,
    /// Backends that HAProxy refused, as they were; they are left out until they change.
    left_out: BTreeMap<BackendName, Arc<Layout>>,
    budget: Budget,
    retry: Retry,
    heard: bool,
    /// When something that may want a reload is looked at, and since when it waits.
    due: Option<Due>,
    /// When the file follows the servers.
    file_due: Option<Timestamp>,
    /// When the API is asked whether somebody else changed the file.
    look_due: Timestamp,
    looks: u32,
    /// Why the API cannot be read, while it cannot.
    unread: Option<String>,
    /// Why the servers are not in the file, while they are not.
    unwritten: Option<String>,
    /// The version that serves, once it was asked for.
    serving: Option<Version>,
    /// Whether what was added live has to come by a reload all the same.
    grows_by_reload: bool,
    /// Why HAProxy is to be reloaded.
    waiting: BTreeSet<String>,
    /// Backends that HAProxy has not as of the last pass over them, or the servers of them that it has not.
    lacking: BTreeMap<BackendName, BTreeSet<ServerName>>,
    /// Those among them for which HAProxy was reloaded though the file had them already.
    reloaded: BTreeSet<BackendName>,
    follows: Follows,
}

/// What is to come by itself, before it is known what else there is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Follows {
    Nothing,
    /// A look at what a pass found.
    Look,
    /// A pass over what a reload brought.
    Pass,
}

/// A look that waits for more to come.
#[derive(Clone, Copy, Debug)]
struct Due {
    since: Timestamp,
    at: Timestamp,
}

impl ApiFile {
    /// Nothing is read yet.
    pub(crate) fn new(name: &TargetName, client: Client, reach: DataplaneReach, reporter: &Reporter) -> Self {
        Self {
            name: name.clone(),
            client,
            budget: Budget::new(reach.max_reloads),
            reach,
            reporter: reporter.clone(),
            raw: None,
            layouts: BTreeMap::new(),
            lines: Lines::new(),
            retired: BTreeMap::new(),
            found: Vec::new(),
            found_anew: false,
            own_lines: BTreeMap::new(),
            weights: Weights::new(),
            conflicts: BTreeMap::new(),
            left_out: BTreeMap::new(),
            retry: Retry::default(),
            heard: false,
            due: None,
            file_due: None,
            look_due: clock::now(),
            looks: 0,
            unread: None,
            unwritten: None,
            serving: None,
            grows_by_reload: false,
            waiting: BTreeSet::new(),
            lacking: BTreeMap::new(),
            reloaded: BTreeSet::new(),
            follows: Follows::Nothing,
        }
    }

    /// Whether servers can be kept: not before it is known whose the backends are. Where that does not matter and HAProxy
    /// itself can be reached, an API that is down keeps nothing from going on.
    pub(crate) fn is_up(&self) -> bool {
        let is_beside = self.reach.socket.is_some()
            && matches!(self.reach.strategy, Strategy::UseExisting | Strategy::TakeOver);
        self.raw.is_some() || (is_beside && self.looks > 0)
    }

    /// Reads the file once, for a look that changes nothing, and finds which backends it has.
    pub(crate) async fn find(&mut self) -> Vec<Found> {
        match self.client.raw().await {
            Ok(raw) => {
                let found = found(&FileView::read(&raw.text));
                self.raw = Some(raw);
                found
            }
            Err(error) => {
                self.unreadable(&error);
                Vec::new()
            }
        }
    }

    /// What backends the file has.
    pub(crate) fn found(&self) -> &[Found] {
        &self.found
    }

    /// Whether it has others than when this was last asked.
    pub(crate) fn has_found(&mut self) -> bool {
        std::mem::take(&mut self.found_anew)
    }

    /// Whether a backend is left alone, because it is somebody else's.
    pub(super) fn leaves_alone(&self, backend: &BackendName) -> bool {
        self.conflicts.contains_key(backend)
    }

    /// All backends that are left alone.
    pub(crate) fn left_alone(&self) -> BTreeSet<BackendName> {
        self.conflicts.keys().cloned().collect()
    }

    /// Takes in what is wanted. `complete` says whether every source has spoken.
    pub(crate) fn hear(&mut self, before: &Agenda, agenda: &Agenda, complete: bool, now: Timestamp) {
        let mut differs = complete && !self.heard;
        self.heard |= complete;
        for (backend, item) in &agenda.items {
            if let Some(layout) = &item.exposure.layout {
                let known = self.layouts.insert(backend.clone(), layout.clone());
                differs |= known.is_none_or(|known| known != *layout);
            }
        }
        self.layouts.retain(|backend, _| agenda.items.contains_key(backend));
        self.lines.retain(|backend, _| agenda.items.contains_key(backend));
        self.left_out.retain(|backend, _| agenda.items.contains_key(backend));
        self.lacking.retain(|backend, _| agenda.items.contains_key(backend));
        self.weights.retain(|backend, _| agenda.items.contains_key(backend));
        let routes = |agenda: &Agenda| -> Vec<_> {
            agenda
                .items
                .iter()
                .map(|(backend, item)| (backend.clone(), item.exposure.routes.clone()))
                .collect()
        };
        differs |= routes(before) != routes(agenda);
        self.judge(agenda);
        if differs {
            self.look_soon(now);
        }
    }

    /// Something may want a reload: it is looked at once no more has come for a moment.
    pub(crate) fn look_soon(&mut self, now: Timestamp) {
        if !self.heard {
            return;
        }
        let since = self.due.map_or(now, |due| due.since);
        let at = clock::after(now, self.reach.quiet).min(clock::after(since, self.reach.at_most));
        let at = self.retry.not_before.map_or(at, |retry| retry.max(at));
        self.due = Some(Due { since, at });
    }

    /// Has the file read.
    pub(crate) fn look_anew(&mut self, now: Timestamp) {
        self.look_due = now;
    }

    /// When there is something to do.
    pub(crate) fn wake(&self) -> Option<Timestamp> {
        [self.due.map(|due| due.at), self.file_due, Some(self.look_due)].into_iter().flatten().min()
    }

    /// Takes in which process shows itself. Another one has what the file said.
    pub(crate) fn seen(&mut self, _process: ProcessId, now: Timestamp) {
        self.look_due = now;
    }

    /// Takes in what the servers of these backends are now.
    pub(crate) fn ran(&mut self, lines: Lines, now: Timestamp) {
        let differs = lines.iter().any(|(backend, lines)| self.lines.get(backend) != Some(lines));
        if !differs {
            return;
        }
        let has_more = lines
            .iter()
            .any(|(backend, lines)| self.lines.get(backend).is_none_or(|known| known.len() != lines.len()));
        self.lines.extend(lines);
        self.unretire();
        if has_more {
            self.look_soon(now);
        }
        self.file_due = self.file_due.or(Some(clock::after(now, FILE_AFTER)));
    }

    /// Takes in what HAProxy has not of what is wanted, as a pass found it.
    pub(crate) fn lacks(&mut self, passed: &Passed, now: Timestamp) {
        self.follows = Follows::Look;
        let named = passed.lacking.iter().filter(|(_, lines)| !lines.is_empty());
        let named = named.map(|(backend, lines)| {
            (backend.clone(), lines.iter().map(|line| line.name.clone()).collect::<BTreeSet<ServerName>>())
        });
        let whole = passed.missing.iter().map(|backend| (backend.clone(), BTreeSet::new()));
        let mut lacking: BTreeMap<BackendName, BTreeSet<ServerName>> = named.chain(whole).collect();
        for (backend, plan) in &passed.plans {
            let unadded = plan.refused.iter().filter(|(_, refused)| refused.is_addition());
            for (server, _) in unadded {
                lacking.entry(backend.clone()).or_default().insert(server.clone());
            }
        }
        for backend in passed.plans.keys().filter(|backend| !lacking.contains_key(*backend)) {
            self.lacking.remove(backend);
            self.reloaded.remove(backend);
        }
        let mut is_new = lacking.iter().any(|(backend, servers)| self.lacking.get(backend) != Some(servers));
        for backend in passed.plans.keys().filter(|backend| !passed.weights.contains_key(*backend)) {
            self.weights.remove(backend);
        }
        is_new |= passed.weights.iter().any(|(backend, weights)| self.weights.get(backend) != Some(weights));
        self.weights.extend(passed.weights.clone());
        self.lacking.extend(lacking);
        if is_new {
            self.look_soon(now);
        }
    }

    /// Tells what is wrong, once until something goes well again.
    fn trouble(&self, what: &str) {
        if self.retry.is_news(what) {
            OwnTrouble { target: &self.name, what }.emit(&self.reporter);
        }
    }

    /// The API could not be read; it is told once for each reason.
    fn unreadable(&mut self, error: &ClientError) {
        // Which of its calls has met it first differs from one time to the next.
        let why = error.why.to_string();
        if self.unread.as_ref().is_none_or(|told| !told.contains(&why)) {
            let what = chain(error);
            OwnTrouble { target: &self.name, what: &what }.emit(&self.reporter);
            self.unread = Some(what);
        }
    }

    /// What was tried is tried again, after a longer pause each time.
    fn failed(&mut self, now: Timestamp) {
        self.retry.failed(now);
        self.due = self.retry.not_before.map(|at| Due { since: now, at });
    }
}
