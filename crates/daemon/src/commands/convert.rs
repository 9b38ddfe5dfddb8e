//! `roster convert`: another program's configuration in Roster's own words.

use roster_config::env::ProcessEnv;

use super::print;
use crate::cli::{ConvertArgs, Dialect};
use crate::exit::{Exit, Failure};
use crate::legacy::cloud_discovery::read;

/// Prints the native configuration. What is wrong or lost is told on standard error.
pub(crate) fn convert(args: &ConvertArgs) -> Result<Exit, Failure> {
    let Dialect::HaproxyCloudDiscovery = args.from;
    let legacy = read(&args.file).map_err(Failure::Usage)?;
    legacy.config(&ProcessEnv).map_err(|error| Failure::Usage(error.to_string()))?;
    legacy.warnings.iter().for_each(|warning| print::err(&format!("warning: {warning}")));
    print::out(&legacy.printed()).map_err(anyhow::Error::from)?;
    Ok(Exit::Done)
}
