//! What the API holds in memory, and how a change gets from there to the file.
//!
//! Invariants: changes are made one at a time (`writer`); the memory changes only after HAProxy accepted the text;
//! nothing but `install` writes the file. A failed reload puts the file back but not the memory, as in the real API.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::config::{Config, is_own};
use super::exchange::{Call, Refusal};
use super::faults::{Fault, Faults};
use super::latency::Latency;
use super::reloads::Reloads;
use super::runtime::Runtime;
use super::transactions::{Status, Transaction};
use super::{DataplaneError, Version};

/// What stays the same for the life of the stand-in.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) version: Version,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) haproxy: PathBuf,
    pub(super) master_worker: bool,
    pub(super) config: PathBuf,
    pub(super) storage: PathBuf,
    pub(super) latency: Latency,
}

/// One API.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) setup: Setup,
    pub(super) runtime: Runtime,
    pub(super) reloads: Reloads,
    pub(super) faults: Faults,
    pub(super) memory: Mutex<Memory>,
    pub(super) writer: Mutex<()>,
    writes: Mutex<u64>,
    /// The file as last read or written, to see what others write.
    seen: Mutex<String>,
}

#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) config: Config,
    pub(super) version: i64,
    pub(super) transactions: BTreeMap<String, Transaction>,
}

