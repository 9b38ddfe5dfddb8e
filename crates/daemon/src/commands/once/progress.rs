//! What `roster once` waits for, on standard error: each thing when it begins or changes, all that is left now and then.

use std::collections::BTreeSet;
use std::time::Duration;

use roster_core::plan::{Standing, Status};
use roster_haproxy::name::TargetName;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use super::print;
use crate::keeper::TargetStatus;

/// How often what is left is told though nothing changed.
const EVERY: Duration = Duration::from_secs(10);
/// What is over sooner is not told of.
const LASTS: Duration = Duration::from_millis(300);
/// How many lines one telling has.
const LINES: usize = 10;

/// What was told of one target.
pub(super) struct Progress {
    target: TargetName,
    began: Instant,
    told: BTreeSet<String>,
    /// When what is new is told, if it lasts.
    news: Option<Instant>,
}

impl Progress {
    pub(super) fn new(target: &TargetName) -> Self {
        Self { target: target.clone(), began: Instant::now(), told: BTreeSet::new(), news: None }
    }

    /// Waits until the status is as wanted; none if the keeper ended before.
    pub(super) async fn wait_for(
        &mut self,
        status: &mut watch::Receiver<TargetStatus>,
        is_wanted: impl Fn(&TargetStatus) -> bool,
    ) -> Option<TargetStatus> {
        let mut again = interval_at(Instant::now() + EVERY, EVERY);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = status.borrow_and_update().clone();
            if is_wanted(&now) {
                return Some(now);
            }
            let waits = waits(&self.target, &now);
            // Of a status that changes all the time the news is told too.
            let is_old = waits.is_subset(&self.told);
            self.news = if is_old { None } else { self.news.or(Some(Instant::now() + LASTS)) };
            tokio::select! {
                changed = status.changed() => changed.ok()?,
                () = sleep_until(self.news.unwrap_or(self.began)), if self.news.is_some() => self.tell(&waits, false),
                _ = again.tick() => self.tell(&waits, true),
            }
        }
    }

    fn tell(&mut self, waits: &BTreeSet<String>, all: bool) {
        let news: Vec<&String> = waits.iter().filter(|wait| all || !self.told.contains(*wait)).collect();
        if all && !news.is_empty() {
            print::err(&format!("{}: waits since {} s:", self.target, self.began.elapsed().as_secs()));
        }
        for wait in news.iter().take(LINES) {
            print::err(wait);
        }
        if news.len() > LINES {
            print::err(&format!("{}: and {} more", self.target, news.len() - LINES));
        }
        self.told.clone_from(waits);
        self.news = None;
    }
}

/// What a target waits for.
fn waits(target: &TargetName, status: &TargetStatus) -> BTreeSet<String> {
    let mut waits = BTreeSet::new();
    for (backend, status) in &status.backends {
        for (server, standing) in &status.servers {
            let unreached = status.unreached.get(server).map(|unreached| unreached.error.as_str());
            if let Some(wait) = wait(standing, unreached) {
                waits.insert(format!("{target} {backend}/{server}: {wait}"));
            }
        }
    }
    let own = status.own.iter().flat_map(|own| &own.waiting);
    waits.extend(own.map(|reason| format!("{target}: waits for a reload: {reason}")));
    waits
}

fn wait(standing: &Standing, unreached: Option<&str>) -> Option<String> {
    let at = standing.endpoint.map(|endpoint| format!(" {endpoint}")).unwrap_or_default();
    match &standing.status {
        Status::Rising(how) => {
            let why = unreached.map(|why| format!("; last try: {why}")).unwrap_or_default();
            Some(format!("waits until{at} is up, by {how}{why}"))
        }
        Status::Leaving => Some(format!("waits{at} until others serve in its place")),
        Status::Draining { until, .. } => {
            Some(format!("waits until the connections to{at} have ended, at most until {until:.0}"))
        }
        _ => None,
    }
}
