//! The small web servers of the demo: each answers with its name, and lingers over a download while it is told to.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::DemoError;
use crate::files::{Entry, SHOP, WEB};

/// The header that says who answered.
pub(crate) const NAME_HEADER: &str = "Served-By";
/// The path whose answer lasts while the server is told to linger.
pub(crate) const LINGER_PATH: &str = "/download";
/// How an answer in chunks ends (RFC 9112, 7.1).
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Their names are their pages' colours.
const CAST: [(&str, &str, &str); 6] = [
    (WEB, "amber", "#ffbf00"),
    (WEB, "blue", "#4f9dff"),
    (WEB, "coral", "#ff7f50"),
    (WEB, "jade", "#00c07f"),
    (SHOP, "mint", "#98ff98"),
    (SHOP, "plum", "#8e4585"),
];
/// The longest head of a request.
const LONGEST_HEAD: usize = 16 * 1024;
/// Between two pieces of a download.
const PIECE_EVERY: Duration = Duration::from_millis(100);
const PIECE: &[u8] = b"10\r\n................\r\n";

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Its name and address.
    pub(crate) entry: Entry,
    linger: watch::Sender<bool>,
}

#[derive(Debug)]
struct Host {
    name: &'static str,
    page: String,
    linger: watch::Receiver<bool>,
}

impl Server {
    /// Whether downloads go on without end.
    pub(crate) fn linger(&self, lingers: bool) {
        self.linger.send_replace(lingers);
    }
}

/// Starts all of them on free ports; they run until `stop`.
pub(crate) async fn start(tasks: &TaskTracker, stop: &CancellationToken) -> Result<Vec<Server>, DemoError> {
    let mut listeners = Vec::new();
    for _ in CAST {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(DemoError::Port)?;
        listeners.push((listener.local_addr().map_err(DemoError::Port)?, listener));
    }
    // In the order of their names, which is easier to read.
    listeners.sort_by_key(|(addr, _)| *addr);
    let mut servers = Vec::new();
    for ((service, name, colour), (addr, listener)) in CAST.into_iter().zip(listeners) {
        let (linger, told) = watch::channel(false);
        let host = Arc::new(Host { name, page: page(name, colour), linger: told });
        tasks.spawn(accept(listener, host, tasks.clone(), stop.clone()));
        servers.push(Server { entry: Entry { service, name, addr }, linger });
    }
    Ok(servers)
}

async fn accept(listener: TcpListener, host: Arc<Host>, tasks: TaskTracker, stop: CancellationToken) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                let (host, stop) = (host.clone(), stop.clone());
                tasks.spawn(async move {
                    // A visitor who goes away in the middle is nobody's trouble.
                    drop(stop.run_until_cancelled(host.serve(stream)).await);
                });
            }
            // Out of file descriptors, say: it may get better.
            Err(_) => drop(stop.run_until_cancelled(tokio::time::sleep(PIECE_EVERY)).await),
        }
    }
}

impl Host {
    /// Answers one request after the other.
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut read = Vec::new();
        loop {
            let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") else {
                if read.len() > LONGEST_HEAD || stream.read_buf(&mut read).await? == 0 {
                    return Ok(());
                }
                continue;
            };
            let head: Vec<u8> = read.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let path = head.split(' ').nth(1).unwrap_or_default();
            if path == LINGER_PATH && *self.linger.borrow() {
                self.download(&mut stream).await?;
            } else {
                stream.write_all(self.answer(path).as_bytes()).await?;
            }
            // A body that was not asked for would be taken for the next request.
            let has_body = head.contains("\r\ncontent-length:") || head.contains("\r\ntransfer-encoding:");
            if has_body || head.contains("\r\nconnection: close") {
                return Ok(());
            }
        }
    }

    fn answer(&self, path: &str) -> String {
        let (status, page) =
            if path == "/favicon.ico" { ("404 Not Found", "") } else { ("200 OK", self.page.as_str()) };
        let (name, length) = (self.name, page.len());
        format!(
            "HTTP/1.1 {status}\r\n{NAME_HEADER}: {name}\r\nContent-Type: text/html\r\nCache-Control: no-store\r\n\
             Content-Length: {length}\r\n\r\n{page}"
        )
    }

    async fn download(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let name = self.name;
        let head = format!(
            "HTTP/1.1 200 OK\r\n{NAME_HEADER}: {name}\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut told = self.linger.clone();
        loop {
            stream.write_all(PIECE).await?;
            // The end is told, or the demo is over.
            if tokio::time::timeout(PIECE_EVERY, told.wait_for(|lingers| !lingers)).await.is_ok() {
                return stream.write_all(LAST_CHUNK).await;
            }
        }
    }
}

/// A page that fetches itself anew, so that a browser shows the changes as they come.
fn page(name: &str, colour: &str) -> String {
    format!(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=1><title>{name}</title>\
         <body style=\"margin:0;height:100vh;display:grid;place-items:center;background:{colour};\
         font:bold 15vw sans-serif\">{name}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Download, fetch};

    #[tokio::test]
    async fn each_server_says_its_name() {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        for server in start(&tasks, &stop).await.unwrap() {
            assert_eq!(fetch(server.entry.addr, "/").await.unwrap(), server.entry.name);
        }
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_download_lasts_until_the_server_is_told_to_end_it() {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let servers = start(&tasks, &stop).await.unwrap();
        let Entry { name, addr, .. } = servers[0].entry;
        servers[0].linger(true);
        let download = Download::begin(addr, name).await.unwrap();
        let mut download = std::pin::pin!(download.finish());
        assert!(tokio::time::timeout(PIECE_EVERY * 2, &mut download).await.is_err());
        servers[0].linger(false);
        download.await.unwrap();
    }

    #[tokio::test]
    async fn one_connection_takes_several_requests() {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let servers = start(&tasks, &stop).await.unwrap();
        let mut stream = TcpStream::connect(servers[1].entry.addr).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut both = String::new();
        stream.read_to_string(&mut both).await.unwrap();
        assert_eq!(both.matches("Served-By: blue").count(), 2);
    }
}
