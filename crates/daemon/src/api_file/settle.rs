//! Bringing the file to what is wanted, with one reload for all of it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_core::applied::Applied;
use roster_haproxy::dataplane::{Edit, FileView, ReloadReason, apply, with_section};
use roster_haproxy::version::Version;
use roster_targets::dataplane::client::{ClientError, RawConfig, Why};

use super::judge::Structural;
use super::{ApiFile, Due, Follows, TRIES};
use crate::clock;
use crate::events::{Event, ReloadRefused, Reloaded, ReloadsSpent, chain};
use crate::own::Changed;

/// Every so many looks the whole file is read: one that was put back can have the number of the one that it replaced.
const WHOLE: u32 = 5;
/// How long the next process is waited for after a reload. One that comes later is noticed by the pass that follows.
const FOLLOW: Duration = Duration::from_secs(2);
/// How often a change that was found good is written anew because somebody else was faster.
const RACES: u32 = 20;
/// How long the keeper listens to everybody else at least before the API is looked at again.
const LISTEN: Duration = Duration::from_millis(10);
/// The longest pause before that.
const JITTER: Duration = Duration::from_millis(80);

impl ApiFile {
    /// Does what is due. `applied` is what was written last.
    pub(crate) async fn see_to(&mut self, agenda: &Agenda, applied: &Applied, now: Timestamp) -> Changed {
        let mut fresh = None;
        if self.look_due <= now {
            fresh = self.look(agenda, now).await;
        }
        let mut changed = Changed::Nothing;
        if self.due.is_some_and(|due| due.at <= now) {
            self.due = None;
            changed = self.settle(&mut fresh, agenda, applied, now).await;
            if changed == Changed::Started {
                self.find_own_lines(agenda);
                fresh.clone_from(&self.raw);
            }
        }
        if self.file_due.is_some_and(|at| at <= now) {
            self.file_due = None;
            self.persist(fresh, now).await;
        }
        match self.follows {
            _ if changed == Changed::Started && !agenda.items.is_empty() => self.follows = Follows::Pass,
            Follows::Look => self.follows = Follows::Nothing,
            Follows::Nothing | Follows::Pass => {}
        }
        // However long this took: the keeper listens before it comes to this again.
        self.look_due = self.look_due.max(clock::after(clock::now(), LISTEN));
        changed
    }

    /// Has the file follow what ran last. HAProxy goes on.
    pub(crate) async fn end(mut self) {
        if self.file_due.is_some() {
            self.persist(None, clock::now()).await;
        }
    }

    /// Asks whether somebody else changed the file. Answers the file, where it was read.
    async fn look(&mut self, agenda: &Agenda, now: Timestamp) -> Option<RawConfig> {
        self.look_due = clock::after(now, self.reach.poll);
        self.looks = self.looks.wrapping_add(1);
        let before = self.raw.clone();
        if let Some(before) = before.as_ref().filter(|_| !self.looks.is_multiple_of(WHOLE)) {
            match self.client.version().await {
                Ok(version) if version == before.version => {
                    self.unread = None;
                    return None;
                }
                Ok(_) => {}
                Err(error) => {
                    self.unreadable(&error);
                    return None;
                }
            }
        }
        let raw = match self.client.raw().await {
            Ok(raw) => raw,
            Err(error) => {
                self.unreadable(&error);
                return None;
            }
        };
        self.unread = None;
        self.take(&raw, agenda, now);
        if before.is_none_or(|before| before.text != raw.text) {
            self.look_soon(now);
        }
        Some(raw)
    }

    /// Reads the file.
    pub(super) async fn read(&mut self, agenda: &Agenda, now: Timestamp) -> Option<RawConfig> {
        match self.client.raw().await {
            Ok(raw) => {
                self.take(&raw, agenda, now);
                Some(raw)
            }
            Err(error) => {
                self.unreadable(&error);
                self.failed(now);
                None
            }
        }
    }

    /// Takes in the file as it was read. In one that somebody else wrote, servers may stand as they were.
    fn take(&mut self, raw: &RawConfig, agenda: &Agenda, now: Timestamp) {
        let before = self.raw.replace(raw.clone());
        if before.as_ref().is_none_or(|before| before.text != raw.text) {
            self.file_due = Some(now);
        }
        if before.is_some_and(|before| rest(&before.text) != rest(&raw.text)) {
            // Who was refused may have been so for what is mended now.
            self.left_out.clear();
        }
        self.judge(agenda);
    }

