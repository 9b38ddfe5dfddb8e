//! Roster's start, before a HAProxy that is filled already and before an empty one.
//!
//! Each time the file has one instance more than HAProxy. So there is one change to make, whose read-back is the word
//! that everything was looked at, and a slot that was taken for another's would show.

use std::time::Duration;

use anyhow::{Context, ensure};

use super::bulk;
use super::house::House;
use crate::Bench;
use crate::daemon::{CONVERGED, Daemon};
use crate::fleet::{self, Fleet};
use crate::report::Row;
use crate::rig::{FLEET, Places};
use crate::sample::Sample;

/// Starts Roster again and again.
pub(crate) fn measure(house: &mut House, bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (mut with, mut without, mut empty) = (Filled::default(), Filled::default(), Vec::new());
    for _ in 0..bench.scale.runs {
        with.start(house, bench, true)?;
        without.start(house, bench, false)?;
        empty.push(before_nobody(bench)?);
    }
    Ok(vec![
        with.row("state folder kept"),
        without.row("no state folder"),
        Row::new("cold start: HAProxy empty", Sample::times(empty)),
    ])
}

/// Starts before a HAProxy that is filled.
#[derive(Default)]
struct Filled {
    times: Vec<Duration>,
    /// Servers that were not left where they were.
    wrong: usize,
}

impl Filled {
    /// Ends Roster, starts it with one instance more, and takes that one out again.
    fn start(&mut self, house: &mut House, bench: &Bench, kept: bool) -> anyhow::Result<()> {
        let before = house.rig.places(&house.fleet)?;
        let (service, member) = (fleet::service(0), house.newcomer(None));
        house.daemon.stop()?;
        house.fleet.add(&service, member.clone());
        house.put(&service)?;
        house.rig.age_files()?;
        let state = house.rig.state();
        house.daemon = Daemon::start(&bench.roster, &house.rig.config(), kept.then_some(state.as_path()))?;
        let line = house.daemon.done(&service, "ready")?;
        self.times.push(line.at - house.daemon.begun());
        ensure!(line.number("operations")? == 2, "more than one server was changed: {}", line.text);
        house.rig.holds(&house.fleet)?;
        let after = house.rig.places(&house.fleet)?;
        self.wrong += moved(&before, &after);
        house.go(&service, &member)?;
        Ok(())
    }

    fn row(self, what: &str) -> Row {
        let Self { times, wrong } = self;
        let what = format!("cold start: HAProxy filled, {what}");
        let row = Row::new(what, format!("{}, {wrong} slots wrong", Sample::times(times)));
        row.against("no slot wrong", wrong == 0)
    }
}

/// How many servers point elsewhere than before.
fn moved(before: &Places, after: &Places) -> usize {
    before.iter().filter(|(server, at)| after.get(*server) != Some(*at)).count()
}

fn before_nobody(bench: &Bench) -> anyhow::Result<Duration> {
    let fleet = Fleet::new(bench.scale.services, bench.scale.instances);
    let rig = bulk::rig(bench, &fleet)?;
    rig.put(FLEET, &fleet)?;
    rig.age_files()?;
    let mut daemon = Daemon::start(&bench.roster, &rig.config(), Some(&rig.state()))?;
    let line = daemon.line(&[CONVERGED])?;
    rig.holds(&fleet).context("after a cold start")?;
    let took = line.at - daemon.begun();
    daemon.stop()?;
    Ok(took)
}
