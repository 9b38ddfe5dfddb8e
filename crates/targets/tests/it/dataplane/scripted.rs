//! A small HTTP server that answers what a test says, byte by byte if need be, and keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use roster_testkit::{MadeCertificate, OrFail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// The first byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    /// Path and parameters.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    /// Which connection it came on.
    pub(super) connection: usize,
}

/// What to do about a request.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Send an answer and keep the connection.
    Answer { status: u16, headers: Vec<(String, String)>, body: String },
    /// Send these bytes and close.
    Bytes(Vec<u8>),
    /// Close with a reset.
    Reset,
    /// Send these bytes and then nothing, until the client or the test ends.
    Stall(Vec<u8>),
}

/// The server. Dropping it ends its connections and its thread.
pub(super) struct Scripted {
    pub(super) addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<dyn Fn(&Asked) -> Act + Send + Sync>,
    tls: Option<Arc<ServerConfig>>,
    asked: Mutex<Vec<Asked>>,
    open: Mutex<Vec<TcpStream>>,
    stopped: AtomicBool,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Scripted {
    pub(super) fn start(script: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        Self::listen(script, None)
    }

    /// The same behind TLS, with this certificate.
    pub(super) fn start_tls(
        certificate: &MadeCertificate,
        script: impl Fn(&Asked) -> Act + Send + Sync + 'static,
    ) -> Self {
        let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).or_fail();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .or_fail()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certificate.der.clone())], key)
            .or_fail();
        Self::listen(script, Some(Arc::new(config)))
    }

    fn listen(
        script: impl Fn(&Asked) -> Act + Send + Sync + 'static,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).or_fail();
        let addr = listener.local_addr().or_fail();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            tls,
            asked: Mutex::default(),
            open: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept(&listener, &accepting));
        Self { addr, shared, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }

    /// What it was asked until now, without the look for the API's version.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().filter(|asked| !asked.target.ends_with("/info")).cloned().collect()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        for stream in self.shared.open.lock().unwrap().drain(..) {
            // It may be closed already, which is all that is wanted.
            let _closed = stream.shutdown(Shutdown::Both);
        }
        // Wakes the listener.
        drop(TcpStream::connect(self.addr));
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }
}

/// A JSON answer with the version of the configuration.
pub(super) fn answer(status: u16, version: u64, body: &Value) -> Act {
    let headers = vec![
        ("Configuration-Version".to_owned(), version.to_string()),
        ("Content-Type".to_owned(), "application/json".to_owned()),
    ];
    Act::Answer { status, headers, body: format!("{body}\n") }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    for (connection, stream) in listener.incoming().enumerate() {
        if shared.stopped.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { break };
        shared.open.lock().unwrap().push(stream.try_clone().or_fail());
        let shared = Arc::clone(shared);
        threads.push(std::thread::spawn(move || serve(stream, connection, &shared)));
    }
    for stream in shared.open.lock().unwrap().drain(..) {
        let _closed = stream.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ended = thread.join();
    }
}

fn serve(tcp: TcpStream, connection: usize, shared: &Shared) {
    let raw = tcp.try_clone().or_fail();
    let stream: Box<dyn Stream> = match &shared.tls {
        None => Box::new(tcp),
        Some(config) => {
            let tls = ServerConnection::new(Arc::clone(config)).or_fail();
            Box::new(StreamOwned::new(tls, tcp))
        }
    };
    let mut stream = BufReader::new(stream);
    if stream.fill_buf().is_ok_and(|bytes| bytes.first() == Some(&TLS_HANDSHAKE)) {
        // What an HTTP server says to those who come with TLS.
        let _written = stream.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        let _closed = raw.shutdown(Shutdown::Both);
        return;
    }
    while let Some(asked) = read(&mut stream, connection) {
        shared.asked.lock().unwrap().push(asked.clone());
        match (shared.script)(&asked) {
            Act::Answer { status, headers, body } => {
                let lines: Vec<_> =
                    headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let length = body.len();
                let head =
                    format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n{}\r\n", lines.concat());
                if stream.get_mut().write_all(format!("{head}{body}").as_bytes()).is_err() {
                    return;
                }
                let _flushed = stream.get_mut().flush();
            }
            Act::Bytes(bytes) => {
                let _written = stream.get_mut().write_all(&bytes);
                let _flushed = stream.get_mut().flush();
                let _closed = raw.shutdown(Shutdown::Both);
                return;
            }
            Act::Reset => {
                rustix::net::sockopt::set_socket_linger(&raw, Some(std::time::Duration::ZERO)).or_fail();
                // A reset goes out when the last handle is closed.
                shared.open.lock().unwrap().retain(|open| open.peer_addr().ok() != raw.peer_addr().ok());
                return;
            }
            Act::Stall(bytes) => {
                let _written = stream.get_mut().write_all(&bytes);
                let _flushed = stream.get_mut().flush();
                let _ended = stream.read(&mut [0]);
                return;
            }
        }
    }
}

fn read(stream: &mut impl BufRead, connection: usize) -> Option<Asked> {
    let first = line(stream)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut asked = Asked { method, target, headers, body: String::new(), connection };
    let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).unwrap();
    Some(asked)
}

fn line(stream: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    let read = stream.read_line(&mut line).ok()?;
    (read > 0).then(|| line.trim_end().to_owned())
}