    /// `fresh` is the file, where it was read just now: before this, and also after it if there was nothing to do.
    async fn settle(
        &mut self,
        fresh: &mut Option<RawConfig>,
        agenda: &Agenda,
        applied: &Applied,
        now: Timestamp,
    ) -> Changed {
        for _ in 0..TRIES {
            let raw = match fresh.take() {
                Some(raw) => Some(raw),
                None => self.read(agenda, now).await,
            };
            let Some(raw) = raw else { return Changed::Nothing };
            let Some(version) = self.haproxy(now).await else { return Changed::Nothing };
            let structural = {
                let file = FileView::read(&raw.text);
                self.tell_lost_frontends(agenda, &file);
                self.structural(agenda, applied, &file, version)
            };
            self.waiting = structural.iter().map(|structural| structural.reason.to_string()).collect();
            if structural.is_empty() {
                self.nothing_to_do(agenda, &raw);
                *fresh = Some(raw);
                return Changed::Nothing;
            }
            if !self.may_reload(now) {
                return Changed::Nothing;
            }
            match self.change(&raw, structural, version, now).await {
                Ok(changed) => return changed,
                Err(error) if matches!(error.why, Why::StaleVersion { .. }) => pause().await,
                Err(error) => {
                    self.failed(now);
                    self.not_made(&error);
                    // The API may have put an older file back, without what was given live since.
                    if let Ok(raw) = self.client.raw().await {
                        self.take(&raw, agenda, now);
                    }
                    return Changed::Nothing;
                }
            }
        }
        self.failed(now);
        self.trouble("somebody else changes HAProxy's file all the time; Roster's change waits");
        Changed::Nothing
    }

    /// The version of the HAProxy that serves.
    pub(super) async fn haproxy(&mut self, now: Timestamp) -> Option<Version> {
        match self.client.process().await {
            Ok(process) => {
                self.serving = Some(process.version);
                self.serving
            }
            Err(error) => {
                self.unreadable(&error);
                self.failed(now);
                None
            }
        }
    }

    pub(super) fn may_reload(&mut self, now: Timestamp) -> bool {
        let Err(spent) = self.budget.check(now) else { return true };
        if !std::mem::replace(&mut self.budget.told, true) {
            let again = clock::until(spent.until);
            ReloadsSpent { target: &self.name, count: spent.count, per: spent.per, again }
                .emit(&self.reporter);
        }
        self.due = Some(Due { since: now, at: spent.until });
        false
    }

    pub(super) async fn change(
        &mut self,
        raw: &RawConfig,
        mut structural: Vec<Structural>,
        version: Version,
        now: Timestamp,
    ) -> Result<Changed, ClientError> {
        let started = Instant::now();
        let servers = self.server_edits(&FileView::read(&raw.text));
        let made = self.with_options(raw, &mut structural, version).await?;
        let base = with_section(&raw.text, &made);
        let (good, refused) = self.sift(&base, &servers, structural, version).await?;
        for (structural, why) in refused {
            self.leave_one_out(&structural, &why);
        }
        if good.is_empty() {
            return Ok(Changed::Nothing);
        }
        let before = self.client.process().await?.pid;
        let Some((good, written)) = self.put(raw, &made, good, version).await? else {
            return Ok(Changed::Nothing);
        };
        self.client.until_another_serves(FOLLOW, |process| process.pid != before).await;
        self.has_changed(&good, written, started, now);
        Ok(Changed::Started)
    }

    fn has_changed(&mut self, good: &[Structural], written: RawConfig, started: Instant, now: Timestamp) {
        self.budget.made(now);
        let word = good.first().map_or("asked", |structural| structural.reason.word());
        let reasons: Vec<String> = good.iter().map(|structural| structural.reason.to_string()).collect();
        let (target, took) = (&self.name, started.elapsed());
        Reloaded { target, word, reasons: &reasons, replaced: false, old_workers: None, took }
            .emit(&self.reporter);
        self.raw = Some(written);
        self.wrote(good);
        self.waiting.clear();
        let ahead = good.iter().filter(|one| matches!(one.reason, ReloadReason::FileAhead(_)));
        self.reloaded.extend(ahead.filter_map(|one| one.backend.clone()));
        self.lacking.clear();
        self.grows_by_reload = false;
        self.retry.went_well();
        // What was left out for now may have been about something that is there now.
        self.look_due = now;
    }

