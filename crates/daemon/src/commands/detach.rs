//! `roster detach`: forget a target and leave it as it is.

use anyhow::anyhow;

use super::order::NO_RECORDS;
use super::print;
use crate::cli::DetachArgs;
use crate::exit::{Exit, Failure};
use crate::orders::meant;
use crate::store::StoreError;
use crate::wiring;

/// Drops what is kept of a target. Exit code 1 if nothing was.
pub(crate) fn detach(args: &DetachArgs) -> Result<Exit, Failure> {
    let config = wiring::load(&args.common.config)?;
    let store = args.common.records();
    if !store.is_kept() {
        return Err(anyhow!(NO_RECORDS).into());
    }
    let _held = match store.hold(&args.common.config) {
        Err(StoreError::InUse { folder, holder }) => {
            let folder = folder.display();
            return Err(
                anyhow!("a roster{holder} has {folder} and would go on keeping; stop it first").into()
            );
        }
        other => other.map_err(anyhow::Error::from)?,
    };
    let targets = match meant(args.which.target.as_ref(), config.targets.keys()) {
        Ok(targets) => targets,
        Err(refused) => {
            print::err(&refused.to_string());
            return Ok(Exit::Failed);
        }
    };
    let mut exit = Exit::Done;
    for target in targets {
        if store.forget(&target).map_err(anyhow::Error::from)? {
            let text = format!("{target}: forgotten; HAProxy, its file and its servers stay as they are\n");
            print::out(&text).map_err(anyhow::Error::from)?;
        } else {
            print::err(&format!("{target}: nothing is kept of it"));
            exit = Exit::Failed;
        }
    }
    Ok(exit)
}
