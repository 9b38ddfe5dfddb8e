//! `roster explain`: why a server is in or out, and what it waits for.

use std::fmt::Write;

use roster_core::name::{BackendName, ServerName};
use roster_core::plan::{Note, Standing, Status};

use super::{Looked, look, print};
use crate::cli::ExplainArgs;
use crate::exit::{Exit, Failure};
use crate::wiring;

/// Answers for one server or instance. Exit code 1 if nobody is called so.
pub(crate) async fn explain(args: &ExplainArgs) -> Result<Exit, Failure> {
    let config = wiring::load(&args.common.config)?;
    let store = wiring::store(args.common.state_dir.as_deref())?;
    let (catalog, _) = wiring::ask_all(&config, &store).await;
    let looked = look(&config, &store, &catalog).await?;
    let text = print::text(|text| looked.iter().try_for_each(|one| explain_in(text, one, &args.what)));
    if text.is_empty() {
        print::err(&format!(
            "nothing is called {:?} on any target; name BACKEND/SERVER, an instance's id or its address:port",
            args.what
        ));
        return Ok(Exit::Failed);
    }
    print::out(&text).map_err(anyhow::Error::from)?;
    Ok(Exit::Done)
}

fn explain_in(text: &mut String, looked: &Looked, what: &str) -> std::fmt::Result {
    for (backend, plan) in &looked.passed.plans {
        let named = |server: &ServerName| what.split_once('/') == Some((backend.as_str(), server.as_str()));
        for (server, standing) in &plan.standings {
            let instance = standing.instance.as_ref().is_some_and(|id| id.as_str() == what);
            let address = standing.endpoint.is_some_and(|at| at.to_string() == what);
            if named(server) || instance || (address && standing.status != Status::Spare) {
                writeln!(text, "{} {backend}/{server}: {}", looked.name, because(standing, backend, server))?;
                for operation in plan.operations.iter().filter(|operation| operation.server == *server) {
                    writeln!(text, "  next: {} ({})", operation.change, operation.why)?;
                }
            }
        }
        for note in &plan.notes {
            if let Note::Unplaced(unplaced) = note
                && (unplaced.instance.as_str() == what || unplaced.endpoint.to_string() == what)
            {
                writeln!(text, "{} {backend}: {note}", looked.name)?;
            }
        }
        for id in plan.flapping.iter().filter(|id| id.as_str() == what) {
            writeln!(
                text,
                "{} {backend}: {id} is kept out because it comes and goes too often",
                looked.name
            )?;
        }
    }
    Ok(())
}

fn because(standing: &Standing, backend: &BackendName, server: &ServerName) -> String {
    let who = match (&standing.instance, standing.endpoint) {
        (Some(id), Some(at)) if id.as_str() == at.to_string() => id.to_string(),
        (Some(id), Some(at)) => format!("{id} at {at}"),
        (Some(id), None) => id.to_string(),
        (None, Some(at)) => at.to_string(),
        (None, None) => "nobody".into(),
    };
    let since = standing.since.map(|since| format!(", since {since:.0}")).unwrap_or_default();
    match &standing.status {
        Status::Active => format!("in. It serves {who}, which its source reports{since}"),
        Status::Down => format!("out. It is ready for {who}, but HAProxy's own check finds it down"),
        Status::Rising(how) => format!("not in yet. {who} is being brought up by {how}{since}"),
        Status::Draining { connections, until } => {
            let left = connections.map_or_else(|| "its connections".into(), |n| format!("{n} connections"));
            format!(
                "going out. {who} is no longer wanted; it drains until {left} have ended or {until:.0}{since}"
            )
        }
        Status::Unhealthy => format!("out. The source finds {who} unhealthy; it keeps its slot{since}"),
        Status::Operator(hold) => {
            let did = match (hold.state, hold.weight) {
                (Some(state), _) => format!("put it in {state}"),
                (None, Some(weight)) => format!("gave it weight {weight}"),
                (None, None) => "changed it".into(),
            };
            format!(
                "kept as an operator left it. Somebody {did} by {:.0}; `roster adopt {backend}/{server}` takes it back. It is {who}'s",
                hold.since
            )
        }
        Status::Held => format!(
            "in, held by a guard. {who} is no longer reported; `roster release {backend}` lets it go{since}"
        ),
        Status::Spare => format!("out. It is a spare slot, no instance is there{since}"),
        Status::Foreign => format!("not Roster's: its name fits no slot. It is left alone at {who}"),
        Status::Absent => format!("not there. {who} has no server and none can be added live"),
    }
}
