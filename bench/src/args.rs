//! The command line, and how much is measured.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Measures Roster against a real HAProxy and prints one table.
#[derive(Debug, Parser)]
#[command(name = "bench/run", disable_version_flag = true)]
pub(crate) struct Args {
    /// Which HAProxy: a version such as 2.6, or a path of `HAPROXY_BINS`; more than once for more. Without it 3.0 and
    /// all of `HAPROXY_BINS`
    #[arg(long, value_name = "WHICH")]
    pub(crate) haproxy: Vec<String>,
    /// The roster to measure; else the one beside this program
    #[arg(long, value_name = "FILE")]
    pub(crate) roster: Option<PathBuf>,
    /// Measure only this; more than once for more
    #[arg(long, value_name = "PART")]
    pub(crate) only: Vec<Part>,
    /// Small numbers, to see that everything works; not for quoting
    #[arg(long)]
    pub(crate) quick: bool,
    /// How often the bulk and the cold starts are measured [default: 7]
    #[arg(long)]
    pub(crate) runs: Option<usize>,
    /// How many single changes of each kind are measured [default: 50]
    #[arg(long)]
    pub(crate) changes: Option<usize>,
    /// How long Roster is watched at rest, in seconds [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) rest: Option<u64>,
    /// How many changes are made under load [default: 1000]
    #[arg(long, value_name = "CHANGES")]
    pub(crate) load: Option<usize>,
    /// Where the random changes under load begin
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Part {
    /// All servers at once
    Bulk,
    /// One change among many
    Change,
    /// Roster at rest
    Rest,
    /// Roster's start
    Cold,
    /// Planning alone
    Planning,
    /// Many changes under load
    Load,
    /// A HAProxy behind a Data Plane API
    Dataplane,
    /// Machines of a cloud, beside the program that Roster stands in for
    Cloud,
    /// A large fleet of AWS
    Listing,
    /// The memory with many machines of a cloud
    Memory,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) services: usize,
    /// Instances in each service.
    pub(crate) instances: usize,
    pub(crate) runs: usize,
    pub(crate) changes: usize,
    pub(crate) rest_seconds: u64,
    pub(crate) load_changes: usize,
    pub(crate) load_servers: usize,
    pub(crate) seed: u64,
    /// Numbers of services for planning alone.
    pub(crate) planning: [usize; 2],
    /// Servers behind the Data Plane API.
    pub(crate) api_servers: usize,
    /// How many of those are changed at once.
    pub(crate) api_changes: [usize; 3],
    /// Instances of a large fleet of AWS that are listed.
    pub(crate) listed: usize,
    /// The same where memory is looked at.
    pub(crate) remembered: usize,
    /// Machines of a cloud, for the memory that they take.
    pub(crate) machines: usize,
}

impl Scale {
    const FULL: Self = Self {
        services: 100,
        instances: 100,
        runs: 7,
        changes: 50,
        rest_seconds: 60,
        load_changes: 1_000,
        load_servers: 20,
        seed: 1,
        planning: [100, 1_000],
        api_servers: 1_000,
        api_changes: [10, 100, 1_000],
        listed: 10_000,
        remembered: 60_000,
        machines: 60_000,
    };

    const QUICK: Self = Self {
        services: 5,
        instances: 10,
        runs: 2,
        changes: 3,
        rest_seconds: 1,
        load_changes: 20,
        load_servers: 6,
        seed: 1,
        planning: [2, 5],
        api_servers: 20,
        api_changes: [2, 5, 20],
        listed: 200,
        remembered: 1_000,
        machines: 200,
    };

    /// All servers.
    pub(crate) fn servers(&self) -> usize {
        self.services * self.instances
    }
}

impl Args {
    /// Whether this is to be measured.
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    /// How much is to be measured.
    pub(crate) fn scale(&self) -> Scale {
        let base = if self.quick { Scale::QUICK } else { Scale::FULL };
        Scale {
            runs: self.runs.unwrap_or(base.runs).max(1),
            changes: self.changes.unwrap_or(base.changes).max(1),
            rest_seconds: self.rest.unwrap_or(base.rest_seconds).max(1),
            load_changes: self.load.unwrap_or(base.load_changes).max(1),
            seed: self.seed,
            ..base
        }
    }
}
