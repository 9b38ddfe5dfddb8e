//! What the operations of a pass come to, server by server.

use std::collections::HashMap;

use super::{Left, PassContext, PassWrite, Post, Posts, Why, Write};
use crate::address::Endpoint;
use crate::change::{Change, ServerOperation};
use crate::cli::ServerPath;
use crate::dataplane::action::{Action, LiveWeight};
use crate::dataplane::compare::Read;
use crate::dataplane::edit::{Edit, EditError, ServerChange, WeightChange};
use crate::dataplane::live::{LiveWrite, NotLive, ReloadWrite};
use crate::dataplane::reason::ReloadReason;
use crate::dataplane::view::{BackendView, FileView, ServerView};
use crate::keywords::ServerKeywords;
use crate::name::BackendName;
use crate::observed::State;
use crate::render::ServerLine;
use crate::weight::Weight;

/// The book of a pass.
pub(super) struct Book<'a> {
    context: &'a PassContext<'a>,
    /// The file before the edits of the context.
    before: &'a FileView<'a>,
    backends: HashMap<&'a str, &'a BackendView<'a>>,
    servers: HashMap<(&'a str, &'a str), &'a ServerView<'a>>,
    /// Whether the process will be started from the file.
    reloads: bool,
    /// In the order in which they were first spoken of.
    entries: Vec<(ServerPath, Entry)>,
    places: HashMap<ServerPath, usize>,
    actions: Vec<Action>,
    /// Why there must be a reload whatever the file says.
    because: Vec<ReloadReason>,
    posts: Vec<Post>,
    left: Vec<Left>,
}

/// What becomes of one server's line.
enum Entry {
    /// It is changed.
    Changed { change: ServerChange, moved: bool },
    /// It is new.
    Added(Box<ServerLine>),
    /// It is added live, which brings nothing but itself.
    Posted,
    /// It goes.
    Removed,
    /// It has no line, but a `server-template` makes it.
    OfTemplate { moved: bool },
}

impl<'a> Book<'a> {
    pub(super) fn new(
        view: &'a FileView<'a>,
        before: &'a FileView<'a>,
        context: &'a PassContext<'a>,
        reloads: bool,
    ) -> Self {
        let backends: HashMap<&str, &BackendView<'_>> =
            view.backends.iter().map(|backend| (backend.name.as_ref(), backend)).collect();
        let servers = view.backends.iter().flat_map(|backend| {
            let name = backend.name.as_ref();
            backend.servers.iter().map(move |server| ((name, server.name.as_ref()), server))
        });
        Self {
            context,
            before,
            backends,
            servers: servers.collect(),
            reloads,
            entries: Vec::new(),
            places: HashMap::new(),
            actions: Vec::new(),
            because: Vec::new(),
            posts: Vec::new(),
            left: Vec::new(),
        }
    }

    /// Enters an operation; one that cannot be carried out is noted.
    pub(super) fn enter(&mut self, place: usize, operation: &impl ServerOperation) {
        let path = ServerPath { backend: operation.backend().clone(), server: operation.server().clone() };
        let entered = match operation.change() {
            Change::Add { endpoint, keywords } => self.add(place, path, *endpoint, keywords),
            Change::Delete => self.delete(&path),
            Change::Address(to) => self.address(path, *to),
            Change::Weight(to) => self.weight(path, LiveWeight::Is(*to)),
            Change::InitialWeight => {
                let weight = self.start_weight(&path);
                self.weight(path, LiveWeight::Full(weight))
            }
            Change::State(to) => self.state(path, *to),
            Change::EnableCheck | Change::HealthDown | Change::HealthUp => match self.entry(&path) {
                // A process that starts with it checks it, and knows nothing of it yet.
                Ok(Entry::Added(_)) => Ok(()),
                Ok(Entry::Posted) => Err(Why::Waits("the new server")),
                _ => Err(Why::NoSuchCall),
            },
        };
        if let Err(why) = entered {
            self.left.push(Left { operation: place, why });
        }
    }

