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

use std::collections::{BTreeMap, BTreeSet};

use roster_core::haproxy::{AdminCommand, Command, ServerPath};
use roster_core::name::BackendName;

/// The places of the commands, round by round. Each stands in exactly one.
pub(super) fn rounds(commands: &[Command]) -> Vec<Vec<usize>> {
    let pointed = pointed_last(commands);
    let mut rounds = Vec::new();
    let mut left: Vec<(usize, &Command)> = commands.iter().enumerate().collect();
    let mut extra = 0;
    while !left.is_empty() {
        let mut round = Round::new(&pointed, extra);
        let (now, later) = left.into_iter().partition(|(place, command)| round.takes(*place, command));
        rounds.push(places(now));
        left = later;
        extra = extra * 2 + 1;
    }
    rounds
}

fn places(commands: Vec<(usize, &Command)>) -> Vec<usize> {
    commands.into_iter().map(|(place, _)| place).collect()
}

/// Where each server gets an address for the last time.
type Pointed<'c> = BTreeMap<&'c ServerPath, usize>;

fn pointed_last(commands: &[Command]) -> Pointed<'_> {
    let set = commands.iter().enumerate().filter_map(|(place, command)| match command {
        Command::SetAddr { server, .. } => Some((server, place)),
        _ => None,
    });
    set.collect()
}

/// What has been decided in one round.
struct Round<'c> {
    pointed: &'c Pointed<'c>,
    /// How many servers of a backend may be taken out though something of it was put off.
    extra: usize,
    /// Servers of which nothing more goes out.
    closed: BTreeSet<&'c ServerPath>,
    /// Backends of which something was put off, and how many servers were taken out all the same.
    put_off: BTreeMap<&'c BackendName, usize>,
    /// A question was put off, and with it all that comes after.
    fenced: bool,
}

impl<'c> Round<'c> {
    fn new(pointed: &'c Pointed<'c>, extra: usize) -> Self {
        Self { pointed, extra, closed: BTreeSet::new(), put_off: BTreeMap::new(), fenced: false }
    }

    /// Whether the command goes out in this round.
    fn takes(&mut self, place: usize, command: &'c Command) -> bool {
        let Some(server) = command.server() else {
            self.fenced |= !self.closed.is_empty();
            return !self.fenced;
        };
        let goes = !self.fenced && !self.closed.contains(server) && self.may_overtake(place, command, server);
        if !goes {
            self.put_off.entry(&server.backend).or_default();
        }
        if !goes || matches!(command, Command::SetAddr { .. } | Command::AddServer { .. }) {
            self.closed.insert(server);
        }
        goes
    }

    fn may_overtake(&mut self, place: usize, command: &Command, server: &ServerPath) -> bool {
        if takes_nothing_away(command) {
            return true;
        }
        let Some(taken_out) = self.put_off.get_mut(&server.backend) else { return true };
        let is_pointed_later = self.pointed.get(server).is_some_and(|last| *last > place);
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
