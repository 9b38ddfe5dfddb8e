//! Asking an instance itself whether it is there, before HAProxy sends anybody to it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use roster_core::exposure::Probe;
use roster_haproxy::address::Endpoint;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How much of an answer is read: the status line is all that counts.
const ANSWER: usize = 64;

/// Why an instance was not reached.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// Nothing came in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// The connection.
    #[error("{}", cause(.0))]
    Io(#[from] io::Error),
    /// Another status.
    #[error("GET {path} is answered with {status}")]
    Status {
        /// What was asked for.
        path: String,
        /// The status code.
        status: u16,
    },
    /// Something else than HTTP.
    #[error("GET {0} is not answered with HTTP/1")]
    NotHttp(String),
}

/// The error without the number that it has on this system.
fn cause(error: &io::Error) -> String {
    let kind = error.kind().to_string();
    if kind.is_empty() || error.raw_os_error().is_none() { error.to_string() } else { kind }
}

/// Finds out whether the instance takes a connection and, where a path is given, answers a GET with 2xx or 3xx.
pub async fn reach(endpoint: Endpoint, probe: &Probe) -> Result<(), ProbeError> {
    let attempted = timeout(probe.timeout, attempt(endpoint, probe)).await;
    attempted.unwrap_or(Err(ProbeError::Late(probe.timeout)))
}

async fn attempt(endpoint: Endpoint, probe: &Probe) -> Result<(), ProbeError> {
    let mut connection = TcpStream::connect(SocketAddr::new(endpoint.ip, endpoint.port.get())).await?;
    let Some(path) = &probe.http_path else { return Ok(()) };
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {endpoint}\r\nUser-Agent: roster\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(ANSWER);
    while answer.len() < ANSWER && !answer.contains(&b'\n') {
        if connection.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    match status(&answer) {
        Some(200..400) => Ok(()),
        Some(status) => Err(ProbeError::Status { path: path.clone(), status }),
        None => Err(ProbeError::NotHttp(path.clone())),
    }
}

/// The code of a status line.
fn status(answer: &[u8]) -> Option<u16> {
    let mut words = answer.split(u8::is_ascii_whitespace);
    words.next().filter(|word| word.starts_with(b"HTTP/1."))?;
    let code = words.next().filter(|code| code.len() == 3)?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read_and_nothing_else_is_taken_for_one() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n"), Some(200));
        assert_eq!(status(b"HTTP/1.0 302 Found\r\n"), Some(302));
        assert_eq!(status(b"HTTP/1.1 503\r\n"), Some(503));
        for other in [b"SSH-2.0-x\r\n".as_slice(), b"", b"HTTP/1.1 ", b"HTTP/1.1 2", b"HTTP/1.1 20x No\r\n"] {
            assert_eq!(status(other), None, "{}", other.escape_ascii());
        }
    }

    fn probe(http_path: Option<&str>) -> Probe {
        let http_path = http_path.map(str::to_owned);
        Probe { http_path, timeout: Duration::from_secs(5), ..Probe::default() }
    }

    #[tokio::test]
    async fn a_failure_says_what_happened() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint: Endpoint = listener.local_addr().unwrap().to_string().parse().unwrap();
        let answering = tokio::spawn(async move {
            for answer in ["HTTP/1.1 503 Service Unavailable\r\n\r\n", "220 mail\r\n"] {
                let (mut connection, _) = listener.accept().await.unwrap();
                connection.write_all(answer.as_bytes()).await.unwrap();
                let mut request = Vec::new();
                connection.read_to_end(&mut request).await.ok();
            }
        });
        let says = async |path| reach(endpoint, &probe(path)).await.unwrap_err().to_string();
        assert_eq!(says(Some("/health")).await, "GET /health is answered with 503");
        assert_eq!(says(Some("/health")).await, "GET /health is not answered with HTTP/1");
        answering.await.unwrap();
        assert_eq!(says(None).await, "connection refused");
    }
}
