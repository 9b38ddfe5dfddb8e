//! Writing HAProxy's file: checked, whole, or not at all. The code blocks, so call it from a thread that may.
//!
//! Invariants:
//! - At every moment, and after a crash or a power cut at any, each file is one that was written to its end: the new
//!   text goes beside it, to the disk, and takes its name by a rename. haproxy.cfg comes last.
//! - What HAProxy refuses never gets a name that HAProxy reads. The check reads the new maps and crt-lists too, by a
//!   copy of haproxy.cfg that names them where they wait.
//! - What was there before a structural change is kept until its reload is known to have worked, and what somebody else
//!   wrote is kept in any case.

mod beside;
mod check;
mod complaint;
mod error;
mod former;
mod record;
mod run;
mod state;
mod version;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use roster_haproxy::render::{FileKind, Rendered};

use super::{Environment, Inherited};
use beside::{Beside, Existing, hidden, resolve, sweep, sync_folders};
use former::{Formers, notice};
use record::Sum;

pub use error::FileError;
pub use former::{Foreign, PutBack};
pub use record::Record;
pub use state::dump_state;
pub use version::haproxy_version;

/// HAProxy's file, and how HAProxy is asked what it thinks of a new one.
#[derive(Clone, Debug)]
pub struct ConfigFiles {
    /// haproxy.cfg. Where it is a link, what the link leads to is replaced.
    pub config: PathBuf,
    /// HAProxy.
    pub binary: PathBuf,
    /// More arguments, behind all others: those that HAProxy runs with, since they can decide what is valid (`-L`).
    pub arguments: Vec<OsString>,
    /// The variables that it gets.
    pub environment: Environment,
    /// What HAProxy inherits. It refuses a `bind fd@N` in a check too where it does not have N.
    pub inherited: Vec<Inherited>,
    /// How long `haproxy -c` may take. It reads all certificates, and resolves the names in the operator's own text.
    pub limit: Duration,
    /// Ends a check that runs, as if its time were over.
    pub cancelled: Arc<AtomicBool>,
}

/// The lock of the process that writes this haproxy.cfg, `.haproxy.cfg.lock` in the folder that it really is in.
///
/// # Errors
/// The links that lead to the file cannot be followed.
pub fn lock_beside(config: &Path) -> Result<PathBuf, FileError> {
    hidden(&resolve(config)?, "lock")
}

/// What became of a write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Written {
    /// All files say this already. That HAProxy has read them is not said by it.
    Same,
    /// Files were written.
    New {
        /// Which, haproxy.cfg last.
        changed: Vec<PathBuf>,
        /// Those among them that were not as Roster had left them.
        foreign: Vec<Foreign>,
    },
}

/// Whether HAProxy has to agree beforehand, and what was there must be kept.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Care {
    Checked,
    /// It has agreed already.
    Passed,
    Quiet,
}

/// A file that differs from what is wanted.
struct Staged<'r> {
    /// The path by which HAProxy knows it.
    named: &'r Path,
    /// Where the links lead that `named` may be.
    target: PathBuf,
    /// None for haproxy.cfg.
    kind: Option<FileKind>,
    text: &'r str,
    beside: Beside,
}

impl Written {
    /// Whether somebody else had changed or removed a file that Roster had written.
    pub fn changed_by_others(&self) -> bool {
        matches!(self, Self::New { foreign, .. } if foreign.iter().any(|one| !one.first))
    }
}

impl ConfigFiles {
    /// With nothing inherited and no arguments, and 30 s for a check.
    pub fn new(config: impl Into<PathBuf>, binary: impl Into<PathBuf>) -> Self {
        Self {
            config: config.into(),
            binary: binary.into(),
            arguments: Vec::new(),
            environment: Environment::default(),
            inherited: Vec::new(),
            limit: Duration::from_secs(30),
            cancelled: Arc::default(),
        }
    }

    /// Writes for a change that HAProxy takes by a reload: only what `haproxy -c` agrees to.
    ///
    /// What was there is kept until the outcome of the reload is told by [`settle`](Self::settle) or
    /// [`put_back`](Self::put_back). Files that are no longer named stay until it is settled. Where an outcome has not
    /// been told, as after a crash of Roster, what was there before the first of several writes stays the one that is
    /// put back. Save the record whenever it changed, before the reload.
    ///
    /// # Errors
    /// [`FileError::Refused`] if HAProxy does not take it; anything else if it cannot be written or checked. In each
    /// case all files are as they were.
    pub fn write_checked(&self, rendered: &Rendered, record: &mut Record) -> Result<Written, FileError> {
        self.write(rendered, record, Care::Checked)
    }

