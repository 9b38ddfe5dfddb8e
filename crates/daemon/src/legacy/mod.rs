//! Roster in the place of other programs: their options, exit codes and logs.

pub(crate) mod cloud_discovery;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::{Parser, error::Error};

use crate::cli::{Cli, CloudDiscovery, Command, Program};

/// The name of the program, and of a link to Roster that makes it one.
const CLOUD_DISCOVERY: &str = "haproxy-cloud-discovery";

/// The exit code of Python's argparse for a wrong command line.
pub(crate) const USAGE: u8 = 2;

/// Whether another program was asked for, by Roster's own name or by that of the link.
pub(crate) fn stands_in(words: &[OsString]) -> bool {
    let by_word =
        words.iter().skip(1).map(OsString::as_os_str).take(2).eq(["as", CLOUD_DISCOVERY].map(OsStr::new));
    by_word || is_link(words)
}

fn is_link(words: &[OsString]) -> bool {
    words.first().and_then(|name| Path::new(name).file_name()).is_some_and(|name| name == CLOUD_DISCOVERY)
}

/// What was asked for on the command line.
pub(crate) fn cli(words: Vec<OsString>) -> Result<Cli, Error> {
    if is_link(&words) {
        let CloudDiscovery { args } = CloudDiscovery::try_parse_from(words)?;
        return Ok(Cli { command: Command::As { program: Program::HaproxyCloudDiscovery(args) } });
    }
    Cli::try_parse_from(words)
}
