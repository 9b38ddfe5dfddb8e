//! A proxy for calls over TLS: it takes `CONNECT` and leads every connection to one server, whatever name was asked for.
//!
//! Invariants: it is on loopback; dropping the value ends every connection.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::ports::{NoFreePort, free_port, listen};

/// Room for the head of a request.
const HEAD: usize = 16 * 1024;

/// What went wrong with the proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No port.
    #[error(transparent)]
    Port(#[from] NoFreePort),
    /// Threads or sockets.
    #[error("the proxy: {0}")]
    Io(#[from] io::Error),
}

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub struct ConnectProxy {
    addr: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ConnectProxy {
    /// Starts one that leads to this server. With a user and a password it wants to see those.
    pub fn start(to: SocketAddr, login: Option<&str>) -> Result<Self, ProxyError> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let listener = listen(addr)?;
        listener.set_nonblocking(true)?;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (log, login) = (Arc::clone(&asked), login.map(authorization));
        let thread = thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                serve(listener, to, login, log, stopped).await;
            });
        })?;
        Ok(Self { addr, asked, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The servers that it was asked for so far, each with its port.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn authorization(login: &str) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(login);
    format!("proxy-authorization: basic {encoded}").to_ascii_lowercase()
}

async fn serve(
    listener: TcpListener,
    to: SocketAddr,
    login: Option<String>,
    asked: Arc<Mutex<Vec<String>>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let (login, asked) = (login.clone(), Arc::clone(&asked));
                // A connection that breaks is its client's business.
                connections.spawn(async move { tunnel(stream, to, login, &asked).await.ok() });
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    connections.shutdown().await;
}

async fn tunnel(
    mut from: TcpStream,
    to: SocketAddr,
    login: Option<String>,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD {
        head.push(from.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let Some(server) = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else {
        return from.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n").await;
    };
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(server.to_owned());
    let known = login.is_none_or(|login| head.to_ascii_lowercase().contains(&login));
    if !known {
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
        return from.write_all(answer).await;
    }
    let mut server = TcpStream::connect(to).await?;
    from.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut from, &mut server).await.map(|_| ())
}
