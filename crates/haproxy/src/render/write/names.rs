//! Which of our sections can stand beside one another and beside the operator's own.
//!
//! What is left out is left out whole: a service's own frontend goes with its backend, and no route leads there. The
//! operator's own section of that name would get the requests otherwise.

use std::collections::HashSet;

use super::super::left_out::LeftOut;
use super::super::proxy::{Frontend, Section};
use super::super::user::{SectionKind, UserText};
use super::super::{DEFAULTS, Document};
use crate::version::Version;

/// The first HAProxy that refuses a file in which a frontend, a backend or a `defaults` section share a name.
const ONE_NAME_FOR_ALL: Version = Version::new(3, 3, 0);

/// Names that are found as frontends, and as backends: HAProxy keeps the two apart, but for [`ONE_NAME_FOR_ALL`].
#[derive(Default)]
struct Names<'d> {
    fronts: HashSet<&'d str>,
    backs: HashSet<&'d str>,
}

/// The sections that stand.
pub(super) struct Standing<'d> {
    /// The names that no other section can have, where all sections share them.
    pub(super) taken: HashSet<&'d str>,
    pub(super) sections: Vec<&'d Section>,
    /// The backends that do not.
    pub(super) absent: HashSet<&'d str>,
    pub(super) left_out: Vec<LeftOut>,
}

impl<'d> Standing<'d> {
    pub(super) fn of(document: &'d Document, version: Version) -> Self {
        let one_for_all = version >= ONE_NAME_FOR_ALL;
        let owned = Names::of_operator(&document.user, one_for_all);
        let mut taken = Names::default();
        if one_for_all {
            taken.add(Some(DEFAULTS), Some(DEFAULTS));
        }
        let (mut sections, mut absent, mut left_out) = (Vec::new(), HashSet::new(), Vec::new());
        for section in &document.sections {
            let (front, back) = names(section, one_for_all);
            let by_operator = owned.has(front, back);
            if !by_operator && !taken.has(front, back) {
                taken.add(front, back);
                sections.push(section);
                continue;
            }
            let key = section.key();
            left_out.push(if by_operator { LeftOut::OperatorsName(key) } else { LeftOut::Section(key) });
            absent.extend(backend_of(section));
        }
        sections.retain(|section| match section {
            Section::Frontend(frontend) => !leads_only_to(frontend, &absent),
            Section::Backend(_) | Section::Listen(_) => true,
        });
        taken.fronts.extend(owned.fronts);
        Self { taken: taken.fronts, sections, absent, left_out }
    }
}

impl<'d> Names<'d> {
    /// Those of the operator's own sections.
    fn of_operator(user: &'d UserText, one_for_all: bool) -> Self {
        let mut names = Self::default();
        for (kind, name) in user.named_sections() {
            let (front, back) = match kind {
                SectionKind::Frontend => (Some(name), None),
                SectionKind::Backend => (None, Some(name)),
                SectionKind::Listen => (Some(name), Some(name)),
                SectionKind::Defaults => (None, None),
            };
            let all = one_for_all.then_some(name);
            names.add(front.or(all), back.or(all));
        }
        names
    }

    fn has(&self, front: Option<&str>, back: Option<&str>) -> bool {
        front.is_some_and(|name| self.fronts.contains(name))
            || back.is_some_and(|name| self.backs.contains(name))
    }

    fn add(&mut self, front: Option<&'d str>, back: Option<&'d str>) {
        self.fronts.extend(front);
        self.backs.extend(back);
    }
}

/// The names by which a section is found as a frontend and as a backend.
fn names(section: &Section, one_for_all: bool) -> (Option<&str>, Option<&str>) {
    let (front, back) = match section {
        Section::Frontend(frontend) => (Some(frontend.name.as_str()), None),
        Section::Backend(backend) => (None, Some(backend.name.as_str())),
        Section::Listen(listen) => (Some(listen.name.as_str()), Some(listen.name.as_str())),
    };
    if one_for_all { (front.or(back), front.or(back)) } else { (front, back) }
}

fn backend_of(section: &Section) -> Option<&str> {
    match section {
        Section::Frontend(_) => None,
        Section::Backend(backend) => Some(backend.name.as_str()),
        Section::Listen(listen) => Some(listen.name.as_str()),
    }
}

/// Whether it is the frontend of a service of its own, and that service's backend does not stand. Where the operator
/// wrote the frontend, whatever it leads to is the operator's choice.
fn leads_only_to(frontend: &Frontend, absent: &HashSet<&str>) -> bool {
    let to = frontend.default_backend.as_ref().map(crate::name::BackendName::as_str);
    to == Some(frontend.name.as_str()) && to.is_some_and(|to| absent.contains(to))
}
