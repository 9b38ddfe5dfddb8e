//! A socket in front of HAProxy's that holds a batch back in the middle, so that a test can act just then.

use std::fmt::Debug;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use roster_targets::runtime::socket::SocketAddress;
use roster_testkit::OrFail;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::CAP;

/// The first connection is held after so many lines have gone through and were answered; later ones pass.
pub(super) struct Gate {
    pub(super) address: SocketAddress,
    held: Arc<Notify>,
    open: Arc<Notify>,
    task: JoinHandle<()>,
    _dir: TempDir,
}

impl Gate {
    pub(super) fn hold_after(lines: usize, upstream: PathBuf) -> Self {
        let dir = TempDir::with_prefix("gate-").or_fail();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).or_fail();
        let (held, open) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (on_held, on_open) = (Arc::clone(&held), Arc::clone(&open));
        let task = tokio::spawn(async move {
            let mut first = true;
            while let Ok((mut client, _)) = listener.accept().await {
                let Ok(mut haproxy) = UnixStream::connect(&upstream).await else { continue };
                if std::mem::take(&mut first) {
                    pass_slowly(client, haproxy, lines, &on_held, &on_open).await;
                } else {
                    let _ended = copy_bidirectional(&mut client, &mut haproxy).await;
                }
            }
        });
        Self { address: SocketAddress::Unix(path), held, open, task, _dir: dir }
    }

    /// Runs the batch and, once the lines before the gate were answered, also what is to happen meanwhile.
    pub(super) async fn meanwhile<R: Debug, T>(
        &self,
        batch: impl Future<Output = R>,
        happens: impl Future<Output = T>,
    ) -> (R, T) {
        let mut batch = pin!(batch);
        tokio::select! {
            ran = &mut batch => panic!("ended before it came to the gate: {ran:?}"),
            held = tokio::time::timeout(CAP, self.held.notified()) => {
                assert!(held.is_ok(), "nothing came as far as the gate within {CAP:?}");
            }
        }
        tokio::join!(batch, happens)
    }

    /// Lets everything through.
    pub(super) fn open(&self) {
        self.open.notify_one();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_slowly(client: UnixStream, haproxy: UnixStream, lines: usize, held: &Notify, open: &Notify) {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_haproxy, mut to_haproxy) = haproxy.into_split();
    let answers = async {
        let (mut buffer, mut prompts) = (vec![0; 4096], 0);
        while let Ok(count @ 1..) = from_haproxy.read(&mut buffer).await {
            if to_client.write_all(&buffer[..count]).await.is_err() {
                return;
            }
            // Every answer in these tests has one `>`: its prompt.
            let before = prompts;
            prompts += buffer[..count].split(|byte| *byte == b'>').count() - 1;
            if before < lines && prompts >= lines {
                held.notify_one();
            }
        }
    };
    let commands = async {
        let (mut from_client, mut passed) = (BufReader::new(from_client), 0);
        let mut line = Vec::new();
        while let Ok(1..) = from_client.read_until(b'\n', &mut line).await {
            if to_haproxy.write_all(&line).await.is_err() {
                break;
            }
            line.clear();
            passed += 1;
            if passed == lines {
                open.notified().await;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = answers => {}
        () = commands => {}
    }
}
