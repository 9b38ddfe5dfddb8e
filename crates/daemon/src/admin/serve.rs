//! Accepting connections, within bounds: so many at once, each with a time for its request's head, for its answer to be
//! taken, and a longest life.
//!
//! Invariant: a connection that comes is served at once. Where all places are taken, the connection on which nothing has
//! moved for longest loses its place. Connections take turns, a request each. So clients that send nothing, read nothing or
//! ask without end keep no other from asking, least of all one that asks for health.

mod paced;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::{AbortHandle, Id, JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::supervise::{Task, Tasks};
use paced::{Moved, Paced};

/// How many connections are served at once.
const AT_ONCE: usize = 64;
/// How long a request's head may take to come, and a connection may lie idle.
const HEAD: Duration = Duration::from_secs(10);
/// How long a client may take nothing of its answer.
const STALLED: Duration = Duration::from_secs(10);
/// How long a connection may last, that of a stream of events too.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long answers that are under way may take at the end.
const GRACE: Duration = Duration::from_secs(1);
/// How often it is reported at most that connections lose their places.
const REPORTED: Duration = Duration::from_secs(60);

/// Something that listens. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Served {
    stop: CancellationToken,
    accepting: JoinHandle<Option<()>>,
}

/// Takes in connections and serves them.
struct Accepting<L> {
    listener: L,
    router: Router,
    stop: CancellationToken,
}

/// The connections that are served.
#[derive(Default)]
struct Places {
    taken: HashMap<Id, Place>,
    reported: Option<Instant>,
}

struct Place {
    moved: Moved,
    connection: AbortHandle,
}

impl Served {
    /// Waits until all connections have ended, which they do within moments after the stop.
    pub(super) async fn ended(mut self) {
        self.stop.cancel();
        (&mut self.accepting).await.ok();
    }
}

impl<L: Listener> Task for Accepting<L> {
    type Left = ();

    async fn run(&mut self) -> Result<(), String> {
        let (mut places, mut connections) = (Places::default(), JoinSet::new());
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                Some(ended) = connections.join_next_with_id() => {
                    places.leave(ended.map_or_else(|error| error.id(), |(id, ())| id));
                }
                (stream, _) = self.listener.accept() => {
                    places.make_room();
                    let (stream, moved) = Paced::new(stream, STALLED);
                    places.take(moved, connections.spawn(serve(stream, self.router.clone(), self.stop.clone())));
                }
            }
        }
        while connections.join_next().await.is_some() {}
        Ok(())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Places {
    fn take(&mut self, moved: Moved, connection: AbortHandle) {
        self.taken.insert(connection.id(), Place { moved, connection });
    }

    fn leave(&mut self, connection: Id) {
        self.taken.remove(&connection);
    }

    /// Ends the connection on which nothing has moved for longest, where all places are taken.
    fn make_room(&mut self) {
        if self.taken.len() < AT_ONCE {
            return;
        }
        let longest = self.taken.values().min_by_key(|place| place.moved.last());
        let Some(id) = longest.map(|place| place.connection.id()) else { return };
        if let Some(place) = self.taken.remove(&id) {
            place.connection.abort();
        }
        if self.reported.is_none_or(|at| at.elapsed() > REPORTED) {
            self.reported = Some(Instant::now());
            warn!(
                "all {AT_ONCE} connections are in use, so the one that has been idle for longest was closed; see which clients \
                 keep theirs open"
            );
        }
    }
}

/// Serves every client until the stop. The name is that of the task.
pub(super) fn start<L: Listener>(
    name: &str,
    listener: L,
    router: Router,
    tasks: &Tasks,
    stop: &CancellationToken,
) -> Served {
    let stop = stop.child_token();
    let task = Accepting { listener, router: router.layer(from_fn(in_turn)), stop: stop.clone() };
    let accepting = tasks.spawn(name.to_owned(), &stop, task);
    Served { stop, accepting }
}

/// Lets the other connections go first: a client may have sent many requests at once.
async fn in_turn(request: Request, next: Next) -> Response {
    tokio::task::yield_now().await;
    next.run(request).await
}

async fn serve<S>(stream: Paced<S>, router: Router, stop: CancellationToken)
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
