//! All servers at once: a file with everybody in it, where nobody was before.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::Bench;
use crate::daemon::{CONVERGED, Daemon};
use crate::fleet::Fleet;
use crate::floor;
use crate::report::Row;
use crate::rig::{FLEET, Rig, backends, rule};
use crate::sample::Sample;

/// Roster may take so many times as long as the bare commands.
const RATIO: f64 = 1.5;

/// What `roster plan --json` says, as far as it is needed.
#[derive(Deserialize)]
struct Plan {
    targets: Vec<PlanTarget>,
}

#[derive(Deserialize)]
struct PlanTarget {
    operations: Vec<PlanOperation>,
}

#[derive(Deserialize)]
struct PlanOperation {
    lines: Vec<String>,
}

/// Fills one fresh HAProxy after the other, in turn by the bare commands and by Roster.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let fleet = Fleet::new(bench.scale.services, bench.scale.instances);
    let commands = commands(bench, &fleet)?;
    let (mut floors, mut totals, mut passes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.scale.runs {
        floors.push(bare(bench, &fleet, &commands)?);
        let (total, pass) = filled(bench, &fleet)?;
        totals.push(total);
        passes.push(pass);
    }
    let what = format!("bulk: {} servers ready, {} commands", fleet.len(), commands.len());
    let row = Row::beside(what, Sample::times(floors), &Sample::times(totals));
    let reached = row.ratio() <= RATIO;
    let row = row.against(format!("≤ {RATIO} × the floor"), reached);
    Ok(vec![row, Row::new("bulk: of that the pass (read, decide, write, read back)", Sample::times(passes))])
}

/// A HAProxy with free slots for all, and rules for them.
pub(crate) fn rig(bench: &Bench, fleet: &Fleet) -> anyhow::Result<Rig> {
    let sections = backends(fleet, bench.scale.instances);
    Rig::start(&bench.haproxy, &sections, &rule(FLEET, fleet.services(), "registry"))
}

/// The commands that Roster would send: first all addresses, for from 2.9 on HAProxy answers before it has taken one
/// over, and a server must not be ready at its old one.
fn commands(bench: &Bench, fleet: &Fleet) -> anyhow::Result<Vec<String>> {
    let rig = rig(bench, fleet)?;
    rig.put(FLEET, fleet)?;
    let output = Command::new(&bench.roster).args(["plan", "--json", "-c"]).arg(rig.config()).output()?;
    ensure!(output.status.code() == Some(2), "roster plan: {}", String::from_utf8_lossy(&output.stderr));
    let plan: Plan = serde_json::from_slice(&output.stdout).context("the answer of roster plan --json")?;
    let operations = plan.targets.into_iter().flat_map(|target| target.operations);
    let mut lines: Vec<String> = operations.flat_map(|operation| operation.lines).collect();
    lines.sort_by_key(|line| !line.contains(" addr "));
    Ok(lines)
}

fn bare(bench: &Bench, fleet: &Fleet, commands: &[String]) -> anyhow::Result<Duration> {
    let rig = rig(bench, fleet)?;
    let took = floor::exchange(&rig.haproxy.socket(), commands)?;
    rig.holds(fleet).context("after the bare commands")?;
    Ok(took)
}

/// From the rename to the word that HAProxy shows everything, and how long the pass took by Roster's own word.
fn filled(bench: &Bench, fleet: &Fleet) -> anyhow::Result<(Duration, Duration)> {
    let rig = rig(bench, fleet)?;
    rig.age_files()?;
    let mut daemon = Daemon::start(&bench.roster, &rig.config(), Some(&rig.state()))?;
    daemon.line(&["answered", "source=fleet"])?;
    daemon.at_rest()?;
    let renamed = rig.put(FLEET, fleet)?;
    let line = daemon.line(&[CONVERGED])?;
    rig.holds(fleet).context("after Roster filled it")?;
    daemon.stop()?;
    Ok((line.at - renamed, Duration::from_millis(line.number("dur_ms")?)))
}
