//! Transactions: copies of the configuration that live beside it until they are committed.
//!
//! Invariants: a commit outdates every other open one; a failed or outdated one never becomes good again. Each is a
//! file too, so that it outlives the program.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use super::config::{Config, version_line};
use super::exchange::Refusal;
use super::state::{Api, locked, new_id};

/// As many may be open at once.
const MOST_OPEN: usize = 20;

#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) config: Config,
    pub(super) version: i64,
    pub(super) status: Status,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    InProgress,
    Failed,
    Outdated,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Failed => "failed",
            Self::Outdated => "outdated",
        }
    }
}

impl Transaction {
    fn object(&self, id: &str) -> Value {
        match self.status {
            Status::InProgress => json!({ "_version": self.version, "id": id, "status": "in_progress" }),
            other => json!({ "id": id, "status": other.word() }),
        }
    }
}

impl Api {
    /// Opens a transaction.
    pub(super) fn begin(&self, version: i64) -> Result<Value, Refusal> {
        self.same_version(version)?;
        let mut memory = locked(&self.memory);
        let open = memory.transactions.values().filter(|known| known.status == Status::InProgress).count();
        if open >= MOST_OPEN {
            return Err(Refusal::new(
                429,
                format!(
                    "cannot start a new transaction, reached the maximum amount of {MOST_OPEN} active transactions available"
                ),
            ));
        }
        let id = new_id();
        let transaction = Transaction { config: memory.config.clone(), version, status: Status::InProgress };
        let object = transaction.object(&id);
        memory.transactions.insert(id, transaction);
        drop(memory);
        self.store_transactions();
        Ok(object)
    }

    pub(super) fn transaction(&self, id: &str) -> Option<Value> {
        locked(&self.memory).transactions.get(id).map(|transaction| transaction.object(id))
    }

    pub(super) fn transactions(&self, status: Option<&str>) -> Value {
        let memory = locked(&self.memory);
        let wanted = memory
            .transactions
            .iter()
            .filter(|(_, transaction)| status.is_none_or(|status| transaction.status.word() == status));
        Value::Array(wanted.map(|(id, transaction)| transaction.object(id)).collect())
    }

    pub(super) fn discard(&self, id: &str) -> bool {
        let gone = locked(&self.memory).transactions.remove(id).is_some();
        self.store_transactions();
        gone
    }

    /// Commits a transaction; the others that are older become outdated. Returns its object.
    pub(super) fn commit(&self, id: &str) -> Result<Value, Refusal> {
        let turn = locked(&self.writer);
        let found = locked(&self.memory).transactions.get(id).cloned();
        let text = format!("transaction does not exist: transaction {id} does not exist");
        let transaction = found.ok_or_else(|| Refusal::new(404, text))?;
        if transaction.status != Status::InProgress {
            let text = format!("transaction {id} is {} and cannot be committed", transaction.status.word());
            return Err(Refusal::new(406, text));
        }
        let (known, own) = (self.version(), transaction.version);
        if known != own {
            self.mark(id, Status::Outdated);
            let text = "version mismatch: version mismatch, transaction version";
            return Err(Refusal::new(409, format!("{text}: {own}, configured version: {known}")));
        }
        if let Err(refused) = self.check(id, &transaction.config.render_with_checksum(own)) {
            self.mark(id, Status::Failed);
            return Err(refused);
        }
        self.write(transaction.config, own + 1)?;
        let mut memory = locked(&self.memory);
        memory.transactions.remove(id);
        for other in memory.transactions.values_mut() {
            if other.status == Status::InProgress {
                other.status = Status::Outdated;
            }
        }
        drop(memory);
        self.store_transactions();
        drop(turn);
        Ok(json!({ "_version": own, "id": id, "status": "success" }))
    }

    fn mark(&self, id: &str, status: Status) {
        if let Some(transaction) = locked(&self.memory).transactions.get_mut(id) {
            transaction.status = status;
        }
        self.store_transactions();
    }

    /// The text of an open transaction, as its file holds it.
    pub(super) fn transaction_text(&self, id: &str) -> Option<String> {
        let memory = locked(&self.memory);
        let transaction = memory.transactions.get(id)?;
        Some(transaction.config.render_with_checksum(transaction.version))
    }

    /// Transactions are files, so that they outlive the program.
    pub(super) fn store_transactions(&self) {
        let folder = self.transaction_folder().join("open");
        fs::remove_dir_all(&folder).ok();
        if fs::create_dir_all(&folder).is_err() {
            return;
        }
        for (id, transaction) in &locked(&self.memory).transactions {
            let text = transaction.config.render(transaction.version);
            fs::write(folder.join(format!("{id}.{}", transaction.status.word())), text).ok();
        }
    }

    pub(super) fn stored_transactions(&self) -> BTreeMap<String, Transaction> {
        let mut found = BTreeMap::new();
        let Ok(entries) = fs::read_dir(self.transaction_folder().join("open")) else { return found };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let (Some((id, word)), Ok(text)) = (name.split_once('.'), fs::read_to_string(entry.path()))
            else {
                continue;
            };
            let status = match word {
                "failed" => Status::Failed,
                "outdated" => Status::Outdated,
                _ => Status::InProgress,
            };
            let (config, _) = Config::parse(&text);
            let version = version_line(&text).unwrap_or(1);
            found.insert(id.to_owned(), Transaction { config, version, status });
        }
        found
    }
}
