//! Azure's own clients for Python, which judge what ours makes of the same answers.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::component::{MissingComponent, azure_python};

/// A Python that has azure-mgmt-compute, azure-mgmt-network and azure-identity.
#[derive(Clone, Debug)]
pub struct AzureClients {
    python: PathBuf,
}

/// Why the judge says nothing.
#[derive(Debug, thiserror::Error)]
pub enum AzureClientsError {
    /// They are not installed.
    #[error(transparent)]
    Missing(#[from] MissingComponent),
    /// Python does not start.
    #[error("Azure's clients: {0}")]
    Io(#[from] io::Error),
    /// The script failed.
    #[error("Azure's clients failed:\n{0}")]
    Failed(String),
}

impl AzureClients {
    /// The Python that `AZURE_PYTHON` names, or the one that `make setup` put into the cache.
    pub fn find() -> Result<Self, AzureClientsError> {
        Ok(Self { python: azure_python()? })
    }

    /// Runs a script with these arguments and variables, and gives what it prints.
    pub fn run(
        &self,
        script: &Path,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Result<String, AzureClientsError> {
        let output = Command::new(&self.python)
            .arg(script)
            .args(args)
            .envs(env.iter().copied())
            // A proxy of the machine's must not get in between.
            .env("NO_PROXY", "*")
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(AzureClientsError::Failed(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    }
}
