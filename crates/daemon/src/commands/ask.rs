//! Where `status` and `explain` get what they show: from the running roster, for it knows since when, what is held
//! and what is waited for; else from a look of their own.

use roster_config::native::Config;
use roster_core::name::TargetName;

use super::{look_at, print};
use crate::admin::client;
use crate::clock;
use crate::events::{Reporter, chain};
use crate::keeper::TargetStatus;
use crate::overview::Overview;
use crate::store::Store;
use crate::wiring;

/// How everything is doing.
pub(crate) async fn overview(config: &Config, store: &Store) -> Overview {
    if let Some(overview) = running(config, store).await {
        return overview;
    }
    print::err("no running roster found; this is a fresh look");
    look(config, store).await
}

/// What the running roster says, if there is one for this configuration.
async fn running(config: &Config, store: &Store) -> Option<Overview> {
    for door in client::doors(store, config.admin) {
        let Ok(answer) = door.get("/api/v1/status?look").await else { continue };
        let overview = serde_json::from_slice::<Overview>(&answer.body).ok();
        // At the usual address another roster may listen, or another program.
        let ours = |overview: &Overview| {
            door.is_control() || overview.is_about(config.sources.keys(), config.targets.keys())
        };
        if let Some(overview) = overview.filter(ours) {
            return Some(overview);
        }
    }
    None
}

async fn look(config: &Config, store: &Store) -> Overview {
    let to = Reporter::default();
    let (catalog, _) = wiring::ask_all(config, store, &to).await;
    let mut targets = Vec::new();
    for name in config.targets.keys() {
        let status = match look_at(name, config, store, &catalog, &to).await {
            Ok(looked) => TargetStatus::looked(&looked.agenda, &looked.passed, clock::now()),
            Err(error) => TargetStatus { trouble: Some(chain(error.as_ref())), ..TargetStatus::default() },
        };
        targets.push((TargetName::clone(name), status));
    }
    Overview::new(&catalog, targets.into_iter().collect())
}
