//! Whole backends of ours, and what their checks ask.

use std::collections::{HashMap, HashSet};

use super::EditError;
use super::patch::{Patches, indentation};
use crate::dataplane::alike;
use crate::dataplane::mark::Mark;
use crate::dataplane::scan::{Line, lines};
use crate::dataplane::view::{BackendView, FileView, SectionKind, SectionView};
use crate::name::BackendName;
use crate::render::{Backend, HttpCheck, Mode, Pool, backend_text};
use crate::version::Version;

pub(super) fn put(
    text: &str,
    view: &FileView<'_>,
    mark: &Mark,
    backend: &Backend,
    version: Version,
    patches: &mut Patches,
) -> Result<(), EditError> {
    let (wanted, _) = backend_text(backend, version);
    let Some((there, section)) = find(view, &backend.name)? else {
        let gap = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n" };
        let added = format!("{gap}{mark}\n{wanted}");
        if ends_in_condition(text, &added, &backend.name) {
            return Err(EditError::Conditional(backend.name.to_string()));
        }
        if !patches.has_at(text.len()) {
            keep_end(text, view, patches);
        }
        patches.insert(text.len(), added);
        return Ok(());
    };
    if there.mark.is_none() || section.kind != SectionKind::Backend {
        return Err(not_ours(mark, &backend.name));
    }
    set_mark(section, mark, patches);
    let wanted_lines: Vec<Line<'_>> = lines(&wanted).collect();
    // The first line stays: it may name `defaults`.
    let body = wanted_lines.get(1..).unwrap_or_default();
    let (have, want) = (Parts::of_section(section), Parts::of_lines(body));
    let header = section.lines.get(section.header);
    if alike::are(have.head.iter().copied(), want.head.iter().copied()) {
        servers(text, section, &have, &wanted, &want, patches);
    } else if let (Some(header), Some(first)) = (header, body.first()) {
        let body = wanted.get(first.range.start..).unwrap_or_default();
        patches.replace(header.range.end..content_end(section), body);
    }
    Ok(())
}

/// Lets the comments at the end of a text stay with the section that they follow. One that begins its line belongs to what
/// comes behind it, and would stand above a section that is added.
fn keep_end(text: &str, view: &FileView<'_>, patches: &mut Patches) {
    let lines =
        view.sections.last().map(|section| section.lines.get(section.header + 1..).unwrap_or_default());
    let at_end = lines.unwrap_or_default().iter().rev().take_while(|line| line.words.is_empty());
    let begins = |line: &&Line<'_>| text.as_bytes().get(line.range.start) == Some(&b'#');
    for comment in at_end.filter(begins) {
        patches.insert(comment.range.start, "  ");
    }
}

/// A text with a section, and its mark, behind the last one.
pub fn with_section(text: &str, section: &str) -> String {
    let mut patches = Patches::default();
    if !section.is_empty() {
        keep_end(text, &FileView::read(text), &mut patches);
    }
    let mut whole = patches.apply(text).unwrap_or_else(|| text.to_owned());
    whole.push_str(section);
    whole
}

/// One that has a mark keeps it, also one of another service.
pub(super) fn mark(
    view: &FileView<'_>,
    mark: &Mark,
    backend: &BackendName,
    patches: &mut Patches,
) -> Result<(), EditError> {
    let (there, section) = find(view, backend)?.ok_or_else(|| EditError::NoBackend(backend.clone()))?;
    if there.mark.is_none() {
        set_mark(section, mark, patches);
    }
    Ok(())
}

/// Whether an `.if` that does not end would take in what is added.
fn ends_in_condition(text: &str, added: &str, name: &BackendName) -> bool {
    text.contains(".if") && {
        let whole = format!("{text}\n{added}");
        let view = FileView::read(&whole);
        let section = view.backend(name.as_str()).and_then(|backend| view.sections.get(backend.section));
        section.is_none_or(|section| section.conditional)
    }
}

/// The lines of a backend that say something.
struct Parts<'l, 't> {
    head: Vec<&'l Line<'t>>,
    servers: Vec<&'l Line<'t>>,
}

impl<'l, 't> Parts<'l, 't> {
    fn of_section(section: &'l SectionView<'t>) -> Self {
        Self::of_lines(section.lines.get(section.header + 1..).unwrap_or_default())
    }

    fn of_lines(lines: &'l [Line<'t>]) -> Self {
        let said = lines.iter().filter(|line| !line.words.is_empty());
        let (servers, head) = said.partition(|line| line.word(0) == Some("server"));
        Self { head, servers }
    }
}

/// Makes the servers those that are wanted; a line that says the same stays.
fn servers(
    text: &str,
    section: &SectionView<'_>,
    have: &Parts<'_, '_>,
    wanted: &str,
    want: &Parts<'_, '_>,
    patches: &mut Patches,
) {
    let name = |line: &Line<'_>| line.word(1).map(str::to_owned);
    let there: HashMap<_, _> = have.servers.iter().map(|line| (name(line), *line)).collect();
    let kept: HashSet<_> = want.servers.iter().map(|line| name(line)).collect();
    let last = have.servers.last().copied().or(have.head.last().copied());
    let end = last.map_or_else(|| content_end(section), |line| line.range.end);
    let blanks = last.map_or("    ", |line| indentation(text, &line.range));
    for line in &have.servers {
        if !kept.contains(&name(line)) {
            patches.remove(line.range.clone());
        }
    }
    for line in &want.servers {
        let new = wanted.get(line.range.clone()).unwrap_or_default();
        match there.get(&name(line)) {
            None => patches.insert(end, format!("{blanks}{}\n", new.trim())),
            Some(old) if alike::is_line(old, new) => {}
            Some(old) => {
                let blanks = indentation(text, &old.range);
                patches.replace(old.range.clone(), format!("{blanks}{}\n", new.trim()));
            }
        }
    }
}

