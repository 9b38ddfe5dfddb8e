//! What a haproxy.cfg says, as the Data Plane API gives it (`configuration/raw`), without losing a byte of it.

mod balance;
mod proxy;
mod routes;
mod server;

use std::borrow::Cow;
use std::ops::Range;

pub use balance::Algorithm;
pub use proxy::{BackendView, FrontendView};
pub use server::{ServerView, TemplateView, host};

pub(super) use routes::{ACL_PREFIX, Condition, HOST, PATH, acl_of, rule_of};

use super::mark::Mark;
use super::scan::{Line, lines};

/// What a file says.
#[derive(Clone, Debug)]
pub struct FileView<'t> {
    /// The version that the API counts (`# _version=`); none where the API never wrote the file, which it then calls 1.
    pub version: Option<u64>,
    /// The checksum that the API wrote (`# _md5hash=`).
    pub checksum: Option<&'t str>,
    /// The text before the first section and the comments that belong to it.
    pub preamble: Range<usize>,
    /// The sections in their order. Their ranges follow each other, and the preamble, without a gap.
    pub sections: Vec<SectionView<'t>>,
    /// Those of them that have servers: `backend` and `listen`.
    pub backends: Vec<BackendView<'t>>,
    /// Those of them that are a `frontend`.
    pub frontends: Vec<FrontendView<'t>>,
}

/// One section.
#[derive(Clone, Debug)]
pub struct SectionView<'t> {
    /// What it is.
    pub kind: SectionKind,
    /// Its first word.
    pub keyword: Cow<'t, str>,
    /// Its name; empty where it has none or only HAProxy can tell it.
    pub name: Cow<'t, str>,
    /// The `defaults` that it names with `from`.
    pub from: Option<Cow<'t, str>>,
    /// Where it stands, the comments directly above it included.
    pub range: Range<usize>,
    /// The comments directly above it, line by line.
    pub comments: Vec<&'t str>,
    /// Its lines, the comments above it among them.
    pub(super) lines: Vec<Line<'t>>,
    /// Which of the lines is the one with its name.
    pub(super) header: usize,
    /// Whether it, or a line in it, only counts under a condition (`.if`).
    pub conditional: bool,
}

/// What a section is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SectionKind {
    /// `global`.
    Global,
    /// `defaults`.
    Defaults,
    /// `frontend`.
    Frontend,
    /// `backend`.
    Backend,
    /// `listen`.
    Listen,
    /// Any other.
    Other,
}

/// The words that begin a section, of HAProxy 2.6 to 3.4.
const OTHER_SECTIONS: &[&str] = &[
    "acme",
    "cache",
    "crt-store",
    "dynamic-update",
    "fcgi-app",
    "healthcheck",
    "http-errors",
    "log-forward",
    "log-profile",
    "mailers",
    "namespace_list",
    "peers",
    "program",
    "resolvers",
    "ring",
    "traces",
    "userlist",
];

impl SectionKind {
    /// What a section is that begins with a word; none if no section does.
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "global" => Self::Global,
            "defaults" => Self::Defaults,
            "frontend" => Self::Frontend,
            "backend" => Self::Backend,
            "listen" => Self::Listen,
            word if OTHER_SECTIONS.contains(&word) => Self::Other,
            _ => return None,
        })
    }
}

impl<'t> FileView<'t> {
    /// Reads a text. Every text can be read; what makes no sense belongs to the section that it stands in.
    pub fn read(text: &'t str) -> Self {
        let mut view = Self {
            version: None,
            checksum: None,
            preamble: 0..text.len(),
            sections: Vec::new(),
            backends: Vec::new(),
            frontends: Vec::new(),
        };
        view.cut(text);
        (view.backends, view.frontends) = proxy::read(&view.sections);
        view
    }

