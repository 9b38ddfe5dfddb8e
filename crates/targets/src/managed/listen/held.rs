//! The sockets that Roster holds, each under one number for as long as any HAProxy may have it.
//!
//! A socket is wanted, or leaving, or lost. A leaving one stays open until the caller says that HAProxy let it go; a lost
//! one was not got back after a restart of Roster, and only its number is kept from others.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::ListenError;
use super::address::{ListenAddress, Place};
use super::bind::{self, SocketFile};
use super::hand_over::FIRST_AFTER_STREAMS;
use super::options::ListenOptions;
use super::record::{Record, Recorded};
use super::verify::{v6only, verify};
use crate::managed::Inherited;

/// Low, because HAProxy refuses descriptors from `maxsock` on, which a small `maxconn` makes small; above those that a
/// process usually begins with.
const FIRST_NUMBER: i32 = 10;

/// What is to be listened on.
pub type Wanted = BTreeMap<ListenAddress, ListenOptions>;

/// The sockets by address.
#[derive(Debug, Default)]
pub struct Held {
    sockets: BTreeMap<ListenAddress, HeldSocket>,
    lost: BTreeMap<ListenAddress, Recorded>,
}

/// One held socket.
#[derive(Debug)]
pub struct HeldSocket {
    number: i32,
    leaving: bool,
    /// `None` where it came back from elsewhere.
    options: Option<ListenOptions>,
    fd: Arc<OwnedFd>,
    file: Option<SocketFile>,
}

/// What [`Held::open`] did.
#[derive(Debug, Default)]
pub struct Changes {
    /// Wanted now and not before: the next HAProxy inherits them.
    pub added: Vec<ListenAddress>,
    /// Wanted before and not now: to be released once no HAProxy has them.
    pub removed: Vec<ListenAddress>,
    /// Wanted, and not to be had, or not as wanted. The others are not affected.
    pub failed: Vec<(ListenAddress, ListenError)>,
}

impl Held {
    /// Opens what is newly wanted and marks what no longer is as leaving.
    ///
    /// New sockets get the lowest free number from 10 on. Call it again for those that failed.
    pub fn open(&mut self, wanted: &Wanted) -> Changes {
        let mut changes = Changes::default();
        for (address, socket) in &mut self.sockets {
            let is_wanted = wanted.get(address).copied();
            if socket.leaving && is_wanted.is_some() {
                changes.added.push(address.clone());
            } else if !socket.leaving && is_wanted.is_none() {
                changes.removed.push(address.clone());
            }
            socket.leaving = is_wanted.is_none();
            let failed = is_wanted.and_then(|options| socket.adjust(address, options).err());
            changes.failed.extend(failed.map(|error| (address.clone(), error)));
        }
        for (address, recorded) in &mut self.lost {
            recorded.leaving = !wanted.contains_key(address);
        }
        for (address, &options) in wanted {
            if self.sockets.contains_key(address) {
                continue;
            }
            match self.open_anew(address, options) {
                Ok(()) => changes.added.push(address.clone()),
                Err(error) => changes.failed.push((address.clone(), error)),
            }
        }
        changes
    }

    pub(super) fn open_anew(
        &mut self,
        address: &ListenAddress,
        options: ListenOptions,
    ) -> Result<(), ListenError> {
        let fd = bind::open(address, options)?;
        self.hold(address.clone(), fd, None).options = Some(options);
        Ok(())
    }

    /// What a new HAProxy is to inherit: every wanted socket, and no leaving one, whose connections it would not accept.
    pub fn inherited(&self) -> Vec<Inherited> {
        self.sockets.values().filter(|socket| !socket.leaving).map(HeldSocket::inherited).collect()
    }

    /// What a HAProxy is to inherit whose file names just these numbers, leaving sockets among them: for an older file.
    pub fn inherited_as(&self, numbers: &BTreeSet<i32>) -> Result<Vec<Inherited>, ListenError> {
        let one = |&number: &i32| {
            let socket = self.sockets.values().find(|socket| socket.number == number);
            socket.map(HeldSocket::inherited).ok_or(ListenError::NumberUnknown { number })
        };
        numbers.iter().map(one).collect()
    }

    /// Looks at each wanted socket once more, before it is handed over.
    pub fn verify(&self) -> Result<(), ListenError> {
        self.sockets.iter().try_for_each(|(address, socket)| verify(&socket.fd, address))
    }

    /// Every socket that is open, the leaving ones too.
    pub fn sockets(&self) -> impl Iterator<Item = (&ListenAddress, &HeldSocket)> {
        self.sockets.iter()
    }

