//! What HAProxy's files are made of.

use std::collections::BTreeSet;

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_core::layout::{missing, sections};
use roster_haproxy::name::BackendName;
use roster_haproxy::render::Document;

use super::Own;

impl Own {
    /// The whole file, unless a backend is leaving of which nobody knows how it is written.
    pub(super) fn document(&self, agenda: &Agenda, now: Timestamp) -> Option<Document> {
        self.document_routed(agenda, BTreeSet::new(), now)
    }

    /// The same with no route to these backends, nor to those that are left out.
    pub(super) fn document_routed(
        &self,
        agenda: &Agenda,
        mut unrouted: BTreeSet<BackendName>,
        now: Timestamp,
    ) -> Option<Document> {
        let mut all = Vec::new();
        for (backend, item) in &agenda.items {
            let layout = self.layouts.get(backend)?;
            let servers = match self.lines.get(backend) {
                Some(lines) => lines.clone(),
                None => missing(item, self.version, None, now),
            };
            let made = sections(backend, layout, servers);
            if self.is_refused(backend, &made) {
                unrouted.insert(backend.clone());
            } else {
                all.extend(made);
            }
        }
        all.splice(..0, self.frontends(agenda, &unrouted));
        let left_out = self.share_ports(&mut all, agenda);
        self.inherit(&mut all);
        Some(Document {
            user: self.reach.user.clone(),
            ours: self.reach.ours(),
            sections: all,
            crt_lists: self.certificates.crt_lists(),
            profiles: self.profiles.clone(),
            left_out,
        })
    }
}
