//! The program that a profile's `credential_process` names.
//!
//! Invariant: nothing that it prints on its output is in a log or an error: it holds secrets.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use jiff::Timestamp;
use roster_helper::HelperError;
use serde::Deserialize;
use thiserror::Error;
use tokio::process::Command;

use crate::error::shown;

/// Runs a program for credentials.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) profile: String,
    pub(super) command: String,
    /// The longest time that it may take.
    pub(super) limit: Duration,
}

/// Why a program gives none.
#[derive(Debug, Error)]
enum ProcessError {
    #[error("the credential_process of profile {profile:?} gives none: {why}")]
    NotRun { profile: String, why: HelperError },
    #[error("the credential_process of profile {profile:?} ended with {status}{said}")]
    Failed { profile: String, status: String, said: String },
    #[error(
        "the credential_process of profile {profile:?} printed something beside its JSON; let it print messages on standard error"
    )]
    Beside { profile: String },
    #[error("the credential_process of profile {profile:?} printed no credentials ({what})")]
    Odd { profile: String, what: String },
}

/// What the program prints (AWS SDKs reference, "Process credential provider").
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    session_token: Option<String>,
    #[serde(default)]
    expiration: Option<String>,
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A command may hold a secret.
        f.debug_struct("Process").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl ProvideCredentials for Process {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl Process {
    async fn credentials(&self) -> provider::Result {
        let output = self.run().await.map_err(CredentialsError::provider_error)?;
        self.read(&output).map_err(CredentialsError::provider_error)
    }

    async fn run(&self) -> Result<Vec<u8>, ProcessError> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(&self.command);
        let ended = roster_helper::run(command, self.limit).await;
        let ended = ended.map_err(|why| ProcessError::NotRun { profile: self.profile.clone(), why })?;
        if ended.status.success() {
            return Ok(ended.stdout);
        }
        let said = shown(String::from_utf8_lossy(&ended.stderr).trim());
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        Err(ProcessError::Failed { profile: self.profile.clone(), status: ended.status.to_string(), said })
    }

    fn read(&self, output: &[u8]) -> Result<Credentials, ProcessError> {
        let profile = || self.profile.clone();
        let odd = |what: &str| ProcessError::Odd { profile: profile(), what: what.to_owned() };
        let printed: Printed = serde_json::from_slice(output).map_err(|error| {
            let text = String::from_utf8_lossy(output);
            match () {
                () if text.trim().is_empty() => odd("nothing"),
                () if error.is_data() => odd("a key is missing or is of another kind; Version, AccessKeyId and SecretAccessKey are wanted"),
                () if text.contains("AccessKeyId") => ProcessError::Beside { profile: profile() },
                () => odd("no JSON"),
            }
        })?;
        if printed.version != 1 {
            return Err(odd(&format!("version {}, where 1 is known", printed.version)));
        }
        let end = printed.expiration.map(|text| text.parse::<Timestamp>()).transpose();
        let end = end.map_err(|_| odd("its Expiration is no time"))?;
        let end = end.map(SystemTime::from);
        Ok(Credentials::new(
            printed.access_key_id,
            printed.secret_access_key,
            printed.session_token,
            end,
            "process",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(command: &str) -> Result<Credentials, String> {
        let process = Process {
            profile: "dev".to_owned(),
            command: command.to_owned(),
            limit: Duration::from_secs(30),
        };
        process.credentials().await.map_err(|error| roster_http::causes(&error))
    }

    #[tokio::test]
    async fn a_program_gives_keys_that_may_end() {
        let got =
            run(r#"echo '{"Version": 1, "AccessKeyId": "AKIA1", "SecretAccessKey": "s", "SessionToken": "t",
                "Expiration": "2099-01-01T00:00:00+00:00", "More": [1]}'"#);
        let got = got.await.unwrap();
        assert_eq!((got.access_key_id(), got.session_token()), ("AKIA1", Some("t")));
        assert_eq!(
            got.expiry(),
            Some(SystemTime::from("2099-01-01T00:00:00Z".parse::<Timestamp>().unwrap()))
        );
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_program_is_told_without_what_it_printed() {
        let keys = r#"{"Version": 1, "AccessKeyId": "AKIA1", "SecretAccessKey": "hush"}"#;
        for (command, says) in [
            (format!("echo Welcome; echo '{keys}'"), "printed something beside its JSON"),
            (format!("echo '{keys}'; echo Bye"), "printed something beside its JSON"),
            ("echo hello".to_owned(), "no JSON"),
            ("true".to_owned(), "(nothing)"),
            (keys.replace("SecretAccessKey", "Secret"), "not found"),
            (format!("echo '{}'", keys.replace("SecretAccessKey", "Secret")), "a key is missing"),
            (format!("echo '{}'", keys.replace('1', "2")), "version 2"),
            (
                format!("echo '{keys}'; echo no right to do so >&2; exit 3"),
                "ended with exit status: 3: no right to do so",
            ),
            ("exec /nonexistent/helper".to_owned(), "ended with exit status: 127"),
            (
                format!("echo '{}'", keys.replace('}', ", \"Expiration\": \"soon\"}")),
                "its Expiration is no time",
            ),
        ] {
            let told = run(&command).await.unwrap_err();
            assert!(
                told.contains(says) && told.contains("profile \"dev\"") && !told.contains("hush"),
                "{command}: {told}"
            );
        }
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_at_the_limit() {
        let process = Process {
            profile: "dev".to_owned(),
            command: "sleep 313".to_owned(),
            limit: Duration::from_millis(200),
        };
        let told = process.credentials().await.map_err(|error| roster_http::causes(&error)).unwrap_err();
        assert!(told.contains("it took longer than 200ms and was ended"), "{told}");
    }
}
