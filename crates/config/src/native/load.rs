//! From a file on disk to a configuration that can be run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use roster_core::exposure::Rule;
use roster_files::{Kind, ReadError};
use roster_haproxy::name::{SourceName, TargetName};
use thiserror::Error;

use super::resolve::Resolve;
use super::{File, LastGood, Listen, Log, Reach, Source};
use super::{expose, partial, target};
use crate::document::{self, Document};
use crate::env::Env;
use crate::problem::Problems;

/// What a file comes to: every name known, every path complete, every rule as the planner has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Who says which instances there are; at least one. Paths are relative to nothing but the root.
    pub sources: BTreeMap<SourceName, Source>,
    /// Each HAProxy to keep; at least one.
    pub targets: BTreeMap<TargetName, Reach>,
    /// Which services go where; at least one.
    pub rules: Vec<Rule>,
    /// Where to listen for status and metrics.
    pub admin: Option<Listen>,
    /// What to write about the work.
    pub log: Log,
    /// How long a source's last answer is believed over a restart.
    pub last_good: LastGood,
    /// What is not wrong, and should still be known.
    pub warnings: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum LoadError {
    /// No such file.
    #[error(
        "{path:?} is not there; write it (`roster schema` says what can stand in it), or name another with --config"
    )]
    Missing {
        /// The file, as the operator named it.
        path: PathBuf,
    },
    /// The system does not let it be read.
    #[error("{path:?} cannot be read ({why}); check who may read the file and its folders")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What speaks against it.
        why: ReadError,
    },
    /// Bytes that are no text.
    #[error("{path:?} is not UTF-8 text from line {line} on; save it as UTF-8")]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first line that is none.
        line: usize,
    },
    /// Something is wrong in it.
    #[error(transparent)]
    Wrong(#[from] Problems),
}

impl Config {
    /// Reads a file. Relative paths in it are relative to its folder.
    pub fn load(path: &Path, env: &dyn Env) -> Result<Self, LoadError> {
        let text = read(path)?;
        let whole = std::path::absolute(path).map_err(|why| unreadable(path, why.into()))?;
        let folder = whole.parent().unwrap_or(&whole);
        Ok(Self::parse(&path.to_string_lossy(), &text, folder, env)?)
    }

    /// The same for a text. `file` stands in errors. Files with text for HAProxy's file (`{ file: … }`) are read.
    pub fn parse(file: &str, text: &str, folder: &Path, env: &dyn Env) -> Result<Self, Problems> {
        let document = Document::parse(file, text, env)?;
        match document.decode() {
            Ok(file) => resolve(&document, &file, folder),
            Err(problems) => {
                let mut all = problems.into_vec();
                all.extend(partial::rest(&document, folder));
                Err(Problems::some(all))
            }
        }
    }
}

fn read(path: &Path) -> Result<String, LoadError> {
    let content = roster_files::read(path, Kind::Configuration).map_err(|why| unreadable(path, why))?;
    content.into_text().map_err(|error| {
        let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = good.filter(|byte| **byte == b'\n').count() + 1;
        LoadError::NotText { path: path.to_owned(), line }
    })
}

fn unreadable(path: &Path, why: ReadError) -> LoadError {
    let path = path.to_owned();
    if why.is_missing() { LoadError::Missing { path } } else { LoadError::Unreadable { path, why } }
}

pub(super) fn resolve(document: &Document, file: &File, folder: &Path) -> Result<Config, Problems> {
    let mut cx = Resolve::new(document, folder);
    let rules = rules(&mut cx, file);
    let (sources, targets) = entries(&mut cx, file);
    Problems::none(std::mem::take(&mut cx.problems))?;
    let given = document.has(&document::Path::from(["admin", "listen"]));
    let admin = file.admin.listen().map(|address| Listen { address, given });
    let warnings = cx.warnings;
    Ok(Config { sources, targets, rules, admin, log: file.log, last_good: file.last_good, warnings })
}

/// The sources and the targets, each by itself.
pub(super) fn entries(
    cx: &mut Resolve<'_>,
    file: &File,
) -> (BTreeMap<SourceName, Source>, BTreeMap<TargetName, Reach>) {
    let targets = file.targets.iter().filter_map(|(name, target)| {
        let at = document::Path::from(["targets", name.as_str()]);
        Some((name.clone(), target.resolve(cx, &at, name)?))
    });
    let targets: BTreeMap<_, _> = targets.collect();
    target::clashes(cx, &targets);
    let selects = file.expose.iter().flatten().filter_map(|entry| entry.select.as_ref()?.metadata.as_ref());
    let selected = selects.flat_map(BTreeMap::keys).cloned().collect();
    let sources = file.sources.iter().map(|(name, source)| {
        let at = document::Path::from(["sources", name.as_str()]);
        (name.clone(), source.resolve(cx, &at, &selected))
    });
    (sources.collect(), targets)
}

fn rules(cx: &mut Resolve<'_>, file: &File) -> Vec<Rule> {
    let Some(entries) = &file.expose else {
        return expose::everything(cx, file).into_iter().collect();
    };
    let numbered = entries.iter().enumerate();
    let rules: Vec<Option<Rule>> = numbered
        .map(|(index, entry)| expose::rule(cx, &document::Path::from(["expose"]).join(index), file, entry))
        .collect();
    expose::overlaps(cx, file, &rules);
    let numbered = rules.into_iter().enumerate().filter_map(|(index, rule)| Some((index, rule?)));
    numbered
        .flat_map(|(index, rule)| {
            let at = document::Path::from(["expose"]).join(index).join("zone");
            expose::all_backups(cx, &at, file, rule)
        })
        .collect()
}
