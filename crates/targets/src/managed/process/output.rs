//! What HAProxy writes: to a file, so that it outlives Roster, and from there into Roster's log.
//!
//! Invariants: HAProxy has the file open for appending, so cutting it to nothing loses nothing that is written later;
//! it is cut only when all of it was read and it is longer than the bound (a line written between these two is lost).

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use rustix::fs::OFlags;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::debug;

use super::line::Line;

/// For `open`(2): a link is not followed, and a pipe not waited for.
const NO_LINK: i32 = (OFlags::NOFOLLOW.bits() | OFlags::NONBLOCK.bits()).cast_signed();
const CHUNK: usize = 64 * 1024;
/// A longer line is cut into pieces of this length.
const LONGEST_LINE: usize = 16 * 1024;
/// How many lines are remembered for an error's text.
const REMEMBERED: usize = 40;
/// When to look where changes are not told.
const UNWATCHED: Duration = Duration::from_secs(1);
/// When to look even so: it costs one question to the kernel.
const WATCHED: Duration = Duration::from_secs(30);

/// The file and how far it was read.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    bound: u64,
    read: u64,
    unfinished: Vec<u8>,
    remembered: VecDeque<Line>,
    count: u64,
    changes: mpsc::Receiver<()>,
    watcher: Option<RecommendedWatcher>,
}

/// A place in the output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(u64);

impl Output {
    /// Begins at the end of the file, which is made if there is none. A link in its place is refused.
    pub(super) fn open(path: &Path, bound: u64) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).read(true).mode(0o600).custom_flags(NO_LINK);
        let file = options.open(path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        let read = file.metadata()?.len();
        let (tell, changes) = mpsc::channel(1);
        let watcher = watch(path, tell);
        let remembered = VecDeque::with_capacity(REMEMBERED);
        Ok(Self { file, bound, read, unfinished: Vec::new(), remembered, count: 0, changes, watcher })
    }

    /// For a process to write to.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Waits until there may be something to read.
    pub(super) async fn changed(&mut self) {
        let patience = if self.watcher.is_some() { WATCHED } else { UNWATCHED };
        tokio::select! {
            Some(()) = self.changes.recv() => {}
            () = sleep(patience) => {}
        }
    }

    /// Reads what is new, logs its lines, and keeps the file within its bound.
    pub(super) fn read(&mut self) {
        if let Err(error) = self.read_on() {
            debug!("HAProxy's output cannot be read: {error}");
        }
    }

    /// The place behind what was read until now.
    pub(super) fn mark(&mut self) -> Mark {
        self.read();
        Mark(self.count)
    }

    /// The lines after a place, at most as many as are remembered.
    pub(super) fn since(&self, mark: Mark) -> Vec<Line> {
        let wanted = usize::try_from(self.count.saturating_sub(mark.0)).unwrap_or(REMEMBERED);
        let passed = self.remembered.len().saturating_sub(wanted);
        self.remembered.iter().skip(passed).cloned().collect()
    }

    fn read_on(&mut self) -> io::Result<()> {
        let mut length = self.file.metadata()?.len();
        if length < self.read {
            // Somebody else cut it.
            self.read = 0;
        }
        let mut chunk = vec![0; CHUNK];
        while self.read < length {
            let got = self.file.read_at(&mut chunk, self.read)?;
            if got == 0 {
                break;
            }
            self.read += u64::try_from(got).unwrap_or_default();
            self.take(chunk.get(..got).unwrap_or_default());
            length = self.file.metadata()?.len();
        }
        if self.read > self.bound && self.read == length {
            self.file.set_len(0)?;
            self.read = 0;
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.unfinished.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.unfinished.len() >= LONGEST_LINE {
                self.line();
            }
        }
    }

    fn line(&mut self) {
        let line = Line::parse(&String::from_utf8_lossy(&self.unfinished));
        self.unfinished.clear();
        if line.text.is_empty() {
            return;
        }
        line.log();
        self.count += 1;
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(line);
    }
}

/// Gives a sign when the file changes. Nothing is returned where it cannot be watched.
fn watch(path: &Path, tell: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let on_change = move |event: Result<Event, notify::Error>| {
        if event.is_ok_and(|event| !event.kind.is_access()) {
            // One sign that waits is enough.
            tell.try_send(()).ok();
        }
    };
    let started = notify::recommended_watcher(on_change).and_then(|mut watcher| {
        watcher.watch(path, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    started
        .inspect_err(|error| debug!(path = %path.display(), "not watched, read once a second: {error}"))
        .ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::managed::process::line::Level;

    struct Written {
        _dir: tempfile::TempDir,
        file: File,
        output: Output,
    }

    fn written(before: &str, bound: u64) -> Written {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        std::fs::write(&path, before).unwrap();
        let output = Output::open(&path, bound).unwrap();
        Written { file: output.handle().unwrap(), output, _dir: dir }
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn only_what_comes_later_is_read_and_a_line_only_when_it_is_whole() {
        let mut w = written("before\n", 1_000);
        let mark = w.output.mark();
        w.file.write_all(b"[ALERT] (1) : one\ntw").unwrap();
        w.output.read();
        assert_eq!(texts(&w.output.since(mark)), ["one"]);
        assert_eq!(w.output.since(mark)[0].level, Level::Alert);
        let later = w.output.mark();
        w.file.write_all(b"o\nthree\n").unwrap();
        w.output.read();
        assert_eq!(texts(&w.output.since(later)), ["two", "three"]);
        assert_eq!(texts(&w.output.since(mark)), ["one", "two", "three"]);
    }

    #[test]
    fn the_file_is_cut_when_it_was_read_and_nothing_later_is_lost() {
        let mut w = written("", 100);
        let mark = w.output.mark();
        for n in 0..500 {
            writeln!(w.file, "line number {n}").unwrap();
            if n % 7 == 0 {
                w.output.read();
                assert!(w.file.metadata().unwrap().len() <= 100);
            }
        }
        w.output.read();
        assert_eq!(w.output.count - mark.0, 500);
        assert_eq!(w.output.remembered.len(), REMEMBERED);
        assert_eq!(w.output.since(mark).last().unwrap().text, "line number 499");
    }

    #[test]
    fn a_file_that_somebody_cut_is_read_from_its_beginning() {
        let mut w = written("a long line that was there before\n", 1_000);
        let mark = w.output.mark();
        w.file.set_len(0).unwrap();
        w.file.write_all(b"new\n").unwrap();
        w.output.read();
        assert_eq!(texts(&w.output.since(mark)), ["new"]);
    }

    #[test]
    fn a_line_without_end_takes_no_memory_without_end() {
        let mut w = written("", 10);
        for _ in 0..10 {
            w.file.write_all(&[b'x'; 10_000]).unwrap();
            w.output.read();
            assert!(w.output.unfinished.len() < LONGEST_LINE + 10_000);
        }
        assert!(w.output.count > 0);
    }

    #[tokio::test]
    async fn a_change_is_noticed_without_waiting() {
        let mut w = written("", 1_000);
        assert!(w.output.watcher.is_some());
        let started = std::time::Instant::now();
        w.file.write_all(b"x\n").unwrap();
        w.output.changed().await;
        assert!(started.elapsed() < UNWATCHED * 10, "{:?}", started.elapsed());
    }
}
