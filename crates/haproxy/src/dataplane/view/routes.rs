//! The routes of ours in a frontend of the operator's.

use super::SectionView;
use crate::dataplane::scan::Line;
use crate::keywords::HostName;
use crate::name::BackendName;
use crate::render::{PathPrefix, Route, RouteKey};

/// How the names of our ACLs begin.
pub(in crate::dataplane) const ACL_PREFIX: &str = "roster_";
/// What is compared with a host: without its port, in lower case.
pub(in crate::dataplane) const HOST: &str = "req.hdr(host),host_only,lower";
/// What is compared with a path.
pub(in crate::dataplane) const PATH: &str = "path_beg";

/// What an ACL of ours is true for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::dataplane) enum Condition {
    Host(HostName),
    Path(PathPrefix),
}

/// The name of the ACL that a line defines, and what it says if it is one of ours and can be read.
pub(in crate::dataplane) fn acl_of<'l>(line: &'l Line<'_>) -> Option<(&'l str, Option<Condition>)> {
    if line.word(0) != Some("acl") {
        return None;
    }
    let name = line.word(1).filter(|name| name.starts_with(ACL_PREFIX))?;
    let condition = match (line.words.len(), line.word(2), line.word(3), line.word(4), line.word(5)) {
        (6, Some(HOST), Some("-m"), Some("str"), Some(host)) => HostName::new(host).ok().map(Condition::Host),
        (4, Some(PATH), Some(path), ..) => PathPrefix::new(path).ok().map(Condition::Path),
        _ => None,
    };
    Some((name, condition))
}

/// The backend and the ACLs of a `use_backend` line of ours: one whose condition is made of our ACLs only.
pub(in crate::dataplane) fn rule_of<'l>(line: &'l Line<'_>) -> Option<(&'l str, Vec<&'l str>)> {
    if line.word(0) != Some("use_backend") || line.word(2) != Some("if") {
        return None;
    }
    let acls: Option<Vec<&str>> = (3..line.words.len()).map(|at| line.word(at)).collect();
    let acls = acls.filter(|acls| !acls.is_empty() && acls.iter().all(|acl| acl.starts_with(ACL_PREFIX)))?;
    Some((line.word(1)?, acls))
}

pub(super) fn read(section: &SectionView<'_>) -> Vec<Route> {
    let acls: Vec<_> = section.inside().filter_map(|(_, line)| acl_of(line)).collect();
    let condition = |name: &str| {
        let mut of_name = acls.iter().filter(|(acl, _)| *acl == name);
        // Of a name with two lines either makes it true: that is none of our routes.
        match (of_name.next(), of_name.next()) {
            (Some((_, condition)), None) => condition.clone(),
            _ => None,
        }
    };
    let route = |line: &Line<'_>| {
        let (to, names) = rule_of(line)?;
        let of = match (condition(names.first()?)?, names.get(1), names.len()) {
            (Condition::Host(host), None, _) => RouteKey::Host(host),
            (Condition::Path(path), None, _) => RouteKey::Path(path),
            (Condition::Host(host), Some(second), 2) => match condition(second)? {
                Condition::Path(path) => RouteKey::HostAndPath(host, path),
                Condition::Host(_) => return None,
            },
            _ => return None,
        };
        Some(Route { of, to: BackendName::new(to).ok()? })
    };
    section.inside().filter_map(|(_, line)| route(line)).collect()
}
