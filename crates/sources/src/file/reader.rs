//! Reads the file. It blocks: on a network file system for as long as that takes.

use std::fs::Metadata;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use roster_config::position::Position;
use roster_core::instance::Snapshot;
use roster_files::{Kind, ReadError};

use super::error::FileError;
use super::format::{Form, parse};
use super::notices::Notices;
use super::watch::{Answer, Reading};

/// Reads one file again and again, and parses it only if its bytes are others than before.
pub(super) struct Reader {
    path: PathBuf,
    form: Form,
    /// The answer before, for what a new one leaves unsaid.
    known: Option<Arc<Snapshot>>,
    /// Compared byte by byte: a hash could be made to collide.
    last: Option<Vec<u8>>,
    notices: Option<Notices>,
    /// Whether reports of the system were last found missing.
    deaf: bool,
}

/// A file's content, and whether it stood still.
struct Content {
    bytes: Vec<u8>,
    torn: bool,
    age: Duration,
}

impl Reader {
    /// A reader that has read nothing yet.
    pub(super) fn new(path: PathBuf, form: Form, notices: Option<Notices>) -> Self {
        Self { path, form, known: None, last: None, notices, deaf: false }
    }

    /// What a service that cannot be read keeps.
    pub(super) fn know(&mut self, known: Option<Arc<Snapshot>>) {
        self.known = known;
    }

    /// Reads the file as it is now. `wall` is what the machine's clock shows, of which the file's time stamp is too.
    pub(super) fn read(&mut self, now: Timestamp, wall: Timestamp) -> Reading {
        // First the watches, so that no change after the reading goes unnoticed.
        self.listen();
        match self.content(wall) {
            Ok(Content { bytes, torn, age }) => {
                if self.last.as_ref() == Some(&bytes) {
                    return Reading { new: None, torn, age };
                }
                let answer = self.answer(&bytes, now);
                self.last = Some(bytes);
                Reading { new: Some(answer), torn, age }
            }
            Err(error) => {
                self.last = None;
                Reading { new: Some(Err(error.into())), torn: false, age: Duration::ZERO }
            }
        }
    }

    fn listen(&mut self) {
        let Some(notices) = &mut self.notices else { return };
        let path = self.path.display();
        match notices.arm() {
            Ok(()) if self.deaf => {
                self.deaf = false;
                tracing::info!(%path, "changes of the file are reported again");
            }
            Err(error) if !self.deaf => {
                self.deaf = true;
                tracing::warn!(
                    %path, %error,
                    "changes of the file are not reported; it is read again every `poll` (see fs.inotify.* in sysctl)"
                );
            }
            Ok(()) | Err(_) => {}
        }
    }

    fn content(&self, wall: Timestamp) -> Result<Content, FileError> {
        let path = || self.path.clone();
        let read = roster_files::read(&self.path, Kind::Services).map_err(|error| match error {
            error if error.is_missing() => FileError::Missing { path: path() },
            ReadError::NotAFile { what } => FileError::NotAFile { path: path(), what },
            ReadError::TooLarge { .. } => FileError::TooLarge { path: path() },
            ReadError::Io(why) => FileError::Unreadable { path: path(), why: why.to_string() },
        })?;
        Ok(Content { torn: read.is_torn(), age: age(&read.after, wall), bytes: read.bytes })
    }

    fn answer(&self, bytes: &[u8], now: Timestamp) -> Answer {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let good = String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default());
            FileError::NotText { path: self.path.clone(), at: end(&good) }
        })?;
        let file = self.path.to_string_lossy();
        let snapshot =
            parse(&file, text, &self.form, self.known.as_deref(), now).map_err(FileError::Invalid)?;
        Ok(Arc::new(snapshot))
    }
}

/// For how long nothing was written, as far as the file's time stamp can be believed.
fn age(found: &Metadata, wall: Timestamp) -> Duration {
    let modified = found.modified().ok().and_then(|modified| Timestamp::try_from(modified).ok());
    modified.and_then(|modified| Duration::try_from(wall.duration_since(modified)).ok()).unwrap_or_default()
}

/// The place after a text.
fn end(text: &str) -> Position {
    let last = text.rsplit('\n').next().unwrap_or_default();
    Position { line: text.matches('\n').count() + 1, column: last.chars().count() + 1 }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use roster_clock::{now, wall};
    use roster_config::native::FileFormat;

    use super::*;

    fn reader(path: &Path) -> Reader {
        Reader::new(path.to_owned(), Form::new(path, FileFormat::Auto, "job"), None)
    }

    #[test]
    fn content_that_did_not_change_is_not_parsed_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        let mut reader = reader(&path);
        std::fs::write(&path, "services: {}").unwrap();
        assert!(matches!(reader.read(now(), wall()).new, Some(Ok(_))));
        std::fs::write(&path, "services: {}").unwrap();
        assert!(reader.read(now(), wall()).new.is_none());
        std::fs::write(&path, "services:").unwrap();
        assert!(matches!(reader.read(now(), wall()).new, Some(Err(_))));
        assert!(reader.read(now(), wall()).new.is_none());
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(reader.read(now(), wall()).new, Some(Err(_))));
        std::fs::write(&path, "services:").unwrap();
        assert!(reader.read(now(), wall()).new.is_some(), "the file was gone meanwhile");
    }

    #[test]
    fn a_file_from_the_future_is_as_young_as_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, "services: {}").unwrap();
        let hour = jiff::SignedDuration::from_hours(1);
        assert!(reader(&path).read(now(), wall() + hour).age > Duration::from_secs(3500));
        assert_eq!(reader(&path).read(now(), wall() - hour).age, Duration::ZERO);
    }
}
