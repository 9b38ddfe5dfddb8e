//! What was in a file before: kept until a change is known to be good, and kept for good if somebody else wrote it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::beside::{Existing, hidden, resolve, sync_folders, with_suffix, write_whole};
use super::record::{Before, Sum};
use super::{ConfigFiles, FileError, Record};

/// How many versions of others are kept. From then on the last gives way, for somebody who writes again and again must
/// not fill the disk.
const MOST_KEPT: u32 = 9;

/// A file that was not as Roster had left it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Foreign {
    /// The file.
    pub path: PathBuf,
    /// Roster had not written it before, so that it is no surprise.
    pub first: bool,
    /// Where its content is now, `haproxy.cfg.before-roster` or, if that is taken by another version, with a number
    /// behind it from 2 to 9. None if the file was empty or had been removed.
    pub kept: Option<PathBuf>,
}

/// What was put back.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PutBack {
    /// Which files.
    pub paths: Vec<PathBuf>,
    /// Those among them that somebody else had changed meanwhile.
    pub foreign: Vec<Foreign>,
}

/// What was kept aside during one write, to be undone if that fails half-way.
#[derive(Default)]
pub(super) struct Formers(Vec<Former>);

struct Former {
    target: PathBuf,
    aside: PathBuf,
    there: bool,
    placed: bool,
}

impl Formers {
    /// Copies what is there, with its mode and owner.
    pub(super) fn keep(&mut self, target: &Path, existing: Option<&Existing>) -> Result<(), FileError> {
        let aside = aside(target)?;
        match existing {
            Some(existing) => write_whole(&aside, &existing.bytes, Some(existing))?,
            // One that no record knows of, of a Roster that was killed.
            None => remove(&aside)?,
        }
        let (target, there) = (target.to_owned(), existing.is_some());
        self.0.push(Former { target, aside, there, placed: false });
        Ok(())
    }

    pub(super) fn placed(&mut self, target: &Path) {
        self.0.iter_mut().filter(|former| former.target == target).for_each(|former| former.placed = true);
    }

    /// As far as it goes: what failed just now may well fail here too, and is what gets reported.
    pub(super) fn undo(&mut self) {
        for former in self.0.drain(..) {
            let Former { target, aside, there, placed } = former;
            match (placed, there) {
                (true, true) => fs::rename(aside, target).ok(),
                (true, false) => fs::remove_file(target).ok(),
                (false, _) => fs::remove_file(aside).ok(),
            };
        }
    }
}

impl ConfigFiles {
    /// HAProxy has taken the files that were written: what was there before is removed, and so are files of Roster's
    /// that nothing names any more, unless somebody else changed them. Save the record after it.
    ///
    /// # Errors
    /// One cannot be removed. The record knows which; call it again at some time.
    pub fn settle(&self, record: &mut Record) -> Result<(), FileError> {
        for path in record.before().keys().cloned().collect::<Vec<_>>() {
            remove(&aside(&resolve(&path)?)?)?;
            record.settled(&path);
        }
        for path in record.gone().clone() {
            let target = resolve(&path)?;
            let existing = Existing::read(&target)?;
            if existing.is_some_and(|existing| Some(Sum::of(&existing.bytes)) == record.sum(&path)) {
                remove(&target)?;
            }
            record.let_go(&path);
        }
        Ok(())
    }

    /// HAProxy has refused the files that were written, although its check had not: those that were there before are put
    /// back byte for byte, with mode and owner, and those that were not there are removed. Save the record after it.
    ///
    /// # Errors
    /// One cannot be put back. The record knows which; the others may be back.
    pub fn put_back(&self, record: &mut Record) -> Result<PutBack, FileError> {
        let mut done = PutBack::default();
        let mut targets = Vec::new();
        let mut failed = None;
        for (path, before) in record.before().clone() {
            match put_back_one(&path, before, record) {
                Ok((target, foreign)) => {
                    record.restored(&path);
                    done.paths.push(path);
                    done.foreign.extend(foreign);
                    targets.push(target);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        sync_folders(&targets)?;
        if let Some(error) = failed {
            return Err(error);
        }
        record.keep_gone();
        Ok(done)
    }
}

fn put_back_one(
    path: &Path,
    before: Before,
    record: &Record,
) -> Result<(PathBuf, Option<Foreign>), FileError> {
    let target = resolve(path)?;
    let aside = aside(&target)?;
    if let Some(there) = before.there {
        let former = Existing::read(&aside)?.filter(|former| Sum::of(&former.bytes) == there);
        if former.is_none() {
            return Err(FileError::FormerGone { path: path.to_owned(), aside });
        }
    }
    let foreign = notice(path, &target, Existing::read(&target)?.as_ref(), record)?;
    if before.there.is_some() {
        fs::rename(&aside, &target).map_err(FileError::io("replace", &target))?;
    } else {
        remove(&target)?;
    }
    Ok((target, foreign))
}

/// Keeps what is not as Roster left it before it is lost.
pub(super) fn notice(
    path: &Path,
    target: &Path,
    existing: Option<&Existing>,
    record: &Record,
) -> Result<Option<Foreign>, FileError> {
    let (left, found) = (record.sum(path), existing.map(|existing| Sum::of(&existing.bytes)));
    if left == found {
        return Ok(None);
    }
    let kept = match existing {
        Some(existing) if !existing.bytes.is_empty() => Some(keep_for_good(target, existing)?),
        _ => None,
    };
    Ok(Some(Foreign { path: path.to_owned(), first: left.is_none(), kept }))
}

fn keep_for_good(target: &Path, existing: &Existing) -> Result<PathBuf, FileError> {
    let mut number = 1;
    loop {
        let suffix = if number == 1 { String::new() } else { format!(".{number}") };
        let path = with_suffix(target, &format!(".before-roster{suffix}"));
        match Existing::read(&path)? {
            Some(kept) if kept.bytes == existing.bytes => return Ok(path),
            Some(_) if number < MOST_KEPT => number += 1,
            _ => {
                write_whole(&path, &existing.bytes, Some(existing))?;
                return Ok(path);
            }
        }
    }
}

/// Without a process's number, since the next Roster has to find it.
fn aside(target: &Path) -> Result<PathBuf, FileError> {
    hidden(target, "former")
}

fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::io("remove", path)(error)),
        _ => Ok(()),
    }
}
