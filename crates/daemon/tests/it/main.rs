//! End to end: the real `roster` and real servers.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a helper of tests too, a panic is the test's failure"
)]

mod rig;

mod admin;
mod cloud_discovery;
mod commands;
mod compact;
mod dataplane;
mod hardship;
mod keeping;
mod managed;
mod memory;
