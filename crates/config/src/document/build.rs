//! From YAML's events to the tree.
//!
//! The text may be anything, so everything is bounded: its length, how deep it nests, how many nodes there are
//! and how much text aliases multiply it to. The parser is pulled, so that a bound stops it at once.

mod json;
mod plain;

use std::borrow::Cow;
use std::collections::HashMap;

pub(crate) use json::{entries as json_entries, may_be as may_be_json};
pub use plain::NotPlain;
pub(crate) use plain::{Entries as PlainEntries, read as build_plain};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use crate::document::node::{Content, Entry, Node, Origin, Scalar};
use crate::document::substitute::substitute;
use crate::env::Env;
use crate::position::Position;

/// The longest text that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 64 << 20;
/// How deep lists and mappings may nest.
const MAX_DEPTH: usize = 64;
/// How many nodes there may be, aliases counted as what they stand for.
const MAX_NODES: usize = 2_000_000;

/// The place and text of something that is wrong.
pub(crate) type Fault = (Position, String);

/// A tree, and what is wrong with it that did not stop the reading.
pub(crate) struct Built<'t> {
    pub(crate) root: Node<'t>,
    pub(crate) faults: Vec<Fault>,
}

/// Reads one YAML document. Without an environment `${…}` stands for itself.
pub(crate) fn build<'t>(text: &'t str, env: Option<&'t dyn Env>) -> Result<Built<'t>, Fault> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_BYTES} are read", text.len());
        return Err((Position { line: 1, column: 1 }, message));
    }
    refuse_nul(text)?;
    if json::may_be(text) {
        let mut builder = Builder::new(env);
        match json::read(text, &mut builder) {
            Ok(()) => return builder.finish(),
            Err(json::Stop::Fault(fault)) => return Err(fault),
            Err(json::Stop::NotJson) => {}
        }
    }
    yaml(text, env)
}

fn yaml<'t>(text: &'t str, env: Option<&'t dyn Env>) -> Result<Built<'t>, Fault> {
    let mut builder = Builder::new(env);
    let mut parser = Parser::new(StrInput::new(text));
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| not_yaml(text, &error))?;
        builder.take(event, span)?;
    }
    builder.finish()
}

/// The scanner takes NUL for the end of the text; what follows would be dropped unseen.
fn refuse_nul(text: &str) -> Result<(), Fault> {
    let Some((before, _)) = text.split_once('\0') else { return Ok(()) };
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    Err((Position { line, column }, "there is a NUL byte here; is this a text file?".to_owned()))
}

fn not_yaml(text: &str, error: &ScanError) -> Fault {
    let at = position(error.marker());
    let line = text.lines().nth(at.line - 1).unwrap_or_default();
    let hint = if line.contains("${") {
        "; inside { } and [ ] a value with ${…} needs quotes around it"
    } else if error.info().contains("tab") {
        "; indent with spaces, not with tabs"
    } else {
        ""
    };
    (at, format!("this is not YAML: {}{hint}", error.info()))
}

fn position(marker: &Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

/// A list or mapping that is not closed yet.
enum Frame<'t> {
    List { at: Position, anchor: usize, items: Vec<Node<'t>> },
    Map { at: Position, anchor: usize, map: Map<'t> },
}

/// From how many keys on a mapping has an index.
const INDEXED: usize = 16;

#[derive(Default)]
struct Map<'t> {
    entries: Vec<Entry<'t>>,
    /// Where each key stands, once there are [`INDEXED`]; fewer are looked through sooner.
    index: HashMap<Cow<'t, str>, Position>,
    pending: Option<Key<'t>>,
    merged: Vec<Node<'t>>,
}

enum Key<'t> {
    Name(Cow<'t, str>, Position),
    Merge,
}

struct Builder<'t> {
    env: Option<&'t dyn Env>,
    open: Vec<Frame<'t>>,
    anchors: HashMap<usize, Node<'t>>,
    root: Option<Node<'t>>,
    documents: usize,
    nodes: usize,
    bytes: usize,
    faults: Vec<Fault>,
}

