//! `roster status`: how every target and backend is doing.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;
use roster_core::plan::{Standing, Status};
use roster_haproxy::cli::known::known;
use roster_haproxy::name::ServerName;
use roster_haproxy::version::Version;

use super::{ask, print};
use crate::cli::StatusArgs;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::hint;
use crate::keeper::{BackendStatus, TargetStatus, Unreached};
use crate::overview::{Overview, SourceStatus};
use crate::own::OwnStatus;
use crate::supervise::Ended;

/// Shows how everything is doing. Exit code 1 if a source or a target does not answer.
pub(crate) async fn status(args: &StatusArgs) -> Result<Exit, Failure> {
    let overview = ask::overview(&args.common, &args.common.records()).await?;
    let text = if args.json {
        serde_json::to_string_pretty(&overview).map_err(anyhow::Error::from)? + "\n"
    } else {
        render(&overview, clock::now())
    };
    print::out(&text).map_err(anyhow::Error::from)?;
    Ok(if overview.is_well() { Exit::Done } else { Exit::Failed })
}

/// The overview for people.
pub(crate) fn render(overview: &Overview, now: Timestamp) -> String {
    print::text(|text| {
        if let Some(roster) = &overview.roster {
            let (pid, config) = (roster.pid, roster.config.display());
            writeln!(text, "roster: process {pid}, by {config} as read {} ago", age(roster.read, now))?;
        }
        for (name, ended) in &overview.tasks {
            let Ended { cause, at, times, runs } = ended;
            let runs = if *runs { "it runs again" } else { "it is started anew soon" };
            let often = if *times == 1 { String::new() } else { format!(" {times} times, the last") };
            writeln!(text, "task {name}: ended{often} {} ago, {runs}: {cause}", age(*at, now))?;
        }
        for (name, source) in &overview.sources {
            write_source(text, name.as_str(), source, now)?;
        }
        overview.targets.iter().try_for_each(|(name, target)| write_target(text, name.as_str(), target))
    })
}

fn write_source(text: &mut String, name: &str, source: &SourceStatus, now: Timestamp) -> std::fmt::Result {
    let SourceStatus { services, instances, .. } = source;
    let up = if source.up { "up" } else { "DOWN" };
    write!(text, "source {name}: {up}, {services} services, {instances} instances")?;
    match source.answer {
        None => writeln!(text, ", has never answered")?,
        Some(answer) if source.up => writeln!(text, ", last new answer {} ago", age(answer, now))?,
        Some(answer) => {
            let kept = if source.from_disk { ", by the state folder" } else { "" };
            writeln!(text, ", what it said {} ago stands{kept}", age(answer, now))?;
        }
    }
    if let Some(error) = &source.error {
        let since = source.lost_since.map(|since| format!("since {}: ", age(since, now))).unwrap_or_default();
        writeln!(text, "  {since}{error}")?;
    }
    source.rejects.iter().try_for_each(|reject| writeln!(text, "  left out: {reject}"))
}

fn write_target(text: &mut String, name: &str, target: &TargetStatus) -> std::fmt::Result {
    let process = target.process.map_or_else(|| "no process seen yet".into(), |process| process.to_string());
    let version = target.version.as_ref().map(|version| format!(", HAProxy {version}")).unwrap_or_default();
    match (&target.trouble, target.process) {
        (Some(trouble), Some(_)) => {
            writeln!(text, "target {name}: DOWN, it was {process}{version}\n  {trouble}")?;
            writeln!(text, "  what follows is what it showed when it last answered")?;
        }
        (Some(trouble), None) => writeln!(text, "target {name}: DOWN, {process}{version}\n  {trouble}")?,
        (None, _) => writeln!(text, "target {name}: {process}{version}")?,
    }
    if let Some(own) = &target.own {
        write_own(text, own)?;
    }
    for (backend, status) in &target.backends {
        write_backend(text, backend.as_str(), status, target.trouble.is_some())?;
    }
    target.left_out.iter().try_for_each(|left_out| writeln!(text, "  {left_out}"))?;
    limits(target).try_for_each(|limit| writeln!(text, "  of this version: {limit}"))
}

/// What is known of the target's version.
fn limits(target: &TargetStatus) -> impl Iterator<Item = &'static str> {
    let version = target.version.as_deref().and_then(|version| version.parse::<Version>().ok());
    version.into_iter().flat_map(|version| known(version).map(|known| known.what))
}