/// What a change wrote.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Written {
    /// Into the file.
    File,
    /// Into an open transaction.
    Transaction,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Api {
    pub(super) fn new(setup: Setup, runtime: Runtime, reloads: Reloads) -> Result<Self, DataplaneError> {
        let text = fs::read_to_string(&setup.config).map_err(|source| {
            DataplaneError::io(format!("cannot read {}", setup.config.display()), source)
        })?;
        let (config, version) = Config::take_over(&text);
        let memory = Memory { config, version: version.unwrap_or(1), transactions: BTreeMap::new() };
        Ok(Self {
            setup,
            runtime,
            reloads,
            faults: Faults::default(),
            memory: Mutex::new(memory),
            writer: Mutex::default(),
            writes: Mutex::default(),
            seen: Mutex::new(text),
        })
    }

    /// How often the file was written.
    pub(super) fn writes(&self) -> u64 {
        *locked(&self.writes)
    }

    pub(super) fn version(&self) -> i64 {
        locked(&self.memory).version
    }

    /// The version for the header of an answer: that of the request's transaction, or 0 for one that is not known.
    pub(super) fn version_for(&self, call: &Call) -> i64 {
        let memory = locked(&self.memory);
        match call.query("transaction_id") {
            Some(id) => memory.transactions.get(id).map_or(0, |transaction| transaction.version),
            None => memory.version,
        }
    }

    /// Looks at the configuration that a request reads: the memory's or its transaction's.
    pub(super) fn read<T>(&self, call: &Call, look: impl FnOnce(&Config) -> T) -> Result<T, Refusal> {
        let memory = locked(&self.memory);
        match call.query("transaction_id") {
            Some(id) => Ok(look(&memory.transactions.get(id).ok_or_else(|| unknown(id))?.config)),
            None => Ok(look(&memory.config)),
        }
    }

    /// Makes a change, in the request's transaction or at its version.
    pub(super) fn change(
        &self,
        call: &Call,
        change: impl FnOnce(&mut Config) -> Result<(), Refusal>,
    ) -> Result<Written, Refusal> {
        let version = call.version()?.filter(|version| *version != 0);
        let transaction = call.query("transaction_id");
        if transaction.is_some() && call.flag("force_reload") {
            return Err(Refusal::new(400, "Both force_reload and transaction specified, specify only one"));
        }
        match (transaction, version) {
            (Some(_), Some(_)) => {
                Err(Refusal::new(400, "both version and transaction specified, specify only one"))
            }
            (None, None) => Err(no_version()),
            (Some(id), None) => self.change_transaction(id, change),
            (None, Some(version)) => {
                let turn = locked(&self.writer);
                self.same_version(version)?;
                let mut config = locked(&self.memory).config.clone();
                change(&mut config)?;
                self.install(config, version, version + 1)?;
                drop(turn);
                Ok(Written::File)
            }
        }
    }

    fn change_transaction(
        &self,
        id: &str,
        change: impl FnOnce(&mut Config) -> Result<(), Refusal>,
    ) -> Result<Written, Refusal> {
        let mut memory = locked(&self.memory);
        let found = memory.transactions.get_mut(id).filter(|found| found.status == Status::InProgress);
        let transaction = found.ok_or_else(|| unknown(id))?;
        let mut config = transaction.config.clone();
        change(&mut config)?;
        transaction.config = config;
        drop(memory);
        self.store_transactions();
        Ok(Written::Transaction)
    }

    pub(super) fn same_version(&self, given: i64) -> Result<(), Refusal> {
        let known = self.version();
        if given == known {
            return Ok(());
        }
        let text =
            format!("version mismatch: version in configuration file is {known}, given version is {given}");
        Err(Refusal::new(409, text))
    }

    /// Replaces the whole configuration. `version` is the one it must be made for; `None` takes the text's own.
    pub(super) fn replace(&self, text: &str, version: Option<i64>) -> Result<(), Refusal> {
        let turn = locked(&self.writer);
        let (config, own) = Config::parse(text);
        let (from, to) = match version {
            Some(version) => {
                self.same_version(version)?;
                (version, version + 1)
            }
            None => (own.unwrap_or(1), own.unwrap_or(1)),
        };
        self.install(config, from, to)?;
        drop(turn);
        Ok(())
    }

    /// Lets HAProxy check the text and takes it into file and memory. What it refuses stays as a failed transaction.
    fn install(&self, config: Config, from: i64, to: i64) -> Result<(), Refusal> {
        let id = new_id();
        match self.check(&id, &config.render_with_checksum(from)) {
            Ok(()) => self.write(config, to),
            Err(refused) => {
                let failed = Transaction { config, version: from, status: Status::Failed };
                locked(&self.memory).transactions.insert(id, failed);
                Err(refused)
            }
        }
    }

    pub(super) fn write(&self, config: Config, version: i64) -> Result<(), Refusal> {
        let text = config.render_with_checksum(version);
        let mut seen = locked(&self.seen);
        let staged = self.setup.config.with_extension("cfg.new");
        fs::write(&staged, &text)
            .and_then(|()| fs::rename(&staged, &self.setup.config))
            .map_err(|error| Refusal::new(500, format!("cannot write the configuration: {error}")))?;
        *seen = text;
        drop(seen);
        *locked(&self.writes) += 1;
        let mut memory = locked(&self.memory);
        memory.config = config;
        memory.version = version;
        Ok(())
    }

    /// Takes up what somebody else wrote into the file. A file with a right checksum is the API's own and left alone,
    /// also when it is an old one: so it is after a failed reload.
    pub(super) fn notice_edits(&self) {
        if self.edited().is_none() {
            return;
        }
        // Only now for sure: a write of our own may have come between.
        let turn = locked(&self.writer);
        let Some(text) = self.edited() else { return };
        let known = self.version();
        let (config, own) = Config::take_over(&text);
        // Without a version line the count begins anew.
        let version = own.unwrap_or(1) + 1;
        if let Err(refused) = self.write(config, version) {
            eprintln!("roster-testkit: an edit of version {known} is not taken up: {}", refused.message);
        }
        drop(turn);
    }

    /// The file's text, if it is neither ours nor known.
    fn edited(&self) -> Option<String> {
        let seen = locked(&self.seen);
        let text = fs::read_to_string(&self.setup.config).ok()?;
        (*seen != text && !text.is_empty() && !is_own(&text)).then_some(text)
    }

    /// Another writer changes the version before a request is looked at, when the test asked for it.
    pub(super) fn let_another_writer_in(&self) {
        if !self.faults.strikes(&Fault::OtherWriter) {
            return;
        }
        let turn = locked(&self.writer);
        let (config, version) = {
            let memory = locked(&self.memory);
            (memory.config.clone(), memory.version)
        };
        self.write(config, version + 1).ok();
        drop(turn);
    }

    /// As a restart of the program: memory and version from the file, transactions from their folder.
    pub(super) fn start_again(&self) -> Result<(), DataplaneError> {
        let turn = locked(&self.writer);
        let path = &self.setup.config;
        let failed = |source| DataplaneError::io(format!("cannot read {}", path.display()), source);
        let text = fs::read_to_string(path).map_err(failed)?;
        let (config, version) = Config::take_over(&text);
        let mut memory = locked(&self.memory);
        memory.config = config;
        memory.version = version.unwrap_or(1);
        memory.transactions = self.stored_transactions();
        drop(memory);
        *locked(&self.seen) = text;
        drop(turn);
        self.reloads.forget().map_err(failed)
    }
}

pub(super) fn no_version() -> Refusal {
    let text = "version or transaction not specified";
    Refusal::new(400, format!("{text}: {text}, specify only one"))
}

pub(super) fn unknown(id: &str) -> Refusal {
    Refusal::new(400, format!("transaction does not exist: {id}"))
}

/// A random UUID (RFC 9562, version 4).
pub(super) fn new_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = || RandomState::new().hash_one(0u8);
    let (one, two) = (random(), random());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        one >> 32,
        (one >> 16) & 0xffff,
        one & 0xfff,
        (two >> 48) & 0x3fff | 0x8000,
        two & 0xffff_ffff_ffff
    )
}
