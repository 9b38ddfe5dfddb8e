//! One structural change: written, checked, taken in, or put back.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use roster_config::native::{ManagedProcess, ReloadBy};
use roster_core::agenda::Agenda;
use roster_core::applied::ProcessId;
use roster_haproxy::cli::Command;
use roster_haproxy::render::{ReloadReason, Rendered, Structure, render};
use roster_targets::managed::process::{External, Limits, ProcessError, Program, Reload};
use roster_targets::runtime::session;
use roster_targets::runtime::socket::SocketAddress;

use super::file::Checked;
use super::state::for_successor;
use super::{Own, Topic, numbers};
use crate::clock;
use crate::events::{Event, OwnTrouble, ReloadRefused, Reloaded, ReloadsSpent, chain};

/// How many services that HAProxy refuses are left out, one after the other, before the change is given up for now.
const TRIES: usize = 8;

/// A state file that says nothing of any server. HAProxy 2.6 warns of one that is not there.
pub(super) const NO_STATE: &str = "1\n";

/// What came of looking after a HAProxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Changed {
    /// The process is the same.
    Nothing,
    /// It was started.
    Started,
    /// It has more backends.
    Added,
    /// Another process serves, which has taken over the servers' state.
    Reloaded,
}

impl Own {
    /// Does what is due. `known` is the process that the records of the servers are of.
    pub(crate) async fn see_to(
        &mut self,
        agenda: &Agenda,
        known: Option<ProcessId>,
        now: Timestamp,
    ) -> Changed {
        if self.stranger_due.take().is_some() {
            self.look_at_stranger(now).await;
        }
        if self.unbound.next().is_some_and(|at| at <= now) {
            self.retry_ports(agenda, now).await;
            self.look(agenda, now);
        }
        if let Some(word) = self.check.is_long(now) {
            self.retry.begins(Topic::Check);
            self.trouble(&word);
            self.retry.ends();
        }
        let is_due = self.check.is_done() || self.due.is_some_and(|due| due.at <= now);
        let changed = if is_due && !self.check.is_running() {
            self.due = None;
            let changed = self.change(agenda, known, now).await;
            self.check.forget_outcome();
            changed
        } else {
            Changed::Nothing
        };
        if self.publish_due.take().is_some() {
            self.publish().await;
        }
        self.look_at_certificates(now).await;
        if self.live_due.is_some_and(|at| at <= now) {
            self.bring(agenda, now).await;
        }
        if self.file_due.is_some_and(|at| at <= now) {
            self.retry.begins(Topic::File);
            self.write_file(agenda, now).await;
            self.retry.ends();
        }
        self.release().await;
        self.look(agenda, now);
        changed
    }

    async fn change(&mut self, agenda: &Agenda, known: Option<ProcessId>, now: Timestamp) -> Changed {
        self.retry.begins(Topic::Backends);
        let added = self.add_backends(agenda, now).await;
        self.retry.ends();
        if let Some(changed) = added {
            return changed;
        }
        if self.is_up()
            && let Err(spent) = self.budget.check(now)
        {
            if !self.budget.told {
                self.budget.told = true;
                let again = clock::until(spent.until);
                let (count, per) = (spent.count, spent.per);
                ReloadsSpent { target: &self.name, count, per, again }.emit(&self.reporter);
            }
            self.due = Some(super::Due { since: now, at: spent.until });
            return Changed::Nothing;
        }
        self.retry.begins(Topic::Change);
        let changed = self.try_change(agenda, known, now).await;
        if self.check.is_running() {
            self.retry.goes_on();
        } else {
            self.retry.ends();
        }
        changed
    }

    async fn try_change(&mut self, agenda: &Agenda, known: Option<ProcessId>, now: Timestamp) -> Changed {
        let replace = self.open(agenda, now);
        let in_vain = self.try_ports(agenda, now).await;
        if !in_vain.is_empty() {
            // Nothing can be left out for it: these lines are the operator's.
            for why in in_vain {
                self.trouble(&format!("`sections`: {why}"));
            }
            self.failed(now);
            return Changed::Nothing;
        }
        for _ in 0..TRIES {
            let reasons = self.reasons(agenda, now);
            let Some(rendered) = self.rendered(agenda, now) else { break };
            if reasons.is_empty() && !self.is_to_start() && !replace {
                return Changed::Nothing;
            }
            match self.write_checked(&rendered).await {
                Checked::Written => return self.take_in(&rendered, &reasons, (replace, known), now).await,
                Checked::Awaited => return Changed::Nothing,
                Checked::Refused(lines) if lines.iter().any(|line| rendered.is_profile_at(*line)) => {
                    self.profiles.clear();
                }
                Checked::Refused(lines) => {
                    if !self.leave_out(agenda, &rendered, &lines, now) {
                        break;
                    }
                }
            }
        }
        self.failed(now);
        Changed::Nothing
    }

