//! Writing the file of a HAProxy that Roster owns.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_haproxy::render::{ReloadReason, Rendered};
use roster_targets::managed::file::{ConfigFiles, FileError, Foreign, Record, Written, dump_state};

use super::Own;
use super::change::NO_STATE;
use super::check::Verdict;
use crate::clock;
use crate::events::{Event, FileForeign, chain};
use crate::supervise;

/// When a file that could not follow the servers is tried again, though nothing else happens.
const FILE_AGAIN: Duration = Duration::from_secs(5);

/// What came of a structural change's file.
#[derive(Debug)]
pub(super) enum Checked {
    /// It is written.
    Written,
    /// It is not, for these of its lines; none where it is something else.
    Refused(Vec<usize>),
    /// HAProxy is being asked.
    Awaited,
}

impl Own {
    /// Writes a structural change once HAProxy's check has passed.
    pub(super) async fn write_checked(&mut self, rendered: &Rendered) -> Checked {
        if !PathBuf::from(self.reach.state_file.as_str()).exists() {
            self.write_state(NO_STATE.to_owned()).await;
        }
        let (rendered, mut files) = (rendered.clone(), self.files());
        let structure = rendered.structure.clone();
        let outcome = match self.check.verdict(&rendered, self.files(), clock::now()) {
            Verdict::Awaited => return Checked::Awaited,
            Verdict::Failed(error) => Err(error),
            Verdict::Passed => self.blocking(move |record| files.write_passed(&rendered, record)).await,
            Verdict::Unknown => {
                files.limit = self.check.limit();
                self.blocking(move |record| files.write_checked(&rendered, record)).await
            }
        };
        match outcome {
            Ok(written) => {
                self.told(&written);
                self.written = Some(structure);
                Checked::Written
            }
            Err(FileError::Refused { text, lines, kept, .. }) => {
                let kept = kept.map(|kept| format!(" (see {})", kept.display())).unwrap_or_default();
                let why = format!("HAProxy refuses the file{kept}: {}", text.replace('\n', "; "));
                self.refused(&why);
                Checked::Refused(lines)
            }
            Err(error) => {
                self.trouble(&chain(&error));
                Checked::Refused(Vec::new())
            }
        }
    }

    /// Writes where the servers are now, unless something else waits for a reload.
    pub(crate) async fn write_file(&mut self, agenda: &Agenda, now: Timestamp) {
        self.file_due = None;
        let Some(runs) = self.book.structure.clone() else { return };
        let Some(rendered) = self.rendered(agenda, now) else { return };
        let reasons = runs.reload_reasons(&rendered.structure);
        if !reasons.iter().all(ReloadReason::can_wait) {
            return;
        }
        let files = self.files();
        let structure = rendered.structure.clone();
        match self.blocking(move |record| files.write_quietly(&rendered, record)).await {
            Ok(written) => {
                self.told(&written);
                self.written = Some(structure);
            }
            Err(error) => {
                self.trouble(&chain(&error));
                self.file_due = Some(clock::after(clock::now(), FILE_AGAIN));
            }
        }
    }

    /// HAProxy has taken the file.
    pub(super) async fn settle(&mut self) {
        let files = self.files();
        if let Err(error) = self.blocking(move |record| files.settle(record)).await {
            self.trouble(&chain(&error));
        }
    }

    /// HAProxy has refused the file though its check had not.
    pub(super) async fn put_back(&mut self) {
        self.written = None;
        let files = self.files();
        match self.blocking(move |record| files.put_back(record)).await {
            Ok(back) => self.tell_foreign(&back.foreign),
            Err(error) => self.trouble(&chain(&error)),
        }
    }

    pub(super) async fn write_state(&self, text: String) {
        let path = PathBuf::from(self.reach.state_file.as_str());
        if let Err(error) = supervise::blocking(move || dump_state(&text, &path)).await {
            self.trouble(&format!("the servers' state is not kept over a reload: {}", chain(&error)));
        }
    }

    /// Whether all files are as Roster left them, and HAProxy is not about to take them in.
    pub(super) async fn is_file_as_left(&self) -> bool {
        let Some(record) = self.book.file.clone() else { return false };
        tokio::task::spawn_blocking(move || record.is_as_left()).await.unwrap_or(false)
    }

    fn files(&self) -> ConfigFiles {
        let mut files = ConfigFiles::new(&self.reach.config, &self.reach.haproxy);
        files.environment = self.environment();
        files.inherited = self.held.inherited();
        files
    }

    /// On a thread that may wait for a disk.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Record) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        let mut record = self.book.file.clone().unwrap_or_default();
        let (result, record) = supervise::blocking(move || {
            let result = work(&mut record);
            (result, record)
        })
        .await;
        if self.book.file.as_ref() != Some(&record) {
            self.book.file = Some(record);
            self.keep_book();
        }
        result
    }

    fn told(&self, written: &Written) {
        if let Written::New { foreign, .. } = written {
            self.tell_foreign(foreign);
        }
    }

    fn tell_foreign(&self, foreign: &[Foreign]) {
        for Foreign { path, kept, .. } in foreign {
            if let Some(kept) = kept {
                FileForeign { target: &self.name, path, kept }.emit(&self.reporter);
            }
        }
    }
}
