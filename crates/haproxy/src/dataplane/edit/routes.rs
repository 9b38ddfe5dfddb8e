//! Our routes in a frontend of the operator's.
//!
//! A request goes where the first `use_backend` that fits says (configuration manual 4.2). Ours stand behind the
//! operator's, and among themselves so that a host wins over none and then the longer path does, as in
//! [`render`](crate::render).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use sha1::{Digest as _, Sha1};

use super::EditError;
use super::patch::{Patches, indentation};
use crate::dataplane::scan::Line;
use crate::dataplane::view::{ACL_PREFIX, Condition, FileView, HOST, PATH, SectionView, acl_of, rule_of};
use crate::render::{FrontendName, Route, RouteKey};

/// A `use_backend` line that is wanted.
#[derive(Clone, Debug)]
struct Rule<'r> {
    to: &'r str,
    acls: Vec<String>,
    rank: Rank,
}

/// What stands first: routes with a host and a path, with a host, with a path; the longer path before.
type Rank = (u8, Reverse<usize>, String);

/// What becomes of a frontend's lines.
struct RouteChanges<'l, 't, 'r> {
    /// The ACLs to take out, each with its place among all of the section.
    acls_out: Vec<(usize, &'l Line<'t>)>,
    /// The ACLs to put in, by name.
    acls_in: BTreeMap<String, Condition>,
    /// The rules to take out, each with its place among all of the section.
    rules_out: Vec<(usize, &'l Line<'t>)>,
    /// The rules to put in, each with the place of the rule that it comes before; behind all of ours without.
    rules_in: Vec<(Rule<'r>, Option<(usize, &'l Line<'t>)>)>,
    /// The last rule of ours that stays.
    last_kept: Option<(usize, &'l Line<'t>)>,
}

