//! `roster explain`: why a server is in or out, and what it waits for.

use std::fmt::Write;

use roster_core::plan::{Note, Standing, Status};
use roster_haproxy::name::{BackendName, ServerName, TargetName};

use super::{ask, print};
use crate::cli::ExplainArgs;
use crate::exit::{Exit, Failure};
use crate::hint;
use crate::keeper::{BackendStatus, Unreached};
use crate::names::did_you_mean;
use crate::overview::Overview;

/// Answers for one server or instance. Exit code 1 if nobody is called so.
pub(crate) async fn explain(args: &ExplainArgs) -> Result<Exit, Failure> {
    let overview = ask::overview(&args.common, &args.common.records()).await?;
    let text = explanation(&overview, &args.what);
    let mut down = false;
    for (name, target) in &overview.targets {
        if let Some(trouble) = &target.trouble {
            print::err(&format!("target {name}: {trouble}"));
            down = true;
        }
    }
    if text.is_empty() {
        let what = &args.what;
        let hint = did_you_mean(what, names(&overview).iter().map(String::as_str));
        let where_ = if down { "on the targets that answer" } else { "on any target" };
        print::err(&format!(
            "nothing is called {what:?} {where_}{hint}; name BACKEND/SERVER, an instance's id or its address:port"
        ));
        return Ok(Exit::Failed);
    }
    print::out(&text).map_err(anyhow::Error::from)?;
    Ok(Exit::Done)
}

/// Everything that is known of whoever is called so; nothing if nobody is.
fn explanation(overview: &Overview, what: &str) -> String {
    print::text(|text| {
        for (target, status) in &overview.targets {
            let begin = text.len();
            for (backend, status) in &status.backends {
                explain_in(text, target, backend, status, what)?;
            }
            if status.trouble.is_some() && text.len() > begin {
                text.insert_str(
                    begin,
                    &format!("{target}: HAProxy does not answer; as it was when it last did:\n"),
                );
            }
        }
        Ok(())
    })
}

fn names(overview: &Overview) -> Vec<String> {
    let backends = overview.targets.values().flat_map(|target| &target.backends);
    let names = backends.flat_map(|(backend, status)| {
        let instances = status.servers.values().filter_map(|standing| standing.instance.as_ref());
        let servers = status.servers.keys().map(move |server| format!("{backend}/{server}"));
        servers.chain(instances.map(ToString::to_string))
    });
    names.collect()
}

fn explain_in(
    text: &mut String,
    target: &TargetName,
    backend: &BackendName,
    status: &BackendStatus,
    what: &str,
) -> std::fmt::Result {
    let named = |server: &ServerName| what.split_once('/') == Some((backend.as_str(), server.as_str()));
    for (server, standing) in &status.servers {
        let instance = standing.instance.as_ref().is_some_and(|id| id.as_str() == what);
        let address = standing.endpoint.is_some_and(|at| at.to_string() == what);
        if named(server) || instance || (address && standing.status != Status::Spare) {
            writeln!(text, "{target} {backend}/{server}: {}", because(standing, backend, server))?;
            if let Some(unreached) = status.unreached.get(server) {
                let Unreached { error, since, next } = unreached;
                writeln!(text, "  not reached since {since:.0}: {error}; next try {next:.0}")?;
            }
            if let Some(hold) = status.hold.as_ref().filter(|_| standing.status == Status::Held) {
                writeln!(text, "  held back since {:.0}: {hold}", hold.since)?;
            }
            if let Some(refused) = status.refused.get(server) {
                writeln!(text, "  {refused}")?;
            }
            for next in status.next.iter().filter(|next| next.server == *server) {
                writeln!(text, "  next: {} ({})", next.change, next.reason)?;
            }
        }
    }
    for note in &status.notes {
        if let Note::Unplaced(unplaced) = note
            && (unplaced.instance.as_str() == what || unplaced.endpoint.to_string() == what)
        {
            writeln!(text, "{target} {backend}: {note}")?;
        }
    }
    let flapping = status.flapping.iter().filter(|id| id.as_str() == what);
    flapping.into_iter().try_for_each(|id| {
        writeln!(text, "{target} {backend}: {id} is kept out because it comes and goes too often")
    })
}

/// The instance of a server, and where it is.
fn who(standing: &Standing) -> String {
    match (&standing.instance, standing.endpoint) {
        (Some(id), Some(at)) if id.as_str() == at.to_string() => id.to_string(),
        (Some(id), Some(at)) => format!("{id} at {at}"),
        (Some(id), None) => id.to_string(),
        (None, Some(at)) => at.to_string(),
        (None, None) => "nobody".into(),
    }
}

fn because(standing: &Standing, backend: &BackendName, server: &ServerName) -> String {
    let who = who(standing);
    let since = standing.since.map(|since| format!(", since {since:.0}")).unwrap_or_default();
    match &standing.status {
        Status::Active => format!("in. It serves {who}, which its source reports{since}"),
        Status::Down => format!("out. It is ready for {who}, but HAProxy's own check finds it down"),
        Status::Inherited => format!("out. It is ready for {who}, but the server that it tracks is not"),
        Status::Agent => format!("out. Its agent keeps {who} out"),
        Status::Leaving => {
            let why =
                standing.left.as_ref().map_or_else(|| "is no longer wanted".into(), ToString::to_string);
            format!("still in. {who} {why}; the server has not begun to drain{since}")
        }
        Status::Rising(how) => format!("not in yet. {who} is being brought up by {how}{since}"),
        Status::Draining { connections, until } => {
            let left = connections.map_or_else(|| "its connections".into(), |n| format!("{n} connections"));
            let why = standing
                .left
                .as_ref()
                .map_or_else(|| "is unhealthy by its source".into(), ToString::to_string);
            format!("going out. {who} {why}; it drains until {left} have ended or {until:.0}{since}")
        }
        Status::Unhealthy => format!("out. The source finds {who} unhealthy; it keeps its slot{since}"),
        Status::Operator(hold) => {
            let did = match (hold.state, hold.weight) {
                (Some(state), _) => format!("put it in {state}"),
                (None, Some(weight)) => format!("gave it weight {weight}"),
                (None, None) => "changed it".into(),
            };
            format!(
                "kept as an operator left it. Somebody {did} by {:.0}; {} takes it back. It is {who}'s",
                hold.since,
                hint::roster(format_args!("adopt {backend}/{server}"))
            )
        }
        Status::Held => format!(
            "in, though no answer speaks for it now. It serves {who}; {} lets it go{since}",
            hint::roster(format_args!("release {backend}"))
        ),
        Status::Spare => match &standing.left {
            Some(left) => format!("out. It is a spare slot; its last instance {left}{since}"),
            None => format!("out. It is a spare slot, no instance is there{since}"),
        },
        Status::Foreign => {
            format!(
                "not Roster's: its name fits no slot, or its address cannot be set. It is left alone at {who}"
            )
        }
        Status::Absent => format!("not there. {who} has no server and none can be added live"),
    }
}
