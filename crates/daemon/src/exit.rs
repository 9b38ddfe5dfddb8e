//! How Roster ends: the exit codes, which are part of its interface.

use std::process::ExitCode;

use roster_config::native::LoadError;
use thiserror::Error;

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// 0: it is done, or there is nothing to do.
    Done,
    /// 1: it failed, or not all of it could be done.
    Failed,
    /// 2: there are changes that were not asked to be made.
    Changes,
    /// A code of the program that Roster stands in for.
    Other(u8),
}

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// 64: the command line or the configuration is wrong. Nothing was applied.
    #[error("{0}")]
    Usage(String),
    /// 1: anything else.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// The exit code for a wrong command line or configuration (`EX_USAGE` of sysexits.h).
pub(crate) const USAGE: u8 = 64;

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Failure::Usage(crate::events::chain(&error))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        match exit {
            Exit::Done => ExitCode::SUCCESS,
            Exit::Failed => ExitCode::from(1),
            Exit::Changes => ExitCode::from(2),
            Exit::Other(code) => ExitCode::from(code),
        }
    }
}
