//! What is wanted and is not in the file, and what of HAProxy is left alone for it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_core::layout::sections;
use roster_haproxy::name::BackendName;
use roster_haproxy::render::{Rendered, Section, Structure};

use super::Own;

impl Own {
    /// The backends that are not to be touched while HAProxy runs: those with the name of a section of the operator's
    /// own, and those that HAProxy refused and that it does not have from before either.
    pub(crate) fn left_alone(&self) -> BTreeSet<BackendName> {
        let own = self.reach.user.backends().filter_map(|name| BackendName::new(name).ok());
        let runs = self.book.structure.as_ref().map(Structure::backends).unwrap_or_default();
        own.chain(self.refused.keys().filter(|backend| !runs.contains(backend)).cloned()).collect()
    }

    /// The backends that come by a reload which was not made yet. Whatever HAProxy has under such a name is not Roster's.
    pub(crate) fn awaited(&self, agenda: &Agenda) -> BTreeSet<BackendName> {
        let Some(runs) = self.book.structure.as_ref().map(Structure::backends) else {
            return BTreeSet::new();
        };
        let left_alone = self.left_alone();
        let comes = |backend: &&BackendName| !runs.contains(backend) && !left_alone.contains(*backend);
        agenda.items.keys().filter(comes).cloned().collect()
    }

    /// Leaves out the services whose sections HAProxy complains of. Answers whether there were any.
    pub(super) fn leave_out(
        &mut self,
        agenda: &Agenda,
        rendered: &Rendered,
        lines: &[usize],
        now: Timestamp,
    ) -> bool {
        let mut found = false;
        for key in lines.iter().filter_map(|line| rendered.section_at(*line)) {
            let Some((backend, _)) = agenda.items.get_key_value(key.name()) else { continue };
            let Some(layout) = self.layouts.get(backend) else { continue };
            self.refused.insert(backend.clone(), sections(backend, layout, Vec::new()));
            self.trouble(&refused_words(backend));
            // Routes that lead there go too.
            self.live_due = Some(now);
            found = true;
        }
        found
    }

    /// Whether HAProxy refused these sections of a backend.
    pub(super) fn is_refused(&self, backend: &BackendName, made: &[Section]) -> bool {
        self.refused.get(backend).is_some_and(|refused| alike(refused, made))
    }

    /// What is not in the file though it is wanted, and why.
    pub(super) fn left_out(&self, agenda: &Agenda, rendered: &Rendered) -> Vec<String> {
        let refused = self.refused.iter().filter(|(backend, _)| {
            let layout = self.layouts.get(*backend).filter(|_| agenda.items.contains_key(*backend));
            layout.is_some_and(|layout| self.is_refused(backend, &sections(backend, layout, Vec::new())))
        });
        let refused = refused.map(|(backend, _)| refused_words(backend));
        rendered.left_out.iter().map(ToString::to_string).chain(refused).collect()
    }
}

/// That HAProxy refused the sections of a backend.
fn refused_words(backend: &BackendName) -> String {
    format!("backend {backend} is left out: HAProxy refuses it; change its `lines`")
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