    /// Asks HAProxy whether it would take these files, without writing them where HAProxy reads.
    ///
    /// # Errors
    /// As for [`write_checked`](Self::write_checked).
    pub fn check_beforehand(&self, rendered: &Rendered) -> Result<(), FileError> {
        let staged = self.stage(rendered, "try")?;
        if staged.is_empty() { Ok(()) } else { self.check(rendered, &staged, "try-check") }
    }

    /// Does what [`write_checked`](Self::write_checked) does, for files whose structure and crt-lists
    /// [`check_beforehand`](Self::check_beforehand) has agreed to.
    ///
    /// # Errors
    /// One cannot be written.
    pub fn write_passed(&self, rendered: &Rendered, record: &mut Record) -> Result<Written, FileError> {
        self.write(rendered, record, Care::Passed)
    }

    /// Writes for a change that the running HAProxy gets on its socket: addresses, weights and maintenance of servers,
    /// and what stands in maps and crt-lists.
    ///
    /// There is no check, since all that can differ is of types that only hold what HAProxy reads, and a check of a
    /// large file costs more than the change itself. But a crt-list names certificates, without which HAProxy would not
    /// start again: one that changed is checked. The text is on the disk before it takes the name, so that a power cut
    /// never leaves an empty file; that the name is on the disk is not waited for, since the former file is as good to
    /// start with as any: Roster corrects it at once.
    ///
    /// # Errors
    /// As for [`write_checked`](Self::write_checked), except that after an error each file is either as it was or new.
    pub fn write_quietly(&self, rendered: &Rendered, record: &mut Record) -> Result<Written, FileError> {
        self.write(rendered, record, Care::Quiet)
    }

    fn write(&self, rendered: &Rendered, record: &mut Record, care: Care) -> Result<Written, FileError> {
        let staged = self.stage(rendered, "new")?;
        let asks = match care {
            Care::Checked => true,
            Care::Passed => false,
            Care::Quiet => staged.iter().any(|one| one.kind == Some(FileKind::CrtList)),
        };
        if asks && !staged.is_empty() {
            self.check(rendered, &staged, "check")?;
        }
        if asks || care == Care::Passed {
            // What was refused before is of no interest beside a file that is taken.
            self.forget_refused(rendered)?;
        }
        let mut next = record.clone();
        next.now(&self.config, rendered);
        let changed: Vec<_> = staged.iter().map(|one| one.named.to_owned()).collect();
        let mut formers = Formers::default();
        let foreign = place(staged, record, &mut next, care, &mut formers).inspect_err(|_| formers.undo())?;
        *record = next;
        Ok(if changed.is_empty() { Written::Same } else { Written::New { changed, foreign } })
    }

    /// Writes what differs beside its place, haproxy.cfg last. Nothing is checked, and nobody reads it yet.
    fn stage<'r>(&'r self, rendered: &'r Rendered, purpose: &str) -> Result<Vec<Staged<'r>>, FileError> {
        let files = rendered.files.iter();
        let files = files.map(|file| (Path::new(file.path.as_str()), Some(file.kind), file.text.as_str()));
        let all = files.chain([(self.config.as_path(), None, rendered.config.as_str())]);
        let mut staged = Vec::new();
        for (named, kind, text) in all {
            let target = resolve(named)?;
            let existing = Existing::read(&target)?;
            if existing.is_none_or(|existing| existing.bytes != text.as_bytes()) {
                sweep(&target);
                let beside = Beside::write(&target, purpose, text.as_bytes())?;
                staged.push(Staged { named, target, kind, text, beside });
            }
        }
        Ok(staged)
    }
}

/// Gives all files their names. What can fail is done for all before the first rename.
fn place(
    staged: Vec<Staged<'_>>,
    record: &Record,
    next: &mut Record,
    care: Care,
    formers: &mut Formers,
) -> Result<Vec<Foreign>, FileError> {
    let mut foreign = Vec::new();
    for one in &staged {
        // Read anew: a check takes long enough for somebody to write.
        let existing = Existing::read(&one.target)?;
        foreign.extend(notice(one.named, &one.target, existing.as_ref(), record)?);
        if care != Care::Quiet && next.is_first_since_settled(one.named) {
            formers.keep(&one.target, existing.as_ref())?;
            let there = existing.as_ref().map(|existing| Sum::of(&existing.bytes));
            next.keep(one.named, there, record.sum(one.named));
        }
        one.beside.finish(existing.as_ref())?;
    }
    let targets: Vec<_> = staged.iter().map(|one| one.target.clone()).collect();
    for one in staged {
        one.beside.take_place()?;
        formers.placed(&one.target);
    }
    if care != Care::Quiet {
        sync_folders(&targets)?;
    }
    Ok(foreign)
}
