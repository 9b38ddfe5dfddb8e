//! A small HTTP server that says who it is, for the servers behind HAProxy.
//!
//! Invariant: after `stop` (or drop) its port refuses connections and every connection it had is closed.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::http::Headers;
use crate::ports::{NoFreePort, free_port, listen};
use crate::wait::wait_until;

/// The reply header that carries the backend's name.
pub const BACKEND_HEADER: &str = "x-backend";
/// Requests for this path are counted apart and answered with the health status.
pub const HEALTH_PATH: &str = "/health";
/// A response to this path begins at once and ends only by [`HttpBackend::release_held`].
pub const HOLD_PATH: &str = "/hold";

/// No held response outlives a test by more than this.
const HOLD_CAP: Duration = Duration::from_mins(2);

/// Why a backend cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No port.
    #[error(transparent)]
    Port(#[from] NoFreePort),
    /// The address is taken.
    #[error("backend {name} cannot listen on {addr}")]
    Listen {
        /// The backend's name.
        name: String,
        /// Where.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
}

/// A running HTTP/1.1 server with keep-alive. Dropping it stops it.
#[derive(Debug)]
pub struct HttpBackend {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    status: AtomicU16,
    health: AtomicU16,
    requests: AtomicU64,
    health_requests: AtomicU64,
    connections: AtomicU64,
    stopping: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    delay: Duration,
    held: usize,
    releases: u64,
    open: Vec<(u64, TcpStream)>,
}

struct Request {
    method: String,
    path: String,
    keeps_open: bool,
}

impl HttpBackend {
    /// Starts on 127.0.0.1 and a free port.
    pub fn start(name: &str) -> Result<Self, BackendError> {
        Self::start_at(name, (Ipv4Addr::LOCALHOST, free_port()?).into())
    }

    /// Starts on an address of the test's choice, for example another loopback address or a stopped backend's port.
    pub fn start_at(name: &str, addr: SocketAddr) -> Result<Self, BackendError> {
        let failed = |source| BackendError::Listen { name: name.to_owned(), addr, source };
        let listener = listen(addr).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            status: AtomicU16::new(200),
            health: AtomicU16::new(200),
            requests: AtomicU64::new(0),
            health_requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let acceptor = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Self { addr, shared, acceptor: Some(acceptor) })
    }

    /// Its name, as in the reply's body and [`BACKEND_HEADER`].
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port alone.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Requests answered or being answered, health requests not counted.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Requests for [`HEALTH_PATH`].
    pub fn health_requests(&self) -> u64 {
        self.shared.health_requests.load(Ordering::SeqCst)
    }

    /// Connections accepted, TCP checks included.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Responses to [`HOLD_PATH`] that have begun and not ended.
    pub fn held(&self) -> usize {
        self.shared.lock().held
    }

    /// Waits this long before each answer from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// Answers with this status from now on, other than on [`HEALTH_PATH`].
    pub fn set_status(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// Answers [`HEALTH_PATH`] with this status from now on.
    pub fn set_health(&self, status: u16) {
        self.shared.health.store(status, Ordering::SeqCst);
    }

    /// Ends every held response in order.
    pub fn release_held(&self) {
        self.shared.lock().releases += 1;
        self.shared.changed.notify_all();
    }

    /// Closes the port and every connection. Further calls do nothing.
    pub fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else { return };
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.changed.notify_all();
        // Wakes the acceptor, which then sees that it is to end; if it cannot be woken it has ended already.
        TcpStream::connect(self.addr).ok();
        acceptor.join().ok();
        for (_, stream) in &self.shared.lock().open {
            stream.shutdown(std::net::Shutdown::Both).ok();
        }
        if let Err(late) = wait_until(Duration::from_secs(5), "the end of a backend's connections", || {
            self.shared.changed.notify_all();
            self.shared.lock().open.is_empty()
        }) {
            eprintln!("roster-testkit: {late}");
        }
    }
}

impl Drop for HttpBackend {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `cap`, or until `done`, or until the backend stops.
    fn wait(&self, cap: Duration, done: impl Fn(&State) -> bool) {
        let goes_on = |state: &mut State| !done(state) && !self.stopping.load(Ordering::SeqCst);
        drop(self.changed.wait_timeout_while(self.lock(), cap, goes_on));
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        while let Some(request) = Request::read(&mut stream)? {
            self.answer(&request, stream.get_mut())?;
            if !request.keeps_open || self.stopping.load(Ordering::SeqCst) {
                break;
            }
        }
        Ok(())
    }

