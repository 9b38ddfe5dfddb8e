//! The log's way to standard error: lines that come in one go are written in one go, and none of them waits for its reader.
//!
//! A pass over thousands of servers tells a line for each; a system call for each of them, and waking whoever reads
//! them, would cost more than deciding. So lines wait in memory until Roster has to wait for something itself, and then a
//! thread of their own writes them. Where the reader of a pipe is slow or stands still, that thread waits for it, and
//! Roster does not: what finds no more room is dropped and counted, and a line says how much it was once the reader has
//! caught up. Without that thread every line is written at once.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::MakeWriter;

/// So many bytes may wait; a pass over 10,000 servers makes some 2 MB.
const ROOM: usize = 8 * 1024 * 1024;
/// Memory that a burst needed beyond this is given back.
const KEPT: usize = 64 * 1024;
/// How long the last lines may take to be written when Roster ends.
const AT_END: Duration = Duration::from_secs(3);

/// How many lines were dropped since the start, for the metric.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many lines of the log were dropped because its reader was too slow.
pub(crate) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Where the lines wait. Its copies are one and the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Burst {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Mutex<Waiting>,
    /// Wakes the thread.
    changed: Condvar,
    /// Says that there is a first line.
    some: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// How many lines were dropped that no line tells of yet.
    dropped: u64,
    /// Whether they are to be written now.
    is_due: bool,
    writer: Writer,
}

/// What writes the lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Writer {
    /// The task that has a line to write.
    #[default]
    Caller,
    /// The thread.
    Thread,
    /// The thread, which ends once nothing waits.
    Ending,
}

impl Burst {
    /// Writes what waits from a thread of its own until stopped.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        self.write_to(io::stderr(), stop).await;
    }

    async fn write_to(self, out: impl Write + Send + 'static, stop: CancellationToken) {
        self.waiting().writer = Writer::Thread;
        let (over, ended) = oneshot::channel();
        let burst = self.clone();
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || {
            burst.write_out(out);
            over.send(()).ok();
        });
        // This is polled when Roster has nothing better to do.
        while thread.is_ok() && stop.run_until_cancelled(self.inner.some.notified()).await.is_some() {
            self.waiting().is_due = true;
            self.inner.changed.notify_all();
        }
        self.waiting().writer = Writer::Ending;
        self.inner.changed.notify_all();
        // A reader that stands still keeps Roster from ending no longer than this.
        tokio::time::timeout(AT_END, ended).await.ok();
        let mut waiting = self.waiting();
        waiting.writer = Writer::Caller;
        waiting.lines.clear();
    }

    /// The thread: writes what waits, again and again.
    fn write_out(&self, mut out: impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut waiting = self.waiting();
            while !waiting.is_due && waiting.writer == Writer::Thread {
                waiting = self.inner.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if waiting.lines.is_empty() && waiting.writer != Writer::Thread {
                return;
            }
            waiting.is_due = false;
            std::mem::swap(&mut lines, &mut waiting.lines);
            let dropped = std::mem::take(&mut waiting.dropped);
            drop(waiting);
            // Nobody is left to be told where standard error is gone.
            out.write_all(&lines).and_then(|()| out.flush()).ok();
            lines.clear();
            lines.shrink_to(KEPT);
            if dropped > 0 {
                tracing::warn!(
                    lines = dropped,
                    "the reader of this log was too slow: {dropped} lines were dropped"
                );
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Burst {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.waiting();
        if waiting.writer == Writer::Caller {
            drop(waiting);
            io::stderr().write_all(line).ok();
        } else if waiting.lines.len() + line.len() > ROOM {
            waiting.dropped += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
        } else {
            let is_first = waiting.lines.is_empty();
            waiting.lines.extend_from_slice(line);
            if is_first {
                self.inner.some.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Burst {
    type Writer = Burst;

    fn make_writer(&self) -> Burst {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    /// A pipe whose reader takes a write only when it is told to.
    struct Pipe {
        take: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.take.recv().ok();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_reader_that_stands_still_holds_up_nobody_and_what_finds_no_room_is_counted() {
        let (burst, stop) = (Burst::default(), CancellationToken::new());
        let (take, taken) = mpsc::channel();
        let written = Arc::new(Mutex::new(Vec::new()));
        let pipe = Pipe { take: taken, written: Arc::clone(&written) };
        let serving = tokio::spawn(burst.clone().write_to(pipe, stop.clone()));
        while burst.waiting().writer == Writer::Caller {
            tokio::task::yield_now().await;
        }
        let line = [b'x'; 1024];
        let (began, many) = (Instant::now(), 4 * ROOM / line.len());
        let before = dropped();
        for _ in 0..many {
            burst.clone().write_all(&line).unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it waited for the reader");
        let lost = usize::try_from(dropped() - before).unwrap();
        assert!(lost >= many / 4, "{lost} of {many} lines were dropped");
        drop(take);
        stop.cancel();
        serving.await.unwrap();
        assert_eq!(written.lock().unwrap().len(), (many - lost) * line.len());
    }
}
