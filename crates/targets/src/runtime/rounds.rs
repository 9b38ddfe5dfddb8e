//! In which rounds the commands of a batch go out.
//!
//! From 2.9 on HAProxy answers `set server … addr` before it has taken the address over (a task does that a moment
//! later), so that a `state ready` right behind it makes the server live at its *old* address. And what follows a
//! refused address or `add server` would act on a server that is not what it was meant to be. So a command that
//! builds on one of these waits for the next round, and between rounds the addresses are read back.
//!
//! Invariants: commands of one server keep their order; a question keeps its place among all; nothing that takes
//! traffic away from a backend overtakes an earlier command of the same backend, except that servers which are pointed
//! elsewhere are taken out 1, 2, 4, … at a time, so that a backend of any size is through in a few rounds and never
//! empty in between.

use std::collections::HashMap;
use std::hash::Hash;

use roster_haproxy::cli::{AdminCommand, Command, ServerPath};
use roster_haproxy::name::BackendName;

/// The places of the commands, round by round. Each stands in exactly one.
pub(super) fn rounds(commands: &[Command]) -> Vec<Vec<usize>> {
    if commands.is_empty() {
        return Vec::new();
    }
    if !commands.iter().any(is_built_on) {
        return vec![(0..commands.len()).collect()];
    }
    let known = Numbered::new(commands);
    let mut rounds = Vec::new();
    let mut left: Vec<usize> = (0..commands.len()).collect();
    let mut extra = 0;
    while !left.is_empty() {
        let mut round = Round::new(&known, extra);
        let takes = |place: &usize| commands.get(*place).is_some_and(|command| round.takes(*place, command));
        let (now, later) = left.into_iter().partition(takes);
        rounds.push(now);
        left = later;
        extra = extra * 2 + 1;
    }
    rounds
}

/// True if what follows of the same server has to wait for the next round.
fn is_built_on(command: &Command) -> bool {
    matches!(command, Command::SetAddr { .. } | Command::AddServer { .. })
}

/// The servers and backends of the commands by number, so that a round remembers them without their names.
struct Numbered {
    /// The server of each command.
    of: Vec<Option<usize>>,
    servers: Vec<Server>,
    backends: usize,
}

/// What the commands say of one server.
struct Server {
    backend: usize,
    /// Where it gets an address for the last time.
    pointed_last: Option<usize>,
}

impl Numbered {
    fn new(commands: &[Command]) -> Self {
        let (mut paths, mut names) = (Numbers::default(), Numbers::default());
        let mut servers: Vec<Server> = Vec::new();
        let mut of = Vec::with_capacity(commands.len());
        for (place, command) in commands.iter().enumerate() {
            let number = command.server().map(|server: &ServerPath| paths.number(server));
            of.push(number);
            let (Some(number), Some(path)) = (number, command.server()) else { continue };
            if number == servers.len() {
                let backend = names.number(&path.backend as &BackendName);
                servers.push(Server { backend, pointed_last: None });
            }
            if let (Command::SetAddr { .. }, Some(server)) = (command, servers.get_mut(number)) {
                server.pointed_last = Some(place);
            }
        }
        Self { of, servers, backends: names.by_name.len() }
    }

    fn server(&self, place: usize) -> Option<(usize, &Server)> {
        let number = self.of.get(place).copied().flatten()?;
        self.servers.get(number).map(|server| (number, server))
    }
}

/// Gives out 0, 1, 2, … to names. Commands of one server or backend mostly follow each other.
struct Numbers<'c, N> {
    by_name: HashMap<&'c N, usize>,
    last: Option<(&'c N, usize)>,
}

impl<N> Default for Numbers<'_, N> {
    fn default() -> Self {
        Self { by_name: HashMap::new(), last: None }
    }
}

impl<'c, N: Eq + Hash> Numbers<'c, N> {
    fn number(&mut self, name: &'c N) -> usize {
        if let Some((_, number)) = self.last.filter(|(last, _)| *last == name) {
            return number;
        }
        let next = self.by_name.len();
        let number = *self.by_name.entry(name).or_insert(next);
        self.last = Some((name, number));
        number
    }
}

/// What has been decided in one round.
struct Round<'c> {
    known: &'c Numbered,
    /// How many servers of a backend may be taken out though something of it was put off.
    extra: usize,
    /// Of each server, whether nothing more of it goes out.
    closed: Vec<bool>,
    any_closed: bool,
    /// Of each backend of which something was put off, how many servers were taken out all the same.
    put_off: Vec<Option<usize>>,
    /// A question was put off, and with it all that comes after.
    fenced: bool,
}

impl<'c> Round<'c> {
    fn new(known: &'c Numbered, extra: usize) -> Self {
        let (closed, put_off) = (vec![false; known.servers.len()], vec![None; known.backends]);
        Self { known, extra, closed, any_closed: false, put_off, fenced: false }
    }

    /// Whether the command at this place goes out in this round.
    fn takes(&mut self, place: usize, command: &Command) -> bool {
        let known = self.known;
        let Some((number, server)) = known.server(place) else {
            self.fenced |= self.any_closed;
            return !self.fenced;
        };
        let is_closed = self.closed.get(number).copied().unwrap_or(false);
        let goes = !self.fenced && !is_closed && self.may_overtake(place, command, server);
        if let (false, Some(put_off)) = (goes, self.put_off.get_mut(server.backend)) {
            put_off.get_or_insert(0);
        }
        if let (true, Some(closed)) = (!goes || is_built_on(command), self.closed.get_mut(number)) {
            *closed = true;
            self.any_closed = true;
        }
        goes
    }

    fn may_overtake(&mut self, place: usize, command: &Command, server: &Server) -> bool {
        if takes_nothing_away(command) {
            return true;
        }
        let Some(Some(taken_out)) = self.put_off.get_mut(server.backend) else { return true };
        let is_pointed_later = server.pointed_last.is_some_and(|last| last > place);
        let goes = is_pointed_later && *taken_out < self.extra;
        *taken_out += usize::from(goes);
        goes
    }
}

/// True if it can only bring a server nearer to traffic, or has no effect on traffic.
fn takes_nothing_away(command: &Command) -> bool {
    match command {
        Command::SetState { to, .. } => *to == AdminCommand::Ready,
        Command::SetHealth { up, .. } => *up,
        Command::SetWeight { .. }
        | Command::ResetWeight(_)
        | Command::SetMaxconn { .. }
        | Command::DisableHealth(_)
        | Command::DelServer(_)
        | Command::ShutdownSessions(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
