//! Blocking work on a thread of its own, which holds up neither the runtime nor the end of the program.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use tokio::sync::oneshot;

/// The result of work on another thread. To drop it is to wait no longer; what the work comes to is then thrown away.
#[derive(Debug)]
pub struct Apart<T> {
    result: oneshot::Receiver<T>,
    /// Why there is no such thread.
    failed: Option<io::Error>,
}

/// Begins blocking work on a thread of its own. Unlike those of the runtime's pool, such a thread is not waited for when
/// the program ends, so it is for reading only.
pub fn apart<T, F>(work: F) -> Apart<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (done, result) = oneshot::channel();
    let begun = thread::Builder::new().name("reader".to_owned()).spawn(move || {
        // The one who waited may have stopped waiting.
        done.send(work()).ok();
    });
    Apart { result, failed: begun.err() }
}

impl<T> Future for Apart<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let broken = |_| io::Error::other("the thread that reads ended without a result");
        Pin::new(&mut self.result).poll(cx).map_err(broken)
    }
}
