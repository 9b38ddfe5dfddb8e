//! `roster convert`: another program's configuration in Roster's own words.

use std::ffi::OsStr;

use roster_config::env::ProcessEnv;

use super::print;
use crate::cli::ConvertArgs;
use crate::exit::{Exit, Failure};
use crate::legacy::{Dialect, read};

/// Prints the native configuration. What is wrong or lost is reported on standard error.
pub(crate) fn convert(args: &ConvertArgs) -> Result<Exit, Failure> {
    let unknown = || Failure::Usage(format!("no program is called {}", args.from));
    let dialect = Dialect::named(OsStr::new(&args.from)).ok_or_else(unknown)?;
    let legacy = read(dialect, &args.file).map_err(Failure::Usage)?;
    legacy.config(&ProcessEnv).map_err(|error| Failure::Usage(error.to_string()))?;
    legacy.warnings().iter().for_each(|warning| print::err(&format!("warning: {warning}")));
    print::out(&legacy.printed()).map_err(anyhow::Error::from)?;
    Ok(Exit::Done)
}
