//! Asking the running roster, for the commands.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use roster_config::native::Listen;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::{SOCKET, routes};
use crate::store::Store;

/// The longest answer that is read, in bytes: ten thousand servers need some four million.
const MOST: usize = 256 * 1024 * 1024;
/// How long an answer may take: a little longer than the other side allows itself.
const PATIENCE: Duration = routes::ANSWER.saturating_add(Duration::from_secs(5));

/// A way to reach the running roster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Door {
    /// Its control socket.
    Control(PathBuf),
    /// Its admin address.
    Open(SocketAddr),
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum AskError {
    /// Nobody is behind the door.
    #[error("no roster listens there")]
    NobodyThere,
    /// The door is for somebody else.
    #[error("the running roster takes orders from its own user alone; run this as that user, or as root")]
    Forbidden,
    /// The connection.
    #[error("the running roster cannot be asked: {0}")]
    Io(io::Error),
    /// No HTTP.
    #[error("the running roster cannot be asked: {0}")]
    Http(#[from] hyper::Error),
    /// A question that cannot be written.
    #[error("the running roster cannot be asked: {0}")]
    Question(#[from] hyper::http::Error),
    /// No end.
    #[error("the running roster's answer cannot be read: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// Words where JSON was to come.
    #[error("the running roster answers: {0}")]
    Words(String),
    /// Nothing in time.
    #[error("the running roster does not answer within {} s; see its log", .0.as_secs())]
    Late(Duration),
}

/// The control socket of the store's folder.
pub(crate) fn control(store: &Store) -> Option<Door> {
    store.folder().map(|folder| Door::Control(folder.join(SOCKET)))
}

/// The admin address.
pub(crate) fn open(listen: Option<Listen>) -> Option<Door> {
    listen.map(|Listen { address, .. }| Door::Open(here(address)))
}

/// An address to connect to, for one to listen on.
fn here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

impl Door {
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, AskError> {
        self.ask(self.question(Method::GET, path, Bytes::new())?).await
    }

    /// Sends a body of JSON.
    pub(crate) async fn post(&self, path: &str, json: Vec<u8>) -> Result<Answer, AskError> {
        self.ask(self.question(Method::POST, path, json.into())?).await
    }

    fn question(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, AskError> {
        let host = match self {
            Door::Control(_) => "localhost".to_owned(),
            Door::Open(address) => address.to_string(),
        };
        let question = Request::builder().method(method).uri(path).header(header::HOST, host);
        let question = question.header(header::CONTENT_TYPE, "application/json");
        Ok(question.body(Full::new(body))?)
    }

    async fn ask(&self, question: Request<Full<Bytes>>) -> Result<Answer, AskError> {
        let asked = async {
            match self {
                Door::Control(path) => exchange(UnixStream::connect(path).await?, question).await,
                Door::Open(address) => exchange(TcpStream::connect(address).await?, question).await,
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(AskError::Late(PATIENCE)))
    }
}

async fn exchange<S>(stream: S, question: Request<Full<Bytes>>) -> Result<Answer, AskError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answered = async move {
        let response = sender.send_request(question).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST).collect().await.map_err(AskError::Body)?;
        Ok(Answer { status, body: body.to_bytes() })
    };
    let mut answered = pin!(answered);
    tokio::select! {
        answer = &mut answered => answer,
        // What the connection has read before it ended is still there to be taken.
        _ = connection => answered.await,
    }
}

impl From<io::Error> for AskError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => AskError::Forbidden,
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NobodyThere,
            _ => AskError::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_means_every_interface_is_asked_on_this_machine() {
        let here = |text: &str| here(text.parse().unwrap()).to_string();
        assert_eq!(here("0.0.0.0:9876"), "127.0.0.1:9876");
        assert_eq!(here("[::]:9876"), "[::1]:9876");
        assert_eq!(here("10.0.0.7:9876"), "10.0.0.7:9876");
    }
}
