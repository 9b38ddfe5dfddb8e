//! Roster at rest: nothing changes, and it looks whether that is so.

use std::time::{Duration, Instant};

use super::house::House;
use super::megabytes;
use crate::Bench;
use crate::process;
use crate::report::Row;
use crate::sample::{Sample, Unit};

/// The most of one core that may be taken.
const PERCENT: f64 = 0.1;
/// The most memory, in bytes: this much, and this much for each server.
const MEMORY: (usize, usize) = (20_000_000, 2_000);

/// Watches Roster for a while.
pub(crate) fn measure(house: &mut House, bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let pid = house.daemon.pid();
    let connections = house.rig.info("CumConns")?;
    let (begun, cpu) = (Instant::now(), process::cpu(pid)?);
    // This is the time that is measured, not a wait for something to happen.
    std::thread::sleep(Duration::from_secs(bench.scale.rest_seconds));
    let cpu = process::cpu(pid)?.saturating_sub(cpu);
    let watched = begun.elapsed().as_secs_f64();
    // Less the connection that asks for the number.
    let connections = house.rig.info("CumConns")?.saturating_sub(connections + 1);
    let percent = cpu.as_secs_f64() / watched * 100.0;
    let share = Row::new(format!("at rest for {watched:.0} s: of one core"), one(Unit::Percent, percent));
    let asked = Row::new("at rest: connections to HAProxy's socket", format!("{connections}"));
    Ok(vec![share.against(format!("≤ {PERCENT} %"), percent <= PERCENT), asked, memory(house, bench)?])
}

fn memory(house: &House, bench: &Bench) -> anyhow::Result<Row> {
    let servers = bench.scale.servers();
    let now = process::resident(house.daemon.pid())?;
    let cap = MEMORY.0 + MEMORY.1 * servers;
    let most = usize::try_from(now.max(house.filled_bytes))?;
    let shown = format!("{} after filling, {} now", megabytes(house.filled_bytes), megabytes(now));
    let row = Row::new(format!("resident memory with {servers} servers"), shown);
    Ok(row.against(format!("≤ {}", megabytes(u64::try_from(cap)?)), most <= cap))
}

fn one(unit: Unit, value: f64) -> Sample {
    Sample::new(unit, [value])
}
