//! Crt-lists: `show ssl crt-list -n` beside the file's text (management manual 9.3, `add ssl crt-list`; configuration
//! manual 5.1).
//!
//! A line that is added stands last. Of two lines for one name the one that came first counts, so a line whose names
//! another one has too is added anew where their order is wrong; replacing a certificate puts it behind the others, which
//! HAProxy does not show, so this is made good in the same call or not before the next reload. The list's first certificate is also for clients that
//! ask for no known name, and HAProxy neither deletes nor moves it, unless every bind of the list has `strict-sni`.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::certificate::{Held, ShownCertificate};
use super::{Change, NeedsReload, Unread};
use crate::cli::command::{CrtLine, FileCommand};
use crate::render::FilePath;

/// What the first line of a list is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum First {
    /// The certificate for clients that ask for no known name.
    Default,
    /// As any other: every bind of the list has `strict-sni`.
    Any,
}

/// A line of a list as it is written.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Line<'t> {
    /// The certificate's file.
    pub certificate: &'t str,
    /// What stands in brackets.
    options: Vec<&'t str>,
    /// The names, in the order of the alphabet.
    names: BTreeSet<&'t str>,
}

/// A line of a list as HAProxy shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShownLine<'t> {
    /// Its number, by which it can be deleted.
    number: u32,
    line: Line<'t>,
}

/// What brings a list to its file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CrtListPlan {
    /// What adds lines.
    pub add: Vec<FileCommand>,
    /// What takes lines away, once all were added.
    pub delete: Vec<FileCommand>,
    /// What these cannot bring about.
    pub left: Vec<NeedsReload>,
}

/// Reads the answer to `show ssl crt-list -n PATH`.
pub fn parse(text: &str) -> Result<Vec<ShownLine<'_>>, Unread> {
    if text.trim().starts_with("didn't find the specified filename") {
        return Err(Unread::Unknown);
    }
    let read = |text| {
        let mut line = line(text)?;
        let (certificate, number) = line.certificate.rsplit_once(':')?;
        line.certificate = certificate;
        Some(ShownLine { number: number.parse().ok()?, line })
    };
    lines(text).map(|one| read(one).ok_or_else(|| Unread::other(text))).collect()
}

/// The lines of a file.
pub fn wanted(text: &str) -> Vec<Line<'_>> {
    lines(text).filter_map(line).collect()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// `/etc/a.pem [alpn h2] a.org *.b.org`.
fn line(text: &str) -> Option<Line<'_>> {
    let (certificate, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim_start();
    let (options, names) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let (options, names) = (options.split_whitespace().collect(), names.split_whitespace().collect());
    Some(Line { certificate, options, names })
}

