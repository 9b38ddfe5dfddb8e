//! `haproxy-cloud-discovery`: its options, its exit codes and its log.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::Error;
use clap::{ArgMatches, Args, FromArgMatches};
use roster_config::legacy::cloud_discovery;

use super::{Asked, Dialect, ExitCodes, Mode};
use crate::telemetry::python;

/// The longest that one cycle may take.
const ONCE: Duration = Duration::from_secs(120);

pub(super) const DIALECT: Dialect = Dialect {
    name: "haproxy-cloud-discovery",
    about: "Keep HAProxy's backends equal to a cloud's tagged machines, as haproxy-cloud-discovery does",
    options: Options::augment_args,
    asked,
    read: |file, text, env| Ok(Box::new(cloud_discovery::Legacy::parse(file, text, env)?)),
    log: |log| python::start(log.level, log.format),
    // The first is that of Python's argparse.
    exit: ExitCodes { usage: 2, configuration: 1 },
};

#[derive(Args, Debug)]
struct Options {
    /// The configuration
    #[arg(short, long, value_name = "PATH")]
    config: PathBuf,
    /// Run one discovery cycle and end
    #[arg(long)]
    once: bool,
    /// Check the configuration and end
    #[arg(long)]
    validate: bool,
    /// The folder for what must survive a restart; without it everything is kept in memory only
    #[arg(long, value_name = "FOLDER", env = "STATE_DIRECTORY")]
    state_dir: Option<PathBuf>,
}

fn asked(matches: &ArgMatches) -> Result<Asked, Error> {
    let Options { config, once, validate, state_dir } = Options::from_arg_matches(matches)?;
    let mode = match (validate, once) {
        (true, _) => Mode::Validate,
        (false, true) => Mode::Once(ONCE),
        (false, false) => Mode::Run,
    };
    Ok(Asked { config, state_dir, mode })
}
