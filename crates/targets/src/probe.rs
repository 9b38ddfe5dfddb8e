//! Asking an instance itself whether it is there, before HAProxy sends anybody to it.

use std::net::SocketAddr;

use roster_core::address::Endpoint;
use roster_core::exposure::Probe;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How much of an answer is read: the status line is all that counts.
const ANSWER: usize = 64;

/// Whether the instance takes a connection and, where a path is given, answers a GET with 2xx or 3xx.
pub async fn reach(endpoint: Endpoint, probe: &Probe) -> bool {
    matches!(timeout(probe.timeout, attempt(endpoint, probe)).await, Ok(Ok(true)))
}

async fn attempt(endpoint: Endpoint, probe: &Probe) -> std::io::Result<bool> {
    let mut connection = TcpStream::connect(SocketAddr::new(endpoint.ip, endpoint.port.get())).await?;
    let Some(path) = &probe.http_path else { return Ok(true) };
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: {endpoint}\r\nUser-Agent: roster\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(ANSWER);
    while answer.len() < ANSWER && !answer.contains(&b'\n') {
        if connection.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(is_well(&answer))
}

/// Whether a status line says 2xx or 3xx.
fn is_well(answer: &[u8]) -> bool {
    let mut words = answer.split(|byte| *byte == b' ');
    let version = words.next().is_some_and(|word| word.starts_with(b"HTTP/1."));
    let status = words.next().and_then(|word| word.first()).is_some_and(|class| matches!(class, b'2' | b'3'));
    version && status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_line_with_success_or_redirection_is_well() {
        assert!(is_well(b"HTTP/1.1 200 OK\r\n"));
        assert!(is_well(b"HTTP/1.0 302 Found\r\n"));
        for unwell in
            [b"HTTP/1.1 503 No\r\n".as_slice(), b"HTTP/1.1 404 \r\n", b"SSH-2.0-x\r\n", b"", b"HTTP/1.1 "]
        {
            assert!(!is_well(unwell));
        }
    }
}
