//! What the system says of a process (the manual pages of `/proc/PID/stat` and `/proc/PID/status`).

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// The time on a processor that it has taken so far, in user and in system mode.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process's times")?;
    // The name before it can hold anything, but ends at the last parenthesis; `state` is field 3, `utime` field 14.
    let (_, fields) = text.rsplit_once(") ").context("the process's times cannot be read")?;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap_or(0)).sum();
    let second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_millis(ticks * 1_000 / second))
}

/// The memory that it holds, in bytes.
pub(crate) fn resident(pid: u32) -> anyhow::Result<u64> {
    status(pid, "VmRSS:")
}

/// The most memory that it has held, in bytes.
pub(crate) fn peak(pid: u32) -> anyhow::Result<u64> {
    status(pid, "VmHWM:")
}

fn status(pid: u32, field: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).context("the process's memory")?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.map(|kibibytes| kibibytes * 1_024).context("the process's memory cannot be read")
}
