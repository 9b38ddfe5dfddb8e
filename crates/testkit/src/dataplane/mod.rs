//! A stand-in for HAProxy's Data Plane API 2.9 (v2), 3.2 and 3.3 (v3), in front of a real HAProxy.
//!
//! It owns a real configuration file, lets the real HAProxy check each text, really reloads it and really sends its
//! commands; only the API itself is imitated, as it was measured. With `DATAPLANEAPI_BIN` the real program takes its
//! place, so that a suite can be tried on both.
//!
//! Known to differ: lines of a section that the real parser has a place for and `config::order` has not go to the
//! section's end; fields that `config::params` and `config::fields` do not list are dropped like unknown ones; `no `
//! forms and repeated single lines are kept as they are; v2 shows no `http-check` in a backend; `listen`, TCP rules, stick tables and the other endpoints are
//! not there; an emptied file does not crash it; users are those of the builder, not of the file's `userlist`.

mod builder;
mod check;
mod config;
mod endpoints;
mod exchange;
mod faults;
mod latency;
mod real;
mod reloads;
mod routes;
mod runtime;
mod state;
mod transactions;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::ports::NoFreePort;
use crate::server::Server;
use crate::wait::Awaited;

pub use builder::DataplaneBuilder;
pub use faults::Fault;
pub use latency::{Cost, Latency};
pub use reloads::ReloadWay;
pub use runtime::RuntimeSocket;

use real::RealProgram;
use routes::Requests;
use state::Api;

/// Which API is spoken.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Version {
    /// `/v2`, as Data Plane API 2.9.
    V2,
    /// `/v3`, as Data Plane API 3.2.
    V3,
    /// `/v3`, as Data Plane API 3.3.
    V3_3,
}

impl Version {
    /// All of them, the oldest first.
    pub const ALL: [Self; 3] = [Self::V2, Self::V3, Self::V3_3];

    /// The first part of every path.
    pub fn word(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 | Self::V3_3 => "v3",
        }
    }
}

/// What the stand-in counted since its start.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DataplaneCounters {
    /// Requests by method and path, such as `PUT ~/configuration/servers/{name}`. `~` is `services/haproxy`.
    pub requests: BTreeMap<String, u64>,
    /// Writes of the configuration file.
    pub writes: u64,
    /// Commands sent to HAProxy.
    pub runtime_commands: u64,
    /// Calls that asked for a reload.
    pub reloads_asked: u64,
    /// Reloads that succeeded; several calls may share one.
    pub reloads_done: u64,
    /// Reloads that failed.
    pub reloads_failed: u64,
}

