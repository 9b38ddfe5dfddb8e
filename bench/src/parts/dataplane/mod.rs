//! A HAProxy behind a Data Plane API: Roster beside a transaction as other programs do it, and beside one bare call.
//!
//! All take turns on the same HAProxy with the same change, from the same state; what lies between is put back by a bare
//! call, and is not timed. Roster is always a fresh one that has come to rest.

mod lineup;
mod site;

use std::time::Duration;

use anyhow::Context;

use self::lineup::{Kind, Lineup};
use self::site::{Kept, Reach, Site};
pub(crate) use self::site::{USER, reloads, with_api};
use crate::Bench;
use crate::report::Row;
use crate::sample::Sample;

/// Roster may take so many times as long as a bare call.
const TO_CALL: f64 = 1.3;
/// A transaction takes at least so many times as long as Roster, for each number of changed servers.
const TO_TRANSACTION: [f64; 3] = [2.5, 6.0, 12.0];
/// How long one change may take with HAProxy's own socket, in milliseconds.
const AT_ONCE: f64 = 20.0;
/// The most single changes: HAProxy's file follows each of them later.
const SINGLES: usize = 20;

/// What was found, and what has to be said of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) rows: Vec<Row>,
    pub(crate) note: String,
}

/// How often HAProxy was reloaded by each of them.
#[derive(Debug, Default)]
struct Reloads {
    transactions: u64,
    calls: u64,
    api: u64,
    socket: u64,
}

/// The times of one change, run for run.
#[derive(Debug, Default)]
struct Times {
    transactions: Vec<Duration>,
    puts: Vec<Duration>,
    calls: Vec<Duration>,
    api: Vec<Kept>,
    socket: Vec<Kept>,
}

/// When one change follows another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pace {
    /// Once nothing is under way.
    AtRest,
    /// While the API still answers the call that wrote the file for the one before.
    AtOnce,
}

/// What stays the same for a change.
#[derive(Clone, Copy, Debug)]
struct Change<'a> {
    before: &'a Lineup,
    after: &'a Lineup,
    operations: usize,
}

/// Measures each change in each way.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Found> {
    let (whole, _) = Kind::Weights.change(bench.scale.api_servers, 0)?;
    let site = Site::start(bench, &whole)?;
    let (mut rows, mut reloads) = (Vec::new(), Reloads::default());
    for kind in Kind::ALL {
        for (count, least) in bench.scale.api_changes.into_iter().zip(TO_TRANSACTION) {
            rows.extend(changed(&site, bench, &mut reloads, kind, count, least)?);
        }
    }
    for pace in [Pace::AtRest, Pace::AtOnce] {
        rows.push(single(&site, bench, &mut reloads, pace)?);
    }
    rows.push(reloads.row());
    Ok(Found { rows, note: note(&site) })
}

/// One change in each way, as often as is asked for.
fn changed(
    site: &Site,
    bench: &Bench,
    reloads: &mut Reloads,
    kind: Kind,
    count: usize,
    least: f64,
) -> anyhow::Result<Vec<Row>> {
    let all = bench.scale.api_servers;
    let (before, after) = kind.change(all, count)?;
    let (whole, _) = Kind::Weights.change(all, 0)?;
    let change = Change { before: &before, after: &after, operations: count * kind.operations() };
    let mut times = Times::default();
    if before != whole {
        site.call(&whole, &before)?;
    }
    for _ in 0..bench.scale.runs {
        times.run(site, bench, reloads, change).with_context(|| kind.told(count, all))?;
    }
    if before != whole {
        site.call(&before, &whole)?;
    }
    Ok(times.rows(&kind.told(count, all), least))
}

impl Times {
    /// Once in each way.
    fn run(
        &mut self,
        site: &Site,
        bench: &Bench,
        reloads: &mut Reloads,
        change: Change<'_>,
    ) -> anyhow::Result<()> {
        let Change { before, after, .. } = change;
        let start = site.reloads()?;
        let transacted = site.transact(before, after)?;
        reloads.transactions += site.reloads()?.saturating_sub(start);
        self.transactions.push(transacted.took);
        self.puts.extend(transacted.puts);
        site.call(after, before)?;

        let start = site.reloads()?;
        self.calls.push(site.call(before, after)?);
        reloads.calls += site.reloads()?.saturating_sub(start);
        site.call(after, before)?;

        for (reach, kept, count) in [
            (Reach::Api, &mut self.api, &mut reloads.api),
            (Reach::Socket, &mut self.socket, &mut reloads.socket),
        ] {
            let start = site.reloads()?;
            let mut keeping = site.keep(bench, reach, before)?;
            kept.push(keeping.change(after, change.operations)?);
            keeping.stop()?;
            *count += site.reloads()?.saturating_sub(start);
            // Which slots Roster took was its to choose; they are the same ones in any case.
            site.call(after, before)?;
        }
        Ok(())
    }