/// What brings HAProxy from the lines that it shows to those of the file. A line whose certificate HAProxy does not have
/// is not added; that it is missing is told where the certificates are.
pub fn plan(
    list: &FilePath,
    wanted: &[Line<'_>],
    shown: &[ShownLine<'_>],
    first: First,
    held: &Held,
) -> CrtListPlan {
    let mut plan = CrtListPlan::default();
    let fixed = (first == First::Default).then(|| shown.first()).flatten();
    if let Some(now) = fixed.filter(|now| wanted.first() != Some(&now.line)) {
        let (now, wanted) = (now.line.to_string(), wanted.first().map_or("none".to_owned(), Line::to_string));
        plan.left.push(NeedsReload::First { list: list.clone(), now, wanted });
    }
    let kept = kept(wanted, shown, fixed, held);
    let mut missing = BTreeSet::new();
    for (line, _) in wanted.iter().zip(&kept).filter(|(_, kept)| kept.is_none()) {
        let Some(send) = line.to_send() else {
            missing.insert(line.certificate);
            plan.left.push(NeedsReload::Line { file: list.clone(), line: super::shown(&line.to_string()) });
            continue;
        };
        if held.shown.get(send.certificate()).is_some_and(ShownCertificate::is_loaded) {
            plan.add.push(FileCommand::AddCrtList { list: list.clone(), line: send });
        } else {
            missing.insert(line.certificate);
        }
    }
    let kept: BTreeSet<usize> = kept.into_iter().flatten().collect();
    for (place, one) in shown.iter().enumerate() {
        // A line stays as long as what is to stand for it does not.
        let stays = kept.contains(&place) || fixed == Some(one) || missing.contains(one.line.certificate);
        if let (false, Ok(certificate)) = (stays, FilePath::new(one.line.certificate)) {
            plan.delete.push(FileCommand::DelCrtList { list: list.clone(), certificate, line: one.number });
        }
    }
    plan
}

/// For each wanted line the place of the shown one that stands for it. One that has a name in common with an earlier
/// wanted line, and does not stand behind that one, is not among them.
fn kept(
    wanted: &[Line<'_>],
    shown: &[ShownLine<'_>],
    fixed: Option<&ShownLine<'_>>,
    held: &Held,
) -> Vec<Option<usize>> {
    let mut free: HashMap<_, VecDeque<usize>> = HashMap::with_capacity(shown.len());
    for (place, one) in shown.iter().enumerate() {
        free.entry(&one.line).or_default().push_back(place);
    }
    let rank = |place: usize| {
        let of = shown.get(place).map_or("", |one| one.line.certificate);
        let replaced = held.replaced.iter().position(|certificate| certificate.as_str() == of);
        replaced.map_or(place, |order| shown.len() + order)
    };
    // Of each name the last rank so far; none for a line that is added.
    let mut last: HashMap<String, Option<usize>> = HashMap::new();
    let mut kept = Vec::with_capacity(wanted.len());
    for line in wanted {
        let found = free.get(line).and_then(|places| places.front().copied());
        let names = line.served(held);
        let behind = |place: usize| {
            let mut before = names.iter().filter_map(|name| last.get(name));
            before.all(|before| before.is_some_and(|before| before < rank(place)))
        };
        let is_fixed = |place: usize| fixed.is_some() && place == 0;
        let place = found.filter(|place| is_fixed(*place) || behind(*place) || line.to_send().is_none());
        if let (Some(_), Some(places)) = (place, free.get_mut(line)) {
            places.pop_front();
        }
        for name in names {
            let own = place.map(rank);
            let latest = last.get(&name).map_or(own, |before| before.zip(own).map(|(a, b)| a.max(b)));
            last.insert(name, latest);
        }
        kept.push(place);
    }
    kept
}

impl CrtListPlan {
    /// True if HAProxy shows what can be brought about.
    pub fn is_done(&self) -> bool {
        self.add.is_empty() && self.delete.is_empty()
    }

    /// What it comes to, in words.
    pub fn change(&self, list: &FilePath) -> Change {
        Change::CrtList { list: list.clone(), added: self.add.len(), deleted: self.delete.len() }
    }
}

impl Line<'_> {
    fn to_send(&self) -> Option<CrtLine> {
        let plain = self.options.is_empty();
        plain.then(|| CrtLine::new(self.certificate, self.names.iter().copied()).ok()).flatten()
    }

    /// The names that it is served for, with their wildcards.
    fn served(&self, held: &Held) -> BTreeSet<String> {
        let own = self.names.iter().map(|name| name.trim_start_matches('!').to_ascii_lowercase());
        let path = FilePath::new(self.certificate).ok().filter(|_| self.names.is_empty());
        let certificate = path.and_then(|path| held.shown.get(&path));
        own.chain(certificate.into_iter().flat_map(ShownCertificate::names).map(str::to_owned)).collect()
    }
}

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.certificate)?;
        if !self.options.is_empty() {
            write!(f, " [{}]", self.options.join(" "))?;
        }
        self.names.iter().try_for_each(|name| write!(f, " {name}"))
    }
}
