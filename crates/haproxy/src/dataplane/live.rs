//! Texts to write, each proved to come to the process the way it is sent.

use std::collections::{BTreeMap, HashMap};

use thiserror::Error;

use super::action::{Action, Actions, LiveWeight, MAX_ACTIONS};
use super::compare::{Difference, Read, compare, growth, loss};
use super::edit::{Edit, EditError, apply};
use super::reason::ReloadReason;
use super::view::{BackendView, FileView, ServerView};
use crate::address::{Endpoint, Port};
use crate::name::{BackendName, ServerName};
use crate::observed::{Observed, ObservedServer, State};
use crate::version::Version;
use crate::weight::Weight;

/// What the running process shows, by backend and server.
pub type Process = BTreeMap<BackendName, BTreeMap<ServerName, ProcessServer>>;

/// A server as the process has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ProcessServer {
    /// Where it points.
    pub endpoint: Option<Endpoint>,
    /// What it was told to be.
    pub state: State,
    /// The weight that it has, where that can be read. The API does not show it.
    pub weight: Option<Weight>,
    /// The weight that the process started it with, where that can be read.
    pub start_weight: Option<Weight>,
}

/// A text, and what HAProxy is told beside it, so that the process is what the text says without a reload
/// (`skip_reload=true`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LiveWrite {
    text: String,
    actions: Vec<Action>,
    differs: bool,
}

/// A text that HAProxy takes by a reload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReloadWrite {
    text: String,
    reasons: Vec<ReloadReason>,
}

/// Why there is no [`LiveWrite`].
#[derive(Debug, Error)]
pub enum NotLive {
    /// The text cannot be made.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The text needs a reload; this is the write that does it.
    #[error("{}", .0.told())]
    NeedsReload(ReloadWrite),
}

impl From<&ObservedServer> for ProcessServer {
    fn from(seen: &ObservedServer) -> Self {
        Self {
            endpoint: seen.endpoint(),
            state: seen.state(),
            weight: Some(seen.weight),
            start_weight: Some(seen.initial_weight),
        }
    }
}

/// What a process was read to hold, as far as it counts here.
pub fn process(observed: &Observed) -> Process {
    let servers = |seen: &crate::observed::ObservedBackend| {
        seen.servers.iter().map(|(name, server)| (name.clone(), server.into())).collect()
    };
    observed.backends.iter().map(|(name, seen)| (name.clone(), servers(seen))).collect()
}

impl LiveWrite {
    /// Takes the edits and the actions if, once both are done, the process is what the text says: every difference of
    /// the two texts is a server's address, weight, maintenance or port of checks, and for each of those an action sets
    /// what the text says, or no action touches it and the process shows it already; or a server that is new, and that the
    /// process shows as its line says. Actions without a difference are
    /// taken if they say what the text says; so are those for the servers of a `server-template`, of which no text says
    /// anything.
    ///
    /// Maintenance and drain are both `disabled` in the text.
    pub fn new(
        before: &str,
        edits: &[Edit],
        actions: Vec<Action>,
        process: &Process,
        version: Version,
    ) -> Result<Self, NotLive> {
        Self::from(Read { text: before, view: &FileView::read(before) }, edits, actions, process, version)
    }

    /// The same where the text was read already.
    pub(super) fn from(
        before: Read<'_>,
        edits: &[Edit],
        actions: Vec<Action>,
        process: &Process,
        version: Version,
    ) -> Result<Self, NotLive> {
        let text = apply(before.text, edits, version)?;
        let differs = text != before.text;
        let new = FileView::read(&text);
        let comparison = compare(before, Read { text: &text, view: &new });
        let mut proof = Proof { told: told(&actions), process, reasons: comparison.reasons };
        comparison.servers.iter().for_each(|difference| proof.is_brought(difference));
        proof.is_there(&comparison.added, version);
        proof.is_gone(comparison.removed);
        proof.is_said(&new);
        let bytes = Actions(&actions).to_string().len();
        if bytes > MAX_ACTIONS {
            proof.reasons.push(ReloadReason::TooManyActions { bytes });
        }
        let reasons = proof.reasons;
        if reasons.is_empty() {
            Ok(Self { text, actions, differs })
        } else {
            Err(NotLive::NeedsReload(ReloadWrite { text, reasons }))
        }
    }

    /// The whole text to write.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What HAProxy is told, in this order.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// The value of the header; none where HAProxy has to be told nothing.
    pub fn header(&self) -> Option<String> {
        (!self.actions.is_empty()).then(|| Actions(&self.actions).to_string())
    }

