//! What outlives Roster: how it left each file, and what has to be put back if a reload turns out to be refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use roster_haproxy::render::Rendered;
use serde::{Deserialize, Serialize};

use super::beside::{Existing, resolve};

/// How Roster left HAProxy's files. To be kept whenever it changed, and to be given to the next call.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Record {
    /// haproxy.cfg, with its path: if that is another one later, this one is nothing of Roster's to remove.
    config: Option<(PathBuf, Sum)>,
    /// The maps and crt-lists that Roster wrote and has not removed.
    files: BTreeMap<PathBuf, Sum>,
    /// What was there before the first change whose outcome is not known, kept aside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    before: BTreeMap<PathBuf, Before>,
    /// The files that nothing names any more once the outcome is good.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    gone: BTreeSet<PathBuf>,
}

/// Tells two versions of a file apart.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Sum {
    bytes: u64,
    crc32: u32,
}

/// A file before a change.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Before {
    /// What was there, if anything.
    pub(super) there: Option<Sum>,
    /// What Roster had left there.
    pub(super) recorded: Option<Sum>,
}

impl Sum {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, crc32: crc32fast::hash(bytes) }
    }
}

impl Record {
    /// Whether the outcome of a change has not been told yet, as when Roster was killed between a write and the end of
    /// the reload. Reload then, also if nothing has to be written, and tell the outcome.
    pub fn is_unsettled(&self) -> bool {
        !self.before.is_empty() || !self.gone.is_empty()
    }

    /// Whether each file is on the disk as Roster left it, and none waits for the outcome of a change. It blocks.
    pub fn is_as_left(&self) -> bool {
        let is_left = |path: &PathBuf, sum: &Sum| {
            let existing = resolve(path).and_then(|target| Existing::read(&target));
            existing.is_ok_and(|existing| existing.is_some_and(|existing| Sum::of(&existing.bytes) == *sum))
        };
        let config = self.config.as_ref().is_some_and(|(path, sum)| is_left(path, sum));
        config && !self.is_unsettled() && self.files.iter().all(|(path, sum)| is_left(path, sum))
    }

    pub(super) fn sum(&self, path: &Path) -> Option<Sum> {
        let config = self.config.as_ref().filter(|(config, _)| config == path).map(|(_, sum)| *sum);
        config.or_else(|| self.files.get(path).copied())
    }

    /// All files are as they were rendered.
    pub(super) fn now(&mut self, config: &Path, rendered: &Rendered) {
        self.config = Some((config.to_owned(), Sum::of(rendered.config.as_bytes())));
        let now = rendered.files.iter();
        let now: BTreeMap<PathBuf, Sum> =
            now.map(|file| (file.path.as_str().into(), Sum::of(file.text.as_bytes()))).collect();
        self.gone = self.files.keys().filter(|path| !now.contains_key(*path)).cloned().collect();
        self.files.extend(now);
    }

    pub(super) fn is_first_since_settled(&self, path: &Path) -> bool {
        !self.before.contains_key(path)
    }

    pub(super) fn keep(&mut self, path: &Path, there: Option<Sum>, recorded: Option<Sum>) {
        self.before.insert(path.to_owned(), Before { there, recorded });
    }

    pub(super) fn before(&self) -> &BTreeMap<PathBuf, Before> {
        &self.before
    }

    pub(super) fn gone(&self) -> &BTreeSet<PathBuf> {
        &self.gone
    }

    /// The file is as it was before again.
    pub(super) fn restored(&mut self, path: &Path) {
        let Some(before) = self.before.remove(path) else { return };
        if self.config.as_ref().is_some_and(|(config, _)| config == path) {
            self.config = before.recorded.map(|sum| (path.to_owned(), sum));
        } else if let Some(sum) = before.recorded {
            self.files.insert(path.to_owned(), sum);
        } else {
            self.files.remove(path);
        }
    }

    /// Nothing is kept aside for it any more.
    pub(super) fn settled(&mut self, path: &Path) {
        self.before.remove(path);
    }

    /// It was removed, or is somebody else's.
    pub(super) fn let_go(&mut self, path: &Path) {
        self.gone.remove(path);
        self.files.remove(path);
    }

    /// They are named after all.
    pub(super) fn keep_gone(&mut self) {
        self.gone.clear();
    }
}