    /// The socket of this address.
    pub fn get(&self, address: &ListenAddress) -> Option<&HeldSocket> {
        self.sockets.get(address)
    }

    /// What is to be released once no HAProxy has it: leaving sockets, and numbers whose sockets are lost.
    pub fn leaving(&self) -> impl Iterator<Item = &ListenAddress> {
        let open = self.sockets.iter().filter(|(_, socket)| socket.leaving).map(|(address, _)| address);
        open.chain(self.lost.iter().filter(|(_, recorded)| recorded.leaving).map(|(address, _)| address))
    }

    /// Closes a leaving socket and frees its number, which is returned. Only for a caller that knows that every HAProxy
    /// that inherited it has ended. `None` if nothing was held there.
    ///
    /// The port closes with the last copy: commands that it was handed over to, and [`Inherited`] values, are to be gone.
    pub fn release(&mut self, address: &ListenAddress) -> Result<Option<i32>, ListenError> {
        let wanted = self.get(address).is_some_and(|socket| !socket.leaving)
            || self.lost.get(address).is_some_and(|recorded| !recorded.leaving);
        if wanted {
            return Err(ListenError::Wanted { address: address.clone() });
        }
        let lost = self.lost.remove(address).map(|recorded| recorded.number);
        let Some(socket) = self.sockets.remove(address) else { return Ok(lost) };
        if let (Place::Unix(path), Some(file)) = (address.place(), socket.file) {
            file.remove(path);
        }
        Ok(Some(socket.number))
    }

    /// What to keep for the next Roster.
    pub fn record(&self) -> Record {
        let open = self.sockets.iter().map(|(address, socket)| {
            (address.clone(), Recorded { number: socket.number, leaving: socket.leaving })
        });
        Record::new(self.lost.clone().into_iter().chain(open).collect())
    }

    /// Nothing open yet, and the numbers of the last Roster not to be had by others.
    pub(super) fn with_lost(record: &Record, wanted: &Wanted) -> Self {
        let mut lost = record.sockets().clone();
        for (address, recorded) in &mut lost {
            recorded.leaving = !wanted.contains_key(address);
        }
        Self { sockets: BTreeMap::new(), lost }
    }

    /// Holds a socket that came back, as leaving where it is no longer wanted.
    pub(super) fn take_back(
        &mut self,
        address: &ListenAddress,
        fd: OwnedFd,
        known: Option<i32>,
        wanted: Option<ListenOptions>,
    ) -> Result<(), ListenError> {
        let socket = self.hold(address.clone(), fd, known);
        socket.leaving = wanted.is_none();
        wanted.map_or(Ok(()), |options| socket.adjust(address, options))
    }

    /// Takes a socket in: under its recorded number, else under the one it is known to have, else under a free one.
    fn hold(&mut self, address: ListenAddress, fd: OwnedFd, known: Option<i32>) -> &mut HeldSocket {
        let known = known.filter(|&number| number >= FIRST_AFTER_STREAMS && self.is_free(number));
        let number = match self.lost.remove(&address) {
            Some(recorded) => recorded.number,
            None => known.unwrap_or_else(|| self.lowest_free()),
        };
        let file = match address.place() {
            Place::Unix(path) => SocketFile::at(path),
            Place::Tcp(_) => None,
        };
        let socket = HeldSocket { number, leaving: false, options: None, fd: Arc::new(fd), file };
        self.sockets.entry(address).insert_entry(socket).into_mut()
    }

    fn is_free(&self, number: i32) -> bool {
        self.sockets.values().all(|socket| socket.number != number)
            && self.lost.values().all(|recorded| recorded.number != number)
    }

    fn lowest_free(&self) -> i32 {
        (FIRST_NUMBER..i32::MAX).find(|&number| self.is_free(number)).unwrap_or(i32::MAX)
    }
}

impl HeldSocket {
    /// Its number in HAProxy, as in `bind fd@N`.
    pub fn number(&self) -> i32 {
        self.number
    }

    /// No longer wanted, and kept until it is released.
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// As [`hand_over`](super::hand_over) takes it.
    pub fn inherited(&self) -> Inherited {
        Inherited { number: self.number, fd: Arc::clone(&self.fd) }
    }

    fn adjust(&mut self, address: &ListenAddress, to: ListenOptions) -> Result<(), ListenError> {
        if let Some(held) = v6only(&self.fd, address).filter(|&held| held != to.v6only) {
            return Err(ListenError::V6only { address: address.clone(), held });
        }
        if self.options != Some(to) {
            bind::adjust(&self.fd, address, to)?;
            self.options = Some(to);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