    fn cut(&mut self, text: &'t str) {
        // Comments that may belong to the section that follows.
        let (mut above, mut conditions): (Vec<Line<'t>>, usize) = (Vec::new(), 0);
        for line in lines(text) {
            if let Some(comment) = line.comment.filter(|_| line.is_comment())
                && !self.is_header(comment)
                && text.as_bytes().get(line.range.start) == Some(&b'#')
            {
                above.push(line);
                continue;
            }
            match line.word(0) {
                Some(".if") => conditions += 1,
                Some(".endif") => conditions = conditions.saturating_sub(1),
                _ => {}
            }
            match line.word(0).and_then(SectionKind::of) {
                Some(kind) => self.begin(kind, std::mem::take(&mut above), line, conditions > 0),
                None => self.inside(std::mem::take(&mut above), line, conditions > 0),
            }
        }
        self.keep(above);
        if let Some(first) = self.sections.first() {
            self.preamble.end = first.range.start;
        }
    }

    /// Whether a comment is one of the lines that the API writes at the head of the file.
    fn is_header(&mut self, comment: &'t str) -> bool {
        if !self.sections.is_empty() {
            return false;
        }
        if let Some(version) = comment.strip_prefix("# _version=") {
            self.version = version.trim().parse().ok();
            return true;
        }
        let checksum = comment.strip_prefix("# _md5hash=");
        self.checksum = checksum.map(str::trim).or(self.checksum);
        checksum.is_some()
    }

    fn begin(&mut self, kind: SectionKind, above: Vec<Line<'t>>, line: Line<'t>, conditional: bool) {
        let word = |at: usize| line.words.get(at).and_then(|word| word.text.clone());
        let (name, from) = match (word(1), word(2), word(3)) {
            (Some(from), Some(name), None) if from == "from" => (None, Some(name)),
            (name, Some(from), base) if from == "from" => (name, base),
            (name, _, _) => (name, None),
        };
        let start = above.first().map_or(line.range.start, |first| first.range.start);
        let section = SectionView {
            kind,
            keyword: word(0).unwrap_or_default(),
            name: name.unwrap_or_default(),
            from,
            range: start..line.range.end,
            comments: above.iter().filter_map(|line| line.comment).collect(),
            header: above.len(),
            lines: above.into_iter().chain([line]).collect(),
            conditional,
        };
        self.sections.push(section);
    }

    fn inside(&mut self, comments: Vec<Line<'t>>, line: Line<'t>, conditional: bool) {
        self.keep(comments.into_iter().chain([line]));
        if let Some(section) = self.sections.last_mut() {
            section.conditional |= conditional;
        }
    }

    /// Gives lines to the section that they stand in.
    fn keep(&mut self, lines: impl IntoIterator<Item = Line<'t>>) {
        if let Some(section) = self.sections.last_mut() {
            for line in lines {
                section.range.end = line.range.end;
                section.lines.push(line);
            }
        }
    }

    /// The backend or listen section of a name: the first one, as HAProxy takes no second.
    pub fn backend(&self, name: &str) -> Option<&BackendView<'t>> {
        self.backends.iter().find(|backend| backend.name == name)
    }

    /// The frontend of a name.
    pub fn frontend(&self, name: &str) -> Option<&FrontendView<'t>> {
        self.frontends.iter().find(|frontend| frontend.name == name)
    }
}

impl<'t> SectionView<'t> {
    /// Whose it is, by the comments above it or at the end of its first line; of several the nearest counts.
    pub fn mark(&self) -> Option<Mark> {
        let own = self.lines.get(self.header).and_then(|line| line.comment);
        own.into_iter().chain(self.comments.iter().rev().copied()).find_map(Mark::read)
    }

    /// The lines inside it that say something, each with its place among all.
    pub(super) fn inside(&self) -> impl Iterator<Item = (usize, &Line<'t>)> {
        let said = |(_, line): &(usize, &Line<'t>)| !line.words.is_empty();
        self.lines.iter().enumerate().skip(self.header + 1).filter(said)
    }
}
