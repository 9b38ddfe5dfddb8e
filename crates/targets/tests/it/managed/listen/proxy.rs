//! A HAProxy in master-worker mode that inherits its listening sockets, and is killed or replaced.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use roster_targets::managed::Inherited;
use roster_targets::managed::listen::hand_over;
use roster_testkit::{HaproxyBin, OrFail, Poll, cli_at, wait_until, wait_until_or_fail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::CAP;

/// Ends every process that it started when it is dropped.
pub(super) struct Proxy<'a> {
    bin: &'a HaproxyBin,
    master: Option<Child>,
    former: Vec<Child>,
    dir: TempDir,
}

impl<'a> Proxy<'a> {
    /// Starts with this as the lines of its frontend.
    pub(super) fn start(bin: &'a HaproxyBin, binds: &str, inherited: &[Inherited]) -> Self {
        let dir = TempDir::with_prefix("hap-").or_fail();
        let mut proxy = Self { bin, master: None, former: Vec::new(), dir };
        proxy.write(binds);
        proxy.again(inherited);
        proxy
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn pid(&self) -> u32 {
        self.master.as_ref().map(Child::id).unwrap()
    }

    pub(super) fn stats_socket(&self) -> PathBuf {
        self.path("admin.sock")
    }

    pub(super) fn write(&self, binds: &str) {
        let socket = self.stats_socket();
        let text = format!(
            "global\n    stats socket {} mode 600 level admin expose-fd listeners\n    hard-stop-after 10s\n\
             defaults\n    mode http\n    timeout connect 2s\n    timeout client 30s\n    timeout server 30s\n\
             frontend f\n{binds}    http-request return status 200\n",
            socket.display()
        );
        fs::write(self.path("haproxy.cfg"), text).or_fail();
    }

    /// Whether HAProxy takes its file.
    pub(super) fn check(&self, inherited: &[Inherited]) -> bool {
        let mut command = self.command();
        hand_over(command.arg("-c"), inherited).or_fail();
        command.status().or_fail().success()
    }

    /// Starts it after `kill9`.
    pub(super) fn again(&mut self, inherited: &[Inherited]) {
        self.spawn(inherited, &[]);
    }

    /// A new master that lets the old one finish, and returns how that one ended.
    pub(super) fn succeed(&mut self, inherited: &[Inherited]) -> ExitStatus {
        let old = self.pid().to_string();
        self.spawn(inherited, &["-sf", &old]);
        let mut old = self.former.pop().unwrap();
        wait_until_or_fail(CAP, "the end of the old master", || old.try_wait().unwrap())
    }

    /// The master and its workers, as a crash of the machine's memory would end them.
    pub(super) fn kill9(&mut self) {
        let mut master = self.master.take().unwrap();
        let workers = workers(master.id());
        assert!(!workers.is_empty());
        for &worker in &workers {
            kill(worker, Signal::KILL);
        }
        kill(master.id(), Signal::KILL);
        // The master may have seen its worker's end before its own.
        let status = master.wait().unwrap();
        assert!(status.signal().is_some() || status.code() == Some(137), "{status}");
        wait_until_or_fail(CAP, "the end of the workers", || workers.iter().all(|&pid| is_gone(pid)));
    }

    fn command(&self) -> Command {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).or_fail();
        let mut command = Command::new(self.bin.path());
        command.arg("-f").arg(self.path("haproxy.cfg"));
        command.stdin(Stdio::null()).stdout(log.try_clone().or_fail()).stderr(log);
        command
    }

    fn spawn(&mut self, inherited: &[Inherited], arguments: &[&str]) {
        let mut command = self.command();
        command.args(["-W", "-S", &format!("{},mode,600,level,admin", self.path("master.sock").display())]);
        hand_over(command.args(arguments), inherited).or_fail();
        let child = command.spawn().or_fail();
        self.former.extend(self.master.replace(child));
        let (socket, pid) = (self.stats_socket(), self.pid());
        let up = wait_until(CAP, "an answer of the new worker", || match cli_at(&socket, "show info") {
            Ok(info) => {
                let worker = info.lines().find_map(|line| line.strip_prefix("Pid: ")?.trim().parse().ok());
                Poll::when(worker, |worker| worker.is_some_and(|worker| workers(pid).contains(&worker)))
            }
            Err(error) => Poll::Pending(error.to_string()),
        });
        if let Err(late) = up {
            panic!("{late}\n{}", fs::read_to_string(self.path("log")).unwrap_or_default());
        }
        // A master executes itself anew once its worker is up, and forgets a signal that comes before it is done.
        let master = self.path("master.sock");
        wait_until_or_fail(CAP, "an answer of the master", || cli_at(&master, "show proc"));
    }
}

impl Drop for Proxy<'_> {
    fn drop(&mut self) {
        for mut child in self.master.take().into_iter().chain(self.former.drain(..)) {
            let workers = workers(child.id());
            for pid in workers.into_iter().chain([child.id()]) {
                kill(pid, Signal::KILL);
            }
            child.wait().ok();
        }
    }
}

/// No error where it is gone already.
fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

fn workers(pid: u32) -> Vec<u32> {
    fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect())
        .unwrap_or_default()
}

fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}
