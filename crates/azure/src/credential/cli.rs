//! Tokens of the user of `az login`, for trials on a workstation.

use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use roster_helper::{HelperError, limit_environment};
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::Instant;

use super::entra::without_trace;
use super::error::{Absent, CredentialError};
use super::token::{Granted, Token};
use crate::error::one_line;
use crate::observe::Observe;

const API: &str = "token_cli";
/// `az` ends with it where its own interpreter is not there (azure-identity reads it so).
const NOT_FOUND: i32 = 127;

pub(super) async fn token(
    observer: &dyn Observe,
    path: Option<&OsStr>,
    audience: &str,
    limit: Duration,
) -> Result<Token, Absent> {
    let asked = Instant::now();
    let outcome = roster_helper::run(command(path, audience), limit).await;
    let code = match &outcome {
        Ok(ended) => format!("exit_{}", ended.status.code().unwrap_or(-1)),
        Err(HelperError::Start(_)) => "unreachable".to_owned(),
        Err(HelperError::Timeout(_)) => "timeout".to_owned(),
        Err(HelperError::TooLarge | HelperError::Output(_)) => "lost".to_owned(),
    };
    observer.on_call(API, &code, asked.elapsed());
    let no_cli = |why: String| Absent::NotThere(CredentialError::NoCli { why });
    let failed = |why: String| Absent::Failed(CredentialError::Cli { why });
    match outcome {
        Err(HelperError::Start(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(no_cli("no `az` in PATH".to_owned()))
        }
        Err(HelperError::Start(error)) => Err(no_cli(error.to_string())),
        Err(error) => Err(failed(error.to_string())),
        Ok(ended) if ended.status.code() == Some(NOT_FOUND) => Err(no_cli(said(&ended.stderr))),
        Ok(ended) if !ended.status.success() => Err(failed(said(&ended.stderr))),
        // What it printed holds a token, so nothing of it is quoted.
        Ok(ended) => match printed(&ended.stdout) {
            Some(granted) => {
                granted.token(asked, roster_clock::wall()).map_err(|why| failed(format!("it printed {why}")))
            }
            None => Err(failed("it printed no JSON with an accessToken".to_owned())),
        },
    }
}

/// The variables that `az`, a Python program, reads: its settings, proxies, trusted authorities, and the folder of the user.
const NEEDED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_*",
    "TZ",
    "TMPDIR",
    "XDG_*",
    "DBUS_SESSION_BUS_ADDRESS",
    "AZURE_*",
    "PYTHON*",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "IDENTITY_*",
    "MSI_*",
];

/// In a folder and with colours as azure-identity starts it.
fn command(path: Option<&OsStr>, audience: &str) -> Command {
    let mut command = Command::new("az");
    limit_environment(&mut command, NEEDED);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command.env("AZURE_CORE_NO_COLOR", "true").current_dir("/");
    command.args(["account", "get-access-token", "--output", "json", "--resource", audience]);
    command
}

/// The JSON of a token, also where notices stand before or after it: an extension or a wrapper may print some.
fn printed(output: &[u8]) -> Option<Granted> {
    let begins = output.iter().enumerate().filter(|(_, byte)| **byte == b'{');
    begins
        .filter_map(|(at, _)| output.get(at..))
        .find_map(|rest| Granted::deserialize(&mut serde_json::Deserializer::from_slice(rest)).ok())
}

/// What `az` says went wrong: its error without the warnings before it, in which the cause would be lost.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    if text.contains("accessToken") {
        return "it failed, and its message holds a token".to_owned();
    }
    // Without that word, as of a program of Python's that breaks off, the cause stands last.
    let last = || text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let error = text.find("ERROR:").and_then(|at| text.get(at..)).unwrap_or_else(last);
    let words = one_line(without_trace(error));
    if words.is_empty() { "it failed without a message".to_owned() } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_among_notices() {
        let token = "{\n  \"accessToken\": \"t\",\n  \"expires_on\": 4102444800\n}\n";
        for output in [
            token.to_owned(),
            format!("A new release of the Azure CLI is available.\n{token}"),
            format!("{token}Welcome {{back}}\n"),
            format!("{{\"notice\": 1}}\n\u{feff}{token}"),
            format!("{{ not JSON {token}"),
        ] {
            assert!(printed(output.as_bytes()).is_some(), "{output}");
        }
        for output in ["", "nothing", "{\"accessToken\": 7}", "{\"accessToken\": \"cut", "[1]"] {
            assert!(printed(output.as_bytes()).is_none(), "{output}");
        }
    }

    #[test]
    fn the_error_is_told_without_the_warnings_before_it_and_without_a_token() {
        let warnings = "WARNING: something long and harmless\n".repeat(40);
        let error = "ERROR: AADSTS700082: The refresh token has expired. Trace ID: 1 Timestamp: 2";
        assert_eq!(
            said(format!("{warnings}{error}").as_bytes()),
            "ERROR: AADSTS700082: The refresh token has expired."
        );
        assert_eq!(said(b"Please run az login\n"), "Please run az login");
        assert_eq!(said(b"Traceback (most recent call last):\n  x\nImportError: y\n\n"), "ImportError: y");
        assert_eq!(said(b""), "it failed without a message");
        assert!(!said(b"ERROR: {\"accessToken\": \"hush\"}").contains("hush"));
    }
}
