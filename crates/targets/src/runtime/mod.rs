//! HAProxy through its Runtime API socket.

pub mod batch;
mod rounds;
pub mod session;
pub mod socket;
mod target;
mod watch;

pub use target::{RuntimeError, RuntimeTarget};
pub use watch::Watching;
