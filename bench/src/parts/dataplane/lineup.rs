//! How the servers of the one backend stand, in each form in which somebody says it.

use std::collections::BTreeSet;
use std::fmt::Write;

use anyhow::Context;
use roster_haproxy::address::{Endpoint, Port};
use roster_haproxy::dataplane::{Edit, FileView, ServerChange, WeightChange};
use roster_haproxy::weight::Weight;
use roster_testkit::ServerRow;

use crate::fleet::address;

/// The backend, and the service that it is for.
pub(super) const BACKEND: &str = "web";
/// What every server weighs at first, and what a changed one weighs then.
const WEIGHTS: (u32, u32) = (10, 20);
/// Where a free slot points.
const PARKING: &str = "127.0.0.1:1";

/// All servers, the first of which is `srv1`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Lineup(Vec<Server>);

/// One server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Server {
    pub(super) at: Endpoint,
    pub(super) weight: Weight,
    /// Whether it takes traffic; else it is a free slot.
    pub(super) up: bool,
}

/// What is changed of servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Their weights.
    Weights,
    /// Instances come into free slots: addresses and states.
    Moves,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Weights, Self::Moves];

    /// What so many of all are, in words.
    pub(super) fn told(self, count: usize, all: usize) -> String {
        match self {
            Self::Weights => format!("{count} of {all} weights"),
            Self::Moves => format!("{count} of {all} slots filled (address and state)"),
        }
    }

    /// How many operations of Roster one of them is.
    pub(super) fn operations(self) -> usize {
        match self {
            Self::Weights => 1,
            Self::Moves => 2,
        }
    }

    /// How all servers stand before so many of them change, and how after.
    pub(super) fn change(self, all: usize, count: usize) -> anyhow::Result<(Lineup, Lineup)> {
        let (was, will) = (Weight::new(WEIGHTS.0)?, Weight::new(WEIGHTS.1)?);
        let parking = PARKING.parse().context("the parking address")?;
        let place = |number: usize| -> anyhow::Result<Server> {
            let at = address(number / 250, number);
            let port = Port::new(at.port()).context("a port")?;
            Ok(Server { at: Endpoint { ip: at.ip(), port }, weight: was, up: true })
        };
        let whole: Vec<Server> = (0..all).map(place).collect::<anyhow::Result<_>>()?;
        let changed = |server: &Server| match self {
            Self::Weights => Server { weight: will, ..*server },
            Self::Moves => Server { at: parking, up: false, ..*server },
        };
        // The last ones: whoever looks for a server by its name from the front is not favoured.
        let rest = all.saturating_sub(count);
        let other = whole.iter().enumerate();
        let other = other.map(|(place, server)| if place < rest { *server } else { changed(server) });
        let (whole, other) = (Lineup(whole.clone()), Lineup(other.collect()));
        Ok(match self {
            Self::Weights => (whole, other),
            Self::Moves => (other, whole),
        })
    }
}

fn name(place: usize) -> String {
    format!("srv{}", place + 1)
}

impl Lineup {
    /// Each server that differs from how it stood, with its name.
    pub(super) fn differing(&self, before: &Self) -> impl Iterator<Item = (String, Server)> {
        let pairs = self.0.iter().zip(&before.0).enumerate();
        pairs.filter(|(_, (now, was))| now != was).map(|(place, (now, _))| (name(place), *now))
    }

    /// The lines of HAProxy's file.
    pub(super) fn lines(&self) -> String {
        let mut text = String::new();
        for (place, Server { at, weight, up }) in self.0.iter().enumerate() {
            let disabled = if *up { "" } else { " disabled" };
            // Writing to memory cannot fail.
            writeln!(text, "  server {} {at} weight {weight}{disabled}", name(place)).ok();
        }
        text
    }

    /// The same as changes of a file.
    pub(super) fn edits(&self) -> anyhow::Result<Vec<Edit>> {
        let edit = |(place, server): (usize, &Server)| -> anyhow::Result<Edit> {
            Ok(Edit::Server {
                backend: BACKEND.parse()?,
                server: name(place).parse()?,
                change: ServerChange {
                    endpoint: Some(server.at),
                    weight: WeightChange::Set(server.weight),
                    disabled: Some(!server.up),
                    check_port: None,
                },
            })
        };
        self.0.iter().enumerate().map(edit).collect()
    }

    /// What HAProxy is told so that what differs becomes so, as the API takes it: first all addresses, so that those have
    /// the most time to be taken over.
    pub(super) fn actions(&self, before: &Self) -> String {
        let (mut addresses, mut others) = (Vec::new(), Vec::new());
        for ((place, now), was) in self.0.iter().enumerate().zip(&before.0) {
            let server = format!("{BACKEND} {}", name(place));
            if now.at != was.at {
                addresses.push(format!("SetServerAddr {server} {} {}", now.at.ip, now.at.port));
            }
            if now.weight != was.weight {
                others.push(format!("SetServerWeight {server} {}", now.weight));
            }
            if now.up != was.up {
                others.push(format!("SetServerState {server} {}", if now.up { "ready" } else { "maint" }));
            }
        }
        addresses.append(&mut others);
        addresses.join(";")
    }

    /// Roster's file of services.
    pub(super) fn yaml(&self) -> String {
        let mut text = format!("services:\n  {BACKEND}:");
        if self.0.iter().all(|server| !server.up) {
            text.push_str(" []");
        }
        text.push('\n');
        for Server { at, weight, .. } in self.0.iter().filter(|server| server.up) {
            writeln!(text, "    - {{ address: \"{at}\", weight: {weight} }}").ok();
        }
        text
    }

    /// Who takes traffic, and with which weight. Which slot an instance has is Roster's to choose.
    fn ready(&self) -> BTreeSet<(String, u32)> {
        let up = self.0.iter().filter(|server| server.up);
        up.map(|server| (server.at.to_string(), u32::from(server.weight.get()))).collect()
    }

    /// Whether the running process shows it.
    pub(super) fn is_shown(&self, rows: &[ServerRow]) -> bool {
        let ready = rows.iter().filter(|row| !row.in_maintenance() && !row.in_drain());
        ready.map(|row| (row.endpoint(), row.uweight)).collect::<BTreeSet<_>>() == self.ready()
    }

    /// Whether HAProxy's file says it.
    pub(super) fn is_written(&self, text: &str) -> bool {
        let file = FileView::read(text);
        let Some(backend) = file.backend(BACKEND) else { return false };
        let ready = backend.servers.iter().filter(|server| !server.disabled);
        let said = ready.filter_map(|server| {
            Some((server.endpoint?.to_string(), u32::from(server.start_weight().get())))
        });
        said.collect::<BTreeSet<_>>() == self.ready()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_of_as_many_servers_as_were_asked_for() {
        for (kind, actions) in [(Kind::Weights, 3), (Kind::Moves, 6)] {
            let (before, after) = kind.change(10, 3).unwrap();
            assert_eq!(after.differing(&before).count(), 3);
            assert_eq!(after.actions(&before).split(';').count(), actions);
            assert!(after.actions(&after).is_empty());
        }
    }

    #[test]
    fn a_file_is_told_from_another() {
        let (before, after) = Kind::Moves.change(4, 1).unwrap();
        let text = format!("backend {BACKEND}\n{}", after.lines());
        assert!(after.is_written(&text) && !before.is_written(&text), "{text}");
    }
}
