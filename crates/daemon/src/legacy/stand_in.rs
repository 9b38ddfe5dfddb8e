//! Runs Roster in the place of another program, whichever it is.
//!
//! SIGHUP starts a full pass by the configuration of the start and does not look at the operator's file.

use std::path::{Path, PathBuf};

use roster_config::env::ProcessEnv;
use roster_config::legacy::Translated;
use roster_files::Kind;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Asked, Dialect, Mode, Program};
use crate::commands::{self, Given, Origin, print};
use crate::exit::{Exit, Failure};
use crate::hint;

/// Does what the original does with these options.
pub(crate) fn run(program: &Program, runtime: &Runtime) -> Result<Exit, Failure> {
    let Program { dialect, asked } = program;
    hint::set_none();
    let wrong = |text: &dyn std::fmt::Display| {
        print::err(&format!("Configuration error: {text}"));
        Ok(Exit::Other(dialect.exit.configuration))
    };
    let legacy = match read(dialect, &asked.config) {
        Ok(legacy) => legacy,
        Err(text) => return wrong(&text),
    };
    let config = match legacy.config(&ProcessEnv) {
        Ok(config) => config,
        Err(problems) => return wrong(&problems),
    };
    let log = (dialect.log)(legacy.log());
    legacy.warnings().iter().for_each(|warning| warn!("{warning}"));
    if matches!(asked.mode, Mode::Validate) {
        info!("Configuration is valid");
        return Ok(Exit::Done);
    }
    if let Some(refused) = legacy.refused() {
        return wrong(&refused);
    }
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    let given = Given {
        config: Origin::Made(asked.config.clone(), Box::new(config)),
        state_dir: writable(asked),
        log_format: None,
    };
    let ended = if let Mode::Once(limit) = asked.mode {
        runtime.block_on(commands::once::once(&given, limit))
    } else {
        runtime.block_on(async {
            let over = CancellationToken::new();
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

/// Reads the program's file, or says what is wrong with it.
pub(crate) fn read(dialect: &Dialect, path: &Path) -> Result<Box<dyn Translated>, String> {
    let file = path.display().to_string();
    let text = roster_files::read_text(path, Kind::Configuration)
        .map_err(|error| format!("{file} cannot be read ({error}); check the path and who may read it"))?;
    (dialect.read)(&file, &text, &ProcessEnv).map_err(|error| error.to_string())
}

/// The state folder that was named, if it can be used: the original needs none, so that is no reason to end.
fn writable(asked: &Asked) -> Option<PathBuf> {
    let folder = asked.state_dir.clone()?;
    match tempfile::tempfile_in(&folder) {
        Ok(_) => Some(folder),
        Err(error) => {
            warn!(folder = %folder.display(), "the state folder cannot be written ({error}); nothing is kept there");
            None
        }
    }
}
