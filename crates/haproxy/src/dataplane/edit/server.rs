//! Changes to `server` lines.

use std::collections::HashMap;
use std::ops::Range;

use super::patch::{Patches, indentation};
use super::{EditError, ServerChange, ServerShape, WeightChange};
use crate::dataplane::alike;
use crate::dataplane::keywords::{self, Keyword};
use crate::dataplane::scan::{Line, lines};
use crate::dataplane::view::{BackendView, FileView, SectionView, ServerView};
use crate::keywords::ServerKeywords;
use crate::name::{BackendName, ServerName};
use crate::render::{ServerLine, server_text};
use crate::version::Version;
use crate::weight::Weight;

/// Backends and servers by their names: there may be thousands of changes.
pub(super) struct Index<'v> {
    view: &'v FileView<'v>,
    backends: HashMap<&'v str, Named<'v>>,
}

struct Named<'v> {
    backend: &'v BackendView<'v>,
    twice: bool,
    /// None where two have the name.
    servers: HashMap<&'v str, Option<&'v ServerView<'v>>>,
}

impl<'v> Index<'v> {
    pub(super) fn new(view: &'v FileView<'v>) -> Self {
        let mut backends: HashMap<&str, Named<'_>> = HashMap::with_capacity(view.backends.len());
        for backend in &view.backends {
            if let Some(before) = backends.get_mut(backend.name.as_ref()) {
                before.twice = true;
                continue;
            }
            let mut servers = HashMap::with_capacity(backend.servers.len());
            for server in &backend.servers {
                servers.entry(server.name.as_ref()).and_modify(|one| *one = None).or_insert(Some(server));
            }
            backends.insert(&backend.name, Named { backend, twice: false, servers });
        }
        Self { view, backends }
    }

    fn backend(&self, name: &BackendName) -> Result<(&Named<'v>, &'v SectionView<'v>), EditError> {
        let unknown = || EditError::NoBackend(name.clone());
        let named = self.backends.get(name.as_str()).ok_or_else(unknown)?;
        if named.twice {
            return Err(EditError::Twice { backend: name.clone(), name: name.to_string() });
        }
        let section = self.view.sections.get(named.backend.section).ok_or_else(unknown)?;
        if section.conditional {
            return Err(EditError::Conditional(name.to_string()));
        }
        Ok((named, section))
    }
}

impl<'v> Named<'v> {
    fn server(&self, name: &ServerName) -> Result<Option<&'v ServerView<'v>>, EditError> {
        match self.servers.get(name.as_str()) {
            Some(None) => {
                let backend = BackendName::new(&self.backend.name);
                let name = name.to_string();
                Err(backend.map_or(EditError::Conditional(name.clone()), |backend| EditError::Twice {
                    backend,
                    name,
                }))
            }
            found => Ok(found.copied().flatten()),
        }
    }
}

pub(super) fn change(
    index: &Index<'_>,
    backend: &BackendName,
    server: &ServerName,
    change: ServerChange,
    patches: &mut Patches,
) -> Result<(), EditError> {
    if let Some((line, view)) = line(index, backend, server)? {
        Changer { line, view, patches }.make(change);
    }
    Ok(())
}

pub(super) fn shape(
    index: &Index<'_>,
    backend: &BackendName,
    server: &ServerName,
    shape: &ServerShape,
    patches: &mut Patches,
) -> Result<(), EditError> {
    if let Some((line, view)) = line(index, backend, server)? {
        Changer { line, view, patches }.shape(shape);
    }
    Ok(())
}

/// The line of a server, and what it says.
fn line<'v>(
    index: &Index<'v>,
    backend: &BackendName,
    server: &ServerName,
) -> Result<Option<(&'v Line<'v>, &'v ServerView<'v>)>, EditError> {
    let (named, section) = index.backend(backend)?;
    let Some(view) = named.server(server)? else {
        let (of_template, backend, server) =
            (named.backend.is_made_of_template(server.as_str()), backend.clone(), server.clone());
        return Err(if of_template {
            EditError::OfTemplate { backend, server }
        } else {
            EditError::NoServer { backend, server }
        });
    };
    Ok(section.lines.get(view.line).map(|line| (line, view)))
}

pub(super) fn add(
    text: &str,
    index: &Index<'_>,
    backend: &BackendName,
    server: &ServerLine,
    version: Version,
    patches: &mut Patches,
) -> Result<(), EditError> {
    let (named, section) = index.backend(backend)?;
    let rendered = server_text(server, version);
    if let Some(there) = named.server(&server.name)? {
        let is_alike = section.lines.get(there.line).is_some_and(|line| alike::is_line(line, &rendered));
        let (backend, server) = (backend.clone(), server.name.clone());
        return if is_alike { Ok(()) } else { Err(EditError::ServerExists { backend, server }) };
    }
    if named.backend.is_made_of_template(server.name.as_str()) {
        let (backend, server) = (backend.clone(), server.name.clone());
        return Err(EditError::ServerExists { backend, server });
    }
    let (at, before) = place(section);
    let indentation = before.map_or("    ", |line| indentation(text, &line.range));
    patches.insert(at, format!("{indentation}{}\n", rendered.trim()));
    Ok(())
}