    /// Writes what was found good, and writes it anew where somebody else changed servers meanwhile. Answers what was
    /// written, and the file.
    async fn put(
        &mut self,
        raw: &RawConfig,
        made: &str,
        good: Vec<Structural>,
        version: Version,
    ) -> Result<Option<(Vec<Structural>, RawConfig)>, ClientError> {
        let (mut current, mut stale) = (raw.clone(), None);
        for _ in 0..RACES {
            match self.write(&current, made, &good, version).await {
                Err(error) if error.is_stale() => stale = Some(error),
                tried => return Ok(tried?.map(|file| (good, file))),
            }
            current = self.client.raw().await?;
            if rest(&current.text) != rest(&raw.text) {
                // What was found good may be so no more.
                break;
            }
        }
        stale.map_or(Ok(None), Err)
    }

    async fn write(
        &self,
        current: &RawConfig,
        made: &str,
        good: &[Structural],
        version: Version,
    ) -> Result<Option<RawConfig>, ClientError> {
        let servers = self.server_edits(&FileView::read(&current.text));
        let Ok(text) = with(&with_section(&current.text, made), &servers, good, version) else {
            return Ok(None);
        };
        let written = self.client.write_reload(text, current.version, true).await?;
        Ok(Some(written.config))
    }

    /// Nothing wants a reload: what was told of one that failed is over.
    fn nothing_to_do(&mut self, agenda: &Agenda, raw: &RawConfig) {
        let file = FileView::read(&raw.text);
        let mut routes = agenda.items.values().flat_map(|item| &item.exposure.routes);
        let has_all = routes.all(|route| file.frontend(route.frontend.as_str()).is_some());
        if self.left_out.is_empty() && self.conflicts.is_empty() && self.reloaded.is_empty() && has_all {
            self.retry.went_well();
        }
    }

    /// Parts what HAProxy takes from what it refuses, by asking for halves.
    async fn sift(
        &self,
        base: &str,
        servers: &[Edit],
        structural: Vec<Structural>,
        version: Version,
    ) -> Result<(Vec<Structural>, Vec<(Structural, String)>), ClientError> {
        let (mut good, mut refused): (Vec<Structural>, Vec<(Structural, String)>) = (Vec::new(), Vec::new());
        let mut groups = vec![structural];
        while let Some(mut group) = groups.pop() {
            let mut tried = good.clone();
            tried.extend(group.iter().cloned());
            let why = match with(base, servers, &tried, version) {
                Ok(text) => match self.client.validate(text).await {
                    Ok(()) => None,
                    Err(ClientError { why: Why::Refused { text } | Why::Rejected { text }, .. }) => {
                        Some(text)
                    }
                    Err(error) => return Err(error),
                },
                Err(why) => Some(why),
            };
            match (why, group.len()) {
                (None, _) => good = tried,
                (Some(why), 1) => refused.extend(group.pop().map(|structural| (structural, why))),
                (Some(_), _) => {
                    let rest = group.split_off(group.len() / 2);
                    groups.extend([rest, group]);
                }
            }
        }
        Ok((good, refused))
    }

    /// One that cannot be made is told; a backend is not tried again before it changes.
    pub(super) fn leave_one_out(&mut self, one: &Structural, why: &str) {
        let what = format!("{} is left out: {why}", one.reason);
        if self.retry.is_news(&what) {
            ReloadRefused { target: &self.name, why: &what }.emit(&self.reporter);
        }
        if let Some(backend) = &one.backend
            && let Some(layout) = self.layouts.get(backend)
        {
            self.left_out.insert(backend.clone(), layout.clone());
        }
    }

    /// A change was not made. Told once, whatever the version that it was to be made on.
    pub(super) fn not_made(&self, error: &ClientError) {
        if self.retry.is_news(&error.why.to_string()) {
            ReloadRefused { target: &self.name, why: &chain(error) }.emit(&self.reporter);
        }
    }
}

/// What of a file is not about its servers or its version.
fn rest(text: &str) -> Vec<&str> {
    let is_other = |line: &&str| !line.starts_with("# _") && !line.trim_start().starts_with("server ");
    text.lines().filter(is_other).collect()
}

/// The text with these changes.
fn with(base: &str, servers: &[Edit], structural: &[Structural], version: Version) -> Result<String, String> {
    let mut edits = servers.to_vec();
    let structural = structural.iter().filter(|structural| !structural.is_text);
    edits.extend(structural.flat_map(|structural| structural.edits.iter().cloned()));
    apply(base, &edits, version).map_err(|error| error.to_string())
}

/// A moment in which somebody else may finish.
pub(super) async fn pause() {
    let nanos = clock::now().subsec_nanosecond().unsigned_abs();
    tokio::time::sleep(JITTER.mul_f64(f64::from(nanos % 1000) / 1000.0)).await;
}
