//! Routes and certificates, given to the running HAProxy by its own commands.
//!
//! HAProxy is asked what it has, so that a change that was lost or made by somebody else is made good too. What the
//! commands cannot bring is left to a reload, with its reason.

use std::collections::BTreeSet;
use std::slice;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_files::apart;
use roster_haproxy::render::{Bind, FilePath, render};
use roster_targets::managed::live::{Wanted, bring_to};
use tokio::time::timeout;

use super::certificates::Looked;
use super::change::session_limits;
use super::{Own, Topic};
use crate::clock::after;
use crate::events::{Event, FilesBrought, chain};

/// How often HAProxy is asked though nothing changed, and how soon after it could not be.
const LOOK: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(1);
/// How long a look at the files may keep all else waiting.
const PATIENCE: Duration = Duration::from_secs(1);

impl Own {
    /// Looks at the certificates' files, where that is due.
    pub(super) async fn look_at_certificates(&mut self, now: Timestamp) {
        if self.certificates.due().is_none_or(|due| due > now) {
            return;
        }
        self.retry.begins(Topic::Certificates);
        let looked = self.looked_at_certificates(now).await;
        let troubles = looked.as_ref().map_or_else(slice::from_ref, |looked| looked.troubles.as_slice());
        for trouble in troubles {
            self.trouble(trouble);
        }
        self.retry.ends();
        let Ok(looked) = looked else { return };
        self.certificates = looked.now;
        if looked.changed {
            self.live_due = Some(now);
            self.doubtful = true;
        }
    }

    /// What a look found, or why there is no answer yet. A look that takes long goes on, and its answer is taken by a later one.
    async fn looked_at_certificates(&mut self, now: Timestamp) -> Result<Looked, String> {
        let before = &self.certificates;
        let mut looking = self.looking.take().unwrap_or_else(|| {
            let before = before.clone();
            apart(move || before.look(now))
        });
        if let Ok(looked) = timeout(PATIENCE, &mut looking).await {
            return looked.map_err(|error| {
                self.certificates.put_off(after(now, AGAIN));
                format!("the certificates cannot be looked at: {error}")
            });
        }
        self.looking = Some(looking);
        self.certificates.put_off(after(now, AGAIN));
        let slow = "the certificates' files do not answer, and stay as they were; check the file system that they are on";
        Err(slow.to_owned())
    }

    /// Has routes, certificates and the file looked at.
    pub(crate) fn look_anew(&mut self, now: Timestamp) {
        (self.live_due, self.file_due, self.doubtful) = (Some(now), Some(now), true);
    }

    /// Brings the running HAProxy to the routes and certificates that are wanted.
    pub(super) async fn bring(&mut self, agenda: &Agenda, now: Timestamp) {
        self.live_due = None;
        if self.reach.frontends.is_empty() || self.book.structure.is_none() || !self.is_up() {
            return;
        }
        // A backend that is not there yet may be refused, and its name be the operator's.
        let document = self.document_routed(agenda, self.awaited(agenda), now);
        let Some(rendered) = document.and_then(|document| render(&document, self.version).ok()) else {
            return;
        };
        self.live_due = Some(after(now, LOOK));
        let started = Instant::now();
        let (socket, limits) = (self.runtime_socket(), session_limits(self.reach.timeout));
        let (certificates, strict) = (self.certificates.pems(), self.strict_lists());
        let wanted = Wanted { files: &rendered.files, certificates: &certificates, strict: &strict };
        let brought = bring_to(&socket, &limits, wanted).await;
        self.retry.begins(Topic::Live);
        match brought {
            Ok(brought) => {
                if !brought.changed.is_empty() {
                    let (target, changed) = (&self.name, brought.changed.as_slice());
                    FilesBrought { target, changed, took: started.elapsed() }.emit(&self.reporter);
                    self.file_due = Some(now);
                }
                brought.troubles.iter().for_each(|trouble| self.trouble(&trouble.to_string()));
                let left = brought.left.iter().map(ToString::to_string).collect();
                self.doubtful |= self.left_to_reload != left;
                self.left_to_reload = left;
            }
            Err(error) => {
                self.trouble(&chain(&error));
                self.live_due = Some(after(now, AGAIN));
            }
        }
        self.retry.ends();
    }

    /// The lists of binds where a client that asks for no known name is turned away.
    fn strict_lists(&self) -> BTreeSet<FilePath> {
        let binds = self.reach.frontends.iter().flat_map(|frontend| &frontend.section.binds);
        let strict =
            |bind: &Bind| bind.tls.as_ref().filter(|tls| tls.strict_sni).map(|tls| tls.crt_list.clone());
        binds.filter_map(strict).collect()
    }
}
