//! One change among many servers.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::house::{CHECKED, House, INTERVAL, PROBED, TINY};
use crate::Bench;
use crate::fleet;
use crate::report::Row;
use crate::sample::Sample;

/// How long one change may take, in milliseconds.
const AT_ONCE: f64 = 10.0;
/// How much longer than one interval of HAProxy's checks, in milliseconds.
const AFTER_CHECK: f64 = 20.0;

/// Makes single changes of each kind.
pub(crate) fn measure(house: &mut House, bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = one_of_many(house, bench)?;
    rows.push(small_file(house, bench)?);
    rows.push(probed(house, bench)?);
    rows.extend(checked(house, bench)?);
    house.rig.holds(&house.fleet)?;
    Ok(rows)
}

/// One more and one less, each time in another backend.
fn one_of_many(house: &mut House, bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (mut came, mut went) = (Vec::new(), Vec::new());
    for n in 0..bench.scale.changes {
        let (service, member) = (fleet::service(n % bench.scale.services), house.newcomer(None));
        came.push(house.come(&service, &member)?);
        went.push(house.go(&service, &member)?);
    }
    let (came, went) = (Sample::times(came), Sample::times(went));
    let reached = came.median() <= AT_ONCE;
    let more = Row::new(format!("one more among {}, `registry`", bench.scale.servers()), came);
    let less = Row::new(format!("one less among {}, drained and parked", bench.scale.servers()), went);
    Ok(vec![more.against(format!("median ≤ {AT_ONCE} ms"), reached), less])
}

fn small_file(house: &mut House, bench: &Bench) -> anyhow::Result<Row> {
    let mut came = Vec::new();
    for _ in 0..bench.scale.changes {
        let member = house.newcomer(None);
        came.push(house.come(TINY, &member)?);
        house.go(TINY, &member)?;
    }
    let came = Sample::times(came);
    let reached = came.median() <= AT_ONCE;
    let row = Row::new("the same in a small file beside the large one, `registry`", came);
    Ok(row.against(format!("median ≤ {AT_ONCE} ms"), reached))
}

fn probed(house: &mut House, bench: &Bench) -> anyhow::Result<Row> {
    let at = house.listeners.get(1).context("a second listener")?.addr();
    let (mut came, mut probes) = (Vec::new(), Vec::new());
    for _ in 0..bench.scale.changes {
        let member = house.newcomer(Some(at));
        came.push(house.come(PROBED, &member)?);
        let begun = Instant::now();
        TcpStream::connect(at)?;
        probes.push(begun.elapsed());
        house.go(PROBED, &member)?;
    }
    let (came, probe) = (Sample::times(came), Sample::times(probes));
    let reached = came.median() <= AT_ONCE + probe.median();
    let row = Row::new("the same, `probe`; floor: a connection to it", came).with_floor(probe);
    Ok(row.against(format!("median ≤ {AT_ONCE} ms + the connection"), reached))
}

/// Slots that were never used, then one that is used again and again, at two addresses in turn.
fn checked(house: &mut House, bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (mut fresh, mut reused) = (Vec::new(), Vec::new());
    let mut addresses: Vec<_> =
        house.listeners.iter().skip(1).map(roster_testkit::HttpBackend::addr).collect();
    let spare = addresses.pop().context("a listener to spare")?;
    let mut newest = None;
    for at in addresses {
        let member = house.newcomer(Some(at));
        fresh.push(house.come(CHECKED, &member)?);
        newest = Some(member);
    }
    let (mut there, mut free) = (newest.context("a checked server")?, spare);
    for _ in 0..bench.scale.changes {
        house.go(CHECKED, &there)?;
        let next = house.newcomer(Some(free));
        reused.push(house.come(CHECKED, &next)?);
        free = there.at;
        there = next;
    }
    let row = |what: &str, times: Vec<Duration>| {
        let sample = Sample::times(times);
        let cap = INTERVAL.as_secs_f64() * 1_000.0 + AFTER_CHECK;
        let reached = sample.percentile(95) <= cap;
        let what = format!("the same, `check inter {}ms`, {what}", INTERVAL.as_millis());
        Row::new(what, sample).against(format!("p95 ≤ {cap} ms"), reached)
    };
    Ok(vec![row("a fresh slot", fresh), row("a reused slot", reused)])
}
