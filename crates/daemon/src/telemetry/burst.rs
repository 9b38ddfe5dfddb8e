//! The log's way to standard error: lines that come in one go are written in one go.
//!
//! A pass over thousands of servers tells a line for each; a system call for each of them, and waking whoever reads
//! them, would cost more than deciding. So lines wait in memory until Roster has to wait for something itself, which
//! is a few milliseconds at most. Without a task that writes them out, every line is written at once.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::fmt::MakeWriter;

/// With more than this it does not wait.
const FULL: usize = 64 * 1024;

/// Where the lines wait. Its copies are one and the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Burst {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: Mutex<Vec<u8>>,
    /// Whether somebody writes out what waits.
    served: AtomicBool,
    some: Notify,
}

/// Writes out what waits, once more at the end, and lets nothing wait from then on.
struct Service<'b>(&'b Burst);

impl Burst {
    /// Writes out what waits whenever Roster has nothing better to do, until stopped.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        self.inner.served.store(true, Ordering::Relaxed);
        let service = Service(&self);
        while stop.run_until_cancelled(self.inner.some.notified()).await.is_some() {
            write_out(&mut service.0.lines());
        }
    }

    fn lines(&self) -> MutexGuard<'_, Vec<u8>> {
        self.inner.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_out(lines: &mut Vec<u8>) {
    // Nobody is left to be told where standard error is gone.
    io::stderr().write_all(lines).ok();
    lines.clear();
    lines.shrink_to(FULL);
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        self.0.inner.served.store(false, Ordering::Relaxed);
        write_out(&mut self.0.lines());
    }
}

impl Write for Burst {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.lines();
        let first = lines.is_empty();
        lines.extend_from_slice(line);
        if lines.len() > FULL || !self.inner.served.load(Ordering::Relaxed) {
            write_out(&mut lines);
        } else if first {
            self.inner.some.notify_one();
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
