//! Who runs HAProxy, and how it ends.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reach::RunDir;
use super::{AtExit, ManagedProcess, ManagedTarget, ReloadBy};
use crate::document::Path;
use crate::format;
use crate::native::resolve::Resolve;
use crate::value::Duration;

/// Who runs HAProxy.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(untagged)]
#[schemars(inline)]
pub enum ProcessRule {
    /// The word `own`.
    Own(OwnProcess),
    /// Somebody else, such as systemd.
    External(ExternalProcess),
}

/// The word `own`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OwnProcess {
    /// Roster starts HAProxy, starts it again when it ends, and takes it over when Roster itself was restarted.
    #[default]
    Own,
}

/// A HAProxy that somebody else runs, with the file that Roster writes.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalProcess {
    /// How it is told to read its file again.
    pub reload: Reload,
    /// The path of the `stats socket` that Roster writes into the file. HAProxy must be able to make it.
    /// `admin.sock` in `run_dir` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub socket: Option<PathBuf>,
}

/// How a HAProxy that somebody else runs is told to read its file again. Give `master` or `command`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// The path of its master's socket (`haproxy -W -S PATH`), which also tells what came of the reload.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::SocketPath>")]
    pub master: Option<PathBuf>,
    /// A program and its arguments, run as they are, without a shell. It must end with the exit code 0, and then another
    /// process must answer on `socket`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub command: Option<Vec<String>>,
    /// How long a reload may take until its outcome is known.
    #[serde(default = "reload_timeout")]
    pub timeout: Duration,
}

/// Who opens the ports.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Listeners {
    /// HAProxy, by plain `bind` lines: anybody can start it with the file alone.
    #[default]
    Haproxy,
    /// Roster, which hands them to HAProxy: while HAProxy is dead or being replaced, connections wait instead of being
    /// refused. Only Roster can start HAProxy with such a file.
    Held,
}

/// What becomes of HAProxy when Roster ends.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExit {
    /// It goes on as it is, and the next Roster takes it over.
    #[default]
    Keep,
    /// It ends first; for containers.
    Stop,
}

/// How HAProxy is ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// How long connections may take to end by themselves before they are cut. `0s` does not wait.
    pub graceful: Duration,
}

fn reload_timeout() -> Duration {
    Duration::seconds(30)
}

impl Default for ProcessRule {
    fn default() -> Self {
        ProcessRule::Own(OwnProcess::Own)
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self { graceful: Duration::seconds(30) }
    }
}

impl ManagedTarget {
    pub(super) fn process(
        &self,
        cx: &mut Resolve<'_>,
        at: &Path,
        run_dir: Option<&RunDir>,
    ) -> Option<ManagedProcess> {
        match &self.process {
            ProcessRule::Own(OwnProcess::Own) => {
                let at_exit = self.at_exit(cx, at);
                let run_dir = run_dir?;
                let (master_socket, output) = (run_dir.file(cx, "master.sock")?, run_dir.path("haproxy.log"));
                Some(ManagedProcess::Own { master_socket, output, listen: self.listen, at_exit })
            }
            ProcessRule::External(external) => {
                self.only_for_own(cx, at);
                external.reload.resolve(cx, &at.join("process").join("reload"))
            }
        }
    }

    fn at_exit(&self, cx: &mut Resolve<'_>, at: &Path) -> AtExit {
        match (self.on_exit, self.stop) {
            (OnExit::Keep, None) => AtExit::Keep,
            (OnExit::Keep, Some(_)) => {
                let message = "`stop` does nothing without `on_exit: stop`; add that, or remove `stop`";
                cx.key_problem(&at.join("stop"), message);
                AtExit::Keep
            }
            (OnExit::Stop, stop) => AtExit::Stop { graceful: stop.unwrap_or_default().graceful.get() },
        }
    }

    /// What somebody else's HAProxy cannot be asked to do.
    fn only_for_own(&self, cx: &mut Resolve<'_>, at: &Path) {
        let other = "with this `process` somebody else runs HAProxy";
        if self.listen == Listeners::Held {
            let message = format!(
                "{other}, and Roster cannot hand ports to it; write `listen: haproxy`, or `process: own`"
            );
            cx.problem(&at.join("listen"), message);
        }
        if self.on_exit == OnExit::Stop {
            let message =
                format!("{other}, and Roster cannot end it; write `on_exit: keep`, or `process: own`");
            cx.problem(&at.join("on_exit"), message);
        }
        if self.stop.is_some() {
            let message =
                format!("{other}, and Roster cannot end it; remove `stop`, or write `process: own`");
            cx.key_problem(&at.join("stop"), message);
        }
    }
}

impl Reload {
    fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Option<ManagedProcess> {
        cx.not_zero(&at.join("timeout"), self.timeout);
        let reload = match (&self.master, self.command.as_deref()) {
            (Some(master), None) => {
                let master = cx.absolute(master);
                cx.sound(&at.join("master"), format::socket_path(&master.to_string_lossy()))?;
                ReloadBy::Master(master)
            }
            (None, Some([program, arguments @ ..])) if !program.is_empty() => {
                ReloadBy::Command { program: cx.program(program.as_ref()), arguments: arguments.to_vec() }
            }
            (None, Some(_)) => {
                let message = "`command` names no program; write for example [systemctl, reload, haproxy]";
                cx.problem(&at.join("command"), message);
                return None;
            }
            (None, None) => {
                cx.key_problem(at, "`reload` does not say how; give `master` or `command`");
                return None;
            }
            (Some(_), Some(_)) => {
                let message = "`master` and `command` are both given; remove one of the two";
                cx.key_problem(&at.join("command"), message);
                return None;
            }
        };
        Some(ManagedProcess::External { reload, timeout: self.timeout.get() })
    }
}
