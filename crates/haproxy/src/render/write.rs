//! From a document to the text, in one pass.

mod names;
mod pool;
mod profile;
mod server;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::{Display, Write as _};

use self::names::Standing;
use self::server::ServerLines;
use super::balance::Balance;
use super::bind::Bind;
use super::left_out::LeftOut;
use super::line::{Place, RawLine};
use super::proxy::{Backend, Frontend, Listen, Pool, Section, SectionKey, ServerLine};
use super::route::{MapFile, Routing};
use super::structure::{Proxy, Structure};
use super::user::{Ours, UserText};
use super::value::PathPrefix;
use super::{DEFAULTS, Document, FileKind, Mode, Rendered, RenderedFile};
use crate::version::Version;

const HEAD: &str = "\
# Written by Roster: what is changed in this file is overwritten. What is said to be the operator's own comes from
# Roster's configuration.

";

struct Writer<'d> {
    version: Version,
    state_file: bool,
    config: String,
    files: Vec<RenderedFile>,
    left_out: Vec<LeftOut>,
    marks: Vec<(usize, Option<SectionKey>)>,
    proxies: Vec<Proxy>,
    taken: HashSet<&'d str>,
    /// Backends of ours that are left out.
    absent: HashSet<&'d str>,
    listening: HashMap<String, SectionKey>,
}

pub(super) fn write(document: &Document, version: Version) -> Rendered {
    let servers: usize = document.sections.iter().map(|section| section.servers().len()).sum();
    let UserText { global, defaults, sections } = &document.user;
    let text = global.len() + defaults.len() + sections.len();
    let standing = Standing::of(document, version);
    let mut writer = Writer {
        version,
        state_file: document.ours.state_file.is_some(),
        config: String::with_capacity(1024 + text + document.sections.len() * 256 + servers * 96),
        files: Vec::new(),
        left_out: document.left_out.clone(),
        marks: Vec::with_capacity(document.sections.len() + 1),
        proxies: Vec::with_capacity(document.sections.len()),
        taken: standing.taken,
        absent: standing.absent,
        listening: HashMap::new(),
    };
    writer.config.push_str(HEAD);
    let ours = writer.global(&document.ours, global);
    writer.defaults(defaults);
    standing.sections.into_iter().for_each(|section| writer.section(section));
    writer.left_out.extend(standing.left_out);
    writer.user_sections(sections);
    let profiles_from = writer.config.len();
    let profiles = writer.profiles(&document.profiles, defaults);
    writer.files.extend(document.crt_lists.iter().map(|list| RenderedFile {
        path: list.path.clone(),
        kind: FileKind::CrtList,
        text: list.to_string(),
    }));
    let Writer { config, files, left_out, marks, mut proxies, .. } = writer;
    proxies.sort_by(|a, b| a.key.cmp(&b.key));
    let structure = Structure {
        global: ours + &said(global),
        defaults: said(defaults),
        user_sections: said(sections),
        proxies,
        profiles,
    };
    Rendered { config, files, structure, left_out, marks, profiles_from }
}

/// The text of one backend by itself, from its first line on, and what is left out of it.
pub(crate) fn backend_text(backend: &Backend, version: Version) -> (String, Vec<LeftOut>) {
    let mut writer = Writer {
        version,
        state_file: false,
        config: String::with_capacity(256 + backend.pool.servers.len() * 96),
        files: Vec::new(),
        left_out: Vec::new(),
        marks: Vec::new(),
        proxies: Vec::new(),
        taken: HashSet::new(),
        absent: HashSet::new(),
        listening: HashMap::new(),
    };
    let key = SectionKey::Backend(backend.name.clone());
    writer.line("", &key);
    writer.backend(key, backend);
    (writer.config, writer.left_out)
}

/// The line of one server by itself.
pub fn server_text(server: &ServerLine, version: Version) -> String {
    let mut text = String::with_capacity(96);
    ServerLines::new(&Balance::default(), version).write(server, &mut text);
    text
}

/// The operator's text without comments, empty lines and indentation, which say nothing to HAProxy.
fn said(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.fold(String::new(), |mut said, line| {
        said.extend([line, "\n"]);
        said
    })
}

