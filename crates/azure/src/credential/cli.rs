//! Tokens of whoever has logged in with the Azure CLI, for trying things out on one's own machine.

use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::error::{Absent, CredentialError};
use super::token::{Granted, Token};
use crate::error::one_line;
use crate::observe::Observe;

/// `az` is slow to start; azure-identity waits as long.
const LIMIT: Duration = Duration::from_secs(10);
const API: &str = "token_cli";

pub(super) async fn token(
    observer: &dyn Observe,
    path: Option<&OsStr>,
    audience: &str,
) -> Result<Token, Absent> {
    let asked = Instant::now();
    let outcome = timeout(LIMIT, run(path, audience)).await;
    let code = match &outcome {
        Ok(Ok(output)) => format!("exit_{}", output.status.code().unwrap_or(-1)),
        Ok(Err(_)) => "unreachable".to_owned(),
        Err(_) => "timeout".to_owned(),
    };
    observer.on_call(API, &code, asked.elapsed());
    let failed = |why: String| Absent::Failed(CredentialError::Cli { why });
    match outcome {
        Err(_) => Err(failed(format!("it took longer than {LIMIT:?}"))),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(Absent::NotThere(CredentialError::NoCli { why: "no `az` in PATH".to_owned() }))
        }
        Ok(Err(error)) => Err(Absent::NotThere(CredentialError::NoCli { why: error.to_string() })),
        Ok(Ok(output)) if !output.status.success() => {
            Err(failed(one_line(&String::from_utf8_lossy(&output.stderr))))
        }
        // What it printed holds a token, so nothing of it is quoted.
        Ok(Ok(output)) => serde_json::from_slice::<Granted>(&output.stdout)
            .map(|granted| granted.token(asked, Timestamp::now()))
            .map_err(|_| failed("its answer is no JSON of a token".to_owned())),
    }
}

/// Ended with the future that waits for it.
async fn run(path: Option<&OsStr>, audience: &str) -> io::Result<Output> {
    let mut command = Command::new("az");
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command
        .args(["account", "get-access-token", "--output", "json", "--resource", audience])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
}
