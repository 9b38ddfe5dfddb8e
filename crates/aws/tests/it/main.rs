//! Roster's AWS client against a real moto server, and against a server that behaves as badly as networks do.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a helper of tests too, a panic is the test's failure"
)]

mod chain;
mod cloud;
mod common;
mod scripted;
mod trouble;
