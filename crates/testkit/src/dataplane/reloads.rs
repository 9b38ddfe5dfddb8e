//! Reloads: scheduled for the next tick under one id, run for real, rolled back when they fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, io};

use jiff::Zoned;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::haproxy::cli_at;
use crate::wait::wait_until;

/// How the API makes HAProxy reload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReloadWay {
    /// The command `reload` on the master's CLI. On 2.6 it tells nothing of what came of it.
    MasterSocket(PathBuf),
    /// SIGUSR2 to the process that the master's CLI names. It tells nothing of what came of it on any version.
    Signal(PathBuf),
    /// A program with its arguments; what counts is its exit status. Its standard error is the reload's `response`.
    Command(Vec<String>),
}

/// What is known of reloads.
#[derive(Debug, Default)]
struct Book {
    next: Option<String>,
    running: Option<String>,
    last_success: Option<(String, i64)>,
    failed: BTreeMap<String, (i64, String)>,
    count: u64,
}

/// How many reloads there were.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Tally {
    pub(super) asked: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
}

/// Runs reloads and remembers them.
#[derive(Debug)]
pub(super) struct Reloads {
    way: ReloadWay,
    config: PathBuf,
    book: Mutex<Book>,
    tally: Mutex<Tally>,
    /// Held while a reload runs: there is never more than one.
    running: Mutex<()>,
}

