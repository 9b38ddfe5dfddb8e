//! The configuration as an operator meets it: files, errors, schema, reference page.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic, also in its helpers"
)]

mod clouds;
mod complete;
mod dataplane;
mod errors;
mod load;
mod managed;
mod reference;

use std::collections::BTreeMap;
use std::path::Path;

use roster_config::native::Config;
use roster_config::problem::Problems;

const MINIMAL: &str = include_str!("files/minimal.yaml");
const COMPLETE: &str = include_str!("files/complete.yaml");

/// The secret is its own name, which may be written out.
fn env() -> BTreeMap<String, String> {
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/files");
    let set = [
        ("AZ", "eu-west-1a"),
        ("SECRET_NAME", "hunter2"),
        ("BASE", "12"),
        ("PW", "${PW}"),
        ("EMPTY", ""),
        ("FILES", files),
    ];
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse("roster.yaml", text, Path::new("/etc/roster"), &env())
}

fn errors(text: &str) -> String {
    parse(text).expect_err("the file is wrong").to_string()
}
