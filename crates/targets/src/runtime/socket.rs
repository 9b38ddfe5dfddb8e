//! Where HAProxy's Runtime API listens, and how to get there (management manual 9.3, `stats socket`).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout_at};

/// The longest path that a Unix socket's address has room for.
const LONGEST_PATH: usize = 107;

/// How long a full queue of connections is left alone.
const BREATH: Duration = Duration::from_millis(5);

/// A `stats socket`'s address.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum SocketAddress {
    /// A file; its mode and owner say who may connect.
    Unix(PathBuf),
    /// An address and port. Everyone who reaches it can do everything; keep it on loopback.
    Tcp(SocketAddr),
}

/// A text that is neither.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0:?} is not a socket; write a path such as /run/haproxy/admin.sock, or 127.0.0.1:9999")]
pub struct InvalidSocket(String);

/// Why there is no connection. Nothing was sent.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// No such file.
    #[error("{0} is not there; start HAProxy, and check that a `stats socket` line names this path")]
    NotFound(PathBuf),
    /// A file, but not a socket.
    #[error("{0} is not a socket; check that a `stats socket` line names this path")]
    NotASocket(PathBuf),
    /// Longer than a Unix socket's address may be.
    #[error("{0} is longer than the {LONGEST_PATH} bytes of a Unix socket's path; use a shorter one")]
    PathTooLong(PathBuf),
    /// Nobody listens.
    #[error("nobody listens on {0}; HAProxy does not run, or the file was left by one that ended")]
    Refused(SocketAddress),
    /// The file's mode does not let this user in.
    #[error(
        "no permission for {path}{owner}; run Roster as its owner or in its group, \
         or give the `stats socket` line `mode 660` and a `group`"
    )]
    Denied {
        /// The socket's path.
        path: PathBuf,
        /// Mode and owner, as far as they can be seen.
        owner: String,
    },
    /// The queue of connections is full.
    #[error(
        "{0} takes no more connections now; HAProxy is paused or overloaded, or its `stats maxconn` is too small"
    )]
    Busy(SocketAddress),
    /// No answer in time.
    #[error("{address} took no connection within {after:?}; HAProxy is paused, overloaded or out of reach")]
    TimedOut {
        /// Where.
        address: SocketAddress,
        /// The limit.
        after: Duration,
    },
    /// Anything else.
    #[error("cannot connect to {address}")]
    Other {
        /// Where.
        address: SocketAddress,
        /// Why.
        source: io::Error,
    },
}

/// A connection's two directions. Both have to be kept: HAProxy 3.0 ends a session whose client will not send more.
pub(super) struct Connection {
    pub(super) read: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) write: Box<dyn AsyncWrite + Send + Unpin>,
}

impl SocketAddress {
    /// Connects; while the queue of connections is full, again and again.
    pub(super) async fn connect(&self, limit: Duration) -> Result<Connection, ConnectError> {
        let until = Instant::now() + limit;
        loop {
            match timeout_at(until, self.try_to_connect()).await {
                Ok(Err(source))
                    if source.kind() == io::ErrorKind::WouldBlock && Instant::now() + BREATH < until =>
                {
                    sleep(BREATH).await;
                }
                Ok(connected) => return connected.map_err(|source| ConnectError::new(self, source)),
                Err(_) => return Err(ConnectError::TimedOut { address: self.clone(), after: limit }),
            }
        }
    }

    async fn try_to_connect(&self) -> io::Result<Connection> {
        match self {
            Self::Unix(path) => UnixStream::connect(path).await.map(|stream| {
                let (read, write) = stream.into_split();
                Connection { read: Box::new(read), write: Box::new(write) }
            }),
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                let (read, write) = stream.into_split();
                Ok(Connection { read: Box::new(read), write: Box::new(write) })
            }
        }
    }
}

impl ConnectError {
    fn new(address: &SocketAddress, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match (address, source.kind()) {
            (SocketAddress::Unix(path), Kind::NotFound) => Self::NotFound(path.clone()),
            (SocketAddress::Unix(path), Kind::PermissionDenied) => {
                Self::Denied { path: path.clone(), owner: owner(path) }
            }
            (SocketAddress::Unix(path), Kind::InvalidInput) if path.as_os_str().len() > LONGEST_PATH => {
                Self::PathTooLong(path.clone())
            }
            (SocketAddress::Unix(path), Kind::ConnectionRefused) if is_no_socket(path) => {
                Self::NotASocket(path.clone())
            }
            (_, Kind::ConnectionRefused) => Self::Refused(address.clone()),
            (_, Kind::WouldBlock) => Self::Busy(address.clone()),
            _ => Self::Other { address: address.clone(), source },
        }
    }
}

fn is_no_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| !data.file_type().is_socket())
}

fn owner(path: &Path) -> String {
    path.metadata().map_or_else(
        |_| String::new(),
        |data| format!(" (mode {:o}, user {}, group {})", data.mode() & 0o777, data.uid(), data.gid()),
    )
}

/// Reads a path, `unix@PATH`, or an IP address and port with or without `tcp@`, `ipv4@`, `ipv6@` before it.
impl FromStr for SocketAddress {
    type Err = InvalidSocket;
    fn from_str(given: &str) -> Result<Self, InvalidSocket> {
        if let Some(path) = given.strip_prefix("unix@").or(given.contains('/').then_some(given)) {
            let known = !path.is_empty() && !path.contains('\0');
            return known.then(|| Self::Unix(path.into())).ok_or_else(|| InvalidSocket(given.to_owned()));
        }
        let bare = ["tcp@", "ipv4@", "ipv6@"].iter().find_map(|prefix| given.strip_prefix(prefix));
        let address = bare.unwrap_or(given).parse();
        address.map(Self::Tcp).map_err(|_| InvalidSocket(given.chars().take(200).collect()))
    }
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_addresses_are_read_as_operators_write_them() {
        let unix = SocketAddress::Unix("/run/haproxy/admin.sock".into());
        for text in ["/run/haproxy/admin.sock", "unix@/run/haproxy/admin.sock"] {
            assert_eq!(text.parse(), Ok(unix.clone()));
        }
        for text in ["127.0.0.1:9999", "tcp@127.0.0.1:9999", "ipv4@127.0.0.1:9999"] {
            assert_eq!(text.parse(), Ok(SocketAddress::Tcp("127.0.0.1:9999".parse().unwrap())));
        }
        for text in ["", "unix@", "admin.sock", "localhost:9999", "abns@x", "127.0.0.1", "/a\0b"] {
            assert!(text.parse::<SocketAddress>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_permission_names_the_mode_and_what_to_change() {
        let path = PathBuf::from("/");
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        let text = ConnectError::new(&SocketAddress::Unix(path), source).to_string();
        assert!(text.starts_with("no permission for / (mode 7"), "{text}");
        assert!(text.contains("user 0, group 0") && text.contains("mode 660"), "{text}");
    }

    #[test]
    fn a_full_queue_is_told_from_nobody_listening() {
        let address: SocketAddress = "/x".parse().unwrap();
        let busy = ConnectError::new(&address, io::Error::from(io::ErrorKind::WouldBlock));
        assert!(matches!(busy, ConnectError::Busy(_)));
    }
}
