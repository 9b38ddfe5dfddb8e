//! Getting listening sockets back after Roster's own restart, while HAProxy runs on.
//!
//! In this order: from systemd's store, which needs no rights at all; from HAProxy itself, which hands out only sockets
//! that it opened (so they come when Roster takes over from a plain `bind`, never those named `fd@N`); from the table of
//! the HAProxy process, which needs the right to trace it; and at last by binding anew, which works once nobody has the
//! address any more. Each socket is looked at before it is believed.

mod getsocks;
mod process;
mod store;

pub use getsocks::from_haproxy;
pub use process::{FromProcess, from_process};
pub use store::{FdStore, Passed, passed};

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::ListenError;
use super::address::ListenAddress;
use super::held::{Held, Wanted};
use super::record::Record;
use super::verify::examine;

/// Where sockets may be got from.
#[derive(Debug, Default)]
pub struct Ways {
    /// What systemd passed, by [`passed`].
    pub passed: Vec<Passed>,
    /// The stats socket of the HAProxy that runs.
    pub stats_socket: Option<PathBuf>,
    /// The process that has the sockets: the master where there is one.
    pub process: Option<u32>,
}

/// How a socket came back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Way {
    /// From systemd's store, or from a `.socket` unit.
    Store,
    /// HAProxy had opened it itself and gave a copy.
    Haproxy,
    /// Copied out of the process.
    Process,
    /// It was not to be found; opened anew.
    Anew,
}

/// What came of it.
#[derive(Debug)]
pub struct Recovered {
    /// The sockets.
    pub held: Held,
    /// How each came back.
    pub came: BTreeMap<ListenAddress, Way>,
    /// Wanted addresses without a socket, or not as wanted. [`Held::open`] tries again.
    pub failed: Vec<ListenError>,
    /// Ways that did not work. They matter where something failed, or was opened anew though HAProxy ran.
    pub blocked: Vec<ListenError>,
    /// What systemd passed and nobody asked for: closing it closes the port if nobody else has it.
    pub others: Vec<Passed>,
}

/// Gets back what the last Roster held and what is wanted now.
///
/// Blocks, at most a few seconds (a HAProxy that does not answer): not for the thread of the runtime. Sockets that are
/// no longer wanted come back as leaving, and are never opened anew.
pub fn recover(record: &Record, wanted: &Wanted, ways: Ways) -> Recovered {
    let missing = record.sockets().keys().chain(wanted.keys()).cloned().collect();
    let mut search = Search { missing, found: BTreeMap::new() };
    let mut blocked = Vec::new();
    let others = search.in_store(ways.passed);
    if let Some(socket) = ways.stats_socket.filter(|_| !search.missing.is_empty()) {
        match from_haproxy(&socket) {
            Ok(sockets) => search.take_all(sockets, Way::Haproxy),
            Err(error) => blocked.push(error),
        }
    }
    if let Some(pid) = ways.process.filter(|_| !search.missing.is_empty()) {
        blocked.extend(search.in_process(pid, record).err());
    }
    let mut recovered = Recovered {
        held: Held::with_lost(record, wanted),
        came: BTreeMap::new(),
        failed: Vec::new(),
        blocked,
        others,
    };
    recovered.settle(search, wanted);
    recovered
}

struct Search {
    missing: BTreeSet<ListenAddress>,
    found: BTreeMap<ListenAddress, Found>,
}

struct Found {
    fd: OwnedFd,
    known: Option<i32>,
    way: Way,
}

impl Search {
    fn in_store(&mut self, passed: Vec<Passed>) -> Vec<Passed> {
        let mut others = Vec::new();
        for one in passed {
            match examine(&one.fd) {
                Ok(address) if self.missing.contains(&address) => {
                    let known = one.number();
                    self.take(address, Found { fd: one.fd, known, way: Way::Store });
                }
                _ => others.push(one),
            }
        }
        others
    }

    /// Under the recorded numbers first; all descriptors are gone through only where a number is not known.
    fn in_process(&mut self, pid: u32, record: &Record) -> Result<(), ListenError> {
        let mut numbers = BTreeSet::new();
        for address in &self.missing {
            match record.sockets().get(address) {
                Some(recorded) => numbers.insert(recorded.number),
                None => return self.take_from_process(pid, None),
            };
        }
        self.take_from_process(pid, Some(&numbers))?;
        if self.missing.is_empty() { Ok(()) } else { self.take_from_process(pid, None) }
    }

    fn take_from_process(&mut self, pid: u32, numbers: Option<&BTreeSet<i32>>) -> Result<(), ListenError> {
        for FromProcess { number, address, fd } in from_process(pid, numbers)? {
            self.take(address, Found { fd, known: Some(number), way: Way::Process });
        }
        Ok(())
    }

    fn take_all(&mut self, sockets: Vec<(ListenAddress, OwnedFd)>, way: Way) {
        for (address, fd) in sockets {
            self.take(address, Found { fd, known: None, way });
        }
    }

    /// What is not missing is closed again at once: it is a copy.
    fn take(&mut self, address: ListenAddress, found: Found) {
        if self.missing.remove(&address) {
            self.found.insert(address, found);
        }
    }
}

impl Recovered {
    fn settle(&mut self, search: Search, wanted: &Wanted) {
        // Those with a number of their own first, so that no other gets it.
        let (known, unknown): (Vec<_>, Vec<_>) =
            search.found.into_iter().partition(|(_, found)| found.known.is_some());
        for (address, Found { fd, known, way }) in known.into_iter().chain(unknown) {
            self.failed.extend(self.held.take_back(&address, fd, known, wanted.get(&address).copied()).err());
            self.came.insert(address, way);
        }
        for address in search.missing {
            let Some(&options) = wanted.get(&address) else { continue };
            match self.held.open_anew(&address, options) {
                Ok(()) => {
                    self.came.insert(address, Way::Anew);
                }
                Err(error) => self.failed.push(error),
            }
        }
    }
}
