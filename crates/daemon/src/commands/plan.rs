//! `roster plan`: what would be done, and why.

use std::fmt::Write;

use roster_core::plan::Operation;
use roster_targets::Target;

use super::{Looked, look, print};
use crate::cli::PlanArgs;
use crate::events::Reporter;
use crate::exit::{Exit, Failure};
use crate::planned::{Planned, PlannedTarget, notes, operations};
use crate::wiring;

/// Shows what would be done.
pub(crate) async fn plan(args: &PlanArgs) -> Result<Exit, Failure> {
    let config = wiring::load(&args.common.config)?;
    let store = wiring::store(args.common.state_dir.as_deref())?;
    let to = Reporter::default();
    let (catalog, lost) = wiring::ask_all(&config, &store, &to).await;
    let looked = look(&config, &store, &catalog, &to).await?;
    let text = if args.json {
        let lost = lost.iter().map(|(name, error)| (name.clone(), error.to_string()));
        let json = Planned::new(looked.iter().map(json).collect(), lost);
        let mut text = serde_json::to_string_pretty(&json).map_err(anyhow::Error::from)?;
        text.push('\n');
        text
    } else {
        render(&looked, args.verbose)
    };
    print::out(&text).map_err(anyhow::Error::from)?;
    Ok(match (lost.is_empty(), changes(&looked)) {
        (false, _) => Exit::Failed,
        (true, 0) => Exit::Done,
        (true, _) => Exit::Changes,
    })
}

fn changes(looked: &[Looked]) -> usize {
    let reloads = looked.iter().filter(|one| !one.own.reloads.is_empty()).count();
    let added: usize = looked.iter().map(|one| one.own.added.len()).sum();
    reloads + added + looked.iter().flat_map(|one| operations(&one.passed)).count()
}

fn json(looked: &Looked) -> PlannedTarget {
    PlannedTarget::new(&looked.name, &looked.agenda, &looked.passed, &looked.own, |operation| {
        looked.target.lines(operation)
    })
}

/// The plan for people.
fn render(looked: &[Looked], verbose: bool) -> String {
    print::text(|text| {
        looked.iter().try_for_each(|one| target(text, one, verbose))?;
        match changes(looked) {
            0 => writeln!(text, "Nothing to do: HAProxy shows what the sources say."),
            1 => writeln!(text, "1 change. `roster once` makes it."),
            n => writeln!(text, "{n} changes. `roster once` makes them."),
        }
    })
}

fn target(text: &mut String, looked: &Looked, verbose: bool) -> std::fmt::Result {
    for (backend, plan) in &looked.passed.plans {
        let hold = plan.applied.guard.hold.as_ref();
        if plan.operations.is_empty() && hold.is_none() {
            continue;
        }
        writeln!(text, "{} {backend}, service {}", looked.name, plan.applied.service())?;
        let width = plan.operations.iter().map(|op| op.server.as_str().len()).max().unwrap_or(0);
        for operation in &plan.operations {
            let Operation { server, change, why, .. } = operation;
            writeln!(text, "  {server:width$}  {change}  ({why})")?;
            for line in looked.target.lines(operation).iter().filter(|_| verbose) {
                writeln!(text, "  {:width$}    {line}", "")?;
            }
        }
        if let Some(hold) = hold {
            writeln!(text, "  held back: {hold}; `roster release {backend}` lets it through")?;
        }
    }
    for backend in &looked.own.added {
        writeln!(text, "{}: backend {backend} is added while HAProxy runs", looked.name)?;
    }
    for (place, reason) in looked.own.reloads.iter().enumerate() {
        let name = &looked.name;
        match place {
            // Nobody serves.
            0 if looked.passed.process.is_none() => writeln!(text, "{name}: {reason}; it is started")?,
            0 => writeln!(text, "{name}: one reload: {reason}")?,
            _ => writeln!(text, "{name}:   with it: {reason}")?,
        }
    }
    for backend in &looked.passed.missing {
        writeln!(
            text,
            "{} has no backend {backend}; add it to its configuration, or change `expose`",
            looked.name
        )?;
    }
    for note in notes(&looked.agenda, &looked.passed, &looked.own) {
        writeln!(text, "{}: {note}", looked.name)?;
    }
    Ok(())
}
