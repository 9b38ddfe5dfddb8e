//! One HTTP/1.1 request on a fresh connection, as someone who comes by makes it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::servers::{LAST_CHUNK, LINGER_PATH, NAME_HEADER};

/// The longest wait for a whole answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is read of an answer.
const MOST: usize = 1 << 20;
/// How many connections are tried until one gets to the server that is looked for.
const TRIES: usize = 200;

/// What a visitor would call a failure.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// No connection.
    #[error("no connection to {at}: {source}")]
    Connect {
        /// Where.
        at: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// It took too long.
    #[error("no whole answer within {0:?}")]
    TimedOut(Duration),
    /// Another status than 200.
    #[error("status {0}")]
    Status(u16),
    /// The connection ended before the answer did, or that is no HTTP.
    #[error("the answer is cut off")]
    NotWhole,
    /// The server that was looked for never answered.
    #[error("none of {TRIES} connections got to {0}")]
    NotMet(String),
}

/// The head of an answer.
#[derive(Debug, Eq, PartialEq)]
struct Head {
    status: u16,
    name: String,
    length: Option<usize>,
}

/// An answer that has begun and goes on until the server ends it.
#[derive(Debug)]
pub(crate) struct Download {
    stream: TcpStream,
    read: Vec<u8>,
}

/// Asks once, and answers who gave the whole answer.
pub(crate) async fn fetch(at: SocketAddr, path: &str) -> Result<String, Fault> {
    let whole = async {
        let mut stream = ask(at, path).await?;
        let mut read = Vec::new();
        let (head, body) = read_head(&mut stream, &mut read).await?;
        let length = head.length.filter(|length| *length <= MOST).ok_or(Fault::NotWhole)?;
        while read.len() < body + length {
            more(&mut stream, &mut read).await?;
        }
        if head.status == 200 { Ok(head.name) } else { Err(Fault::Status(head.status)) }
    };
    tokio::time::timeout(PATIENCE, whole).await.unwrap_or(Err(Fault::TimedOut(PATIENCE)))
}

impl Download {
    /// Begins one from the server of this name, which has been told to linger.
    pub(crate) async fn begin(at: SocketAddr, name: &str) -> Result<Self, Fault> {
        for _ in 0..TRIES {
            let begun = async {
                let mut stream = ask(at, LINGER_PATH).await?;
                let mut read = Vec::new();
                let (head, _) = read_head(&mut stream, &mut read).await?;
                Ok::<_, Fault>((head, Self { stream, read }))
            };
            let begun = tokio::time::timeout(PATIENCE, begun).await;
            let (head, download) = begun.unwrap_or(Err(Fault::TimedOut(PATIENCE)))?;
            if head.name == name && head.length.is_none() {
                return Ok(download);
            }
        }
        Err(Fault::NotMet(name.to_owned()))
    }

    /// Waits for the end of it. Being cut off is a fault.
    pub(crate) async fn finish(mut self) -> Result<(), Fault> {
        while !self.read.ends_with(LAST_CHUNK) {
            if self.read.len() > MOST {
                self.read.drain(..MOST / 2);
            }
            more(&mut self.stream, &mut self.read).await?;
        }
        Ok(())
    }
}

async fn ask(at: SocketAddr, path: &str) -> Result<TcpStream, Fault> {
    let mut stream = TcpStream::connect(at).await.map_err(|source| Fault::Connect { at, source })?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(Fault::Broken)?;
    Ok(stream)
}

async fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> Result<(), Fault> {
    match stream.read_buf(read).await {
        Ok(0) => Err(Fault::NotWhole),
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::Broken(error)),
    }
}

/// Reads until the body begins, and answers where that is.
async fn read_head(stream: &mut TcpStream, read: &mut Vec<u8>) -> Result<(Head, usize), Fault> {
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = read.get(..end).and_then(parse_head).ok_or(Fault::NotWhole)?;
            return Ok((head, end + 4));
        }
        if read.len() > MOST {
            return Err(Fault::NotWhole);
        }
        more(stream, read).await?;
    }
}

fn parse_head(bytes: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
    let mut head = Head { status, name: String::new(), length: None };
    for (key, value) in lines.filter_map(|line| line.split_once(':')) {
        if key.eq_ignore_ascii_case(NAME_HEADER) {
            value.trim().clone_into(&mut head.name);
        } else if key.eq_ignore_ascii_case("content-length") {
            head.length = value.trim().parse().ok();
        }
    }
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_tells_status_name_and_length() {
        let head = parse_head(b"HTTP/1.1 200 OK\r\nServed-By: coral\r\ncontent-length: 12").unwrap();
        assert_eq!(head, Head { status: 200, name: "coral".to_owned(), length: Some(12) });
        assert_eq!(parse_head(b"HTTP/1.1 503 Service Unavailable").unwrap().status, 503);
        assert_eq!(parse_head(b"SSH-2.0-x"), None);
    }

    /// A server that says this once and closes.
    async fn saying(text: &'static str) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            assert_ne!(stream.read(&mut asked).await.unwrap(), 0);
            stream.write_all(text.as_bytes()).await.unwrap();
        });
        at
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_off_is_a_failure() {
        let at = saying("HTTP/1.1 200 OK\r\nServed-By: a\r\nContent-Length: 9\r\n\r\nhalf").await;
        assert!(matches!(fetch(at, "/").await, Err(Fault::NotWhole)));
        let at = saying("HTTP/1.1 200 OK\r\nServed-By: a\r\n\r\n4\r\nhalf\r\n").await;
        assert!(matches!(Download::begin(at, "a").await.unwrap().finish().await, Err(Fault::NotWhole)));
    }

    #[tokio::test]
    async fn another_status_than_200_is_a_failure() {
        let at = saying("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
        assert!(matches!(fetch(at, "/").await, Err(Fault::Status(503))));
    }
}
