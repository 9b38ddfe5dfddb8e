//! `roster plan`: what would be done, and why.

use anyhow::anyhow;
use roster_config::native::Config;
use roster_targets::Target;

use super::ask::{self, Answer, Asked};
use super::{look_at, print};
use crate::cli::PlanArgs;
use crate::clock;
use crate::events::{Reporter, chain};
use crate::exit::{Exit, Failure};
use crate::overview::{self, Running};
use crate::planned::{Planned, PlannedTarget};
use crate::store::Store;
use crate::wiring;

impl Answer for Planned {
    fn roster(&self) -> Option<&Running> {
        Planned::roster(self)
    }
}

/// Shows what would be done: by the running Roster, or else by a look of one's own.
pub(crate) async fn plan(args: &PlanArgs) -> Result<Exit, Failure> {
    let store = args.common.records();
    let planned = match ask::running::<Planned>(&args.common, &store, "/api/v1/plan").await? {
        Asked::Running(planned) => planned,
        // What it has under way would look like something to do.
        Asked::Nobody { silent: Some(silent), .. } => return Err(anyhow!("{silent}; ask again").into()),
        Asked::Nobody { config, silent: None } => look(&config, &store).await,
    };
    let text = if args.json {
        serde_json::to_string_pretty(&planned).map_err(anyhow::Error::from)? + "\n"
    } else {
        print::text(|text| planned.write(text, args.verbose, clock::now()))
    };
    print::out(&text).map_err(anyhow::Error::from)?;
    planned.errors().for_each(print::err);
    Ok(match (planned.has_failed(), planned.changes()) {
        (true, _) => Exit::Failed,
        (false, 0) => Exit::Done,
        (false, _) => Exit::Changes,
    })
}

async fn look(config: &Config, store: &Store) -> Planned {
    let to = Reporter::default();
    let (catalog, _) = wiring::ask_all(config, store, &to).await;
    let mut targets = Vec::new();
    for name in config.targets.keys() {
        targets.push(match look_at(name, config, store, &catalog, &to).await {
            Ok(looked) => {
                PlannedTarget::new(name, &looked.agenda, &looked.passed, &looked.own, |operation| {
                    looked.target.lines(operation)
                })
            }
            Err(error) => PlannedTarget::failed(name, chain(error.as_ref())),
        });
    }
    Planned::new(targets, &overview::sources(&catalog))
}