    fn rows(self, what: &str, least: f64) -> Vec<Row> {
        let Self { transactions, puts, calls, api, socket } = self;
        let (transaction, call) = (Sample::times(transactions), Sample::times(calls));
        let roster = Sample::times(api.iter().map(|kept| kept.shown));
        let times = transaction.median() / roster.median();
        let put = Sample::times(puts);
        let row = Row::beside(format!("API, {what}; floor: one bare raw call"), call, &roster);
        let reached = row.ratio() <= TO_CALL;
        let pass = Sample::times(api.iter().map(|kept| kept.pass));
        let calls = api.iter().filter_map(|kept| kept.calls).max();
        let calls = calls.map(|calls| format!(", at most {calls} calls")).unwrap_or_default();
        let live = Sample::times(socket.iter().map(|kept| kept.shown));
        let written = Sample::times(socket.iter().map(|kept| kept.written));
        vec![
            row.against(format!("≤ {TO_CALL} × the floor"), reached),
            Row::new("of that the pass (read, decide, write, read back)", format!("{pass}{calls}")),
            Row::new(
                "the same by a transaction, a PUT each, a reload; and how many times Roster's time that is",
                format!("{transaction}, {times:.1} times; of that a PUT {:.1} ms", put.median()),
            )
            .against(format!("≥ {least} × Roster"), times >= least),
            Row::new("the same with `socket:`", format!("live {live}; in the file {written}")),
        ]
    }
}

/// One weight at a time, with HAProxy's own socket.
fn single(site: &Site, bench: &Bench, reloads: &mut Reloads, pace: Pace) -> anyhow::Result<Row> {
    let all = bench.scale.api_servers;
    let (before, after) = Kind::Weights.change(all, 1)?;
    let start = site.reloads()?;
    let mut keeping = site.keep(bench, Reach::Socket, &before)?;
    let mut kept = Vec::new();
    for place in 0..bench.scale.changes.min(SINGLES) {
        if pace == Pace::AtRest {
            site::rest();
        }
        kept.push(keeping.change(if place % 2 == 0 { &after } else { &before }, 1)?);
    }
    keeping.stop()?;
    site.call(&after, &before)?;
    reloads.socket += site.reloads()?.saturating_sub(start);
    let live = Sample::times(kept.iter().map(|kept| kept.shown));
    let written = Sample::times(kept.iter().map(|kept| kept.written));
    let when = match pace {
        Pace::AtRest => "",
        Pace::AtOnce => ", each as soon as the file says the one before",
    };
    let what = format!("one weight of {all} with `socket:`{when}");
    let reached = live.median() <= AT_ONCE;
    let row = Row::new(what, format!("live {live}; in the file {written}"));
    Ok(match pace {
        Pace::AtRest => row.against(format!("live, median ≤ {AT_ONCE} ms"), reached),
        Pace::AtOnce => row,
    })
}

impl Reloads {
    fn row(&self) -> Row {
        let Self { transactions, calls, api, socket } = self;
        let what = "reloads by all transactions, by bare calls, by Roster, by Roster with `socket:`";
        let row = Row::new(what, format!("{transactions}, {calls}, {api}, {socket}"));
        row.against("none but by transactions", calls + api + socket == 0)
    }
}

fn note(site: &Site) -> String {
    let who = if site.is_real() {
        "The Data Plane API was the real program."
    } else {
        "The Data Plane API was the testkit's stand-in, which lets HAProxy itself check, reload and answer. Each of its \
         calls lasts at least as long as it took the real program on a machine of two cores (API 3.2 before HAProxy 3.0), \
         so that these costs are floors and not the program itself. `DATAPLANEAPI_BIN` names the real one."
    };
    format!(
        "Rows with `API`: /{}. {who} Every time begins with the change and ends with the answer to the last call; Roster's \
         begins with the rename of its file of services and ends with its read-back.",
        site.api()
    )
}