pub(super) fn remove(
    view: &FileView<'_>,
    mark: &Mark,
    backend: &BackendName,
    patches: &mut Patches,
) -> Result<(), EditError> {
    let Some((there, section)) = find(view, backend)? else { return Ok(()) };
    if there.mark.as_ref() != Some(mark) || section.kind != SectionKind::Backend {
        return Err(not_ours(mark, backend));
    }
    // Comments above it that are not ours stay, and so do those behind its last line.
    let above = section.lines.iter().take(section.header);
    let marks = above.filter(|line| line.comment.is_some_and(|comment| Mark::read(comment).is_some()));
    marks.for_each(|line| patches.remove(line.range.clone()));
    let content_end = content_end(section);
    let rest = section.lines.iter().skip_while(|line| line.range.start < content_end);
    let blank_end = rest.take_while(|line| line.is_blank()).last().map_or(content_end, |line| line.range.end);
    if let Some(header) = section.lines.get(section.header) {
        patches.remove(header.range.start..blank_end);
    }
    Ok(())
}

pub(super) fn checks(
    text: &str,
    view: &FileView<'_>,
    backend: &BackendName,
    check: Option<&HttpCheck>,
    version: Version,
    patches: &mut Patches,
) -> Result<(), EditError> {
    let (there, section) = find(view, backend)?.ok_or_else(|| EditError::NoBackend(backend.clone()))?;
    if there.mark.is_none() {
        return Err(EditError::NotMarked(backend.clone()));
    }
    let asks = |line: &&Line<'_>| is_of_checks(line);
    let wanted = check_text(backend, check, version);
    let want: Vec<Line<'_>> = lines(&wanted).collect();
    let have: Vec<&Line<'_>> = section.inside().map(|(_, line)| line).filter(asks).collect();
    if alike::are(have.iter().copied(), want.iter()) {
        return Ok(());
    }
    for line in &have {
        patches.remove(line.range.clone());
    }
    let server = || section.inside().map(|(_, line)| line).find(|line| line.word(0) == Some("server"));
    let like = have.first().copied().or_else(server);
    let at = like.map_or_else(|| content_end(section), |line| line.range.start);
    let blanks = like.map_or("    ", |line| indentation(text, &line.range));
    let indented = wanted.lines().flat_map(|line| [blanks, line.trim(), "\n"]);
    let new: String = indented.collect();
    if !new.is_empty() {
        patches.insert(at, new);
    }
    Ok(())
}

/// Whether a line is one of those that say what checks ask.
pub(in crate::dataplane) fn is_of_checks(line: &Line<'_>) -> bool {
    line.word(0) == Some("http-check") || (line.word(0), line.word(1)) == (Some("option"), Some("httpchk"))
}

/// The lines that a backend with such a check has, as they are always written.
fn check_text(name: &BackendName, check: Option<&HttpCheck>, version: Version) -> String {
    let pool = Pool { check: check.cloned(), ..Pool::default() };
    let backend =
        Backend { name: name.clone(), mode: Mode::Http, strip_prefix: None, lines: Vec::new(), pool };
    let (text, _) = backend_text(&backend, version);
    let line = |line: Line<'_>| is_of_checks(&line).then(|| text.get(line.range.clone())).flatten();
    lines(&text).filter_map(line).collect()
}

fn find<'v, 't>(
    view: &'v FileView<'t>,
    name: &BackendName,
) -> Result<Option<(&'v BackendView<'t>, &'v SectionView<'t>)>, EditError> {
    let mut of_name = view.backends.iter().filter(|backend| backend.name == name.as_str());
    let (Some(there), next) = (of_name.next(), of_name.next()) else { return Ok(None) };
    if next.is_some() {
        return Err(EditError::Twice { backend: name.clone(), name: name.to_string() });
    }
    match view.sections.get(there.section) {
        Some(section) if section.conditional => Err(EditError::Conditional(name.to_string())),
        section => Ok(section.map(|section| (there, section))),
    }
}

fn set_mark(section: &SectionView<'_>, mark: &Mark, patches: &mut Patches) {
    let above = section.lines.iter().take(section.header).rev();
    let mut marks = above.filter_map(|line| Some((line, Mark::read(line.comment?)?)));
    match (marks.next(), section.lines.get(section.header)) {
        (Some((_, there)), _) if there == *mark => {}
        (Some((line, _)), _) => patches.replace(line.range.clone(), format!("{mark}\n")),
        (None, Some(header)) if header.comment.and_then(Mark::read).as_ref() == Some(mark) => {}
        (None, _) => {
            let at = section.lines.get(section.header).map_or(section.range.start, |line| line.range.start);
            patches.insert(at, format!("{mark}\n"));
        }
    }
}

/// Where the last line ends that says something.
fn content_end(section: &SectionView<'_>) -> usize {
    let last = section.lines.iter().rev().find(|line| !line.words.is_empty());
    last.map_or(section.range.end, |line| line.range.end)
}

fn not_ours(mark: &Mark, backend: &BackendName) -> EditError {
    EditError::NotOurs { backend: backend.clone(), service: mark.service.clone() }
}