    fn answer(&self, request: &Request, out: &mut TcpStream) -> io::Result<()> {
        let status = if request.path == HEALTH_PATH {
            self.health_requests.fetch_add(1, Ordering::SeqCst);
            self.health.load(Ordering::SeqCst)
        } else {
            self.requests.fetch_add(1, Ordering::SeqCst);
            self.status.load(Ordering::SeqCst)
        };
        let delay = self.lock().delay;
        self.wait(delay, |_| delay.is_zero());
        let name = &self.name;
        let connection = if request.keeps_open { "keep-alive" } else { "close" };
        let head =
            format!("HTTP/1.1 {status} Test\r\n{BACKEND_HEADER}: {name}\r\nConnection: {connection}\r\n");
        if request.path.starts_with(HOLD_PATH) {
            return self.hold(&head, out);
        }
        let body = if request.method == "HEAD" { "" } else { name.as_str() };
        out.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", name.len()).as_bytes())
    }

    fn hold(&self, head: &str, out: &mut TcpStream) -> io::Result<()> {
        let (name, size) = (&self.name, self.name.len());
        let releases = {
            let mut state = self.lock();
            state.held += 1;
            state.releases
        };
        let begun = out
            .write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{name}\r\n").as_bytes());
        if begun.is_ok() {
            self.wait(HOLD_CAP, |state| state.releases > releases);
        }
        self.lock().held -= 1;
        begun.and_then(|()| out.write_all(b"0\r\n\r\n"))
    }
}

impl Request {
    /// `None` when the client closed the connection between requests.
    fn read(from: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(path), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Ok(None);
        };
        let headers = Headers::read(from)?;
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        io::copy(&mut from.take(length), &mut io::sink())?;
        let asked = headers.get("connection").unwrap_or_default().to_ascii_lowercase();
        let keeps_open = if version == "HTTP/1.0" { asked == "keep-alive" } else { asked != "close" };
        Ok(Some(Self { method, path, keeps_open }))
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (number, stream) in (0_u64..).zip(listener.incoming()) {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let Ok(kept) = stream.try_clone() else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        shared.lock().open.push((number, kept));
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // An error here is the client's going away, which tests see on their side.
            shared.serve(stream).ok();
            shared.lock().open.retain(|(open, _)| *open != number);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Connection, HttpError, http_get};
    use crate::wait::wait_until_or_fail;

    const CAP: Duration = Duration::from_secs(10);

    #[test]
    fn a_reply_names_its_backend() {
        let backend = HttpBackend::start("blue").unwrap();
        let reply = http_get(backend.addr(), "/").unwrap();
        assert_eq!(
            (reply.status, reply.backend.as_deref(), reply.body.as_str()),
            (200, Some("blue"), "blue")
        );
        assert_eq!((backend.requests(), backend.connections()), (1, 1));
    }

    #[test]
    fn health_is_answered_and_counted_apart() {
        let backend = HttpBackend::start("b").unwrap();
        backend.set_health(503);
        assert_eq!(http_get(backend.addr(), HEALTH_PATH).unwrap().status, 503);
        assert_eq!(http_get(backend.addr(), "/").unwrap().status, 200);
        assert_eq!((backend.health_requests(), backend.requests()), (1, 1));
    }

    #[test]
    fn one_connection_carries_many_requests() {
        let backend = HttpBackend::start("b").unwrap();
        let mut connection = Connection::open(backend.addr(), CAP).unwrap();
        for _ in 0..3 {
            assert!(connection.get("/", true).unwrap().keeps_open);
        }
        assert_eq!((backend.requests(), backend.connections()), (3, 1));
    }

    #[test]
    fn a_held_response_ends_when_it_is_released() {
        let backend = HttpBackend::start("b").unwrap();
        let addr = backend.addr();
        let client = std::thread::spawn(move || http_get(addr, HOLD_PATH));
        wait_until_or_fail(CAP, "a held response", || backend.held() == 1);
        assert!(!client.is_finished());
        backend.release_held();
        assert_eq!(client.join().unwrap().unwrap().body, "b");
    }

    #[test]
    fn a_stopped_backend_refuses_connections_and_can_come_back_on_its_port() {
        let mut backend = HttpBackend::start("b").unwrap();
        let mut kept = Connection::open(backend.addr(), CAP).unwrap();
        kept.get("/", true).unwrap();
        backend.stop();
        assert!(matches!(kept.get("/", true), Err(HttpError::Closed)));
        assert!(matches!(http_get(backend.addr(), "/"), Err(HttpError::Refused)));
        let back = HttpBackend::start_at("again", backend.addr()).unwrap();
        assert_eq!(http_get(back.addr(), "/").unwrap().body, "again");
    }
}
