//! End to end: a HAProxy whose file, process and ports are Roster's.

pub(crate) mod checks;
mod environment;
mod external;
mod failed;
pub(crate) mod lives;
mod old;
mod owners;
pub(crate) mod ports;
pub(crate) mod reloads;
mod shared;
pub(crate) mod site;
pub(crate) mod start;
mod stopped;
mod strangers;
pub(crate) mod trouble;
