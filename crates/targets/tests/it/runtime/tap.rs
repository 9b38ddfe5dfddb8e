//! A socket in front of HAProxy's that writes down what is asked.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use roster_targets::runtime::socket::SocketAddress;
use roster_testkit::OrFail;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// The lines of each connection, in order.
type Lines = Arc<Mutex<Vec<Vec<String>>>>;

/// A listening tap.
pub(super) struct Tap {
    pub(super) address: SocketAddress,
    lines: Lines,
    task: JoinHandle<()>,
    _dir: TempDir,
}

impl Tap {
    pub(super) fn on(upstream: PathBuf) -> Self {
        let dir = TempDir::with_prefix("tap-").or_fail();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).or_fail();
        let lines = Lines::default();
        let seen = Arc::clone(&lines);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(haproxy) = UnixStream::connect(&upstream).await else { continue };
                let number = {
                    let mut all = lock(&seen);
                    all.push(Vec::new());
                    all.len() - 1
                };
                tokio::spawn(pass(client, haproxy, Arc::clone(&seen), number));
            }
        });
        Self { address: SocketAddress::Unix(path), lines, task, _dir: dir }
    }

    /// What was asked since the last time, connection by connection.
    pub(super) fn take(&self) -> Vec<Vec<String>> {
        lock(&self.lines).iter_mut().map(std::mem::take).filter(|lines| !lines.is_empty()).collect()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(lines: &Lines) -> MutexGuard<'_, Vec<Vec<String>>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass(client: UnixStream, haproxy: UnixStream, seen: Lines, number: usize) {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_haproxy, mut to_haproxy) = haproxy.into_split();
    let asking = async {
        let mut from_client = BufReader::new(from_client).lines();
        while let Ok(Some(line)) = from_client.next_line().await {
            let sent = to_haproxy.write_all(format!("{line}\n").as_bytes()).await;
            lock(&seen)[number].push(line);
            if sent.is_err() {
                return;
            }
        }
    };
    let answering = async {
        let _ended = copy(&mut from_haproxy, &mut to_client).await;
        let _ended = to_client.shutdown().await;
    };
    tokio::join!(asking, answering);
}
