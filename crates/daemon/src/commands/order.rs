//! `roster release` and `roster adopt`: by the running roster, or on the records of one that does not run.

use anyhow::{Context, anyhow};
use roster_haproxy::name::TargetName;

use super::{print, recorded};
use crate::admin::Asked;
use crate::admin::client::{self, AskError};
use crate::cli::Common;
use crate::events::{Reporter, chain};
use crate::exit::{Exit, Failure};
use crate::orders::{Done, Refused, Want, meant, together};
use crate::store::{Store, StoreError};
use crate::wiring;

/// Has it done. Exit code 1 if there is nothing to do, or nothing is called so.
pub(crate) async fn order(
    common: &Common,
    target: Option<&TargetName>,
    want: &Want,
) -> Result<Exit, Failure> {
    let store = common.records();
    let Some(door) = client::control(&store) else { return Err(anyhow!(NO_RECORDS).into()) };
    let said = match ask(&door, target, want).await {
        Err(Failed::NobodyThere) => alone(common, &store, target, want)?,
        Err(Failed::Other(error)) => return Err(error.into()),
        Ok(said) => said,
    };
    match said {
        Ok(done) => {
            let lines: Vec<&str> = done.iter().map(|done| done.message.as_str()).collect();
            print::out(&(lines.join("\n") + "\n")).map_err(anyhow::Error::from)?;
            Ok(Exit::Done)
        }
        Err(why) => {
            print::err(&why);
            Ok(Exit::Failed)
        }
    }
}

enum Failed {
    NobodyThere,
    Other(anyhow::Error),
}

/// What came of it, or why nothing did.
type Said = Result<Vec<Done>, String>;

async fn ask(door: &client::Door, target: Option<&TargetName>, want: &Want) -> Result<Said, Failed> {
    let (path, asked) = question(target, want);
    let json = serde_json::to_vec(&asked).map_err(|error| Failed::Other(error.into()))?;
    let answer = match door.post(path, json).await {
        Err(AskError::NobodyThere) => return Err(Failed::NobodyThere),
        other => other.map_err(|error| Failed::Other(error.into()))?,
    };
    let text = || String::from_utf8_lossy(&answer.body).trim_end().to_owned();
    match serde_json::from_slice::<crate::admin::Said>(&answer.body) {
        Ok(said) if answer.status.is_success() => Ok(Ok(said.done)),
        Ok(said) => Ok(Err(said.error.unwrap_or_else(text))),
        Err(_) => Ok(Err(text())),
    }
}

fn question(target: Option<&TargetName>, want: &Want) -> (&'static str, Asked) {
    let (target, backend) = (target.cloned(), want.backend().clone());
    match want {
        Want::Release { .. } => ("/api/v1/release", Asked { target, backend, server: None }),
        Want::Adopt { server, .. } => {
            ("/api/v1/adopt", Asked { target, backend, server: Some(server.clone()) })
        }
    }
}

/// Why there is nothing to be changed.
pub(super) const NO_RECORDS: &str = "no roster runs by this configuration, and none has kept records of it; a roster that \
                                     was given another folder is found with the same --state-dir";

/// Does it to the records, while no other roster has them.
fn alone(common: &Common, store: &Store, target: Option<&TargetName>, want: &Want) -> Result<Said, Failure> {
    let _held = match store.hold(&common.config) {
        Err(StoreError::InUse { folder, holder }) => {
            let folder = folder.display();
            return Err(anyhow!(
                "a roster{holder} has {folder} but takes no orders: it is starting or ending, or could not make its \
                 control.sock there (its log says so); try again"
            )
            .into());
        }
        other => other.context("the state folder cannot be taken")?,
    };
    let config = wiring::load(&common.config)?;
    let to = Reporter::default();
    let done = meant(target, config.targets.keys()).and_then(|targets| {
        together(targets.iter().map(|target| on_record(store, target, want, &to)).collect())
    });
    let note = |done: &mut Done| done.message.push_str("; no roster runs, it counts from the next pass on");
    Ok(done.map_err(|refused| refused.to_string()).map(|mut all| {
        all.iter_mut().for_each(note);
        all
    }))
}

fn on_record(store: &Store, target: &TargetName, want: &Want, to: &Reporter) -> Result<Done, Refused> {
    let mut applied = recorded(store, target, to);
    let done = want.carry_out(target, &mut applied)?;
    if let Some(record) = applied.backends.get(want.backend()) {
        let kept = store.keep_backend(target, want.backend(), record);
        kept.map_err(|error| Refused::Busy(chain(&error)))?;
    }
    Ok(done)
}
