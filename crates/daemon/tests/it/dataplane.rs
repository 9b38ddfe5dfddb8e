//! End to end: a HAProxy that is kept through its Data Plane API, by the API alone and with HAProxy's own socket too.

mod commands;
mod compact;
mod keeps;
mod many;
mod options;
mod proxy;
mod reloads;
mod restarts;
pub(crate) mod site;
mod swallowed;
mod trouble;
mod vanished;
mod writers;
