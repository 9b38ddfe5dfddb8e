//! How two texts differ, as far as HAProxy can tell.
//!
//! Two texts without a difference here are the same to HAProxy: their lines have the same words in the same order, but
//! for comments, blank lines and the blanks between words.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use super::edit::is_of_checks;
use super::reason::ReloadReason;
use super::scan::Line;
use super::view::{BackendView, FileView, SectionKind, SectionView, ServerView, acl_of, rule_of};

/// What is different in another text.
#[derive(Debug, Default)]
pub(super) struct Comparison<'v> {
    /// What only a reload brings.
    pub(super) reasons: Vec<ReloadReason>,
    /// Servers that differ in what can be changed live.
    pub(super) servers: Vec<Difference<'v>>,
    /// Servers that are new.
    pub(super) added: Vec<(&'v BackendView<'v>, &'v ServerView<'v>)>,
    /// Servers that are gone, by the names of their backends and their own.
    pub(super) removed: Vec<(String, String)>,
}

/// A server that points elsewhere, or has another weight, maintenance or port of checks. The rest of its line is the same.
#[derive(Debug)]
pub(super) struct Difference<'v> {
    pub(super) backend: &'v BackendView<'v>,
    pub(super) before: &'v ServerView<'v>,
    pub(super) after: &'v ServerView<'v>,
    /// Whether it points elsewhere.
    pub(super) is_elsewhere: bool,
}

/// Why servers that are new want a reload, one reason for each backend.
pub(super) fn growth(added: &[(&BackendView<'_>, &ServerView<'_>)]) -> Vec<ReloadReason> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (backend, _) in added {
        *counts.entry(backend.name.as_ref()).or_default() += 1;
    }
    let reason =
        |(backend, added): (&str, usize)| ReloadReason::SlotsFull { backend: backend.to_owned(), added };
    counts.into_iter().map(reason).collect()
}

/// Why servers that are gone want a reload, one reason for each backend.
pub(super) fn loss(removed: &[(String, String)]) -> Vec<ReloadReason> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (backend, _) in removed {
        *counts.entry(backend).or_default() += 1;
    }
    let reason = |(backend, removed): (&str, usize)| ReloadReason::ServersRemoved {
        backend: backend.to_owned(),
        removed,
    };
    counts.into_iter().map(reason).collect()
}

/// A text and what it says.
#[derive(Clone, Copy)]
pub(super) struct Read<'v> {
    pub(super) text: &'v str,
    pub(super) view: &'v FileView<'v>,
}

/// Compares two texts.
pub(super) fn compare<'v>(before: Read<'v>, after: Read<'v>) -> Comparison<'v> {
    let mut comparison = Comparison::default();
    let (old, new) = (keys(before.view), keys(after.view));
    let places: HashMap<&Key<'_>, usize> = old.iter().zip(0..).collect();
    let stays: HashSet<&Key<'_>> = new.iter().filter(|key| places.contains_key(key)).collect();
    let gone = old.iter().filter(|key| !stays.contains(key));
    comparison.reasons.extend(gone.map(|key| match key.0 {
        "backend" => ReloadReason::BackendRemoved(key.1.to_owned()),
        _ => ReloadReason::SectionChanged(format!("{} {}", key.0, key.1)),
    }));
    let (old, new_backends) = (before.sections(), after.sections());
    let mut last = None;
    for (key, section) in new.iter().zip(new_backends) {
        let Some(place) = places.get(key).copied() else {
            comparison.reasons.push(match key.0 {
                "backend" => ReloadReason::BackendNew(key.1.to_owned()),
                _ => ReloadReason::SectionChanged(format!("{} {}", key.0, key.1)),
            });
            continue;
        };
        if last.is_some_and(|last| last > place) {
            comparison.reasons.push(ReloadReason::SectionChanged(format!("{} {}", key.0, key.1)));
        }
        last = Some(place);
        if let Some(old) = old.get(place) {
            comparison.section(old, &section);
            comparison.servers(old, &section);
        }
    }
    comparison
}

/// Keyword, name, and how many of the same come before.
type Key<'v> = (&'v str, &'v str, usize);

fn keys<'v>(view: &'v FileView<'_>) -> Vec<Key<'v>> {
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    let key = |section: &'v SectionView<'_>| {
        let (keyword, name) = (section.keyword.as_ref(), section.name.as_ref());
        let count = counts.entry((keyword, name)).or_default();
        *count += 1;
        (keyword, name, *count)
    };
    view.sections.iter().map(key).collect()
}

/// A section, with its text and its servers.
struct Part<'v> {
    text: &'v str,
    section: &'v SectionView<'v>,
    backend: Option<&'v BackendView<'v>>,
}

impl<'v> Read<'v> {
    fn sections(self) -> Vec<Part<'v>> {
        let mut backends = self.view.backends.iter().peekable();
        let part = |(place, section): (usize, &'v SectionView<'v>)| {
            let backend = backends.next_if(|backend| backend.section == place);
            Part { text: self.text, section, backend }
        };
        self.view.sections.iter().enumerate().map(part).collect()
    }
}

impl<'v> Part<'v> {
    /// Its lines that say something, each with what it says; of a server's only whose it is.
    fn lines(&self) -> Vec<(String, &'v Line<'v>)> {
        let lines = self.section.lines.iter().skip(self.section.header);
        let said = lines.filter(|line| !line.words.is_empty());
        said.map(|line| (if self.is_server(line) { named(line) } else { raw(line, self.text) }, line))
            .collect()
    }

    /// Whether a line is that of a server that can be read.
    fn is_server(&self, line: &Line<'_>) -> bool {
        self.backend.is_some()
            && line.word(0) == Some("server")
            && line.word(1).is_some()
            && line.words.len() > 2
    }

