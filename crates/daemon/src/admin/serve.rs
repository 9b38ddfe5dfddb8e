//! Accepting connections, within bounds: so many at once, each with a time for its request's head and a longest life.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

/// How many connections are served at once; the others wait.
const AT_ONCE: usize = 64;
/// How long a request's head may take to come, and a connection may lie idle.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may last, that of a stream of events too.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long answers that are under way may take at the end.
const GRACE: Duration = Duration::from_secs(1);

/// Something that listens. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Served {
    stop: CancellationToken,
    accepting: JoinHandle<()>,
}

impl Served {
    /// Waits until all connections have ended, which they do within moments after the stop.
    pub(super) async fn ended(mut self) {
        self.stop.cancel();
        (&mut self.accepting).await.ok();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Serves whoever connects until the stop.
pub(super) fn start<L: Listener>(listener: L, router: Router, stop: &CancellationToken) -> Served {
    let stop = stop.child_token();
    let accepting = tokio::spawn(accept(listener, router, stop.clone()));
    Served { stop, accepting }
}

async fn accept<L: Listener>(mut listener: L, router: Router, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(&places).acquire_owned()).await {
        let Some((stream, _)) = stop.run_until_cancelled(listener.accept()).await else { break };
        tasks.spawn(serve(stream, router.clone(), stop.clone(), place));
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn serve<S>(stream: S, router: Router, stop: CancellationToken, _place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = timeout(LONGEST, connection.as_mut()) => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(GRACE, connection).await
        }
    };
    if let Ok(Err(error)) = ended {
        debug!("a connection ended: {error}");
    }
}