    pub(super) fn rendered(&self, agenda: &Agenda, now: Timestamp) -> Option<Rendered> {
        match render(&self.document(agenda, now)?, self.version) {
            Ok(rendered) => {
                for left in rendered.left_out.iter().map(ToString::to_string) {
                    if self.retry.is_news_of(Topic::LeftOut, &left) {
                        OwnTrouble { target: &self.name, what: &left }.emit(&self.reporter);
                    }
                }
                Some(rendered)
            }
            Err(errors) => {
                for error in &errors {
                    self.trouble(&format!("HAProxy's file cannot be written: {error}"));
                }
                None
            }
        }
    }

    async fn take_in(
        &mut self,
        rendered: &Rendered,
        reasons: &[ReloadReason],
        (replace, known): (bool, Option<ProcessId>),
        now: Timestamp,
    ) -> Changed {
        let started = Instant::now();
        let goes_over = self.is_up() && self.dump_state(known).await;
        // Should Roster be killed before the outcome is known, then the next one knows that nobody knows.
        let before = (self.book.structure.take(), std::mem::take(&mut self.book.inherited));
        self.keep_book();
        let outcome = match &self.reach.process {
            ManagedProcess::External { reload, timeout } => self.reload_external(reload, *timeout).await,
            ManagedProcess::Own { .. } => match self.program() {
                Some(program) if !self.followed => return self.start(program, rendered, now).await,
                Some(program) if replace => self.steward.replace(program).await,
                _ => self.steward.reload().await,
            },
        };
        self.budget.made(now);
        match outcome {
            Ok(Reload::Reloaded { worker, old_workers }) => {
                self.book.worker = worker;
                let took = started.elapsed();
                let target = &self.name;
                // One reload, however many reasons came together; the first one names it.
                let word = reasons.first().map_or("asked", ReloadReason::word);
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                let old_workers = Some(old_workers);
                Reloaded { target, word, reasons: &reasons, replaced: replace, old_workers, took }
                    .emit(&self.reporter);
                self.taken_in(rendered);
                self.settle().await;
                self.forget_state().await;
                if goes_over { Changed::Reloaded } else { Changed::Started }
            }
            Ok(Reload::Refused { text }) => {
                self.stays_as_before(before, rendered, &text).await;
                Changed::Nothing
            }
            Err(error @ ProcessError::Ended { .. }) => {
                // It could not start with this file, and is started again: with the one before it.
                self.stays_as_before(before, rendered, &chain(&error)).await;
                match self.steward.reload().await {
                    Ok(Reload::Reloaded { .. }) => Changed::Started,
                    Ok(Reload::Refused { .. }) | Err(_) => Changed::Nothing,
                }
            }
            Err(error) => {
                // Nobody knows which file it took in: the next change is made against none.
                self.book.worker = None;
                self.failed(now);
                self.refused(&chain(&error));
                Changed::Nothing
            }
        }
    }

    /// HAProxy did not take the file: the former one is put back.
    async fn stays_as_before(
        &mut self,
        before: (Option<Structure>, BTreeSet<i32>),
        rendered: &Rendered,
        why: &str,
    ) {
        (self.book.structure, self.book.inherited) = before;
        self.keep_book();
        self.put_back().await;
        self.forget_state().await;
        let now = clock::now();
        self.failed(now);
        self.refused(why);
        self.note_unbound(rendered, why, now);
    }

    /// Tells of a file or a reload that was refused, once until one is not.
    pub(super) fn refused(&self, why: &str) {
        if self.retry.is_news(why) {
            ReloadRefused { target: &self.name, why }.emit(&self.reporter);
        }
    }

