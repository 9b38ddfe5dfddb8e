//! What goes wrong with listening sockets.

use std::io;

/// Why a listening socket could not be opened, handed over or got back.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Two sockets under one number.
    #[error("descriptor {number} is given to two sockets; each needs a number of its own")]
    NumberTwice {
        /// The number.
        number: i32,
    },
    /// A number that a child cannot inherit a socket under.
    #[error("descriptor {number} cannot be inherited as a listening socket: 0, 1 and 2 are standard streams")]
    NumberTaken {
        /// The number.
        number: i32,
    },
    /// No copy for the child.
    #[error(
        "cannot copy the listening socket for descriptor {number}; if too many files are open, raise LimitNOFILE (ulimit -n)"
    )]
    Copy {
        /// The number it was to have.
        number: i32,
        /// Why not.
        source: io::Error,
    },
}
