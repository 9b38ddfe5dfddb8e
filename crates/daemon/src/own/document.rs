//! What HAProxy's files are made of.

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_core::layout::{missing, sections};
use roster_core::render::{Document, Section};

use super::Own;

impl Own {
    /// The whole file, unless a backend is leaving of which nobody knows how it is written.
    pub(super) fn document(&self, agenda: &Agenda, now: Timestamp) -> Option<Document> {
        let mut all = self.frontends(agenda);
        self.inherit(&mut all);
        for (backend, item) in &agenda.items {
            let layout = self.layouts.get(backend)?;
            let servers = match self.lines.get(backend) {
                Some(lines) => lines.clone(),
                None => missing(item, self.version, None, now),
            };
            let mut made = sections(backend, layout, servers);
            self.inherit(&mut made);
            if self.left_out.get(backend).is_none_or(|left_out| !alike(left_out, &made)) {
                all.extend(made);
            }
        }
        Some(Document {
            user: self.reach.user.clone(),
            ours: self.reach.ours(),
            sections: all,
            crt_lists: self.certificates.crt_lists(),
            profiles: self.profiles.clone(),
        })
    }
}

/// Whether two versions of a backend differ in nothing but their servers.
fn alike(a: &[Section], b: &[Section]) -> bool {
    let bare = |sections: &[Section]| -> Vec<Section> {
        let mut sections = sections.to_vec();
        for section in &mut sections {
            if let Section::Backend(backend) = section {
                backend.pool.servers.clear();
            }
        }
        sections
    };
    bare(a) == bare(b)
}
