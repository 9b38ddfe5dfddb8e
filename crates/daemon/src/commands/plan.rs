//! `roster plan`: what would be done, and why.

use std::fmt::Write;

use roster_core::name::BackendName;
use roster_core::plan::{Note, Operation};
use roster_core::select::Unexposed;
use roster_targets::Target;
use serde::Serialize;

use super::{Looked, look, print};
use crate::cli::PlanArgs;
use crate::exit::{Exit, Failure};
use crate::wiring;

/// A plan as JSON; the shape is part of the interface.
#[derive(Serialize)]
struct Json<'a> {
    changes: usize,
    targets: Vec<JsonTarget<'a>>,
    sources_lost: Vec<JsonLost<'a>>,
}

#[derive(Serialize)]
struct JsonTarget<'a> {
    target: &'a str,
    operations: Vec<JsonOperation<'a>>,
    backends_missing: Vec<&'a str>,
    held: Vec<JsonHeld<'a>>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct JsonOperation<'a> {
    backend: &'a str,
    server: &'a str,
    op: &'a str,
    change: String,
    reason: String,
    lines: Vec<String>,
}

#[derive(Serialize)]
struct JsonHeld<'a> {
    backend: &'a str,
    guard: String,
    what: String,
}

#[derive(Serialize)]
struct JsonLost<'a> {
    source: &'a str,
    error: String,
}

/// Shows what would be done.
pub(crate) async fn plan(args: &PlanArgs) -> Result<Exit, Failure> {
    let config = wiring::load(&args.common.config)?;
    let store = wiring::store(args.common.state_dir.as_deref())?;
    let (catalog, lost) = wiring::ask_all(&config, &store).await;
    let looked = look(&config, &store, &catalog).await?;
    let text = if args.json {
        let lost =
            lost.iter().map(|(name, error)| JsonLost { source: name.as_str(), error: error.to_string() });
        let json = Json {
            changes: changes(&looked),
            targets: looked.iter().map(json).collect(),
            sources_lost: lost.collect(),
        };
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

fn operations(looked: &Looked) -> impl Iterator<Item = &Operation> {
    looked.passed.plans.values().flat_map(|plan| &plan.operations)
}

fn changes(looked: &[Looked]) -> usize {
    looked.iter().flat_map(operations).count()
}

/// What an operator should know of a target besides the operations.
fn notes(looked: &Looked) -> Vec<String> {
    let noted = looked.passed.plans.iter().flat_map(|(backend, plan)| {
        let flapping = plan
            .flapping
            .iter()
            .map(move |id| format!("{backend}: {id} comes and goes too often and is kept out"));
        plan.notes.iter().map(move |note: &Note| format!("{backend}: {note}")).chain(flapping)
    });
    noted.chain(looked.agenda.unexposed.iter().map(Unexposed::to_string)).collect()
}

fn json(looked: &Looked) -> JsonTarget<'_> {
    let operation = |op| JsonOperation::new(op, looked);
    let held = looked.passed.plans.iter().filter_map(|(backend, plan)| {
        let hold = plan.applied.guard.hold.as_ref()?;
        Some(JsonHeld { backend: backend.as_str(), guard: hold.guard.to_string(), what: hold.to_string() })
    });
    JsonTarget {
        target: looked.name.as_str(),
        operations: operations(looked).map(operation).collect(),
        backends_missing: looked.passed.missing.iter().map(BackendName::as_str).collect(),
        held: held.collect(),
        notes: notes(looked),
    }
}

impl<'a> JsonOperation<'a> {
    fn new(operation: &'a Operation, looked: &Looked) -> Self {
        Self {
            backend: operation.backend.as_str(),
            server: operation.server.as_str(),
            op: operation.change.word(),
            change: operation.change.to_string(),
            reason: operation.why.to_string(),
            lines: looked.target.lines(operation),
        }
    }
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
        writeln!(text, "{} {backend}, service {}", looked.name, plan.applied.service)?;
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
    for backend in &looked.passed.missing {
        writeln!(
            text,
            "{} has no backend {backend}; add it to its configuration, or change `expose`",
            looked.name
        )?;
    }
    for note in notes(looked) {
        writeln!(text, "{}: {note}", looked.name)?;
    }
    Ok(())
}