    fn servers(&self) -> Vec<(&'v ServerView<'v>, &'v Line<'v>)> {
        let servers = self.backend.map_or(&[][..], |backend| &backend.servers);
        servers.iter().filter_map(|server| Some((server, self.section.lines.get(server.line)?))).collect()
    }

    /// What of a server's line cannot be changed live: all but address, weight, maintenance and the port of checks.
    fn shape(&self, server: &ServerView<'_>, line: &Line<'_>) -> Vec<&'v str> {
        let is_live = |word: Option<&str>| matches!(word, Some("weight" | "disabled" | "enabled" | "port"));
        let keywords = server.keywords.iter().filter(|keyword| !is_live(line.word(keyword.at)));
        keywords
            .flat_map(|keyword| keyword.at..keyword.at + keyword.len)
            .map(|at| self.word(line, at))
            .collect()
    }

    /// A word as it is written.
    fn word(&self, line: &Line<'_>, at: usize) -> &'v str {
        line.words.get(at).and_then(|word| self.text.get(word.range.clone())).unwrap_or_default()
    }
}

impl<'v> Comparison<'v> {
    /// Compares all of two sections but what the lines of servers say.
    fn section(&mut self, before: &Part<'v>, after: &Part<'v>) {
        let (old, new) = (before.lines(), after.lines());
        let texts = |lines: &[(String, &'v Line<'v>)]| -> Vec<String> {
            lines.iter().map(|(text, _)| text.clone()).collect()
        };
        if texts(&old) == texts(&new) {
            return;
        }
        let split = |part: &Part<'v>, lines: Vec<(String, &'v Line<'v>)>| -> (Vec<_>, Vec<_>) {
            lines.into_iter().partition(|(_, line)| part.is_server(line))
        };
        let ((old_servers, old), (new_servers, new)) = (split(before, old), split(after, new));
        let names = |servers: Vec<(String, &Line<'_>)>| -> Vec<String> {
            servers.into_iter().map(|(name, _)| name).collect()
        };
        let (old_names, new_names) = (names(old_servers), names(new_servers));
        let had: BTreeSet<&String> = old_names.iter().collect();
        let has: BTreeSet<&String> = new_names.iter().collect();
        let stayed = old_names.iter().filter(|name| has.contains(name));
        let is_sorted_anew = !stayed.eq(new_names.iter().filter(|name| had.contains(name)));
        let backend = after.section.name.as_ref();
        let gone = had.difference(&has).filter_map(|name| name.strip_prefix(SERVER));
        self.removed.extend(gone.map(|server| (backend.to_owned(), server.to_owned())));
        if texts(&old) != texts(&new) || had == has || is_sorted_anew {
            self.reasons.push(head_reason(after.section, &old, &new));
        }
    }

    /// Compares what the lines of servers say, the first of a name with the first.
    fn servers(&mut self, before: &Part<'v>, after: &Part<'v>) {
        let Some(backend) = after.backend else { return };
        let mut old: HashMap<&str, VecDeque<_>> = HashMap::new();
        for (server, line) in before.servers() {
            old.entry(server.name.as_ref()).or_default().push_back((server, line));
        }
        for (server, line) in after.servers() {
            let Some((was, old_line)) = old.get_mut(server.name.as_ref()).and_then(VecDeque::pop_front)
            else {
                self.added.push((backend, server));
                continue;
            };
            let is_elsewhere = was.endpoint != server.endpoint
                || (was.endpoint.is_none() && before.word(old_line, 2) != after.word(line, 2));
            if before.shape(was, old_line) != after.shape(server, line) {
                let (backend, server) = (backend.name.to_string(), server.name.to_string());
                self.reasons.push(ReloadReason::ServerChanged { backend, server });
            } else if is_elsewhere || differ(was, server) {
                self.servers.push(Difference { backend, before: was, after: server, is_elsewhere });
            }
        }
    }
}

fn head_reason(
    section: &SectionView<'_>,
    old: &[(String, &Line<'_>)],
    new: &[(String, &Line<'_>)],
) -> ReloadReason {
    let name = section.name.to_string();
    let others = |lines: &[(String, &Line<'_>)], ours: fn(&Line<'_>) -> bool| -> Vec<String> {
        lines.iter().filter(|(_, line)| !ours(line)).map(|(text, _)| text.clone()).collect()
    };
    let only = |ours: fn(&Line<'_>) -> bool| others(old, ours) == others(new, ours);
    let routes: fn(&Line<'_>) -> bool = |line| acl_of(line).is_some() || rule_of(line).is_some();
    match section.kind {
        SectionKind::Backend | SectionKind::Listen if !only(|_| false) && only(is_of_checks) => {
            ReloadReason::ChecksChanged(name)
        }
        SectionKind::Backend | SectionKind::Listen => ReloadReason::BackendChanged(name),
        SectionKind::Frontend if only(routes) => ReloadReason::RoutesChanged(name),
        _ => ReloadReason::SectionChanged(format!("{} {name}", section.keyword)),
    }
}

/// The words as they are written.
fn raw(line: &Line<'_>, text: &str) -> String {
    let words = line.words.iter().filter_map(|word| text.get(word.range.clone()));
    words.collect::<Vec<_>>().join(" ")
}

/// What stands before its name where a line is about a server.
const SERVER: &str = "server ";

/// Which server a line is about.
fn named(line: &Line<'_>) -> String {
    format!("{SERVER}{}", line.word(1).unwrap_or_default())
}

fn differ(one: &ServerView<'_>, other: &ServerView<'_>) -> bool {
    one.start_weight() != other.start_weight()
        || one.disabled != other.disabled
        || one.start_check_port() != other.start_check_port()
}
