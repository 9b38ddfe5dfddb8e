//! A socket that answers line by line what a test tells it to.

use std::sync::{Arc, Mutex, PoisonError};

use roster_targets::runtime::socket::SocketAddress;
use roster_testkit::OrFail;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// What the script does when a line has come.
pub(crate) enum Answer {
    /// These bytes.
    Say(String),
    /// These bytes, one at a time.
    Drip(String),
    /// These bytes, then the end.
    SayAndClose(String),
    /// Nothing, ever.
    Hang,
    /// What HAProxy would answer.
    AsUsual,
}

/// A listening script. `lines` has all that was received, connection by connection.
pub(crate) struct Script {
    pub(crate) address: SocketAddress,
    lines: Arc<Mutex<Vec<Vec<String>>>>,
    task: JoinHandle<()>,
    _dir: TempDir,
}

/// What a healthy process says of itself.
pub(crate) fn info(pid: u32, stopping: u8) -> String {
    format!(
        "Name: HAProxy\nVersion: 3.0.11\nPid: {pid}\nUptime_sec: 5\nStopping: {stopping}\nStart_time_sec: 1000\n\n> "
    )
}

fn as_usual(line: &str) -> Answer {
    match line {
        "show info" => Answer::Say(info(8, 0)),
        "quit" => Answer::SayAndClose(String::new()),
        _ => Answer::Say("\n> ".to_owned()),
    }
}

impl Script {
    /// Answers each line of each connection (counted from 0) by `answer`.
    pub(crate) fn new(answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static) -> Self {
        let dir = TempDir::with_prefix("script-").or_fail();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).or_fail();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&lines);
        let task = tokio::spawn(async move {
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(Vec::new());
                serve(stream, number, &answer, &seen).await;
                number += 1;
            }
        });
        Self { address: SocketAddress::Unix(path), lines, task, _dir: dir }
    }

    /// All lines that were received, by connection.
    pub(crate) fn lines(&self) -> Vec<Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    stream: UnixStream,
    number: usize,
    answer: &impl Fn(usize, &str) -> Answer,
    seen: &Mutex<Vec<Vec<String>>>,
) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(connection) = seen.lock().unwrap_or_else(PoisonError::into_inner).last_mut() {
            connection.push(line.clone());
        }
        let answer = match answer(number, &line) {
            Answer::AsUsual => as_usual(&line),
            other => other,
        };
        let written = match answer {
            Answer::Say(text) => write.write_all(text.as_bytes()).await,
            Answer::Drip(text) => drip(&mut write, &text).await,
            Answer::SayAndClose(text) => {
                let _closed_anyway = write.write_all(text.as_bytes()).await;
                return;
            }
            Answer::Hang => {
                // Reads on, so that what comes is known and the end is seen.
                while let Ok(Some(_)) = lines.next_line().await {}
                return;
            }
            Answer::AsUsual => Ok(()),
        };
        if written.is_err() {
            return;
        }
    }
}

async fn drip(write: &mut (impl AsyncWriteExt + Unpin), text: &str) -> std::io::Result<()> {
    for byte in text.as_bytes() {
        write.write_all(&[*byte]).await?;
        write.flush().await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}