/// Where a server is added: behind the last one, else behind the last line that says something. And a line to stand
/// like.
fn place<'l, 't>(section: &'l SectionView<'t>) -> (usize, Option<&'l Line<'t>>) {
    let servers = section.inside().filter(|(_, line)| line.word(0) == Some("server"));
    let last = servers.last().or_else(|| section.inside().last());
    match (last, section.lines.get(section.header)) {
        (Some((_, line)), _) => (line.range.end, Some(line)),
        (None, header) => (header.map_or(section.range.end, |line| line.range.end), None),
    }
}

pub(super) fn remove(
    index: &Index<'_>,
    backend: &BackendName,
    server: &ServerName,
    patches: &mut Patches,
) -> Result<(), EditError> {
    let (named, section) = match index.backend(backend) {
        Err(EditError::NoBackend(_)) => return Ok(()),
        found => found?,
    };
    match named.server(server)? {
        Some(there) => {
            if let Some(line) = section.lines.get(there.line) {
                patches.remove(line.range.clone());
            }
            Ok(())
        }
        None if named.backend.is_made_of_template(server.as_str()) => {
            Err(EditError::OfTemplate { backend: backend.clone(), server: server.clone() })
        }
        None => Ok(()),
    }
}

/// Changes words of one line.
struct Changer<'l, 't> {
    line: &'l Line<'t>,
    view: &'l ServerView<'t>,
    patches: &'l mut Patches,
}

impl Changer<'_, '_> {
    fn make(&mut self, change: ServerChange) {
        if let Some(to) = change.endpoint.filter(|to| self.view.endpoint != Some(*to))
            && let Some(word) = self.line.words.get(2)
        {
            self.patches.replace(word.range.clone(), to.to_string());
        }
        match change.weight {
            WeightChange::Keep => {}
            WeightChange::Set(to) if self.view.start_weight() == to => {}
            // It starts with that without a word on its line.
            WeightChange::Set(to) if self.view.defaults.weight.unwrap_or(Weight::ONE) == to => {
                self.take_out("weight");
            }
            WeightChange::Set(to) => self.set("weight", &to.to_string()),
            WeightChange::Remove => self.take_out("weight"),
        }
        if let Some(to) = change.check_port.filter(|to| self.view.start_check_port() != Some(*to)) {
            self.set("port", &to.to_string());
        }
        match change.disabled {
            Some(to) if to != self.view.disabled => self.disable(to),
            _ => {}
        }
    }

    fn shape(&mut self, shape: &ServerShape) {
        let ServerShape { check, cookie } = shape.clone();
        if check.is_some() {
            self.take_out("no-check");
        }
        let text = ServerKeywords { cookie, check, ..ServerKeywords::default() }.to_string();
        for line in lines(&text) {
            for keyword in keywords::cut(&line.words, 0) {
                match (line.word(keyword.at), line.word(keyword.at + 1)) {
                    (Some(name), Some(value)) if keyword.len == 2 => self.set(name, value),
                    (Some(name), _) if self.of(name).next().is_none() => self.add(name),
                    _ => {}
                }
            }
        }
    }

    /// The last keyword of a name counts.
    fn set(&mut self, name: &str, value: &str) {
        match self.of(name).last() {
            Some(Keyword { at, len: 2, .. }) => {
                if let Some(word) = self.line.words.get(at + 1) {
                    self.patches.replace(word.range.clone(), value);
                }
            }
            Some(_) => self.patches.insert(self.line.words_end(), format!(" {value}")),
            None => self.patches.insert(self.behind_address(), format!(" {name} {value}")),
        }
    }

    fn disable(&mut self, to: bool) {
        let (word, opposite) = if to { ("disabled", "enabled") } else { ("enabled", "disabled") };
        let is_there = self.of(word).next().is_some();
        self.take_out(opposite);
        if !is_there && self.view.defaults.disabled != to {
            self.add(word);
        }
    }

    fn add(&mut self, word: &str) {
        // Behind a keyword that is not known it might be taken for its value.
        let at = if self.view.understood { self.line.words_end() } else { self.behind_address() };
        self.patches.insert(at, format!(" {word}"));
    }

    fn take_out(&mut self, name: &str) {
        let ranges: Vec<Range<usize>> = self.of(name).filter_map(|keyword| self.range(keyword)).collect();
        for range in ranges {
            self.patches.remove(range);
        }
    }

    fn of(&self, name: &str) -> impl Iterator<Item = Keyword> {
        let of_name = |keyword: &&Keyword| self.line.word(keyword.at) == Some(name);
        self.view.keywords.iter().filter(of_name).copied().collect::<Vec<_>>().into_iter()
    }

    /// A keyword and the blanks before it.
    fn range(&self, keyword: Keyword) -> Option<Range<usize>> {
        let before = self.line.words.get(keyword.at.checked_sub(1)?)?;
        let last = self.line.words.get(keyword.at + keyword.len - 1)?;
        Some(before.range.end..last.range.end)
    }

    fn behind_address(&self) -> usize {
        self.line.words.get(2).map_or(self.line.words_end(), |word| word.range.end)
    }
}
