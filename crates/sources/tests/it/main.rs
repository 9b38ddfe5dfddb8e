//! The sources against the real thing.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a helper of tests too, a panic is the test's failure"
)]

mod file;
