//! Measures Roster against a real HAProxy, side by side with the least that any client needs, and prints one table
//! of medians. What must be reached and was not is printed as such.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod args;
mod daemon;
mod fleet;
mod floor;
mod parts;
mod process;
mod report;
mod rig;
mod sample;

use std::path::PathBuf;

use clap::Parser;
use roster_testkit::HaproxyBin;

use args::{Args, Part, Scale};
use parts::house::House;
use report::Report;

/// What every part measures with.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) haproxy: HaproxyBin,
    pub(crate) roster: PathBuf,
    pub(crate) scale: Scale,
}

/// glibc's own is slower, and keeps what a burst needed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let roster = rig::roster(args.roster.as_deref())?;
    for haproxy in rig::haproxys(&args.haproxy)? {
        let bench = Bench { haproxy, roster: roster.clone(), scale: args.scale() };
        println!("{}", measure(&bench, &args)?);
    }
    Ok(())
}

fn measure(bench: &Bench, args: &Args) -> anyhow::Result<Report> {
    let mut report = Report::new(heading(bench));
    if args.wants(Part::Bulk) {
        progress("everything at once");
        report.add(parts::bulk::measure(bench)?);
    }
    if [Part::Change, Part::Rest, Part::Cold].into_iter().any(|part| args.wants(part)) {
        progress("a large fleet is set up");
        let mut house = House::build(bench)?;
        if args.wants(Part::Change) {
            progress("one change among many");
            report.add(parts::change::measure(&mut house, bench)?);
        }
        if args.wants(Part::Rest) {
            progress("at rest");
            report.add(parts::rest::measure(&mut house, bench)?);
        }
        if args.wants(Part::Cold) {
            progress("cold starts");
            report.add(parts::cold::measure(&mut house, bench)?);
        }
    }
    if args.wants(Part::Planning) {
        progress("planning alone");
        report.add(parts::planning::measure(bench)?);
    }
    if args.wants(Part::Load) {
        progress("under load");
        report.add(parts::load::measure(bench)?);
    }
    if args.wants(Part::Dataplane) {
        progress("behind a Data Plane API");
        let found = parts::dataplane::measure(bench)?;
        report.add(found.rows);
        report.note(found.note);
    }
    if args.wants(Part::Cloud) {
        progress("machines of a cloud");
        let found = parts::cloud::measure(bench)?;
        report.add(found.rows);
        report.note(found.note);
    }
    if args.wants(Part::Listing) {
        progress("a large fleet of AWS");
        report.add(parts::listing::measure(bench)?);
    }
    if args.wants(Part::Memory) {
        progress("the memory with many machines of a cloud");
        report.add(parts::fleet_memory::measure(bench)?);
    }
    Ok(report)
}

fn heading(bench: &Bench) -> String {
    let Scale { services, instances, .. } = bench.scale;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{}, {services} backends of {instances} servers, {cores} cores", bench.haproxy)
}

fn progress(what: &str) {
    eprintln!("bench: {what}");
}
