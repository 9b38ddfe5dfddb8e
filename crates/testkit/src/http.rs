//! A small blocking HTTP/1.1 client that tells kinds of failure apart.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::backend::BACKEND_HEADER;

/// Long enough for a held response; a test that needs less waits by its own condition.
const CAP: Duration = Duration::from_secs(30);

/// Why a request has no reply.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// The connection was reset, or closed in the middle of a reply.
    #[error("connection reset")]
    Reset,
    /// A kept-alive connection was closed before any byte of the reply: the client may send the request again.
    #[error("kept-alive connection closed")]
    Closed,
    /// No connection or no reply in time.
    #[error("timed out")]
    TimedOut,
    /// Not HTTP.
    #[error("not an HTTP reply: {0:?}")]
    Malformed(String),
    /// Anything else.
    #[error(transparent)]
    Io(io::Error),
}

/// A complete reply.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The name of the [`crate::HttpBackend`] that answered; `None` for HAProxy's own replies.
    pub backend: Option<String>,
    /// The body, decoded.
    pub body: String,
    /// Whether the connection may be used again.
    pub keeps_open: bool,
}

/// One connection, used for one request after the other.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    addr: SocketAddr,
    used: bool,
}

/// GETs a path on a fresh connection.
pub fn http_get(addr: SocketAddr, path: &str) -> Result<HttpReply, HttpError> {
    Connection::open(addr, CAP)?.get(path, false)
}

impl From<io::Error> for HttpError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Self::Reset,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Io(error),
        }
    }
}

impl Connection {
    pub(crate) fn open(addr: SocketAddr, cap: Duration) -> Result<Self, HttpError> {
        let stream = TcpStream::connect_timeout(&addr, cap)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(cap))?;
        stream.set_write_timeout(Some(cap))?;
        Ok(Self { stream: BufReader::new(stream), addr, used: false })
    }

    pub(crate) fn get(&mut self, path: &str, keep_alive: bool) -> Result<HttpReply, HttpError> {
        let again = std::mem::replace(&mut self.used, true);
        let connection = if keep_alive { "keep-alive" } else { "close" };
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: {connection}\r\n\r\n", self.addr);
        let mut first = String::new();
        let sent = self.stream.get_mut().write_all(request.as_bytes());
        match sent.and_then(|()| self.stream.read_line(&mut first)) {
            Ok(0) if again => return Err(HttpError::Closed),
            Ok(0) => return Err(HttpError::Reset),
            Ok(_) => {}
            Err(error) => {
                return Err(match HttpError::from(error) {
                    HttpError::Reset if again => HttpError::Closed,
                    other => other,
                });
            }
        }
        let status = first
            .strip_prefix("HTTP/1.")
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok())
            .ok_or_else(|| HttpError::Malformed(first.clone()))?;
        let headers = Headers::read(&mut self.stream)?;
        let body = self.body(&headers)?;
        let keeps_open = headers.get("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
        Ok(HttpReply { status, backend: headers.get(BACKEND_HEADER).map(str::to_owned), body, keeps_open })
    }

    fn body(&mut self, headers: &Headers) -> Result<String, HttpError> {
        let mut body = Vec::new();
        if headers.get("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            while let size @ 1.. = self.chunk_size()? {
                self.exactly(size, &mut body)?;
                self.chunk_end()?;
            }
            self.chunk_end()?;
        } else if let Some(length) = headers.get("content-length") {
            let length = length.parse().map_err(|_| HttpError::Malformed(length.to_owned()))?;
            self.exactly(length, &mut body)?;
        } else {
            self.stream.read_to_end(&mut body)?;
        }
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    fn exactly(&mut self, size: u64, into: &mut Vec<u8>) -> Result<(), HttpError> {
        let read = (&mut self.stream).take(size).read_to_end(into)?;
        if read as u64 == size { Ok(()) } else { Err(HttpError::Reset) }
    }

    fn chunk_size(&mut self) -> Result<u64, HttpError> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(HttpError::Reset);
        }
        u64::from_str_radix(line.trim(), 16).map_err(|_| HttpError::Malformed(line))
    }

    fn chunk_end(&mut self) -> Result<(), HttpError> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 { Err(HttpError::Reset) } else { Ok(()) }
    }
}

/// Header lines with their names in lower case.
pub(crate) struct Headers(Vec<(String, String)>);

impl Headers {
    /// Reads up to the empty line.
    pub(crate) fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if line.trim_end().is_empty() {
                return Ok(Self(headers));
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
