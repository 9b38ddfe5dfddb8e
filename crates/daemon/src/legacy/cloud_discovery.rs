//! `haproxy-cloud-discovery`: its three ways to run.
//!
//! SIGHUP starts a full pass by the configuration of the start and does not look at the operator's file, as in the original.

use std::path::{Path, PathBuf};
use std::time::Duration;

use roster_config::env::ProcessEnv;
use roster_config::legacy::cloud_discovery::Legacy;
use tokio::runtime::Runtime;
use tracing::{info, warn};

use crate::cli::CloudDiscoveryArgs;
use crate::commands::{self, Given, Origin, print};
use crate::exit::{Exit, Failure};
use crate::hint;
use crate::telemetry::python;

/// The longest that one cycle may take.
const ONCE: Duration = Duration::from_secs(120);

/// Does what the original does with these options.
pub(crate) fn run(args: &CloudDiscoveryArgs, runtime: &Runtime) -> Result<Exit, Failure> {
    hint::set_none();
    let usable = |legacy: Legacy| match legacy.config(&ProcessEnv) {
        Ok(config) => Ok((legacy, config)),
        Err(error) => Err(error.to_string()),
    };
    let (legacy, config) = match read(&args.config).and_then(usable) {
        Ok(read) => read,
        Err(text) => {
            print::err(&format!("Configuration error: {text}"));
            return Ok(Exit::Failed);
        }
    };
    let log = python::start(legacy.log_level(), legacy.log_format());
    legacy.warnings.iter().for_each(|warning| warn!("{warning}"));
    if args.validate {
        info!("Configuration is valid");
        return Ok(Exit::Done);
    }
    if let Some(refused) = legacy.refused() {
        print::err(&format!("Configuration error: {refused}"));
        return Ok(Exit::Failed);
    }
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    let given = Given {
        config: Origin::Made(args.config.clone(), Box::new(config)),
        state_dir: writable(args),
        log_format: None,
    };
    let ended = if args.once {
        runtime.block_on(commands::once::once(&given, ONCE))
    } else {
        runtime.block_on(async {
            let over = tokio_util::sync::CancellationToken::new();
            let writing = tokio::spawn(log.serve(over.clone()));
            let ended = commands::run::run(&given).await;
            over.cancel();
            writing.await.ok();
            ended
        })
    };
    // The configuration was right, so nothing that ends it is a wrong command line.
    ended.map_err(|failure| match failure {
        Failure::Usage(text) => Failure::Other(anyhow::Error::msg(text)),
        other @ Failure::Other(_) => other,
    })
}

/// Reads the original's file, or says in words what is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Legacy, String> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{file} cannot be read ({error}); check the path and who may read it"))?;
    Legacy::parse(&file, &text, &ProcessEnv).map_err(|error| error.to_string())
}

/// The state folder that was named, if it can be used: the original needs none, so that is no reason to end.
fn writable(args: &CloudDiscoveryArgs) -> Option<PathBuf> {
    let folder = args.state_dir.clone()?;
    match tempfile::tempfile_in(&folder) {
        Ok(_) => Some(folder),
        Err(error) => {
            warn!(folder = %folder.display(), "the state folder cannot be written ({error}); nothing is kept there");
            None
        }
    }
}