    /// Whether there is nothing to write and nothing to tell.
    pub fn is_empty(&self) -> bool {
        !self.differs && self.actions.is_empty()
    }
}

impl ReloadWrite {
    /// Makes the edits and tells why HAProxy has to reload; `because` comes first. None where nothing differs and there
    /// is no other reason.
    pub fn new(
        before: &str,
        edits: &[Edit],
        because: Vec<ReloadReason>,
        version: Version,
    ) -> Result<Option<Self>, EditError> {
        let text = apply(before, edits, version)?;
        let (old, new) = (FileView::read(before), FileView::read(&text));
        let comparison = compare(Read { text: before, view: &old }, Read { text: &text, view: &new });
        let mut reasons = because;
        let more: Vec<_> = comparison
            .reasons
            .into_iter()
            .chain(loss(&comparison.removed))
            .chain(growth(&comparison.added))
            .filter(|reason| !reasons.contains(reason))
            .collect();
        reasons.extend(more);
        if reasons.is_empty() {
            let alone = |difference: &Difference<'_>| {
                let what = difference.what().into_iter();
                what.map(|what| not_brought(difference, what)).collect::<Vec<_>>()
            };
            reasons.extend(comparison.servers.iter().flat_map(alone));
        }
        Ok((text != before || !reasons.is_empty()).then_some(Self { text, reasons }))
    }

    /// The whole text to write.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Why HAProxy has to reload.
    pub fn reasons(&self) -> &[ReloadReason] {
        &self.reasons
    }

    pub(super) fn into_reasons(self) -> Vec<ReloadReason> {
        self.reasons
    }

    fn told(&self) -> String {
        let reasons: Vec<String> = self.reasons.iter().map(ReloadReason::to_string).collect();
        format!("HAProxy has to reload: {}", reasons.join("; "))
    }
}

/// What the last action of each kind makes of a server.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    endpoint: Option<Endpoint>,
    weight: Option<LiveWeight>,
    state: Option<State>,
    check_port: Option<Port>,
    /// Whether a weight was among them that only dynamic algorithms take.
    any_weight: bool,
}

type AllTold<'a> = HashMap<(&'a str, &'a str), Told>;

fn told(actions: &[Action]) -> AllTold<'_> {
    let mut all: AllTold<'_> = HashMap::with_capacity(actions.len());
    for action in actions {
        let (backend, server) = action.server();
        let told = all.entry((backend.as_str(), server.as_str())).or_default();
        match action {
            Action::SetServerAddr { to, .. } => told.endpoint = Some(*to),
            Action::SetServerWeight { to, .. } => {
                told.weight = Some(*to);
                told.any_weight |= matches!(to, LiveWeight::Is(weight) if *weight != Weight::ZERO);
            }
            Action::SetServerState { to, .. } => told.state = Some(*to),
            Action::SetServerCheckPort { to, .. } => told.check_port = Some(*to),
        }
    }
    all
}

/// The first HAProxy that takes a cookie on `add server`.
const COOKIE_LIVE: Version = Version::new(2, 8, 0);

struct Proof<'a> {
    told: AllTold<'a>,
    process: &'a Process,
    reasons: Vec<ReloadReason>,
}

const ADDRESS: &str = "address";
const WEIGHT: &str = "weight";
const MAINTENANCE: &str = "maintenance";
const CHECK_PORT: &str = "port of checks";

impl Difference<'_> {
    fn what(&self) -> Vec<&'static str> {
        let (old, new) = (self.before, self.after);
        let all = [
            (self.is_elsewhere, ADDRESS),
            (old.start_weight() != new.start_weight(), WEIGHT),
            (old.disabled != new.disabled, MAINTENANCE),
            (old.start_check_port() != new.start_check_port(), CHECK_PORT),
        ];
        all.into_iter().filter(|(differs, _)| *differs).map(|(_, what)| what).collect()
    }
}

