//! A server that takes an upgrade to a websocket and then sends back what it gets, and a client of it through HAProxy.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use roster_testkit::{OrFail, free_port, wait_until_or_fail};

use crate::rig::CAP;

/// Runs until the test ends.
pub(super) struct Server {
    pub(super) port: u16,
}

/// One end of a tunnel.
pub(super) struct Tunnel(TcpStream);

impl Server {
    pub(super) fn start() -> Self {
        let port = free_port().or_fail();
        let listener = wait_until_or_fail(CAP, "a port", || TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || serve(stream));
            }
        });
        Self { port }
    }
}

/// An ordinary request gets an ordinary answer.
fn serve(stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    let mut upgrades = false;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        upgrades |= line.to_ascii_lowercase().starts_with("upgrade: websocket");
        if line.trim().is_empty() {
            break;
        }
    }
    if !upgrades {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
        return writer.write_all(answer.as_bytes()).ok();
    }
    // The accepted key of RFC 6455, section 1.3, for the key that the client sends.
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    writer.write_all(answer.as_bytes()).ok()?;
    let mut bytes = [0; 64];
    loop {
        let count = reader.read(&mut bytes).ok().filter(|count| *count > 0)?;
        writer.write_all(&bytes[..count]).ok()?;
    }
}

impl Tunnel {
    /// Upgrades a connection to this address.
    pub(super) fn open(at: SocketAddr, host: &str) -> Self {
        let mut stream = TcpStream::connect(at).or_fail();
        stream.set_read_timeout(Some(CAP)).or_fail();
        let asks = format!(
            "GET /tunnel HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(asks.as_bytes()).or_fail();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).or_fail();
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self(stream)
    }

    /// Whether what is sent comes back.
    pub(super) fn echoes(&mut self) -> bool {
        let mut back = [0; 4];
        self.0.write_all(b"ping").is_ok() && self.0.read_exact(&mut back).is_ok() && back == *b"ping"
    }
}