impl<'t> Builder<'t> {
    fn new(env: Option<&'t dyn Env>) -> Self {
        Self {
            env,
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            documents: 0,
            nodes: 0,
            bytes: 0,
            faults: Vec::new(),
        }
    }

    fn finish(self) -> Result<Built<'t>, Fault> {
        let at = Position { line: 1, column: 1 };
        let root = self.root.ok_or_else(|| (at, "the file is empty".to_owned()))?;
        Ok(Built { root, faults: self.faults })
    }

    fn take(&mut self, event: Event<'t>, span: Span) -> Result<(), Fault> {
        let at = position(&span.start);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err((at, "a second document begins here; the file holds one".to_owned()));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => self.scalar(text, style, anchor, tag.as_deref(), at),
            Event::SequenceStart(anchor, tag) => {
                let tagged = collection_tag(tag.as_deref(), "seq", at);
                self.open(tagged, Frame::List { at, anchor, items: Vec::new() })
            }
            Event::MappingStart(anchor, tag) => {
                let tagged = collection_tag(tag.as_deref(), "map", at);
                self.open(tagged, Frame::Map { at, anchor, map: Map::default() })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Position,
    ) -> Result<(), Fault> {
        let plain = scalar_tag(tag, at)?.unwrap_or(style == ScalarStyle::Plain);
        if self.wants_key() {
            self.count(1, text.len(), at)?;
            self.set_key(if plain && text == "<<" { Key::Merge } else { Key::Name(text, at) });
            return Ok(());
        }
        let scalar = match self.env {
            Some(env) => substitute(text, plain, env),
            None => Scalar { text, plain, origin: Origin::File },
        };
        self.count(1, scalar.text.len(), at)?;
        self.put(Node { at, content: Content::Scalar(scalar) }, anchor)
    }

    fn open(&mut self, tagged: Result<(), Fault>, frame: Frame<'t>) -> Result<(), Fault> {
        tagged?;
        let (Frame::List { at, .. } | Frame::Map { at, .. }) = frame;
        if self.wants_key() {
            return Err((at, "a key is a plain word, not a list or a mapping".to_owned()));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err((at, format!("lists and mappings nest more than {MAX_DEPTH} deep here")));
        }
        self.count(1, 0, at)?;
        self.open.push(frame);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        match self.open.pop() {
            Some(Frame::List { at, anchor, items }) => {
                self.put(Node { at, content: Content::List(items) }, anchor)
            }
            Some(Frame::Map { at, anchor, map }) => {
                let entries = map.close()?;
                self.put(Node { at, content: Content::Map(entries) }, anchor)
            }
            None => Ok(()),
        }
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), Fault> {
        let Some(meant) = self.anchors.get(&anchor) else {
            return Err((at, "this alias stands inside what it stands for".to_owned()));
        };
        if self.wants_key() {
            return Err((at, "a key is a plain word, not an alias".to_owned()));
        }
        let (nodes, bytes, depth) = size(meant);
        if self.open.len() + depth > MAX_DEPTH {
            return Err((at, format!("with this alias, lists and mappings nest more than {MAX_DEPTH} deep")));
        }
        // Counted before it is copied: a few aliases of aliases would fill the memory.
        self.count(nodes, bytes, at)?;
        let Some(meant) = self.anchors.get(&anchor) else { return Ok(()) };
        let node = Node { at, content: meant.content.clone() };
        self.put(node, 0)
    }

    /// Takes the newest entry out of the mapping that is open.
    fn take_entry(&mut self) -> Option<Entry<'t>> {
        match self.open.last_mut() {
            Some(Frame::Map { map, .. }) => map.entries.pop(),
            _ => None,
        }
    }

    fn count(&mut self, nodes: usize, bytes: usize, at: Position) -> Result<(), Fault> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.nodes > MAX_NODES || self.bytes > MAX_BYTES {
            let message = format!(
                "the file comes to more than {MAX_NODES} values or {MAX_BYTES} bytes here, aliases written out"
            );
            return Err((at, message));
        }
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Frame::Map { map: Map { pending: None, .. }, .. }))
    }

    fn set_key(&mut self, key: Key<'t>) {
        if let Some(Frame::Map { map, .. }) = self.open.last_mut() {
            map.pending = Some(key);
        }
    }

    fn put(&mut self, node: Node<'t>, anchor: usize) -> Result<(), Fault> {
        if anchor > 0 {
            // The copy that an anchor keeps counts like any other.
            let (nodes, bytes, _) = size(&node);
            self.count(nodes, bytes, node.at)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { map, .. }) => {
                if let Some(fault) = map.put(node) {
                    self.faults.push(fault);
                }
            }
        }
        Ok(())
    }
}