impl Writer<'_> {
    /// Returns the lines of ours. They come first, so that nothing of the operator's (`unix-bind`, `.if`) changes them.
    fn global(&mut self, ours: &Ours, user: &str) -> String {
        self.config.push_str("global\n    # Kept by Roster.\n");
        let start = self.config.len();
        self.word("    stats socket ", &ours.stats_socket);
        self.config.push_str(" mode 600 level admin");
        self.config.push_str(if ours.expose_listeners { " expose-fd listeners\n" } else { "\n" });
        if let Some(after) = ours.hard_stop_after {
            self.line("    hard-stop-after ", after);
        }
        if let Some(path) = &ours.state_file {
            self.line("    server-state-file ", path);
        }
        let lines = self.since(start);
        self.operators("    ", user);
        lines
    }

    fn defaults(&mut self, user: &str) {
        self.line("\ndefaults ", DEFAULTS);
        self.operators("    ", user);
    }

    fn user_sections(&mut self, user: &str) {
        self.marks.push((self.config.len(), None));
        if !user.trim().is_empty() {
            self.config.push('\n');
            self.operators("", user);
        }
    }

    fn operators(&mut self, indentation: &str, user: &str) {
        if user.trim().is_empty() {
            return;
        }
        self.config.extend([indentation, "# The operator's own.\n", user.trim_end_matches(['\n', '\r'])]);
        self.config.push('\n');
    }

    fn section(&mut self, section: &Section) {
        let key = section.key();
        self.marks.push((self.config.len(), Some(key.clone())));
        self.line("\n# Kept by Roster.\n", &key);
        let proxy = match section {
            Section::Frontend(frontend) => self.frontend(key, frontend),
            Section::Backend(backend) => self.backend(key, backend),
            Section::Listen(listen) => self.listen(key, listen),
        };
        self.proxies.push(proxy);
    }

    fn frontend(&mut self, key: SectionKey, frontend: &Frontend) -> Proxy {
        let binds = self.binds(&key, &frontend.binds);
        let start = self.config.len();
        self.line("    mode ", frontend.mode.word());
        let routing = frontend.routing.as_ref().filter(|_| frontend.mode == Mode::Http);
        if routing.is_some() {
            self.config.push_str(ROUTED);
        }
        self.raw(&key, Place::Frontend, &frontend.lines);
        if let Some(routing) = routing {
            self.routing(&key, routing);
        }
        if let Some(backend) = &frontend.default_backend {
            self.line("    default_backend ", backend);
        }
        Proxy { key, lines: self.since(start), binds, servers: String::new() }
    }

    fn backend(&mut self, key: SectionKey, backend: &Backend) -> Proxy {
        let start = self.config.len();
        self.body(backend.mode, &backend.pool, backend.strip_prefix.as_ref());
        self.raw(&key, Place::Backend, &backend.lines);
        let lines = self.since(start);
        let servers = self.servers(&key, &backend.pool);
        Proxy { key, lines, binds: BTreeSet::new(), servers }
    }

    /// What a backend says of itself, before the raw lines and the servers.
    fn body(&mut self, mode: Mode, pool: &Pool, strip_prefix: Option<&PathPrefix>) {
        self.line("    mode ", mode.word());
        self.pool(pool, mode);
        if let Some(prefix) = strip_prefix.filter(|_| mode == Mode::Http) {
            self.strip(prefix);
        }
    }

    fn listen(&mut self, key: SectionKey, listen: &Listen) -> Proxy {
        let binds = self.binds(&key, &listen.binds);
        let start = self.config.len();
        self.line("    mode ", listen.mode.word());
        self.pool(&listen.pool, listen.mode);
        self.raw(&key, Place::Listen, &listen.lines);
        let lines = self.since(start);
        let servers = self.servers(&key, &listen.pool);
        Proxy { key, lines, binds, servers }
    }

    fn binds(&mut self, section: &SectionKey, binds: &[Bind]) -> BTreeSet<String> {
        let mut written = BTreeSet::new();
        for bind in binds {
            let text = bind.to_string();
            match self.listening.entry(bind.at.to_string()) {
                Entry::Vacant(free) => {
                    free.insert(section.clone());
                    self.line("    bind ", &text);
                    written.insert(text);
                }
                Entry::Occupied(taken) => {
                    let by = Some(taken.get().clone());
                    self.left_out.push(LeftOut::Bind { section: section.clone(), bind: text, by });
                }
            }
        }
        written
    }

    fn raw(&mut self, section: &SectionKey, place: Place, lines: &[RawLine]) {
        for line in lines {
            if line.place() == place {
                self.line("    ", line.as_str());
            } else {
                let (section, for_place) = (section.clone(), line.place());
                self.left_out.push(LeftOut::Line { section, for_place });
            }
        }
    }

    fn routing(&mut self, section: &SectionKey, routing: &Routing) {
        let (maps, twice) = routing.maps(|route| !self.absent.contains(route.to.as_str()));
        let left_out = twice.into_iter().cloned();
        self.left_out.extend(left_out.map(|route| LeftOut::Route { section: section.clone(), route }));
        for (MapFile { path, .. }, key) in maps.iter().zip([BY_HOST, "path"]) {
            let lookup = format!("{key},map_beg({path})");
            self.line("    use_backend ", format_args!("%[{lookup}] if {{ {lookup} -m found }}"));
        }
        self.files.extend(maps.into_iter().map(|map| {
            let text = map.to_string();
            RenderedFile { path: map.path, kind: FileKind::Map, text }
        }));
    }

    /// `/api` and `/api/` are both taken off together with the `/` that follows.
    fn strip(&mut self, prefix: &PathPrefix) {
        let prefix = prefix.as_str().trim_end_matches('/');
        if prefix.is_empty() {
            return;
        }
        self.config.push_str("    http-request replace-path ^");
        for c in prefix.chars() {
            match c {
                '.' | '+' => self.config.extend(['[', c, ']']),
                _ => self.config.push(c),
            }
        }
        self.config.push_str("/?(.*)$ '/\\1'\n");
    }

    fn word(&mut self, before: &str, value: impl Display) {
        self.config.push_str(before);
        // Writing to a String cannot fail.
        _ = write!(self.config, "{value}");
    }

    fn line(&mut self, before: &str, value: impl Display) {
        self.word(before, value);
        self.config.push('\n');
    }

    fn since(&self, start: usize) -> String {
        self.config.get(start..).unwrap_or_default().to_owned()
    }
}

/// A host with a `/` in it is none; it would reach the routes of a path that the request does not have, past what the
/// operator may have forbidden by path.
const ROUTED: &str = "    \
    http-request set-var(txn.roster_host) req.hdr(host),host_only,lower unless { req.hdr(host) -m sub / }
    http-request set-var(txn.roster_path) path
";
const BY_HOST: &str = "var(txn.roster_host),concat(,txn.roster_path)";
