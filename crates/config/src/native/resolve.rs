//! What resolving the parts of a file has in common: a place to put what is wrong, with its position.

use std::fmt::Display;
use std::path;
use std::str::FromStr;

use roster_haproxy::keywords::Millis;
use roster_haproxy::render::FilePath;

use crate::document::{Document, Path, not_usable};
use crate::format;
use crate::nearest::hint;
use crate::problem::Problem;
use crate::value::{Duration, Secret, SecretError, SecretText};

/// Where an item of a list, or the value that is short for the list, stands.
pub(crate) fn item_of(list: &Path, item: Option<usize>) -> Path {
    item.map_or_else(|| list.clone(), |index| list.join(index))
}

pub(crate) struct Resolve<'d> {
    document: &'d Document,
    /// What relative paths are relative to.
    folder: &'d path::Path,
    pub(crate) problems: Vec<Problem>,
    /// What is not wrong, and should still be known.
    pub(crate) warnings: Vec<String>,
}

impl<'d> Resolve<'d> {
    pub(crate) fn new(document: &'d Document, folder: &'d path::Path) -> Self {
        Self { document, folder, problems: Vec::new(), warnings: Vec::new() }
    }

    /// Something is wrong with a value.
    pub(crate) fn problem(&mut self, at: &Path, message: impl Into<String>) {
        self.problems.push(self.document.problem(at, message));
    }

    /// Something is wrong with a key being there.
    pub(crate) fn key_problem(&mut self, at: &Path, message: impl Into<String>) {
        let at = self.document.key_position(at);
        self.problems.push(Problem { file: self.document.file().to_owned(), at, message: message.into() });
    }

    /// A value whose type checks more than the schema can say. Its error is not shown where the value is from the
    /// environment, for it repeats the value.
    pub(crate) fn sound<T, E: Display>(&mut self, at: &Path, made: Result<T, E>) -> Option<T> {
        made.map_err(|error| {
            let message = self.document.variable(at).map_or_else(|| error.to_string(), not_usable);
            self.problem(at, message);
        })
        .ok()
    }

    pub(crate) fn parse<T: FromStr>(&mut self, at: &Path, text: &str) -> Option<T>
    where
        T::Err: Display,
    {
        let parsed = text.parse();
        self.sound(at, parsed)
    }

    /// A secret. An empty variable is one that somebody forgot to fill; an empty text in the file is meant.
    pub(crate) fn secret(&mut self, at: &Path, secret: &Secret) -> Option<SecretText> {
        let resolved = match secret {
            Secret::Text(text) if text.expose().is_empty() && self.hidden(at) => Err(SecretError::EmptyText),
            secret => secret.resolve(self.folder),
        };
        match resolved {
            Ok((text, warning)) => {
                self.warnings.extend(warning);
                Some(text)
            }
            Err(error) => {
                self.problem(at, error.to_string());
                None
            }
        }
    }

    pub(crate) fn millis(&mut self, at: &Path, time: Duration) -> Option<Millis> {
        self.sound(at, Millis::try_from(time.get()))
    }

    pub(crate) fn not_zero(&mut self, at: &Path, time: Duration) {
        if time.get().is_zero() {
            self.problem(at, "this may not be zero; write for example 1s");
        }
    }

    /// A name that is not among those it could be.
    pub(crate) fn unknown(&mut self, at: &Path, what: &str, name: &str, known: &[&str]) {
        let message = match self.document.variable(at) {
            Some(variable) => format!("the value of ${{{variable}}} is no {what}'s name{}", hint("", known)),
            None => format!("there is no {what} `{name}`{}", hint(name, known)),
        };
        self.problem(at, message);
    }

    /// Whether a message may not repeat the value.
    pub(crate) fn hidden(&self, at: &Path) -> bool {
        self.document.variable(at).is_some()
    }

    pub(crate) fn absolute(&self, path: &path::Path) -> path::PathBuf {
        self.folder.join(path)
    }

    /// A program: a name alone is looked up in `PATH` when it is started, anything else is a path.
    pub(crate) fn program(&self, program: &path::Path) -> path::PathBuf {
        let is_name = !program.as_os_str().as_encoded_bytes().contains(&b'/');
        if is_name { program.to_owned() } else { self.absolute(program) }
    }

    /// A path that HAProxy's file names, made absolute.
    pub(crate) fn file_path(&mut self, at: &Path, path: &path::Path) -> Option<FilePath> {
        let path = self.absolute(path);
        self.sound(at, FilePath::new(&path.to_string_lossy()))
    }

    /// The same for a socket that HAProxy makes.
    pub(crate) fn socket(&mut self, at: &Path, path: &path::Path) -> Option<FilePath> {
        let path = self.file_path(at, path)?;
        self.sound(at, format::made_socket(path.as_str()))?;
        Some(path)
    }
}
