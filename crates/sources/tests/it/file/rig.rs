//! A folder, a source that watches a file in it, and what it tells.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use roster_config::native::{self, FileFormat};
use roster_core::instance::{Snapshot, SourceEvent};
use roster_sources::Source;
use roster_sources::file::FileSource;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Far longer than anything takes, far shorter than a poll that is not under test.
pub(super) const CAP: Duration = Duration::from_secs(20);

/// A poll that no test lives to see, about the longest that can be written: what is told, the system reported.
pub(super) const NEVER: &str = "100000000h";

pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes in place, as `>` in a shell does.
    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes beside the file and renames it into place.
    pub(super) fn put(&self, name: &str, text: &str) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }
}

/// A file with one service of this name.
pub(super) fn service(name: &str) -> String {
    format!("services:\n  {name}:\n    - 10.0.0.1:80\n")
}

pub(super) fn source(path: &Path, poll: &str) -> FileSource {
    let config = native::FileSource {
        path: path.to_owned(),
        format: FileFormat::Auto,
        service_label: "job".to_owned(),
        poll: poll.parse().unwrap(),
    };
    FileSource::new("fleet".parse().unwrap(), &config)
}

/// A source at work.
pub(super) struct Running {
    pub(super) events: mpsc::Receiver<SourceEvent>,
    pub(super) stop: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

impl Running {
    /// Watches the file; polls only when it is too late for any test.
    pub(super) fn on(path: &Path) -> Self {
        Self::of(source(path, NEVER))
    }

    pub(super) fn of(source: FileSource) -> Self {
        let (out, events) = mpsc::channel(8);
        let stop = CancellationToken::new();
        let task = tokio::spawn(source.run(out, stop.clone()));
        Self { events, stop, task }
    }

    pub(super) async fn next(&mut self) -> SourceEvent {
        timeout(CAP, self.events.recv()).await.expect("nothing was told").expect("the source ended")
    }

    /// The next event must be an answer with this one service.
    pub(super) async fn tells(&mut self, service: &str) -> Arc<Snapshot> {
        match self.next().await {
            SourceEvent::Full(snapshot) => {
                let names: Vec<_> = snapshot.services.keys().map(ToString::to_string).collect();
                assert_eq!(names, [service]);
                snapshot
            }
            SourceEvent::Lost(error) => panic!("lost: {error}"),
        }
    }

    /// The next answer, whatever is in it.
    pub(super) async fn tells_any(&mut self) -> Arc<Snapshot> {
        loop {
            if let SourceEvent::Full(snapshot) = self.next().await {
                return snapshot;
            }
        }
    }

    /// The next event must be a loss whose text has this in it.
    pub(super) async fn loses(&mut self, text: &str) {
        match self.next().await {
            SourceEvent::Lost(error) => assert!(error.message.contains(text), "{error}"),
            SourceEvent::Full(snapshot) => panic!("told {:?}", snapshot.services),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
