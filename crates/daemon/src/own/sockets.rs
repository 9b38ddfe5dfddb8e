//! The listening sockets of a HAProxy that Roster owns, where Roster holds them itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use jiff::Timestamp;

use roster_config::env::{Env, ProcessEnv};
use roster_config::native::{Listeners, ManagedProcess};
use roster_core::agenda::Agenda;
use roster_haproxy::render::{Bind, BindAddress, Section};
use roster_targets::managed::listen::recover::{FdStore, Way, Ways, passed};
use roster_targets::managed::listen::{HeldSocket, ListenAddress, ListenOptions, Wanted, recover};

use super::{Own, Topic, numbers};
use crate::clock;

impl Own {
    pub(super) fn holds(&self) -> bool {
        matches!(self.reach.process, ManagedProcess::Own { listen: Listeners::Held, .. })
    }

    /// Gets back what the Roster before held.
    pub(super) async fn recover(&mut self) {
        let Some(record) = self.book.sockets.clone().filter(|_| self.holds()) else { return };
        if let Some(program) = self.program()
            && let Some(found) = program.running().await
        {
            // The record is older where the Roster before was killed just then.
            self.note_master(Some(found));
        }
        let ways = Ways {
            passed: passed().unwrap_or_default(),
            stats_socket: Some(self.stats_socket()),
            process: self.book.master.map(|master| master.pid),
        };
        // What is wanted is not known before the sources speak; until then everything stays that was held.
        let wanted: Wanted = record
            .sockets()
            .iter()
            .filter(|(_, recorded)| !recorded.leaving)
            .map(|(address, _)| (address.clone(), ListenOptions::default()))
            .collect();
        let recovered = tokio::task::spawn_blocking(move || recover(&record, &wanted, ways)).await;
        match recovered {
            Ok(recovered) => {
                for (address, way) in &recovered.came {
                    tracing::info!(target = %self.name, %address, ?way, "a listening socket is held again");
                }
                let opened_beside =
                    self.book.master.is_some() && recovered.came.values().any(|way| *way == Way::Anew);
                // A way that did not work is of interest only where no other did.
                let blocked = recovered.blocked.iter();
                let blocked = blocked.filter(|_| opened_beside || !recovered.failed.is_empty());
                for error in recovered.failed.iter().chain(blocked) {
                    self.trouble(&crate::events::chain(error));
                }
                self.held = recovered.held;
            }
            Err(error) => self.trouble(&format!("the listening sockets could not be got back: {error}")),
        }
    }

    /// Opens the sockets that are wanted. Answers whether HAProxy has to be replaced to get, or lose, one.
    pub(super) fn open(&mut self, agenda: &Agenda, now: Timestamp) -> bool {
        if !self.holds() {
            return false;
        }
        let mut wanted = self.wanted_binds(agenda);
        wanted.retain(|bind| self.unbound.is_to_be_tried(&bind.at, now));
        let options = wanted.iter().filter_map(|bind| Some((address(&bind.at)?, options(bind))));
        let changes = self.held.open(&options.collect::<Wanted>());
        let mut failed: BTreeMap<_, _> = changes.failed.into_iter().collect();
        for bind in wanted {
            let Some(address) = address(&bind.at) else { continue };
            let error = failed.remove(&address).map(|error| crate::events::chain(&error));
            if self.held.get(&address).is_none() {
                self.unbound.tried(bind.at, error, clock::now());
            } else {
                // It is held, if not as it is wanted.
                if let Some(error) = &error {
                    self.trouble(error);
                }
                self.unbound.tried(bind.at, None, clock::now());
            }
        }
        if let Some(store) = ProcessEnv.get("NOTIFY_SOCKET").and_then(|socket| FdStore::new(&socket)) {
            for socket in self.held.inherited() {
                if let Err(error) = store.keep(&socket) {
                    self.trouble(&crate::events::chain(&error));
                }
            }
        }
        self.book.sockets = Some(self.held.record());
        numbers(&self.held) != self.book.inherited
    }

    /// Closes what no HAProxy has any more.
    pub(super) async fn release(&mut self) {
        // What the process that serves has is its own until another one serves.
        let is_had = |address: &&ListenAddress| {
            self.held.get(address).is_some_and(|socket| self.book.inherited.contains(&socket.number()))
        };
        let leaving: Vec<ListenAddress> =
            self.held.leaving().filter(|address| !is_had(address)).cloned().collect();
        if leaving.is_empty() || self.steward.old_ones().await != Some(0) {
            return;
        }
        self.retry.begins(Topic::Sockets);
        for address in leaving {
            match self.held.release(&address) {
                Ok(_) => tracing::info!(target = %self.name, %address, "is closed"),
                Err(error) => self.trouble(&crate::events::chain(&error)),
            }
        }
        self.retry.ends();
        self.book.sockets = Some(self.held.record());
        self.keep_book();
    }

    /// Names the sockets that HAProxy inherits by their numbers.
    pub(super) fn inherit(&self, sections: &mut [Section]) {
        if !self.holds() {
            return;
        }
        for section in sections {
            let Section::Frontend(frontend) = section else { continue };
            for bind in &mut frontend.binds {
                if let Some(inherited) = self.as_inherited(&bind.at) {
                    bind.at = inherited;
                    bind.both_families = false;
                }
            }
        }
    }

    /// How an address is written that HAProxy inherits.
    pub(super) fn as_inherited(&self, at: &BindAddress) -> Option<BindAddress> {
        let held = self.held.get(&address(at).filter(|_| self.holds())?).map(HeldSocket::inherited)?;
        u16::try_from(held.number).ok().map(BindAddress::Inherited)
    }
}

fn address(at: &BindAddress) -> Option<ListenAddress> {
    match at {
        BindAddress::Ip(ip, port) => ListenAddress::tcp(SocketAddr::new(*ip, port.get())),
        BindAddress::Unix(path) => ListenAddress::unix(path.as_str().as_ref()).ok(),
        BindAddress::Inherited(_) => None,
    }
}

fn options(bind: &Bind) -> ListenOptions {
    ListenOptions { v6only: !bind.both_families, ..ListenOptions::default() }
}
