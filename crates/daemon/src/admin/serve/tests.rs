use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::*;
use crate::events::Reporter;
use crate::supervise::tests::PanicsOnce;

/// What a client's side of the connection has room for.
const ROOM: usize = 1024;
const LARGE: usize = 1024 * 1024;

struct Door(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for Door {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(stream) => (stream, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Site {
    door: mpsc::UnboundedSender<DuplexStream>,
    /// How many requests for `/counted` were answered.
    counted: Arc<AtomicU32>,
    _served: Served,
}

impl Site {
    fn new() -> Self {
        let (door, come) = mpsc::unbounded_channel();
        let large = || async { "x".repeat(LARGE) };
        let counted = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&counted);
        let router = Router::new()
            .route("/healthz", get(|| async { "alive\n" }))
            .route("/large", get(large))
            .route("/counted", get(|| async move { count.fetch_add(1, Ordering::Relaxed).to_string() }));
        let tasks = Tasks::new(&Reporter::default());
        let served = start("admin address", Door(come), router, &tasks, &CancellationToken::new());
        Self { door, counted, _served: served }
    }

    /// A client that sends this, and reads nothing yet.
    async fn client(&self, sends: &str) -> DuplexStream {
        let (mut here, there) = duplex(ROOM);
        self.door.send(there).unwrap();
        here.write_all(sends.as_bytes()).await.unwrap();
        here
    }

    async fn asks(&self, path: &str) -> DuplexStream {
        self.client(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await
    }

    /// Fails unless `/healthz` answers at once.
    async fn is_healthy(&self) {
        let asked = Instant::now();
        let mut answer = String::new();
        self.asks("/healthz").await.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("alive\n"), "{answer:?}");
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    }
}

/// What is left to read; none if the connection was cut.
async fn rest(mut client: DuplexStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.ok();
    bytes
}

#[tokio::test(start_paused = true)]
async fn clients_that_send_no_whole_request_keep_no_other_from_asking() {
    let site = Site::new();
    let mut held = Vec::new();
    for _ in 0..1000 {
        held.push(site.client("GET /heal").await);
    }
    site.is_healthy().await;
}

#[tokio::test(start_paused = true)]
async fn clients_that_do_not_read_their_answers_keep_no_other_from_asking() {
    let site = Site::new();
    let mut held = Vec::new();
    for _ in 0..AT_ONCE {
        held.push(site.asks("/large").await);
        tokio::task::yield_now().await;
    }
    site.is_healthy().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_many_requests_at_once_keeps_no_other_from_asking() {
    let site = Site::new();
    let (mut here, there) = duplex(LARGE);
    here.write_all("GET /counted HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000).as_bytes()).await.unwrap();
    site.door.send(there).unwrap();
    site.is_healthy().await;
    let answered = site.counted.load(Ordering::Relaxed);
    assert!(answered < 20, "{answered} requests were answered before another client's only one");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_taken_ends_with_its_connection() {
    let site = Site::new();
    let client = site.asks("/large").await;
    sleep(STALLED + Duration::from_secs(1)).await;
    let got = rest(client).await.len();
    assert!(got <= 2 * ROOM, "{got} bytes were sent to a client that did not read");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_taken_slowly_is_sent_whole() {
    let site = Site::new();
    let mut client = site.asks("/large").await;
    let (mut got, mut block) = (0, vec![0; ROOM]);
    while got < LARGE {
        sleep(STALLED / 2).await;
        for _ in 0..64 {
            got += client.read(&mut block).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_and_an_idle_connection_end() {
    let site = Site::new();
    let partial = site.client("GET /healthz HTTP/1.1\r\nHost: loc").await;
    let mut idle = site.client("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut answer = [0; 16];
    idle.read_exact(&mut answer).await.unwrap();
    let ended = timeout(HEAD + Duration::from_secs(1), async { (rest(partial).await, rest(idle).await) });
    ended.await.expect("a connection lies idle for longer");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_panics_is_reported_and_listens_again() {
    let (door, come) = mpsc::unbounded_channel();
    let (panics, stop) = (CancellationToken::new(), CancellationToken::new());
    let tasks = Tasks::quick(&Reporter::default());
    let router = Router::new().route("/healthz", get(|| async { "alive\n" }));
    let task = Accepting { listener: Door(come), router, stop: stop.clone() };
    let served = tasks.spawn("admin address".to_owned(), &stop, PanicsOnce::new(task, &panics));
    let site = Site { door, counted: Arc::default(), _served: Served { stop, accepting: served } };
    site.is_healthy().await;
    panics.cancel();
    while tasks.ended().is_empty() {
        tokio::task::yield_now().await;
    }
    site.is_healthy().await;
    let ended = &tasks.ended()["admin address"];
    assert_eq!((ended.cause.as_str(), ended.times, ended.runs), ("it panicked: a mistake", 1, true));
}
