//! Why a file gives no answer.

use std::path::PathBuf;

use roster_config::position::Position;
use roster_config::problem::Problems;
use roster_core::instance::SourceError;
use roster_files::Kind;
use thiserror::Error;

/// Why a file gives no answer. What it last said stays in use.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum FileError {
    /// No such file.
    #[error("{} is not there; write it, or correct `path` of this source", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A directory, a device, a pipe.
    #[error("{} is {what}, not a file; let `path` of this source name a file", path.display())]
    NotAFile {
        /// What is there.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// The system does not let it be read.
    #[error("{} cannot be read ({why}); check who may read the file and its folders", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// More than is ever read.
    #[error("{} has more than {} MiB; divide it between several sources", path.display(), Kind::Services.limit() >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are no text.
    #[error("{}:{at}: this is not UTF-8 text; save the file as UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first byte that is none.
        at: Position,
    },
    /// Something is wrong with the file as a whole.
    #[error("{}", first(.0))]
    Invalid(Problems),
    /// It never comes to rest.
    #[error(
        "{} has been written to without a pause for {seconds} s; write a new file beside it and rename that into its place",
        path.display()
    )]
    Restless {
        /// The file.
        path: PathBuf,
        /// How long it was waited.
        seconds: u64,
    },
    /// A mistake in Roster.
    #[error("{} could not be read for a mistake in Roster ({why}); please report it", path.display())]
    Internal {
        /// The file.
        path: PathBuf,
        /// What is known of it.
        why: String,
    },
}

/// The first problem, and how many more there are: an event is one line.
fn first(problems: &Problems) -> String {
    let first = problems.iter().next().map(ToString::to_string).unwrap_or_default();
    let more = match problems.iter().count() {
        0 | 1 => String::new(),
        2 => " (and 1 more error)".to_owned(),
        count => format!(" (and {} more errors)", count - 1),
    };
    format!("{first}{more}; correct the file, until then what it said before stays")
}

impl From<FileError> for SourceError {
    fn from(error: FileError) -> Self {
        Self { message: error.to_string() }
    }
}
