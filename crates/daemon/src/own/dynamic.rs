//! Backends that HAProxy is given while it runs (`add backend`, from HAProxy 3.4 on).
//!
//! A backend is added without servers, gets them by the next pass like any other, and takes requests once one of them is
//! ready. Until then requests go where they went before.

use std::collections::BTreeSet;
use std::time::Instant;

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_core::layout::Lines;
use roster_haproxy::name::BackendName;
use roster_haproxy::render::{LiveBackend, ReloadReason, Rendered};
use roster_targets::managed::dynamic;
use roster_targets::runtime::socket::SocketAddress;

use super::change::{Changed, session_limits};
use super::{Own, Topic};
use crate::events::{BackendsAdded, Event, chain};

impl Own {
    /// Adds the new backends, if that is all that is to be done.
    pub(super) async fn add_backends(&mut self, agenda: &Agenda, now: Timestamp) -> Option<Changed> {
        let runs = self.book.structure.clone().filter(|_| self.is_up() && self.left_to_reload.is_empty())?;
        let rendered = self.rendered(agenda, now)?;
        let wanted = self.can_add(&rendered)?;
        let started = Instant::now();
        let done = dynamic::add(&self.runtime_socket(), &session_limits(self.reach.timeout), &wanted).await;
        let added = match done {
            Ok(added) => added,
            Err(error) => {
                self.trouble(&format!("{}; new backends come by a reload", chain(&error)));
                return None;
            }
        };
        for failed in &added.failed {
            self.trouble(&failed.to_string());
            self.not_live.insert(failed.backend.clone());
        }
        for (backend, warning) in &added.warnings {
            self.trouble(&format!("backend {backend}: HAProxy says: {warning}"));
        }
        // Whatever has the name already may be made of something else.
        self.not_live.extend(added.existing);
        let names = added.added;
        if names.is_empty() {
            self.doubtful = true;
            return None;
        }
        self.book.structure = Some(runs.with_backends(&rendered.structure, &names));
        self.book.unpublished.extend(names.iter().cloned());
        self.keep_book();
        BackendsAdded { target: &self.name, backends: &names, took: started.elapsed() }.emit(&self.reporter);
        (self.doubtful, self.file_due) = (true, Some(now));
        Some(Changed::Added)
    }

    /// What can be added as things are.
    pub(super) fn addable(&self, agenda: &Agenda, now: Timestamp) -> Vec<BackendName> {
        let wanted = self.unheard(agenda, now).and_then(|rendered| self.can_add(&rendered));
        wanted.into_iter().flatten().map(|backend| backend.name).collect()
    }

    /// What can be added, unless something else wants a reload anyway: that brings all of it.
    pub(super) fn can_add(&self, rendered: &Rendered) -> Option<Vec<LiveBackend>> {
        let runs = self.book.structure.as_ref()?;
        let mut wanted = runs.live_backends(&rendered.structure);
        wanted.retain(|backend| !self.not_live.contains(&backend.name));
        let names = wanted.iter().map(|backend| backend.name.clone()).collect();
        let after = runs.with_backends(&rendered.structure, &names);
        let rest = after.reload_reasons(&rendered.structure);
        (!wanted.is_empty() && rest.iter().all(ReloadReason::can_wait)).then_some(wanted)
    }

    /// Whether a new backend has a server to serve with.
    pub(super) fn can_publish(&self, lines: &Lines) -> bool {
        self.book.unpublished.iter().any(|backend| has_server(lines, backend))
    }

    /// Lets requests reach the new backends that have a server.
    pub(super) async fn publish(&mut self) {
        let ready = self.book.unpublished.iter().filter(|backend| has_server(&self.lines, backend));
        let ready: BTreeSet<BackendName> = ready.cloned().collect();
        if ready.is_empty() {
            return;
        }
        let done =
            dynamic::publish(&self.runtime_socket(), &session_limits(self.reach.timeout), &ready).await;
        self.retry.begins(Topic::Publishing);
        match done {
            Ok(published) => {
                for failed in &published.failed {
                    self.trouble(&failed.to_string());
                    self.not_live.insert(failed.backend.clone());
                }
                let failed = published.failed.into_iter().map(|failed| failed.backend).collect();
                // Counted as new again, they come by a reload.
                self.book.structure = self.book.structure.take().map(|runs| runs.without_backends(&failed));
                self.doubtful |= !failed.is_empty();
                self.book.unpublished.retain(|backend| !ready.contains(backend));
                self.keep_book();
            }
            Err(error) => self.trouble(&chain(&error)),
        }
        self.retry.ends();
    }

    pub(super) fn runtime_socket(&self) -> SocketAddress {
        SocketAddress::Unix(self.stats_socket())
    }
}

fn has_server(lines: &Lines, backend: &BackendName) -> bool {
    lines.get(backend).is_some_and(|servers| servers.iter().any(|server| !server.disabled))
}
