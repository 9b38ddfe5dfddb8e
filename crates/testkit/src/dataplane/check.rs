//! `haproxy -c` on what is to become the file, with the errors as the API words them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Version;
use super::exchange::Refusal;
use super::state::{Api, new_id};

impl Api {
    /// `haproxy -c`, with the errors as the API words them.
    pub(super) fn check(&self, id: &str, text: &str) -> Result<(), Refusal> {
        let folder = self.transaction_folder();
        let path = folder.join(format!("haproxy.cfg.{id}"));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| Refusal::new(500, format!("cannot write {}: {error}", path.display())))?;
        let outcome = self.haproxy_accepts(&path, self.setup.master_worker);
        // Left behind, it would only take room.
        fs::remove_file(&path).ok();
        outcome.map_err(|(status, messages)| {
            let text = format!("validation error: {status}: err transactionId={id} \n{messages}");
            Refusal::new(400, text.trim_end())
        })
    }

    /// For `only_validate`: the text as it was sent.
    pub(super) fn validate_only(&self, text: &str) -> Result<(), Refusal> {
        let path = self.transaction_folder().join(format!("onlyvalidate{}", new_id()));
        fs::create_dir_all(self.transaction_folder())
            .and_then(|()| fs::write(&path, text))
            .map_err(|error| Refusal::new(500, format!("cannot write {}: {error}", path.display())))?;
        let outcome = self.haproxy_accepts(&path, false);
        fs::remove_file(&path).ok();
        outcome.map_err(|refused| match self.setup.version {
            Version::V2 => Refusal::new(400, format!("validation error: {}", refused.0)),
            Version::V3 | Version::V3_3 => {
                Refusal::new(400, format!("validation error: {}: {}", refused.0, refused.1.trim_end()))
            }
        })
    }

    fn haproxy_accepts(&self, path: &Path, master_worker: bool) -> Result<(), (String, String)> {
        let mut command = Command::new(&self.setup.haproxy);
        if master_worker {
            command.arg("-W");
        }
        let output = command.arg("-f").arg(path).arg("-c").output();
        let output = output.map_err(|error| (error.to_string(), String::new()))?;
        if output.status.success() {
            return Ok(());
        }
        let status = format!("exit status {}", output.status.code().unwrap_or(-1));
        Err((status, alerts(&String::from_utf8_lossy(&output.stderr))))
    }

    pub(super) fn transaction_folder(&self) -> PathBuf {
        self.setup.storage.join("tx")
    }
}

/// HAProxy's alerts, one `msg="…"` a line, with the process number and the place in front cut off.
fn alerts(stderr: &str) -> String {
    let mut text = String::new();
    for line in stderr.lines().filter_map(|line| line.trim().strip_prefix("[ALERT]")) {
        let parts: Vec<&str> = line.split(" : ").skip(1).map(str::trim).collect();
        text.extend(["msg=\"", &parts.join(" "), "\"\n"]);
    }
    text
}
