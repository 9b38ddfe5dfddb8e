//! What can go wrong between Roster and a Runtime API socket, and what is known of the commands then.

use std::fmt;
use std::io;
use std::time::Duration;

use roster_core::applied::ProcessId;
use roster_haproxy::cli::ParseError;
use thiserror::Error;

use crate::runtime::socket::{ConnectError, SocketAddress};

/// Why a session gave no result. [`progress`](Self::progress) says what is known of its commands.
#[derive(Debug, Error)]
pub enum SessionError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A command that HAProxy's buffer has no room for; 2.6 would end the session without a word.
    #[error(
        "command {number} has {length} bytes, {limit} are allowed; it begins with {begins:?}; nothing was sent"
    )]
    LineTooLong {
        /// Which one, from 1.
        number: usize,
        /// Its length.
        length: usize,
        /// The limit.
        limit: usize,
        /// How it begins.
        begins: String,
    },
    /// The connection broke or got stuck.
    #[error("{socket}: {cause}; {progress}")]
    Broken {
        /// Where.
        socket: SocketAddress,
        /// How.
        cause: Break,
        /// How far it got.
        progress: Progress,
    },
    /// Somebody else listens there.
    #[error(
        "{socket} does not answer like a HAProxy stats socket (it says {begins:?}); check the path; \
         no command was sent to be carried out"
    )]
    NotHaproxy {
        /// Where.
        socket: SocketAddress,
        /// What came.
        begins: String,
    },
    /// HAProxy's master listens there.
    #[error(
        "{0} is the socket of HAProxy's master process (`-S`), which knows no servers; \
         name a `stats socket` of the configuration"
    )]
    MasterSocket(SocketAddress),
    /// More or other answers came than commands were sent, so none can be trusted.
    #[error(
        "{socket}: the answers do not match the commands, none of them is believed; \
         what HAProxy holds is read again"
    )]
    OutOfStep {
        /// Where.
        socket: SocketAddress,
        /// How far it got.
        progress: Progress,
    },
    /// `show info` could not be read before anything was sent.
    #[error("{socket}: cannot tell which process answers; nothing was sent")]
    Unidentified {
        /// Where.
        socket: SocketAddress,
        /// Why.
        source: ParseError,
    },
    /// Another process answers than the one that the commands are meant for.
    #[error("{found} answers where {expected} was expected; nothing was sent, what it holds is read first")]
    OtherProcess {
        /// Whom the commands are meant for.
        expected: ProcessId,
        /// Who answers.
        found: ProcessId,
    },
    /// The process that answers was told to finish, by a reload or a stop.
    #[error("{process} was told to finish; {progress}; what is set there is lost")]
    Stopping {
        /// Which one.
        process: ProcessId,
        /// How far it got.
        progress: Progress,
    },
    /// The process was replaced while the commands ran.
    #[error("{after} took over from {before} meanwhile; what was set is lost; {progress}")]
    ProcessChanged {
        /// Who carried the commands out.
        before: ProcessId,
        /// Who serves now.
        after: ProcessId,
        /// How far it got.
        progress: Progress,
    },
    /// The commands were answered, but who serves now could not be asked.
    #[error("{progress}, but who serves now could not be asked: {source}")]
    Unconfirmed {
        /// How far it got.
        progress: Progress,
        /// Why.
        #[source]
        source: Box<SessionError>,
    },
}

impl SessionError {
    /// Whether HAProxy may have had no time for this session because of others: `stats maxconn` allows ten at once unless set.
    pub fn is_busy(&self) -> bool {
        match self {
            Self::Connect(error) => matches!(error, ConnectError::Busy(_) | ConnectError::TimedOut { .. }),
            Self::Broken { cause, .. } => matches!(cause, Break::Silent(_) | Break::TooSlow(_)),
            Self::Unconfirmed { source, .. } => source.is_busy(),
            _ => false,
        }
    }
}

/// How a connection ended.
#[derive(Debug, Error)]
pub enum Break {
    /// The other side closed it.
    #[error("HAProxy closed the connection{}", if *.within_answer { " in the middle of an answer" } else { "" })]
    Closed {
        /// True if the beginning of an answer was there.
        within_answer: bool,
    },
    /// Nothing came for too long.
    #[error("HAProxy said nothing for {0:?}; it is paused or overloaded")]
    Silent(Duration),
    /// The whole took too long.
    #[error("it took longer than {0:?}")]
    TooSlow(Duration),
    /// One answer has no end.
    #[error("an answer has more than {0} bytes")]
    AnswerTooLong(usize),
    /// The system says no.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// How far a list of commands got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// So many were answered for certain.
    pub answered: usize,
    /// So many may have reached HAProxy, the answered ones among them.
    pub sent: usize,
    /// How many there are.
    pub of: usize,
}

impl Progress {
    pub(in crate::runtime) const fn none(of: usize) -> Self {
        Self { answered: 0, sent: 0, of }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { answered, sent, of } = *self;
        if of == 0 || answered == of {
            return write!(f, "all {of} commands were answered");
        }
        if sent == 0 {
            return write!(f, "none of {of} commands was sent");
        }
        write!(f, "{answered} of {of} commands were answered")?;
        if sent > answered {
            write!(f, ", {} may or may not have been carried out", sent - answered)?;
        }
        if of > sent { write!(f, ", {} were not sent", of - sent) } else { Ok(()) }
    }
}

impl SessionError {
    /// What is known of the commands. Where some were sent HAProxy has to be read again.
    pub fn progress(&self) -> Option<Progress> {
        match self {
            Self::Broken { progress, .. }
            | Self::OutOfStep { progress, .. }
            | Self::Stopping { progress, .. }
            | Self::ProcessChanged { progress, .. }
            | Self::Unconfirmed { progress, .. } => Some(*progress),
            Self::Connect(_)
            | Self::LineTooLong { .. }
            | Self::NotHaproxy { .. }
            | Self::MasterSocket(_)
            | Self::Unidentified { .. }
            | Self::OtherProcess { .. } => None,
        }
    }

    /// True if it is certain that HAProxy got none of the commands.
    pub fn nothing_was_sent(&self) -> bool {
        self.progress().is_none_or(|progress| progress.sent == 0)
    }
}