    async fn start(&mut self, program: Program, rendered: &Rendered, now: Timestamp) -> Changed {
        match self.steward.begin(program, self.book.master).await {
            Ok(super::Began::Started) => {
                self.taken_in(rendered);
                self.settle().await;
                Changed::Started
            }
            Ok(super::Began::Adopted) => {
                // It has not read this file yet.
                (self.followed, self.doubtful) = (true, true);
                Changed::Started
            }
            Err(error) => {
                self.not_started(&error, now);
                self.note_unbound(rendered, &chain(&error), now);
                Changed::Nothing
            }
        }
    }

    /// The process has this file.
    fn taken_in(&mut self, rendered: &Rendered) {
        self.retry.went_well();
        self.retry
            .is_over(Topic::Change, |what| rendered.left_out.iter().any(|left| left.to_string() == what));
        (self.followed, self.doubtful) = (true, true);
        self.left_to_reload.clear();
        self.not_live.clear();
        self.book.unpublished.clear();
        self.live_due = Some(clock::now());
        self.unbound.listens();
        self.book.structure = Some(rendered.structure.clone());
        self.book.inherited = numbers(&self.held);
        self.note_master(self.steward.running().master);
        self.keep_book();
    }

    async fn reload_external(&self, by: &ReloadBy, timeout: Duration) -> Result<Reload, ProcessError> {
        let external = match by {
            ReloadBy::Master(socket) => External::Master(socket.clone()),
            ReloadBy::Command { program, arguments } => {
                let (program, arguments) = (program.clone(), arguments.clone());
                External::Command { program, arguments, environment: self.environment(), limit: timeout }
            }
        };
        let socket = SocketAddress::Unix(self.stats_socket());
        let serving = || async {
            let limits = session_limits(self.reach.timeout);
            let replies = session::run(&socket, &limits, &[Command::ShowInfo]).await.ok()?;
            let info = roster_haproxy::cli::info::parse(replies.first()?.text()).ok()?;
            Some(info.pid)
        };
        external.reload(&Limits { reload: timeout, ..Limits::default() }, serving).await
    }

    /// Keeps the servers' state for the process that is about to take over. Answers whether that is the state of the
    /// process that the records are of.
    ///
    /// A process that began since then has the servers as its file has them: what is in maintenance there is so by no
    /// operator, and must not seem to be.
    async fn dump_state(&self, known: Option<ProcessId>) -> bool {
        let socket = SocketAddress::Unix(self.stats_socket());
        let commands = [Command::ShowInfo, Command::ShowServersState(None)];
        let said = session::run(&socket, &session_limits(self.reach.timeout), &commands).await;
        let state = match said.as_deref() {
            Ok([info, state]) => {
                let process = roster_haproxy::cli::info::parse(info.text()).ok();
                process.filter(|process| known.is_none_or(|known| known.pid == process.pid)).map(|_| state)
            }
            Ok(_) => None,
            Err(error) => {
                self.trouble(&format!("the servers' state could not be kept over a reload: {error}"));
                None
            }
        };
        match state {
            Some(state) => self.write_state(for_successor(state.text())).await,
            None => self.forget_state().await,
        }
        state.is_some()
    }

    /// The servers' state was for one process. A later one that others start would get back what has changed since:
    /// servers in maintenance that serve, and the other way round.
    pub(super) async fn forget_state(&self) {
        if PathBuf::from(self.reach.state_file.as_str()).exists() {
            self.write_state(NO_STATE.to_owned()).await;
        }
    }

    /// Finds out what a process has read that others made serve.
    async fn look_at_stranger(&mut self, now: Timestamp) {
        if self.book.structure.is_some() && self.is_file_as_left().await {
            tracing::info!(target = %self.name, "others reloaded HAProxy, with the file that Roster wrote");
            if let Some(written) = &self.written {
                // Without backends that were no longer wanted, which went with this reload.
                self.book.structure = Some(written.clone());
            }
            self.book.unpublished.clear();
            self.left_to_reload.clear();
            self.not_live.clear();
            self.book.worker = self.stranger;
            self.keep_book();
            // Maps and certificates may have changed since the file was written.
            self.live_due = Some(now);
            return;
        }
        self.trouble(
            "others reloaded HAProxy, with a file that Roster did not write; it is reloaded once more",
        );
        self.book.structure = None;
        self.doubtful = true;
    }
}

pub(super) fn session_limits(timeout: Duration) -> session::Limits {
    session::Limits { connect: timeout, progress: timeout, ..session::Limits::default() }
}
