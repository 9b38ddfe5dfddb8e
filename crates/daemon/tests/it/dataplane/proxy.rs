//! Something in between that lets single calls fail, where the API itself would not.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use roster_testkit::OrFail;

/// How a call fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum How {
    /// The connection breaks, and the call never comes to the API.
    Unsent,
    /// The API carries it out, and the connection breaks before its answer.
    Unanswered,
    /// The API carries it out, and a web page comes instead of its answer.
    Page,
    /// The API refuses it, as it does what is not as its specification says.
    Refused,
}

const PAGE: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>";
const REFUSED: &str = "HTTP/1.1 422 Unprocessable Entity\r\nContent-Type: application/json\r\n\
                       Content-Length: 44\r\nConnection: close\r\n\r\n{\"code\":602,\"message\":\"not as it should be\"}";

/// Calls that are to fail: by method and a part of the path, so many.
#[derive(Clone, Debug)]
struct Trap {
    method: &'static str,
    part: &'static str,
    how: How,
    left: u32,
}

/// A proxy on loopback. Dropping it ends it.
pub(super) struct Proxy {
    addr: SocketAddr,
    traps: Arc<Mutex<Vec<Trap>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Before an API at this address.
    pub(super) fn before(url: &str) -> Self {
        let upstream: SocketAddr = url.trim_start_matches("http://").parse().or_fail();
        let listener = TcpListener::bind("127.0.0.1:0").or_fail();
        let addr = listener.local_addr().or_fail();
        let (traps, stop) = (Arc::<Mutex<Vec<Trap>>>::default(), Arc::<AtomicBool>::default());
        let thread = {
            let (traps, stop) = (Arc::clone(&traps), Arc::clone(&stop));
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let traps = Arc::clone(&traps);
                    // A connection that breaks is its client's business.
                    std::thread::spawn(move || pass(&stream, upstream, &traps).ok());
                }
            })
        };
        Self { addr, traps, stop, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Lets the next so many calls of this kind fail.
    pub(super) fn trap(&self, method: &'static str, part: &'static str, how: How, times: u32) {
        let trap = Trap { method, part, how, left: times };
        self.traps.lock().unwrap_or_else(PoisonError::into_inner).push(trap);
    }

    /// Whether every trap was met as often as it was to be.
    pub(super) fn is_over(&self) -> bool {
        self.traps.lock().unwrap_or_else(PoisonError::into_inner).iter().all(|trap| trap.left == 0)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        TcpStream::connect(self.addr).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// One call a connection: the answer says that it is closed.
fn pass(client: &TcpStream, upstream: SocketAddr, traps: &Mutex<Vec<Trap>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line == "\r\n" {
            break;
        }
        if !line.to_ascii_lowercase().starts_with("connection:") {
            head.push(line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let fate = head.first().and_then(|first| met(first, traps));
    let mut client = client;
    match fate {
        Some(How::Unsent) => return Ok(()),
        Some(How::Refused) => return client.write_all(REFUSED.as_bytes()),
        _ => {}
    }
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(head.concat().as_bytes())?;
    server.write_all(b"Connection: close\r\n\r\n")?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    match fate {
        Some(How::Unanswered) => Ok(()),
        Some(How::Page) => client.write_all(PAGE.as_bytes()),
        _ => client.write_all(&answer),
    }
}

fn met(first: &str, traps: &Mutex<Vec<Trap>>) -> Option<How> {
    let (method, path) = first.split_once(' ')?;
    let mut traps = traps.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |trap: &&mut Trap| trap.left > 0 && trap.method == method && path.contains(trap.part);
    let trap = traps.iter_mut().find(fits)?;
    trap.left -= 1;
    Some(trap.how)
}
