//! The file source: runs the watch, reads when told, tells what it is told.
//!
//! Files are read and parsed on a thread of their own: both may take long, and the runtime has one thread for all of Roster.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use roster_config::native;
use roster_core::instance::{Snapshot, SourceError, SourceEvent};
use roster_files::{Apart, apart};
use roster_haproxy::name::SourceName;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::error::FileError;
use super::format::Form;
use super::notices::{Heard, Notices};
use super::reader::Reader;
use super::watch::{Effect, Event, Hint, PATIENCE, Reading, Watch};
use crate::source::Source;

/// The shortest `poll`, so that no configuration can make it a busy loop.
const MIN_POLL: Duration = Duration::from_millis(100);

/// Services and instances from a file.
#[derive(Debug)]
pub struct FileSource {
    name: SourceName,
    path: PathBuf,
    form: Form,
    poll: Duration,
    known: Option<Arc<Snapshot>>,
    notice: bool,
}

/// One run of the source: what it waits for, and what it has yet to do.
struct Session<'s> {
    source: &'s mut FileSource,
    watch: Watch,
    due: VecDeque<Effect>,
    /// None while it is at work.
    reader: Option<Box<Reader>>,
    work: Option<Work>,
    heard: Option<Heard>,
}

type Work = Apart<(Box<Reader>, Reading)>;

impl FileSource {
    /// Opens nothing yet. A relative path is relative to the working directory of this moment.
    pub fn new(name: SourceName, config: &native::FileSource) -> Self {
        let path = std::path::absolute(&config.path).unwrap_or_else(|_| config.path.clone());
        let form = Form::new(&path, config.format, &config.service_label);
        Self { name, path, form, poll: config.poll.get().max(MIN_POLL), known: None, notice: true }
    }

    /// Gives it the answer that was kept over a restart: a service that cannot be read keeps its part of it.
    #[must_use]
    pub fn resume(self, known: Arc<Snapshot>) -> Self {
        Self { known: Some(known), ..self }
    }

    /// Reads the file every `poll` and asks the system for no reports.
    #[must_use]
    pub fn poll_only(self) -> Self {
        Self { notice: false, ..self }
    }

    fn reader(&self, notices: Option<Notices>) -> Box<Reader> {
        let mut reader = Reader::new(self.path.clone(), self.form.clone(), notices);
        reader.know(self.known.clone());
        Box::new(reader)
    }

    /// The reader, and the reports of the system if they are wanted.
    fn open(&self, notice: bool) -> (Box<Reader>, Option<Heard>) {
        if notice {
            let (notices, heard) = Notices::new(&self.path);
            (self.reader(Some(notices)), Some(heard))
        } else {
            (self.reader(None), None)
        }
    }
}

impl Source for FileSource {
    async fn fetch(&mut self) -> Result<Arc<Snapshot>, SourceError> {
        match Session::new(self, false).next().await {
            SourceEvent::Full(snapshot) => Ok(snapshot),
            SourceEvent::Lost(error) => Err(error),
        }
    }

    async fn run(mut self, out: mpsc::Sender<SourceEvent>, stop: CancellationToken) {
        let notice = self.notice;
        tracing::debug!(source = %self.name, path = %self.path.display(), "the file is watched");
        let mut session = Session::new(&mut self, notice);
        let tell = async {
            loop {
                let event = session.next().await;
                if out.send(event).await.is_err() {
                    return;
                }
            }
        };
        // Nothing here is lost by being dropped in the middle.
        stop.run_until_cancelled(tell).await;
    }
}

impl<'s> Session<'s> {
    fn new(source: &'s mut FileSource, notice: bool) -> Self {
        let restless = FileError::Restless { path: source.path.clone(), seconds: PATIENCE.as_secs() };
        let (watch, effects) = Watch::start(source.poll, restless.into());
        let (reader, heard) = source.open(notice);
        Self { source, watch, due: effects.into(), reader: Some(reader), work: None, heard }
    }

    /// Works until there is something to tell.
    async fn next(&mut self) -> SourceEvent {
        loop {
            while let Some(effect) = self.due.pop_front() {
                match effect {
                    Effect::Read => self.read(),
                    Effect::Tell(event) => return self.told(event),
                }
            }
            let event = tokio::select! {
                hint = heard(&mut self.heard) => Event::Noticed(hint),
                outcome = finished(&mut self.work) => Event::Read(self.back(outcome)),
                () = until(self.watch.wake_at()) => Event::Tick,
            };
            self.due.extend(self.watch.step(event, Instant::now()));
        }
    }

    fn read(&mut self) {
        let Some(mut reader) = self.reader.take() else { return };
        self.work = Some(apart(move || {
            let reading = reader.read(roster_clock::now(), roster_clock::wall());
            (reader, reading)
        }));
    }

    fn back(&mut self, outcome: io::Result<(Box<Reader>, Reading)>) -> Reading {
        self.work = None;
        match outcome {
            Ok((reader, reading)) => {
                self.reader = Some(reader);
                reading
            }
            Err(error) => {
                // The reader is lost, and its watches with it.
                let (reader, heard) = self.source.open(self.heard.is_some());
                (self.reader, self.heard) = (Some(reader), heard);
                let error = FileError::Internal { path: self.source.path.clone(), why: error.to_string() };
                Reading { new: Some(Err(error.into())), torn: false, age: Duration::ZERO }
            }
        }
    }

    fn told(&mut self, event: SourceEvent) -> SourceEvent {
        if let SourceEvent::Full(snapshot) = &event {
            self.source.known = Some(Arc::clone(snapshot));
            if let Some(reader) = &mut self.reader {
                reader.know(self.source.known.clone());
            }
        }
        event
    }
}

/// The next report of the system; without a listener there never is one.
async fn heard(heard: &mut Option<Heard>) -> Hint {
    if let Some(bell) = heard {
        while bell.changed().await.is_ok() {
            if let Some(hint) = *bell.borrow_and_update() {
                return hint;
            }
        }
    }
    std::future::pending().await
}

/// The end of the reading that is under way, if one is.
async fn finished(work: &mut Option<Work>) -> io::Result<(Box<Reader>, Reading)> {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
