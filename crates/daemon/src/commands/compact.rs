//! `roster compact`: which spare servers backends can do without, and having them removed.

use anyhow::{Context, anyhow};
use roster_config::native::{Config, Reach};
use roster_haproxy::name::{BackendName, TargetName};

use super::{look_at, print};
use crate::admin::AskedToCompact;
use crate::admin::client::{self, AskError};
use crate::cli::CompactArgs;
use crate::compaction::{Compacted, CompactedTarget};
use crate::events::{Reporter, chain};
use crate::exit::{Exit, Failure};
use crate::hint;
use crate::keeper::how_alone;
use crate::orders::meant;
use crate::store::Store;
use crate::wiring;

/// Shows what could go, or has it go. Exit code 2 if something could and was not asked to.
pub(crate) async fn compact(args: &CompactArgs) -> Result<Exit, Failure> {
    let store = args.common.records();
    let (target, backend) = (args.which.target.as_ref(), args.backend.as_ref());
    let compacted = match ask(&store, target, backend, args.apply).await? {
        Some(compacted) => compacted,
        None if args.apply => {
            return Err(
                anyhow!("no roster runs by this configuration; only a running one removes servers").into()
            );
        }
        None => {
            print::err("no running roster found; this is a fresh look");
            let config = wiring::load(&args.common.config)?;
            look(&config, &store, target, backend).await?
        }
    };
    tell(&compacted, args)
}

fn tell(compacted: &Compacted, args: &CompactArgs) -> Result<Exit, Failure> {
    if let (Some(error), false) = (&compacted.error, args.json) {
        print::err(error);
    }
    let text = if args.json {
        serde_json::to_string_pretty(compacted).map_err(anyhow::Error::from)? + "\n"
    } else {
        let backend = args.backend.as_ref().map(|backend| format!(" {backend}")).unwrap_or_default();
        let target =
            args.which.target.as_ref().map(|target| format!(" --target {target}")).unwrap_or_default();
        let apply = hint::roster(format_args!("compact{backend}{target} --apply"));
        print::text(|text| compacted.write(text, (!args.apply).then_some(&*apply)))
    };
    print::out(&text).map_err(anyhow::Error::from)?;
    Ok(match (compacted.is_well(), compacted.has_any() && !args.apply) {
        (false, _) => Exit::Failed,
        (true, true) => Exit::Changes,
        (true, false) => Exit::Done,
    })
}

/// What the running roster says; nothing if there is none.
async fn ask(
    store: &Store,
    target: Option<&TargetName>,
    backend: Option<&BackendName>,
    apply: bool,
) -> Result<Option<Compacted>, anyhow::Error> {
    let Some(door) = client::control(store) else { return Ok(None) };
    let asked = AskedToCompact { target: target.cloned(), backend: backend.cloned(), apply };
    let answer = match door.post("/api/v1/compact", serde_json::to_vec(&asked)?).await {
        Err(AskError::NobodyThere) => return Ok(None),
        other => other?,
    };
    let text = || String::from_utf8_lossy(&answer.body).trim_end().to_owned();
    Ok(Some(serde_json::from_slice(&answer.body).unwrap_or_else(|_| Compacted::refused(text()))))
}

/// A look of its own, which changes nothing.
async fn look(
    config: &Config,
    store: &Store,
    target: Option<&TargetName>,
    backend: Option<&BackendName>,
) -> Result<Compacted, anyhow::Error> {
    let targets = match meant(target, config.targets.keys()) {
        Ok(targets) => targets,
        Err(refused) => return Ok(Compacted::refused(refused.to_string())),
    };
    let to = Reporter::default();
    let (catalog, _) = wiring::ask_all(config, store, &to).await;
    let mut compacted = Vec::new();
    for name in targets {
        let reach = config.targets.get(&name).with_context(|| format!("there is no target {name}"))?;
        let one = match look_at(&name, config, store, &catalog, &to).await {
            Err(error) => CompactedTarget::failed(&name, chain(error.as_ref())),
            Ok(mut looked) => {
                let known = &looked.agenda.items;
                if let Some(backend) = backend.filter(|backend| !known.contains_key(*backend)) {
                    compacted.push(CompactedTarget::without(&name, backend, known.keys()));
                    continue;
                }
                looked.passed.spare.retain(|there, _| backend.is_none_or(|backend| there == backend));
                CompactedTarget::new(&name, &looked.passed, |backend| match reach {
                    Reach::Runtime(_) => looked.passed.spare.get(backend).map(how_alone),
                    Reach::Managed(_) | Reach::Dataplane(_) => looked.own.sheds.get(backend).cloned(),
                })
            }
        };
        compacted.push(one);
    }
    Ok(Compacted::new(compacted))
}
