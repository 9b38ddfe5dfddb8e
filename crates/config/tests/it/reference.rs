//! `docs/config.md` is what the schema says.

use std::fs;

use roster_config::reference::{EXAMPLE, page};

use super::parse;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");

#[test]
#[allow(clippy::disallowed_methods, reason = "the switch that writes the page, as insta has one")]
fn the_reference_page_is_that_of_the_schema() {
    if std::env::var("ROSTER_UPDATE_DOCS").is_ok() {
        fs::write(PAGE, page()).unwrap();
    }
    let committed = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        committed == page(),
        "docs/config.md is not up to date; run ROSTER_UPDATE_DOCS=1 cargo test -p roster-config"
    );
}

#[test]
fn the_example_of_the_page_is_a_configuration() {
    parse(EXAMPLE).unwrap();
}
