//! `haproxy-cloud-discovery`: its three ways to run.
//!
//! The native configuration is handed on in a file that is in memory only, because a secret may stand in it. SIGHUP
//! reads that again, so it starts a full pass and does not look at the operator's file, as in the original.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use roster_config::env::ProcessEnv;
use roster_config::legacy::cloud_discovery::Legacy;
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::runtime::Runtime;
use tracing::{info, warn};

use crate::cli::{CloudDiscoveryArgs, Common, OnceArgs, RunArgs};
use crate::commands::{self, print};
use crate::exit::{Exit, Failure};
use crate::telemetry::python;

/// The longest that one cycle may take, in seconds.
const ONCE: u64 = 120;

/// Does what the original does with these options.
pub(crate) fn run(args: &CloudDiscoveryArgs, runtime: &Runtime) -> Result<Exit, Failure> {
    let usable = |legacy: &Legacy| legacy.config(&ProcessEnv).map_err(|error| error.to_string());
    let legacy = match read(&args.config).and_then(|legacy| usable(&legacy).map(|_| legacy)) {
        Ok(legacy) => legacy,
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
    let file = in_memory(&legacy).map_err(anyhow::Error::from)?;
    let common = Common { config: path(&file), state_dir: writable(args), log_format: None };
    let ended = if args.once {
        runtime.block_on(commands::once::once(&OnceArgs { common, timeout: ONCE }))
    } else {
        runtime.block_on(async {
            let over = tokio_util::sync::CancellationToken::new();
            let writing = tokio::spawn(log.serve(over.clone()));
            let ended = commands::run::run(&RunArgs { common }).await;
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

fn in_memory(legacy: &Legacy) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("roster", MemfdFlags::CLOEXEC)?);
    file.write_all(legacy.runnable().as_bytes())?;
    Ok(file)
}

fn path(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// The state folder, if it can be used: the original needs none, so none is no reason to end.
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
