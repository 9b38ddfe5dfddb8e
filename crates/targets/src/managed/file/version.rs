//! Which HAProxy a binary is.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use roster_haproxy::version::Version;

use super::Environment;
use super::FileError;
use super::run::{Finished, RunError, run};

/// Asks a binary for its version (`-v`), within this time.
///
/// # Errors
/// It is missing, does not run or end, is not HAProxy, or is older than [`Version::OLDEST`].
pub fn haproxy_version(binary: &Path, limit: Duration) -> Result<Version, FileError> {
    let mut command = Command::new(binary);
    Environment::default().set(command.arg("-v"));
    let finished = run_haproxy(&mut command, binary, limit, &AtomicBool::new(false))?;
    let said = finished.output.trim_start();
    let is_named = ["HAProxy version ", "HA-Proxy version "].iter().any(|name| said.starts_with(name));
    match said.parse::<Version>() {
        Ok(found) if is_named && found >= Version::OLDEST => Ok(found),
        Ok(found) if is_named => Err(FileError::TooOld { binary: binary.to_owned(), found }),
        _ => {
            let said = said.lines().next().unwrap_or_default().chars().take(80).collect();
            Err(FileError::NotHaproxy { binary: binary.to_owned(), said })
        }
    }
}

pub(super) fn run_haproxy(
    command: &mut Command,
    binary: &Path,
    after: Duration,
    cancelled: &AtomicBool,
) -> Result<Finished, FileError> {
    let binary = || binary.to_owned();
    run(command, after, cancelled).map_err(|error| match error {
        RunError::TimedOut => FileError::TimedOut { binary: binary(), after },
        RunError::Io(source) if source.kind() == io::ErrorKind::NotFound => {
            FileError::BinaryMissing(binary())
        }
        RunError::Io(source) => FileError::CannotRun { binary: binary(), source },
    })
}