    /// The entry of a server that is there.
    fn entry(&mut self, path: &ServerPath) -> Result<&mut Entry, Why> {
        let place = if let Some(place) = self.places.get(path) {
            *place
        } else {
            let entry = self.first_entry(path)?;
            self.put(path.clone(), entry)
        };
        let unknown = || EditError::NoBackend(path.backend.clone()).into();
        self.entries.get_mut(place).map(|(_, entry)| entry).ok_or_else(unknown)
    }

    fn first_entry(&self, path: &ServerPath) -> Result<Entry, EditError> {
        if self.servers.contains_key(&(path.backend.as_str(), path.server.as_str())) {
            return Ok(Entry::Changed { change: ServerChange::default(), moved: false });
        }
        let backend = self.backends.get(path.backend.as_str());
        let backend = backend.ok_or_else(|| EditError::NoBackend(path.backend.clone()))?;
        if backend.is_made_of_template(path.server.as_str()) {
            return Ok(Entry::OfTemplate { moved: false });
        }
        Err(EditError::NoServer { backend: path.backend.clone(), server: path.server.clone() })
    }

    fn put(&mut self, path: ServerPath, entry: Entry) -> usize {
        let place = self.entries.len();
        self.places.insert(path.clone(), place);
        self.entries.push((path, entry));
        place
    }