impl<'t> Map<'t> {
    fn put(&mut self, value: Node<'t>) -> Option<Fault> {
        match self.pending.take() {
            Some(Key::Merge) => self.merged.push(value),
            Some(Key::Name(key, at)) => {
                if let Some(first) = self.find(&key) {
                    let shown: String = key.chars().take(64).flat_map(char::escape_debug).collect();
                    let message = format!("the key `{shown}` is here a second time; the first is at {first}");
                    return Some((at, message));
                }
                self.add(Entry { key, at, value });
            }
            None => {}
        }
        None
    }

    fn find(&self, key: &str) -> Option<Position> {
        if self.index.is_empty() {
            self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.at)
        } else {
            self.index.get(key).copied()
        }
    }

    fn add(&mut self, entry: Entry<'t>) {
        self.entries.push(entry);
        let new = match self.entries.len() {
            0..INDEXED => return,
            INDEXED => 0,
            more => more - 1,
        };
        self.index.extend(self.entries.iter().skip(new).map(|entry| (entry.key.clone(), entry.at)));
    }

    /// Adds what `<<` brings. Keys of the mapping itself win, then those of the earlier `<<`.
    fn close(mut self) -> Result<Vec<Entry<'t>>, Fault> {
        for node in std::mem::take(&mut self.merged) {
            let at = node.at;
            let sources = match node.content {
                Content::List(items) => items,
                content => vec![Node { at, content }],
            };
            for source in sources {
                let Content::Map(more) = source.content else {
                    return Err((source.at, "`<<` wants a mapping or a list of mappings".to_owned()));
                };
                for entry in more {
                    if self.find(&entry.key).is_none() {
                        self.add(entry);
                    }
                }
            }
        }
        Ok(self.entries)
    }
}

/// Nodes, bytes of text, and depth of a tree that is at most [`MAX_DEPTH`] deep.
fn size(node: &Node) -> (usize, usize, usize) {
    let sum = |(nodes, bytes, depth): (usize, usize, usize), key: usize, child: &Node| {
        let (n, b, d) = size(child);
        (nodes + n, bytes + key + b, depth.max(d + 1))
    };
    match &node.content {
        Content::Scalar(scalar) => (1, scalar.text.len(), 0),
        Content::List(items) => items.iter().fold((1, 0, 1), |total, item| sum(total, 0, item)),
        Content::Map(entries) => {
            entries.iter().fold((1, 0, 1), |total, entry| sum(total, entry.key.len(), &entry.value))
        }
    }
}

/// Whether a tag makes a text plain (`!!int`) or not (`!!str`); `None` where there is no tag.
fn scalar_tag(tag: Option<&Tag>, at: Position) -> Result<Option<bool>, Fault> {
    let Some(tag) = tag else { return Ok(None) };
    match tag.suffix.as_str() {
        "str" if tag.is_yaml_core_schema() => Ok(Some(false)),
        "int" | "float" | "bool" | "null" if tag.is_yaml_core_schema() => Ok(Some(true)),
        "!" if tag.handle.is_empty() => Ok(Some(false)),
        _ => Err(unknown_tag(tag, at)),
    }
}

fn collection_tag(tag: Option<&Tag>, wanted: &str, at: Position) -> Result<(), Fault> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == wanted) => Err(unknown_tag(tag, at)),
        _ => Ok(()),
    }
}

fn unknown_tag(tag: &Tag, at: Position) -> Fault {
    (at, format!("the tag `{tag}` means nothing here; remove it"))
}
