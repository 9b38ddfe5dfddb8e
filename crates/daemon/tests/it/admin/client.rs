//! A small HTTP client that says exactly what it is told to say.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use crate::rig::CAP;

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

/// GETs a path and reads to the end.
pub(super) fn get(at: SocketAddr, path: &str) -> Reply {
    request(at, &format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n"))
}

/// A POST of JSON.
pub(super) fn post(path: &str, json: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{json}",
        json.len()
    )
}

/// Sends a request and reads to the end.
pub(super) fn request(at: SocketAddr, text: &str) -> Reply {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(CAP)).unwrap();
    request_over(stream, text)
}

pub(super) fn request_over(mut stream: impl Read + Write, text: &str) -> Reply {
    stream.write_all(text.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// The stream of events, as a browser reads it.
pub(super) struct Events {
    lines: BufReader<TcpStream>,
}

impl Events {
    /// Listens from now on: what happens after this is told.
    pub(super) fn open(at: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(CAP)).unwrap();
        // HTTP/1.0, so that the answer comes without chunks.
        stream.write_all(b"GET /api/v1/events HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            lines.read_line(&mut line).unwrap();
        }
        Self { lines }
    }

    /// Reads on until an event is like this.
    pub(super) fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the stream ended");
            let event = line.strip_prefix("data: ").map(|data| serde_json::from_str(data).unwrap());
            if let Some(event) = event.filter(&wanted) {
                return event;
            }
        }
    }

    /// Reads the rest; whether it ends as it should.
    pub(super) fn ended(&mut self) -> bool {
        self.lines.read_to_end(&mut Vec::new()).is_ok()
    }
}