fn write_own(text: &mut String, own: &OwnStatus) -> std::fmt::Result {
    match (&own.api, own.master) {
        (Some(api), _) => writeln!(text, "  kept through the Data Plane API at {api}")?,
        (None, Some(master)) => writeln!(text, "  Roster's own HAProxy, master {master}")?,
        (None, None) => writeln!(text, "  Roster's own HAProxy does not run")?,
    }
    match own.old_workers {
        None | Some(0) => {}
        Some(1) => writeln!(text, "  1 old worker finishes its connections")?,
        Some(n) => writeln!(text, "  {n} old workers finish their connections")?,
    }
    for reason in &own.waiting {
        let due = own.due.map(|due| format!(" at {due:.0}")).unwrap_or_default();
        writeln!(text, "  waits for a reload{due}: {reason}")?;
    }
    own.left_out.iter().try_for_each(|left_out| writeln!(text, "  {left_out}"))?;
    own.troubles.iter().try_for_each(|trouble| writeln!(text, "  {trouble}"))
}

fn write_backend(
    text: &mut String,
    backend: &str,
    status: &BackendStatus,
    is_past: bool,
) -> std::fmt::Result {
    if status.missing {
        return writeln!(
            text,
            "  {backend}: HAProxy has no backend of this name (service {})",
            status.service
        );
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for standing in status.servers.values() {
        *counts.entry(standing.status.to_string()).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(what, n)| format!("{n} {what}")).collect();
    let mut pending = match status.pending {
        0 => String::new(),
        1 => "; 1 change to make".into(),
        n => format!("; {n} changes to make"),
    };
    match status.refused.len() {
        0 => {}
        1 => pending.push_str("; 1 server refused"),
        n => write!(pending, "; {n} servers refused")?,
    }
    let was = if is_past { "was " } else { "" };
    writeln!(text, "  {backend}: {was}{}{pending} (service {})", counts.join(", "), status.service)?;
    let telling = |status: &Status| !matches!(status, Status::Active | Status::Spare | Status::Foreign);
    let telling = |(server, standing): &(&ServerName, &Standing)| {
        telling(&standing.status) || status.refused.contains_key(*server)
    };
    for (server, standing) in status.servers.iter().filter(telling) {
        let endpoint = standing.endpoint.map(|at| format!(" {at}")).unwrap_or_default();
        let since = standing.since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
        let unreached = status.unreached.get(server).map(unreached).unwrap_or_default();
        writeln!(text, "    {server}{endpoint}: {}{since}{unreached}", standing.status)?;
        if let Some(refused) = status.refused.get(server) {
            writeln!(text, "      {refused}")?;
        }
    }
    if let Some(hold) = &status.hold {
        writeln!(
            text,
            "    held back since {:.0}: {hold}; {} lets it through",
            hold.since,
            hint::roster(format_args!("release {backend}"))
        )?;
    }
    status.notes.iter().try_for_each(|note| writeln!(text, "    {}", hint::noted(note)))
}

/// Why an instance has not come up, after where its server stands.
pub(crate) fn unreached(unreached: &Unreached) -> String {
    let Unreached { error, since, next } = unreached;
    format!("; not reached since {since:.0}: {error}; next try {next:.0}")
}

/// How long ago something was, in its largest unit.
pub(crate) fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_a_unit_that_says_something() {
        let ages = [0, 119, 120, 7_199, 7_200, 172_799, 172_800, -5];
        let told = ages.map(|seconds| age(Timestamp::UNIX_EPOCH, Timestamp::from_second(seconds).unwrap()));
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 days", "0 s"]);
    }

    #[test]
    fn a_source_tells_whose_word_stands_and_for_how_long() {
        let now = Timestamp::from_second(10_800).unwrap();
        let mut source = SourceStatus {
            up: true,
            answer: Some(Timestamp::UNIX_EPOCH),
            from_disk: false,
            services: 1,
            instances: 2,
            rejects: Vec::new(),
            error: None,
            lost_since: None,
        };
        let says = |source: &SourceStatus| print::text(|text| write_source(text, "fleet", source, now));
        assert_eq!(says(&source), "source fleet: up, 1 services, 2 instances, last new answer 3 h ago\n");
        (source.up, source.from_disk, source.error) = (false, true, Some("no route".into()));
        source.lost_since = Some(Timestamp::from_second(10_788).unwrap());
        assert_eq!(
            says(&source),
            "source fleet: DOWN, 1 services, 2 instances, what it said 3 h ago stands, by the state folder\n  \
             since 12 s: no route\n"
        );
        (source.answer, source.error, source.lost_since) = (None, None, None);
        assert!(says(&source).contains("has never answered"), "{}", says(&source));
    }
}
