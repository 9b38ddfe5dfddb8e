//! The managed target: Roster owns HAProxy's file, its process and, where wanted, its listening sockets.

pub mod dynamic;
mod environment;
pub mod file;
pub mod listen;
pub mod live;
pub mod process;

use std::os::fd::OwnedFd;
use std::sync::Arc;

pub use environment::Environment;

/// A descriptor that HAProxy inherits under the same number for as long as it runs, named `fd@NUMBER` in its file.
#[derive(Clone, Debug)]
pub struct Inherited {
    /// Its number in HAProxy.
    pub number: i32,
    /// What is inherited.
    pub fd: Arc<OwnedFd>,
}
