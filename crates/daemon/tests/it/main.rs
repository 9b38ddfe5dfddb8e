//! End to end: the real `roster` and real servers.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a helper of tests too, a panic is the test's failure"
)]

mod rig;
mod told;

mod admin;
mod aws;
mod beside;
mod cloud_discovery;
mod commands;
mod compact;
mod dataplane;
mod departure;
mod docs;
mod faults;
mod hangup;
mod hardship;
mod home;
mod keeping;
mod managed;
mod memory;
mod odd_files;
mod refused;
