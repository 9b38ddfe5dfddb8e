//! Listening sockets that Roster holds for HAProxy.
//!
//! HAProxy inherits them and names them `fd@N` in its file, so that while it is dead or being replaced, connections
//! wait in the kernel's queue instead of being refused.

mod error;
mod hand_over;

pub use error::ListenError;
pub use hand_over::hand_over;