impl Reloads {
    /// Takes the present file as the last good one, as the API does at its start.
    pub(super) fn new(way: ReloadWay, config: &Path) -> io::Result<Self> {
        fs::copy(config, last_good(config))?;
        Ok(Self {
            way,
            config: config.to_owned(),
            book: Mutex::default(),
            tally: Mutex::default(),
            running: Mutex::default(),
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn tally(&self) -> Tally {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a reload at the next tick; all that ask before it get the same id.
    pub(super) fn schedule(&self) -> String {
        self.count(|tally| tally.asked += 1);
        let mut book = self.book();
        if let Some(next) = &book.next {
            return next.clone();
        }
        let id = format!("{}-{}", Zoned::now().strftime("%Y-%m-%d"), book.count);
        book.count += 1;
        book.next = Some(id.clone());
        id
    }

    /// Runs the scheduled reload, if there is one.
    pub(super) fn tick(&self, injected: impl FnOnce() -> Option<String>) {
        if let Some(id) = self.claim() {
            // A scheduled reload's outcome is told to whoever asks for its id.
            self.run(Some(&id), injected()).ok();
        }
    }

    /// Reloads at once, under the scheduled id if there is one.
    pub(super) fn force(&self, injected: Option<String>) -> Result<(), String> {
        self.count(|tally| tally.asked += 1);
        let id = self.claim();
        self.run(id.as_deref(), injected)
    }

    fn claim(&self) -> Option<String> {
        let mut book = self.book();
        let id = book.next.take()?;
        book.running = Some(id.clone());
        Some(id)
    }

    fn run(&self, id: Option<&str>, injected: Option<String>) -> Result<(), String> {
        let turn = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match injected {
            Some(text) => Err((format!("executing {} failed: exit status 3", self.way_text()), text)),
            None => self.reload(),
        };
        // Back to the file of the last good reload, which may be older than live changes since.
        let copied = match &outcome {
            Ok(()) => fs::copy(&self.config, last_good(&self.config)),
            Err(_) => fs::copy(last_good(&self.config), &self.config),
        };
        drop(turn);
        self.count(|tally| if outcome.is_ok() { tally.done += 1 } else { tally.failed += 1 });
        let mut book = self.book();
        book.running = None;
        let now = Zoned::now().timestamp().as_second();
        if let Some(id) = id {
            match &outcome {
                Ok(()) => book.last_success = Some((id.to_owned(), now)),
                Err((_, response)) => drop(book.failed.insert(id.to_owned(), (now, response.clone()))),
            }
        }
        copied.map_err(|error| format!("Reload failed: cannot copy the configuration: {error}"))?;
        outcome.map_err(|(why, response)| format!("Reload failed: {why}, {response}"))
    }

    fn way_text(&self) -> String {
        match &self.way {
            ReloadWay::MasterSocket(_) => "reload".to_owned(),
            ReloadWay::Signal(_) => "kill -USR2".to_owned(),
            ReloadWay::Command(words) => words.join(" "),
        }
    }

    /// The error is how it failed, and what was written to standard error.
    fn reload(&self) -> Result<(), (String, String)> {
        let failed = |why: &dyn std::fmt::Display, text: &str| {
            (format!("executing {} failed: {why}", self.way_text()), text.to_owned())
        };
        match &self.way {
            ReloadWay::MasterSocket(socket) => match cli_at(socket, "reload") {
                Ok(answer) if answer.contains("Success=0") => Err(failed(&"exit status 1", &answer)),
                // 2.6 closes the connection without an answer.
                Ok(_) => Ok(()),
                Err(error) => Err(failed(&"exit status 1", &error.to_string())),
            },
            ReloadWay::Signal(socket) => {
                let pid =
                    master_pid(socket).ok_or_else(|| failed(&"exit status 1", "kill: No such process\n"))?;
                kill_process(pid, Signal::USR2).map_err(|error| failed(&"exit status 1", &error.to_string()))
            }
            ReloadWay::Command(words) => {
                let (program, arguments) =
                    words.split_first().ok_or_else(|| failed(&"no command is set", ""))?;
                let output = Command::new(program).args(arguments).output();
                let output = output.map_err(|error| failed(&error, ""))?;
                let code = output.status.code().unwrap_or(-1);
                let text = String::from_utf8_lossy(&output.stderr);
                if code == 0 { Ok(()) } else { Err(failed(&format!("exit status {code}"), &text)) }
            }
        }
    }

    /// One reload. Ids that were never given out, but are older than the last success, read as succeeded.
    pub(super) fn get(&self, id: &str) -> Option<Value> {
        let book = self.book();
        if book.running.as_deref() == Some(id) || book.next.as_deref() == Some(id) {
            return Some(json!({ "status": "in_progress" }));
        }
        if let Some((at, response)) = book.failed.get(id) {
            return Some(failure(id, *at, response));
        }
        let (last, at) = book.last_success.as_ref()?;
        if last == id {
            return Some(success(last, *at));
        }
        let ((day, number), (last_day, last_number)) = (parts(id)?, parts(last)?);
        (day < last_day || number < last_number).then(|| json!({ "id": id, "status": "succeeded" }))
    }

    pub(super) fn list(&self) -> Value {
        let book = self.book();
        let failed = book.failed.iter().map(|(id, (at, response))| failure(id, *at, response));
        let succeeded = book.last_success.iter().map(|(id, at)| success(id, *at));
        let open =
            book.running.iter().chain(&book.next).map(|id| json!({ "id": id, "status": "in_progress" }));
        Value::Array(failed.chain(succeeded).chain(open).collect())
    }

    /// The API was started anew: ids begin again and the history is gone.
    pub(super) fn forget(&self) -> io::Result<()> {
        *self.book() = Book::default();
        fs::copy(&self.config, last_good(&self.config)).map(drop)
    }
}

fn success(id: &str, at: i64) -> Value {
    json!({ "id": id, "reload_timestamp": at, "status": "succeeded" })
}

fn failure(id: &str, at: i64, response: &str) -> Value {
    json!({ "id": id, "reload_timestamp": at, "response": response, "status": "failed" })
}

fn parts(id: &str) -> Option<(&str, u64)> {
    let (day, number) = id.rsplit_once('-')?;
    Some((day, number.parse().ok()?))
}

pub(super) fn last_good(config: &Path) -> PathBuf {
    config.with_extension("cfg.lkg")
}

fn master_pid(socket: &Path) -> Option<Pid> {
    // A master that re-executes itself refuses connections for a moment.
    let text = wait_until(Duration::from_secs(2), "the master's CLI", || cli_at(socket, "show proc")).ok()?;
    let line = text.lines().find(|line| line.split_whitespace().nth(1) == Some("master"))?;
    Pid::from_raw(line.split_whitespace().next()?.parse().ok()?)
}
