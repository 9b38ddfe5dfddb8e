//! Targets against real HAProxy, on every version that is set up, and against scripted sockets.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a helper of tests too, a panic is the test's failure"
)]

mod dataplane;
mod managed;
mod runtime;