    fn add(
        &mut self,
        place: usize,
        path: ServerPath,
        endpoint: Endpoint,
        keywords: &ServerKeywords,
    ) -> Result<(), Why> {
        let ServerPath { backend, server } = path.clone();
        match self.first_entry(&path) {
            Ok(Entry::Changed { .. }) => {
                // The file has it, the process does not.
                let change = ServerChange {
                    endpoint: Some(endpoint),
                    weight: keywords.weight.map_or(WeightChange::Keep, WeightChange::Set),
                    disabled: Some(true),
                    check_port: None,
                };
                self.put(path, Entry::Changed { change, moved: false });
                let was = self.before.backend(backend.as_str());
                if was.is_some_and(|was| was.server(server.as_str()).is_some()) {
                    let (backend, server) = (backend.to_string(), server.to_string());
                    self.because.push(ReloadReason::ServerNotRunning { backend, server });
                }
                return Ok(());
            }
            Ok(_) => return Err(EditError::ServerExists { backend, server }.into()),
            Err(EditError::NoServer { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let line = ServerLine {
            name: server,
            at: endpoint,
            keywords: keywords.clone(),
            weight: None,
            disabled: true,
        };
        if self.can_be_posted(&backend, keywords) {
            self.posts.push(Post { operation: place, backend, server: line });
            self.put(path, Entry::Posted);
        } else {
            self.put(path, Entry::Added(Box::new(line)));
        }
        Ok(())
    }

    fn can_be_posted(&self, backend: &BackendName, keywords: &ServerKeywords) -> bool {
        let there = self.backends.get(backend.as_str());
        let takes = there.is_some_and(|there| !there.default_server && there.algorithm.is_dynamic());
        let is_whole = match self.context.posts {
            Posts::No => false,
            Posts::Unchecked => keywords.check.is_none(),
            Posts::All => true,
        };
        takes && is_whole && !self.reloads && keywords.cookie.is_none() && keywords.init_state.is_none()
    }

    fn delete(&mut self, path: &ServerPath) -> Result<(), Why> {
        let entry = self.entry(path)?;
        match entry {
            Entry::OfTemplate { .. } => return Err(Why::OfTemplate),
            Entry::Posted => return Err(Why::Waits("the new server")),
            entry => *entry = Entry::Removed,
        }
        // Nothing is told of a server that goes with the reload.
        self.actions.retain(|action| action.server() != (&path.backend, &path.server));
        Ok(())
    }

    fn address(&mut self, path: ServerPath, to: Endpoint) -> Result<(), Why> {
        match self.entry(&path)? {
            Entry::Changed { change, moved } => {
                change.endpoint = Some(to);
                *moved = true;
            }
            Entry::OfTemplate { moved } => *moved = true,
            Entry::Added(line) => {
                line.at = to;
                return Ok(());
            }
            Entry::Posted => return Err(Why::Waits("the new server")),
            Entry::Removed => return Err(gone(path)),
        }
        let ServerPath { backend, server } = path;
        self.actions.push(Action::SetServerAddr { backend, server, to });
        Ok(())
    }

    fn weight(&mut self, path: ServerPath, to: LiveWeight) -> Result<(), Why> {
        match self.entry(&path)? {
            Entry::Changed { change, .. } => change.weight = WeightChange::Set(to.number()),
            Entry::OfTemplate { .. } => {}
            Entry::Added(line) => {
                line.weight = Some(to.number());
                return Ok(());
            }
            Entry::Posted => return Err(Why::Waits("the new server")),
            Entry::Removed => return Err(gone(path)),
        }
        let ServerPath { backend, server } = path;
        self.actions.push(Action::SetServerWeight { backend, server, to });
        Ok(())
    }

    fn state(&mut self, path: ServerPath, to: State) -> Result<(), Why> {
        // A process that starts from the file has the address that stands there.
        let settled = self.reloads || self.context.ready_with_address;
        let is_held = to != State::Maint && !settled;
        match self.entry(&path)? {
            Entry::Changed { moved: true, .. } | Entry::OfTemplate { moved: true } if is_held => {
                return Err(Why::Waits("its new address"));
            }
            Entry::Changed { change, .. } => change.disabled = Some(to != State::Ready),
            Entry::OfTemplate { .. } => {}
            Entry::Added(line) => {
                line.disabled = to != State::Ready;
                return Ok(());
            }
            Entry::Posted => return Err(Why::Waits("the new server")),
            Entry::Removed => return Err(gone(path)),
        }
        let ServerPath { backend, server } = path;
        self.actions.push(Action::SetServerState { backend, server, to });
        Ok(())
    }

    /// The weight that `100%` stands for.
    fn start_weight(&self, path: &ServerPath) -> Weight {
        let shown = self.context.process.get(&path.backend).and_then(|servers| servers.get(&path.server));
        let in_file = self.servers.get(&(path.backend.as_str(), path.server.as_str()));
        shown
            .and_then(|shown| shown.start_weight)
            .or_else(|| in_file.map(|server| server.start_weight()))
            .unwrap_or(Weight::ONE)
    }

    fn edits(&self, structural: &[Edit]) -> Vec<Edit> {
        let edit = |(path, entry): &(ServerPath, Entry)| {
            let ServerPath { backend, server } = path.clone();
            Some(match entry {
                Entry::Changed { change, .. } => Edit::Server { backend, server, change: *change },
                Entry::Added(line) => Edit::AddServer { backend, server: line.clone() },
                Entry::Removed => Edit::RemoveServer { backend, server },
                Entry::Posted | Entry::OfTemplate { .. } => return None,
            })
        };
        structural.iter().cloned().chain(self.entries.iter().filter_map(edit)).collect()
    }

    /// The write without a reload, or the reasons for one.
    pub(super) fn live(
        &self,
        before: &str,
        structural: &[Edit],
    ) -> Result<Result<LiveWrite, Vec<ReloadReason>>, EditError> {
        if !self.because.is_empty() {
            return Ok(Err(self.because.clone()));
        }
        let (edits, actions) = (self.edits(structural), self.actions.clone());
        let before = Read { text: before, view: self.before };
        match LiveWrite::from(before, &edits, actions, self.context.process, self.context.version) {
            Ok(write) => Ok(Ok(write)),
            Err(NotLive::NeedsReload(write)) => Ok(Err(write.into_reasons())),
            Err(NotLive::Edit(error)) => Err(error),
        }
    }

    /// The write with a reload.
    pub(super) fn reload(
        &self,
        before: &str,
        structural: &[Edit],
        because: Vec<ReloadReason>,
    ) -> Result<Option<ReloadWrite>, EditError> {
        ReloadWrite::new(before, &self.edits(structural), because, self.context.version)
    }

    pub(super) fn done(self, write: Option<Write>) -> PassWrite {
        PassWrite { write, posts: self.posts, left: self.left, refused: Vec::new() }
    }
}

fn gone(path: ServerPath) -> Why {
    let ServerPath { backend, server } = path;
    EditError::NoServer { backend, server }.into()
}