pub(super) fn set(
    text: &str,
    view: &FileView<'_>,
    frontend: &FrontendName,
    routes: &[Route],
    patches: &mut Patches,
) -> Result<(), EditError> {
    let section = find(view, frontend, !routes.is_empty())?;
    let changes = changes(section, routes);
    let lines = || section.inside().map(|(_, line)| line);
    let is_rule = |line: &&Line<'_>| line.word(0) == Some("use_backend");
    let is_default = |line: &&Line<'_>| line.word(0) == Some("default_backend");
    let end = lines().last().or(section.lines.get(section.header)).map_or(section.range.end, |l| l.range.end);
    let blanks = lines().last().map_or("    ", |line| indentation(text, &line.range));

    let last_rule = changes.last_kept.map(|(_, line)| line).or_else(|| lines().filter(is_rule).last());
    let before_default = || lines().find(is_default).map_or(end, |line| line.range.start);
    let rules_end = last_rule.map_or_else(before_default, |line| line.range.end);
    let rule_at = |before: Option<(usize, &Line<'_>)>| before.map_or(rules_end, |(_, line)| line.range.start);

    // HAProxy must know an ACL before the first line that names it.
    let last_acl = lines().filter(|line| line.word(0) == Some("acl")).last();
    let first_rule = lines().find(is_rule).map(|line| line.range.start);
    let first_new = changes.rules_in.iter().map(|(_, before)| rule_at(*before)).min();
    let bounds = first_rule.into_iter().chain(first_new).min().unwrap_or(end);
    let acls_at = last_acl.map_or(bounds, |line| line.range.end).min(bounds);

    for (name, condition) in &changes.acls_in {
        patches.insert(acls_at, format!("{blanks}acl {name} {}\n", condition.text()));
    }
    for (rule, before) in &changes.rules_in {
        patches.insert(
            rule_at(*before),
            format!("{blanks}use_backend {} if {}\n", rule.to, rule.acls.join(" ")),
        );
    }
    let out = changes.acls_out.iter().chain(&changes.rules_out);
    out.for_each(|(_, line)| patches.remove(line.range.clone()));
    Ok(())
}

/// The section of a frontend that can have routes.
fn find<'v, 't>(
    view: &'v FileView<'t>,
    frontend: &FrontendName,
    http: bool,
) -> Result<&'v SectionView<'t>, EditError> {
    let unknown = || EditError::NoFrontend(frontend.clone());
    let there = view.frontend(frontend.as_str()).ok_or_else(unknown)?;
    let section = view.sections.get(there.section).ok_or_else(unknown)?;
    if section.conditional {
        return Err(EditError::Conditional(frontend.to_string()));
    }
    if http && there.mode != "http" {
        return Err(EditError::NotHttp(frontend.clone()));
    }
    Ok(section)
}

/// What it takes to have these routes of ours and no others.
fn changes<'l, 't, 'r>(section: &'l SectionView<'t>, routes: &'r [Route]) -> RouteChanges<'l, 't, 'r> {
    let mut seen = HashSet::new();
    let first = routes.iter().filter(|route| seen.insert(route.of.to_string()));
    let mut wanted: Vec<(Rule<'r>, Vec<Condition>)> = first.map(rule).collect();
    wanted.sort_by(|(one, _), (other, _)| one.rank.cmp(&other.rank));
    let mut acls_in: BTreeMap<String, Condition> =
        wanted.iter().flat_map(|(_, conditions)| conditions).map(|one| (one.name(), one.clone())).collect();
    let acls_out = acls_out(section, &mut acls_in);
    let (rules_out, kept) = rules_out(section, &wanted);
    let ranks: Vec<_> = kept.iter().map(|(_, line, rank)| (*rank, *line)).collect();
    let is_kept: HashSet<&Rank> = ranks.iter().map(|(rank, _)| *rank).collect();
    let kept_lines: Vec<(&Rank, (usize, &Line<'t>))> =
        kept.iter().map(|(at, line, rank)| (*rank, (*at, *line))).collect();
    let new = wanted.iter().filter(|(rule, _)| !is_kept.contains(&rule.rank)).map(|(rule, _)| {
        let next = kept_lines.partition_point(|(rank, _)| **rank < rule.rank);
        (rule.clone(), kept_lines.get(next).map(|(_, place)| *place))
    });
    let rules_in = new.collect();
    let last_kept = kept_lines.last().map(|(_, place)| *place);
    RouteChanges { acls_out, acls_in, rules_out, rules_in, last_kept }
}

/// The ACLs of ours that are not wanted, or not as they are; those that are there as wanted leave `wanted`.
fn acls_out<'l, 't>(
    section: &'l SectionView<'t>,
    wanted: &mut BTreeMap<String, Condition>,
) -> Vec<(usize, &'l Line<'t>)> {
    let others = section.inside().map(|(_, line)| line);
    let others = others.filter(|line| acl_of(line).is_none() && rule_of(line).is_none());
    let named: BTreeSet<&str> = others
        .flat_map(|line| (1..line.words.len()).filter_map(|at| line.word(at)))
        .map(|word| word.trim_start_matches('!'))
        .filter(|word| word.starts_with(ACL_PREFIX))
        .collect();
    let acls = section.inside().map(|(_, line)| line).filter(|line| line.word(0) == Some("acl"));
    let mut out = Vec::new();
    for (at, line) in acls.enumerate() {
        let Some((name, condition)) = acl_of(line) else { continue };
        match condition {
            Some(condition) if wanted.get(name) == Some(&condition) => _ = wanted.remove(name),
            // A line of the operator's names it: HAProxy would refuse the file without it.
            _ if named.contains(name) => {}
            _ => out.push((at, line)),
        }
    }
    out
}

type Kept<'l, 't, 'w> = Vec<(usize, &'l Line<'t>, &'w Rank)>;

/// The rules of ours that are not wanted or out of order, and those that stay.
fn rules_out<'l, 't, 'w>(
    section: &'l SectionView<'t>,
    wanted: &'w [(Rule<'_>, Vec<Condition>)],
) -> (Vec<(usize, &'l Line<'t>)>, Kept<'l, 't, 'w>) {
    let ranks: BTreeMap<(&str, Vec<&str>), &'w Rank> = wanted
        .iter()
        .map(|(rule, _)| ((rule.to, rule.acls.iter().map(String::as_str).collect()), &rule.rank))
        .collect();
    let (mut out, mut kept): (Vec<_>, Kept<'l, 't, 'w>) = (Vec::new(), Vec::new());
    let rules = section.inside().map(|(_, line)| line).filter(|line| line.word(0) == Some("use_backend"));
    for (at, line) in rules.enumerate() {
        let Some(rule) = rule_of(line) else { continue };
        match ranks.get(&rule) {
            Some(rank) if kept.last().is_none_or(|(_, _, last)| *last < *rank) => {
                kept.push((at, line, *rank));
            }
            _ => out.push((at, line)),
        }
    }
    (out, kept)
}

fn rule(route: &Route) -> (Rule<'_>, Vec<Condition>) {
    let (conditions, first, length) = match &route.of {
        RouteKey::HostAndPath(host, path) => {
            (vec![Condition::host(host), Condition::Path(path.clone())], 0, path.as_str().len())
        }
        RouteKey::Host(host) => (vec![Condition::host(host)], 1, 0),
        RouteKey::Path(path) => (vec![Condition::Path(path.clone())], 2, path.as_str().len()),
    };
    let acls = conditions.iter().map(Condition::name).collect();
    (Rule { to: route.to.as_str(), acls, rank: (first, Reverse(length), route.of.to_string()) }, conditions)
}

impl Condition {
    /// Hosts are compared in lower case.
    fn host(host: &crate::keywords::HostName) -> Self {
        let lower = crate::keywords::HostName::new(&host.as_str().to_ascii_lowercase());
        Self::Host(lower.unwrap_or_else(|_| host.clone()))
    }

    /// What stands behind the ACL's name.
    fn text(&self) -> String {
        match self {
            Self::Host(host) => format!("{HOST} -m str {}", host.as_str()),
            Self::Path(path) => format!("{PATH} {path}"),
        }
    }

    /// The ACL's name: the same for the same condition on every machine, another for any other.
    fn name(&self) -> String {
        let digest = Sha1::digest(self.text());
        let hex = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        std::iter::once(ACL_PREFIX.to_owned()).chain(hex).collect()
    }
}
