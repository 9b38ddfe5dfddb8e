//! A plain HTTP client for the tests: one request, one connection, the whole answer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roster_testkit::OrFail;
use serde_json::Value;

/// A request with the right credentials, unless told otherwise.
#[derive(Clone)]
pub(crate) struct Request {
    addr: String,
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// A whole answer. Header names are in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(url: &str, method: &str, path: &str) -> Self {
        Self {
            addr: url.rsplit('/').next().unwrap_or_default().to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: BTreeMap::new(),
            body: Vec::new(),
        }
        .credentials(Some(("admin", "test-password")))
    }

    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn credentials(mut self, given: Option<(&str, &str)>) -> Self {
        self.headers.remove("Authorization");
        match given {
            Some((user, password)) => {
                let encoded = STANDARD.encode(format!("{user}:{password}"));
                self.header("Authorization", &format!("Basic {encoded}"))
            }
            None => self,
        }
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").bytes(body.to_string().into_bytes())
    }

    pub(crate) fn text(self, body: &str) -> Self {
        self.header("Content-Type", "text/plain").bytes(body.as_bytes().to_vec())
    }

    /// The multipart part `file_upload`.
    pub(crate) fn upload(self, file: &str, content: &str) -> Self {
        let body = format!(
            "--part\r\nContent-Disposition: form-data; name=\"file_upload\"; filename=\"{file}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n{content}\r\n--part--\r\n"
        );
        self.header("Content-Type", "multipart/form-data; boundary=part").bytes(body.into_bytes())
    }

    pub(crate) fn bytes(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    #[track_caller]
    pub(crate) fn send(self) -> Answer {
        self.try_send().or_fail()
    }

    pub(crate) fn try_send(self) -> io::Result<Answer> {
        let mut head = format!("{} {}", self.method, self.path);
        for (at, (name, value)) in self.query.iter().enumerate() {
            write!(head, "{}{name}={value}", if at == 0 { '?' } else { '&' }).ok();
        }
        write!(head, " HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.addr).ok();
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").ok();
        }
        if !self.body.is_empty() || self.method != "GET" {
            write!(head, "Content-Length: {}\r\n", self.body.len()).ok();
        }
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(&self.addr)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        // A server that refuses the head may close before it read all of it.
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&self.body));
        let mut raw = Vec::new();
        let received = stream.read_to_end(&mut raw);
        match parse(&raw) {
            Some(answer) => Ok(answer),
            None => sent.and(received).and(Err(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; `null` for another one.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The object that a read gives: unwrapped in v2.
    pub(crate) fn data(&self) -> Value {
        let mut value = self.json();
        match value.as_object_mut().filter(|object| object.contains_key("_version")) {
            Some(object) => object.remove("data").unwrap_or_default(),
            None => value,
        }
    }

    pub(crate) fn message(&self) -> String {
        self.json().get("message").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

fn parse(raw: &[u8]) -> Option<Answer> {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(raw.get(..end)?).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = raw.get(end + 4..)?.to_vec();
    if headers.get("transfer-encoding").map(String::as_str) == Some("chunked") {
        body = unchunked(&body)?;
    } else if let Some(length) = headers.get("content-length").and_then(|length| length.parse::<usize>().ok())
        && body.len() < length
    {
        return None;
    }
    Some(Answer { status, headers, body })
}

/// The real program sends long answers in chunks.
fn unchunked(mut raw: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = raw.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(&String::from_utf8_lossy(raw.get(..end)?), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend(raw.get(end + 2..end + 2 + size)?);
        raw = raw.get(end + 4 + size..)?;
    }
}