/// Why there is no API.
#[derive(Debug, thiserror::Error)]
pub enum DataplaneError {
    /// Files, sockets or processes.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// No port to listen on.
    #[error(transparent)]
    Port(#[from] NoFreePort),
    /// The builder was not told something.
    #[error("the Data Plane API needs {0}; call it on the builder")]
    Incomplete(&'static str),
    /// The stand-in only, not the real program, can do this.
    #[error("{0} works on the stand-in only; unset DATAPLANEAPI_BIN")]
    StandInOnly(&'static str),
    /// What `DATAPLANEAPI_BIN` names does not say which version it is.
    #[error("{} tells no version of the Data Plane API; build it with its tag, or correct DATAPLANEAPI_BIN", path.display())]
    NoVersion {
        /// The program.
        path: PathBuf,
    },
    /// The real program did not come up.
    #[error("the program that DATAPLANEAPI_BIN names did not come up; its log:\n{log}")]
    NotUp {
        /// All that it wrote.
        log: String,
        /// Until when it was waited for.
        source: Awaited,
    },
}

impl DataplaneError {
    fn io(what: String, source: io::Error) -> Self {
        Self::Io { what, source }
    }
}

/// A running Data Plane API. Dropping it ends it; HAProxy and its file stay as they are.
#[derive(Debug)]
pub struct DataplaneApi {
    kind: Kind,
    url: String,
    version: Version,
}

#[derive(Debug)]
enum Kind {
    StandIn(StandIn),
    Real(RealProgram),
}

#[derive(Debug)]
struct StandIn {
    // Declared first: no request comes once the rest goes.
    server: Server,
    _ticker: Ticker,
    api: Arc<Api>,
    requests: Requests,
}

/// Runs scheduled reloads, and looks whether somebody else wrote the file.
#[derive(Debug)]
struct Ticker {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl DataplaneApi {
    /// Begins an API of a version; `start` ends it.
    pub fn builder(version: Version) -> DataplaneBuilder {
        DataplaneBuilder::new(version)
    }

    /// Where it listens, such as `http://127.0.0.1:12345`, without the version.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Which API it speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether it is the real program that `DATAPLANEAPI_BIN` names.
    pub fn is_real(&self) -> bool {
        matches!(self.kind, Kind::Real(_))
    }

    /// What was counted; nothing for the real program.
    pub fn counters(&self) -> DataplaneCounters {
        let Kind::StandIn(stand_in) = &self.kind else { return DataplaneCounters::default() };
        let tally = stand_in.api.reloads.tally();
        DataplaneCounters {
            requests: stand_in.requests.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            writes: stand_in.api.writes(),
            runtime_commands: stand_in.api.runtime.sent(),
            reloads_asked: tally.asked,
            reloads_done: tally.done,
            reloads_failed: tally.failed,
        }
    }

    /// Lets something go wrong with the next requests that it fits.
    pub fn inject(&self, fault: Fault, times: u32) -> Result<(), DataplaneError> {
        self.stand_in("a fault")?.api.faults.add(fault, times);
        Ok(())
    }

    /// Takes back every fault that did not strike yet.
    pub fn clear_faults(&self) -> Result<(), DataplaneError> {
        self.stand_in("a fault")?.api.faults.clear();
        Ok(())
    }

    /// Refuses connections and breaks the open ones, until [`DataplaneApi::listen_again`]. The real program is ended.
    pub fn refuse(&self) {
        match &self.kind {
            Kind::StandIn(stand_in) => stand_in.server.refuse(),
            Kind::Real(program) => program.end(),
        }
    }

    /// Ends a `refuse`; the port is the same.
    pub fn listen_again(&self) -> Result<(), DataplaneError> {
        let what = || "cannot listen again".to_owned();
        match &self.kind {
            Kind::StandIn(stand_in) => {
                stand_in.server.listen().map_err(|error| DataplaneError::io(what(), error))
            }
            Kind::Real(program) => program.restart(),
        }
    }

    /// Ends it and starts it again: open transactions survive, reload ids begin anew, the file is read again.
    pub fn restart(&mut self) -> Result<(), DataplaneError> {
        match &mut self.kind {
            Kind::StandIn(stand_in) => {
                stand_in.server.refuse();
                stand_in.api.start_again()?;
                let what = || "cannot listen again".to_owned();
                stand_in.server.listen().map_err(|error| DataplaneError::io(what(), error))
            }
            Kind::Real(program) => program.restart(),
        }
    }

    /// Writes HAProxy's file as an operator would, by renaming a new one over it.
    pub fn edit_by_hand(&self, path: &Path, text: &str) -> Result<(), DataplaneError> {
        let staged = path.with_extension("cfg.hand");
        std::fs::write(&staged, text)
            .and_then(|()| std::fs::rename(&staged, path))
            .map_err(|error| DataplaneError::io(format!("cannot write {}", path.display()), error))
    }

    /// Ends it.
    pub fn stop(self) {}

    fn stand_in(&self, what: &'static str) -> Result<&StandIn, DataplaneError> {
        match &self.kind {
            Kind::StandIn(stand_in) => Ok(stand_in),
            Kind::Real(_) => Err(DataplaneError::StandInOnly(what)),
        }
    }
}

impl Ticker {
    fn start(api: &Arc<Api>, delay: Duration) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let reloads = {
            let (api, stop) = (Arc::clone(api), Arc::clone(&stop));
            repeat("dataplane-reloads", delay, stop, move || {
                api.reloads.tick(|| api.injected_reload_failure());
            })?
        };
        let edits = {
            let (api, stop) = (Arc::clone(api), Arc::clone(&stop));
            repeat("dataplane-edits", Duration::from_millis(50), stop, move || api.notice_edits())?
        };
        Ok(Self { stop, threads: vec![reloads, edits] })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            thread.join().ok();
        }
    }
}

fn repeat(
    name: &str,
    every: Duration,
    stop: Arc<AtomicBool>,
    act: impl Fn() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        loop {
            std::thread::park_timeout(every);
            if stop.load(Ordering::Relaxed) {
                return;
            }
            act();
        }
    })
}
