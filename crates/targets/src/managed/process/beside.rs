//! Masters beside the one that is kept: a Roster that was killed while it replaced one has left both.

use std::collections::BTreeMap;
use std::fs;

use super::child::Process;
use super::program::Program;
use crate::proc_stat::Stat;

/// The masters that were started on this program's master socket, but for one. Workers have a master's command line too,
/// and are told by their parent.
pub(super) fn others(program: &Program, but: u32) -> Vec<Process> {
    let ours: BTreeMap<u32, Stat> = pids()
        .filter(|pid| is_on(program, *pid))
        .filter_map(|pid| Some((pid, Stat::of(pid)?)))
        .filter(|(_, stat)| !stat.is_zombie)
        .collect();
    let masters = ours.iter().filter(|(pid, stat)| **pid != but && !ours.contains_key(&stat.parent));
    masters
        .filter_map(|(pid, stat)| Process::follow(*pid).ok().filter(|it| it.started() == stat.started))
        .collect()
}

/// Whether any process was started on this program's master socket.
pub(super) fn is_anyone_on(program: &Program) -> bool {
    pids().any(|pid| is_on(program, pid) && Stat::of(pid).is_some_and(|stat| !stat.is_zombie))
}

/// How many processes these masters have.
pub(super) fn workers(masters: &[u32]) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    let living = pids().filter_map(Stat::of).filter(|stat| !stat.is_zombie);
    for stat in living.filter(|stat| masters.contains(&stat.parent)) {
        *counts.entry(stat.parent).or_default() += 1;
    }
    counts
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn is_on(program: &Program, pid: u32) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let socket = program.master_socket_argument();
    let mut words = line.split(|byte| *byte == 0);
    let named = words.by_ref().any(|word| word == b"-S") && words.next() == Some(socket.as_encoded_bytes());
    named && line.split(|byte| *byte == 0).any(|word| word == b"-W")
}