impl Proof<'_> {
    /// Whether a difference of the texts comes to the process, or is there already.
    fn is_brought(&mut self, difference: &Difference<'_>) {
        let (backend, new) = (difference.backend, difference.after);
        let told = self.told.get(&(backend.name.as_ref(), new.name.as_ref())).copied().unwrap_or_default();
        let shown =
            self.process.get(backend.name.as_ref()).and_then(|servers| servers.get(new.name.as_ref()));
        for what in difference.what() {
            // Where something is told, `is_said` looks whether it is what the text says.
            let is_brought = match what {
                ADDRESS => {
                    told.endpoint.is_some()
                        || (new.endpoint.is_some() && shown.and_then(|shown| shown.endpoint) == new.endpoint)
                }
                WEIGHT => {
                    told.weight.is_some() || shown.and_then(|shown| shown.weight) == Some(new.start_weight())
                }
                MAINTENANCE => {
                    told.state.is_some()
                        || shown.is_some_and(|shown| (shown.state != State::Ready) == new.disabled)
                }
                _ => told.check_port.is_some(),
            };
            if !is_brought {
                self.reasons.push(not_brought(difference, what));
            }
        }
    }

    /// Whether the process has servers that are new in the text. What is on their lines besides it has if Roster gave it to
    /// them there, but for cookies, which HAProxy takes live from 2.8 on (measured).
    fn is_there(&mut self, added: &[(&BackendView<'_>, &ServerView<'_>)], version: Version) {
        let is_missing = |(backend, server): &&(&BackendView<'_>, &ServerView<'_>)| {
            let shown = self.process.get(backend.name.as_ref()).and_then(|all| all.get(server.name.as_ref()));
            let is_as_written = shown.is_some_and(|shown| {
                server.endpoint.is_some()
                    && shown.endpoint == server.endpoint
                    && (shown.state != State::Ready) == server.disabled
                    && shown.weight == Some(server.start_weight())
            });
            !is_as_written || (server.cookie.is_some() && version < COOKIE_LIVE)
        };
        let missing: Vec<_> = added.iter().filter(is_missing).copied().collect();
        self.reasons.extend(growth(&missing));
    }

    /// Whether the process shows the backends of servers that are gone from the text, and these no more.
    fn is_gone(&mut self, mut removed: Vec<(String, String)>) {
        removed.retain(|(backend, server)| {
            self.process.get(backend.as_str()).is_none_or(|shown| shown.contains_key(server.as_str()))
        });
        self.reasons.extend(loss(&removed));
    }

    /// Whether what the process is told is what the text says.
    fn is_said(&mut self, text: &FileView<'_>) {
        let backends: HashMap<&str, &BackendView<'_>> =
            text.backends.iter().map(|backend| (backend.name.as_ref(), backend)).collect();
        let mut servers: HashMap<(&str, &str), &ServerView<'_>> = HashMap::new();
        for backend in &text.backends {
            let servers_of = backend.servers.iter();
            servers.extend(servers_of.map(|server| ((backend.name.as_ref(), server.name.as_ref()), server)));
        }
        let mut reasons = Vec::new();
        for ((backend, server), told) in &self.told {
            let view = servers.get(&(*backend, *server)).copied();
            let of = backends.get(backend).copied();
            reasons.extend(told.wrong(view).map(|what| {
                let (backend, server) = ((*backend).to_owned(), (*server).to_owned());
                ReloadReason::Contradicted { backend, server, what }
            }));
            if told.any_weight && of.is_some_and(|of| !of.algorithm.is_dynamic()) {
                let (backend, server) = ((*backend).to_owned(), (*server).to_owned());
                reasons.push(ReloadReason::WeightNotLive { backend, server });
            }
            if view.is_none() && !of.is_some_and(|of| of.is_made_of_template(server)) {
                let (backend, server) = ((*backend).to_owned(), (*server).to_owned());
                reasons.push(ReloadReason::Contradicted { backend, server, what: "existence" });
            }
        }
        reasons.sort_by_key(ReloadReason::to_string);
        self.reasons.append(&mut reasons);
    }
}

impl Told {
    /// What of it is not what the text says.
    fn wrong(&self, view: Option<&ServerView<'_>>) -> impl Iterator<Item = &'static str> {
        let all = view.map_or([None; 4], |view| {
            let is = |wrong: bool, what| wrong.then_some(what);
            let disabled = self.state.map(|state| state != State::Ready);
            [
                is(self.endpoint.is_some() && self.endpoint != view.endpoint, ADDRESS),
                is(self.weight.is_some_and(|to| to.number() != view.start_weight()), WEIGHT),
                is(disabled.is_some_and(|disabled| disabled != view.disabled), MAINTENANCE),
                is(self.check_port.is_some() && self.check_port != view.start_check_port(), CHECK_PORT),
            ]
        });
        all.into_iter().flatten()
    }
}

fn not_brought(difference: &Difference<'_>, what: &'static str) -> ReloadReason {
    let (backend, server) = (difference.backend.name.to_string(), difference.after.name.to_string());
    ReloadReason::NotBrought { backend, server, what }
}
