//! What stands between Roster and a cloud: it counts the calls, and answers otherwise where a test wants that.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use roster_testkit::{OrFail, Poll, wait_until_or_fail};

use crate::rig::CAP;

/// A proxy on loopback. Dropping it ends it.
pub(super) struct Gate {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    calls: u64,
    /// What each call gets instead of the cloud's answer.
    instead: Option<(u16, String)>,
    /// What is written otherwise in the cloud's answers.
    shown: Vec<(String, String)>,
}

impl Gate {
    pub(super) fn before(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").or_fail();
        let addr = listener.local_addr().or_fail();
        let (state, stop) = (Arc::<Mutex<State>>::default(), Arc::<AtomicBool>::default());
        let thread = {
            let (state, stop) = (Arc::clone(&state), Arc::clone(&stop));
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let state = Arc::clone(&state);
                    // A connection that breaks is its client's business.
                    std::thread::spawn(move || pass(&stream, upstream, &state).ok());
                }
            })
        };
        Self { addr, state, stop, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// How many calls came.
    pub(super) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Waits until so many more calls came.
    #[track_caller]
    pub(super) fn until_asked(&self, more: u64) {
        let before = self.calls();
        wait_until_or_fail(CAP, &format!("{more} more calls"), || {
            Poll::when(self.calls(), |now| *now >= before + more)
        });
    }

    /// From now on each call gets this error, as EC2 writes it.
    pub(super) fn fail(&self, status: u16, code: &str) {
        let body = format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>x</Message></Error></Errors></Response>"
        );
        self.state().instead = Some((status, body));
    }

    /// From now on the cloud answers itself.
    pub(super) fn answer(&self) {
        self.state().instead = None;
    }

    /// From now on this stands where the cloud writes that.
    pub(super) fn show(&self, instead_of: &str, this: &str) {
        self.state().shown.push((instead_of.to_owned(), this.to_owned()));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        TcpStream::connect(self.addr).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One call a connection: the answer says that it is closed.
fn pass(mut client: &TcpStream, upstream: SocketAddr, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let low = line.to_ascii_lowercase();
        if let Some(value) = low.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line == "\r\n" {
            break;
        }
        if !low.starts_with("connection:") {
            head += &line;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let instead = {
        let mut state = lock(state);
        state.calls += 1;
        state.instead.clone()
    };
    let (status, text) = match instead {
        Some(instead) => instead,
        None => forward(upstream, &head, &body)?,
    };
    let text = lock(state).shown.iter().fold(text, |text, (from, to)| text.replace(from, to));
    let kind = "Content-Type: text/xml\r\nConnection: close";
    write!(client, "HTTP/1.1 {status} X\r\n{kind}\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

fn forward(upstream: SocketAddr, head: &str, body: &[u8]) -> std::io::Result<(u16, String)> {
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    server.write_all(body)?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}
