//! The sections that have servers or routes, with what they take from their `defaults`.

use std::borrow::Cow;

use super::balance::Algorithm;
use super::routes;
use super::server::{self, ServerDefaults, ServerView, TemplateView};
use super::{SectionKind, SectionView};
use crate::dataplane::mark::Mark;
use crate::dataplane::scan::Line;
use crate::render::Route;
use crate::weight::Weight;

/// A `backend` or `listen` section.
#[derive(Clone, Debug)]
pub struct BackendView<'t> {
    /// Its name.
    pub name: Cow<'t, str>,
    /// Its place among [`FileView::sections`](super::FileView::sections).
    pub section: usize,
    /// Whose it is.
    pub mark: Option<Mark>,
    /// Its mode, its own or its defaults'; HAProxy's own is tcp.
    pub mode: Cow<'t, str>,
    /// How it chooses a server.
    pub algorithm: Algorithm,
    /// Whether a `default-server` applies, its own or its defaults'. The API adds no server live then (3.2).
    pub default_server: bool,
    /// The weight that `default-server` gives, its own or its defaults'.
    pub default_weight: Option<Weight>,
    /// Its servers in their order.
    pub servers: Vec<ServerView<'t>>,
    /// Its `server-template` lines: their servers have no lines of their own.
    pub templates: Vec<TemplateView<'t>>,
}

/// A `frontend` section.
#[derive(Clone, Debug)]
pub struct FrontendView<'t> {
    /// Its name.
    pub name: Cow<'t, str>,
    /// Its place among [`FileView::sections`](super::FileView::sections).
    pub section: usize,
    /// Its mode, its own or its defaults'; HAProxy's own is tcp.
    pub mode: Cow<'t, str>,
    /// Our routes that can be read, in their order.
    pub routes: Vec<Route>,
}

/// What a section takes from its `defaults` and says itself.
#[derive(Clone, Debug, Default)]
struct Settings<'t> {
    mode: Option<Cow<'t, str>>,
    balance: Option<String>,
    consistent: bool,
    default_server: bool,
    servers: ServerDefaults,
}

impl<'t> Settings<'t> {
    fn take(&mut self, line: &Line<'t>) {
        match line.word(0) {
            Some("mode") => self.mode = line.words.get(1).and_then(|word| word.text.clone()),
            Some("balance") => {
                let words = line.words.iter().skip(1);
                let words: Vec<&str> = words.map(|word| word.text.as_deref().unwrap_or("?")).collect();
                self.balance = Some(words.join(" "));
            }
            Some("hash-type") => self.consistent = line.word(1) == Some("consistent"),
            Some("default-server") => {
                self.default_server = true;
                self.servers.take(&line.words);
            }
            _ => {}
        }
    }

    fn mode(&self) -> Cow<'t, str> {
        self.mode.clone().unwrap_or(Cow::Borrowed("tcp"))
    }
}

pub(super) fn read<'t>(sections: &[SectionView<'t>]) -> (Vec<BackendView<'t>>, Vec<FrontendView<'t>>) {
    let (mut backends, mut frontends) = (Vec::new(), Vec::new());
    let mut defaults: Vec<(&str, Settings<'t>)> = Vec::new();
    for (place, section) in sections.iter().enumerate() {
        let base = match (&section.from, section.kind) {
            (Some(from), _) => defaults.iter().rev().find(|(name, _)| name == from),
            (None, SectionKind::Defaults) => None,
            (None, _) => defaults.last(),
        };
        let mut settings = base.map(|(_, settings)| settings.clone()).unwrap_or_default();
        match section.kind {
            SectionKind::Defaults => {
                section.inside().for_each(|(_, line)| settings.take(line));
                defaults.push((&section.name, settings));
            }
            SectionKind::Backend | SectionKind::Listen => backends.push(backend(place, section, settings)),
            SectionKind::Frontend => {
                section.inside().for_each(|(_, line)| settings.take(line));
                let (name, mode, routes) = (section.name.clone(), settings.mode(), routes::read(section));
                frontends.push(FrontendView { name, section: place, mode, routes });
            }
            SectionKind::Global | SectionKind::Other => {}
        }
    }
    (backends, frontends)
}

fn backend<'t>(place: usize, section: &SectionView<'t>, mut settings: Settings<'t>) -> BackendView<'t> {
    let (mut servers, mut templates) = (Vec::new(), Vec::new());
    for (at, line) in section.inside() {
        match line.word(0) {
            Some("server") => servers.extend(server::read(at, line, &settings.servers)),
            Some("server-template") => templates.extend(TemplateView::read(line, &settings.servers)),
            _ => settings.take(line),
        }
    }
    BackendView {
        name: section.name.clone(),
        section: place,
        mark: section.mark(),
        mode: settings.mode(),
        default_server: settings.default_server,
        default_weight: settings.servers.weight,
        algorithm: Algorithm::new(settings.balance, settings.consistent),
        servers,
        templates,
    }
}

impl<'t> BackendView<'t> {
    /// The server of a name.
    pub fn server(&self, name: &str) -> Option<&ServerView<'t>> {
        self.servers.iter().find(|server| server.name == name)
    }

    /// The `server-template` that makes a server of this name.
    pub fn template(&self, name: &str) -> Option<&TemplateView<'t>> {
        self.templates.iter().find(|template| template.makes(name))
    }

    /// Whether a `server-template` makes a server of this name.
    pub fn is_made_of_template(&self, name: &str) -> bool {
        self.template(name).is_some()
    }
}
