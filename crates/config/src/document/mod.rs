//! A YAML (or JSON) file as a tree with positions, checked against the schema of the type it is read into.
//!
//! - Every error of a file is reported at once, as `file:line:column: message`, and says what to do.
//! - `${NAME}` works in every value, after the YAML was read: a value cannot add structure.
//! - What came from the environment stands in no error, and neither does what the schema calls `writeOnly`.
//! - No input makes it panic, and its cost is bounded whatever the input.

mod build;
mod check;
mod data;
mod node;
mod path;
mod schema;
mod substitute;
#[cfg(test)]
mod tests;
mod view;

use std::fmt;

pub use build::NotPlain;
pub(crate) use check::wants;
pub use data::{Data, Text};
pub use path::Path;
pub use schema::schema_of;
pub(crate) use schema::{branches, tag, words};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
pub use view::{Field, View};

use crate::document::build::{Built, Fault};
use crate::document::check::Check;
use crate::document::node::{Content, Node};
use crate::env::Env;
use crate::position::Position;
use crate::problem::{Problem, Problems};

/// One file's text, read but not yet held against a type.
pub struct Document {
    file: String,
    root: Node<'static>,
    faults: Vec<Fault>,
}

/// The name alone: a text in the file may be a secret.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Document {
    /// Reads YAML, which JSON is too. Fails where the text cannot be read any further; what is wrong beside that
    /// (a key twice, a variable that is not set) is reported by [`Document::decode`] with all the rest.
    pub fn parse(file: &str, text: &str, env: &dyn Env) -> Result<Self, Problems> {
        match build::build(text, Some(env)) {
            Ok(Built { root, faults }) => Ok(Self { file: file.to_owned(), root: root.into_owned(), faults }),
            Err((at, message)) => Err(Problem { file: file.to_owned(), at, message }.into()),
        }
    }

    /// What was found wrong, here and while reading.
    fn problems(&self, found: Vec<Fault>) -> Vec<Problem> {
        faults(&self.file, found.into_iter().chain(self.faults.iter().cloned()))
    }

    /// Holds the whole file against the type's schema and, if all is well, makes a value of it.
    pub fn decode<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Problems> {
        let schema = schema_of::<T>();
        let (value, faults) = Check::run(&schema, &self.root);
        Problems::none(self.problems(faults))?;
        serde_path_to_error::deserialize(value).map_err(|error| self.residual(&error).into())
    }

    /// The value at a path, if it is there and nothing is wrong with it.
    pub(crate) fn part<T: DeserializeOwned + JsonSchema>(&self, path: &Path) -> Option<T> {
        let schema = schema_of::<T>();
        let (value, faults) = Check::run(&schema, self.node(path)?);
        if faults.is_empty() { serde_json::from_value(value).ok() } else { None }
    }

    /// The keys of the mapping at a path.
    pub(crate) fn keys(&self, path: &Path) -> Vec<&str> {
        match self.node(path).map(|node| &node.content) {
            Some(Content::Map(entries)) => entries.iter().map(|entry| &*entry.key).collect(),
            _ => Vec::new(),
        }
    }

    /// The places of the list at a path.
    pub(crate) fn items(&self, path: &Path) -> std::ops::Range<usize> {
        match self.node(path).map(|node| &node.content) {
            Some(Content::List(items)) => 0..items.len(),
            _ => 0..0,
        }
    }

    /// The text at a path, or the texts of the list there.
    pub(crate) fn texts(&self, path: &Path) -> Vec<(Path, &str)> {
        let text = |path: Path| match &self.node(&path)?.content {
            Content::Scalar(scalar) if !scalar.is_nothing() => Some((path, &*scalar.text)),
            _ => None,
        };
        let items = self.items(path).map(|index| path.join(index));
        std::iter::once(path.clone()).chain(items).filter_map(text).collect()
    }

    /// The name the file was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether anything was written at a path.
    pub fn has(&self, path: &Path) -> bool {
        self.node(path).is_some()
    }

    /// Where the value at a path begins. If there is none, the nearest one above it.
    pub fn position(&self, path: &Path) -> Position {
        self.nearest(path).at
    }

    /// Where the key of the value at a path stands; for an item of a list, the item.
    pub fn key_position(&self, path: &Path) -> Position {
        let Some((last, above)) = path.split_last() else { return self.root.at };
        let parent = self.nearest(&above);
        parent.get(last).map_or_else(|| self.position(path), |entry| entry.at)
    }

    /// Something that is wrong with the value at a path.
    pub fn problem(&self, path: &Path, message: impl Into<String>) -> Problem {
        Problem { file: self.file.clone(), at: self.position(path), message: message.into() }
    }

    /// The variable of the environment that the value at a path comes from. What it holds may be a secret, so no
    /// message may show the value.
    pub fn variable(&self, path: &Path) -> Option<&str> {
        self.nearest(path).variable()
    }

    fn node(&self, path: &Path) -> Option<&Node<'static>> {
        path.steps().try_fold(&self.root, Node::child)
    }

    fn nearest(&self, path: &Path) -> &Node<'static> {
        let mut node = &self.root;
        for step in path.steps() {
            match node.child(step) {
                Some(child) => node = child,
                None => break,
            }
        }
        node
    }

    /// A value that fits the schema but not its type: the schema says too little about it.
    fn residual(&self, error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
        let mut path = Path::root();
        for segment in error.path() {
            path = match segment {
                Segment::Seq { index } => path.join(index),
                Segment::Map { key } => path.join(key),
                Segment::Enum { variant } => path.join(variant),
                Segment::Unknown => path,
            };
        }
        let node = self.nearest(&path);
        let message = match node.variable() {
            Some(variable) => not_usable(variable),
            None => error.inner().to_string(),
        };
        Problem { file: self.file.clone(), at: node.at, message }
    }
}

fn faults(file: &str, found: impl IntoIterator<Item = Fault>) -> Vec<Problem> {
    found.into_iter().map(|(at, message)| Problem { file: file.to_owned(), at, message }).collect()
}

/// Said of a value that may not be shown.
pub(crate) fn not_usable(variable: &str) -> String {
    format!("the value of ${{{variable}}} cannot be used here (values from the environment are not shown)")
}
