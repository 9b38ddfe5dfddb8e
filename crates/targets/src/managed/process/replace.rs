//! A new master in the place of the old one, for what a reload cannot do: a new `fd@N`, another binary, other arguments.
//!
//! The new one is started without `-sf`, and the old one is told to finish only once the new one serves. With `-sf` a
//! successor that finds an address taken makes the old one stop listening for 2.4 s before it gives up (measured on 2.6,
//! 2.8 and 3.0); without it nobody notices. So `abns@` sockets and `noreuseport` need a stats socket with `expose-fd
//! listeners`, from which the new one takes the listening sockets.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::process::Signal;

use super::ProcessError;
use super::child::Process;
use super::life::{Input, Phase};
use super::program::Program;
use super::reload::Reload;
use super::supervisor::{BroughtUp, Supervisor, bring_up};

/// Ends a successor that nobody waits for any more.
struct Candidate(Option<Process>);

/// Sockets' paths under a second name, put back when dropped: a HAProxy that binds them and then fails has taken their
/// names from the one that serves (measured on 2.6, 2.8 and 3.0).
struct KeptAside(Vec<(PathBuf, PathBuf)>);

impl Supervisor {
    /// Starts a HAProxy as this program says and, once it serves, tells the old one to finish. A start that fails
    /// leaves the old one serving, and the old program in place. The output file stays that of the first program.
    ///
    /// # Errors
    /// What cannot be started at all; and the old one's master gave no answer, so that it was left alone.
    pub async fn replace(&mut self, program: Program) -> Result<Reload, ProcessError> {
        program.check().await?;
        let program = Program { output: self.program.output.clone(), ..program };
        while let Phase::Starting { .. } = self.life.phase() {
            self.advance().await;
        }
        if let Phase::Serving { .. } = self.life.phase() {
            return self.succeed(program).await;
        }
        self.program = program;
        Ok(self.start_if_down().await.unwrap_or_else(Reload::nothing_runs))
    }

    async fn succeed(&mut self, program: Program) -> Result<Reload, ProcessError> {
        // A master that executes itself anew would lose the signal, and bind its socket again.
        let before = self.processes().await?;
        let aside = KeptAside::keep(&self.program);
        let mark = self.output.mark();
        let process = program.spawn(&self.output, &self.program.takeover())?;
        let mut candidate = Candidate(Some(process));
        let Some(process) = &mut candidate.0 else { return Ok(Reload::nothing_runs()) };
        let deadline = Instant::now() + program.limits.start;
        let outcome = bring_up(&program, process, &mut self.output, deadline).await;
        if let BroughtUp::Late = outcome {
            process.kill();
            process.ended().await;
        }
        let refused = |error: ProcessError| Ok(Reload::Refused { text: error.to_string() });
        let said = self.output.since(mark);
        match outcome {
            BroughtUp::Serves(worker) => {
                aside.forget();
                self.program = program;
                let old = std::mem::replace(&mut self.process, candidate.0.take());
                self.former.extend(old.inspect(|old| old.signal(Signal::USR1)));
                self.life.step(Input::Started, Instant::now());
                self.serves(worker);
                let old_workers = before.old_workers().count() + usize::from(before.worker().is_some());
                Ok(Reload::Reloaded { worker: Some(worker), old_workers })
            }
            BroughtUp::Ended(ended) => {
                refused(ProcessError::ended_early(program.config.clone(), ended, said))
            }
            BroughtUp::Late => refused(ProcessError::NotReady { after: program.limits.start, said }),
        }
    }
}

impl Program {
    /// From where a successor takes its listening sockets.
    fn takeover(&self) -> Vec<OsString> {
        let exposing = self.stats_sockets.first().filter(|path| path.exists());
        exposing.map_or_else(Vec::new, |path| vec!["-x".into(), path.into()])
    }
}

impl KeptAside {
    /// What cannot be kept aside is only reported: it matters if the successor fails, and that is rare.
    fn keep(program: &Program) -> Self {
        let paths = std::iter::once(&program.master_socket).chain(&program.stats_sockets);
        Self(paths.filter_map(|path| Some((path.clone(), second_name(path)?))).collect())
    }

    /// The successor has the names now.
    fn forget(mut self) {
        for (_, aside) in self.0.drain(..) {
            fs::remove_file(aside).ok();
        }
    }
}

fn second_name(path: &Path) -> Option<PathBuf> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".kept");
    // Left by a Roster that was killed meanwhile.
    fs::remove_file(&aside).ok();
    match fs::hard_link(path, &aside) {
        Ok(()) => Some(aside.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(socket = %path.display(), "not kept aside while HAProxy is replaced: {error}");
            None
        }
    }
}

impl Drop for KeptAside {
    fn drop(&mut self) {
        for (path, aside) in &self.0 {
            if let Err(error) = fs::rename(aside, path) {
                tracing::warn!(socket = %path.display(), "not put back after a failed start: {error}");
            }
        }
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        if let Some(process) = &self.0 {
            process.kill();
        }
    }
}
