//! A folder with a HAProxy's file, sockets and output, and what an operator would look at.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use roster_targets::managed::process::{Backoff, Event, Limits, Program, Supervisor};
use roster_testkit::{HaproxyBin, OrFail, cli_at, free_port, http_get};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use super::CAP;

/// Ends every process that was started with its folder in the command line when it is dropped.
pub(super) struct Site {
    pub(super) bin: HaproxyBin,
    pub(super) port: u16,
    dir: TempDir,
}

/// Runs the same test on each HAProxy, and says which one failed.
pub(super) async fn on_each(test: impl AsyncFn(&Site)) {
    for bin in HaproxyBin::each() {
        eprintln!("on {bin}");
        let site = Site::new(&bin);
        let done = timeout(CAP * 3, test(&site)).await;
        assert!(done.is_ok(), "the test hangs; HAProxy wrote: {}", site.output());
    }
}

/// Looks again and again until there is something, and fails the test after a while.
pub(super) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + CAP;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {CAP:?} for {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// The next event, which has to come.
pub(super) async fn next(supervisor: &mut Supervisor) -> Event {
    timeout(CAP, supervisor.next()).await.or_fail()
}

/// Events until HAProxy serves; its worker.
pub(super) async fn serving(supervisor: &mut Supervisor) -> u32 {
    loop {
        if let Event::Serving { worker, .. } = next(supervisor).await {
            return worker;
        }
    }
}

pub(super) fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).or_fail()).unwrap();
    kill_process(pid, signal).or_fail();
}

/// Whether there is such a process, and it has not ended.
pub(super) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

impl Site {
    pub(super) fn new(bin: &HaproxyBin) -> Self {
        // Short, because a socket's path has room for about a hundred bytes.
        let dir = TempDir::with_prefix("hap-").or_fail();
        let site = Self { bin: bin.clone(), port: free_port().or_fail(), dir };
        site.serve("one", "");
        site
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file with which HAProxy answers this text, and more lines behind it.
    pub(super) fn serve(&self, text: &str, more: &str) {
        let (port, stats) = (self.port, self.stats().display().to_string());
        let config = format!(
            "global\n    stats socket {stats} mode 600 level admin expose-fd listeners\n    hard-stop-after 2s\n\
             defaults\n    mode http\n    timeout connect 2s\n    timeout client 30s\n    timeout server 30s\n\
             frontend web\n    bind 127.0.0.1:{port}\n    \
             http-request return status 200 content-type text/plain string {text}\n{more}\n"
        );
        self.write(&config);
    }

    pub(super) fn write(&self, config: &str) {
        fs::write(self.path("haproxy.cfg"), config).or_fail();
    }

    pub(super) fn stats(&self) -> PathBuf {
        self.path("stats.sock")
    }

    /// Pauses short enough for a test.
    pub(super) fn program(&self) -> Program {
        let path = |name| self.path(name);
        let mut program =
            Program::new(self.bin.path(), path("haproxy.cfg"), path("master.sock"), path("output"));
        program.stats_sockets = vec![self.stats()];
        let backoff = Backoff { first: Duration::from_millis(50), ..Backoff::default() };
        program.limits = Limits { backoff, ..Limits::default() };
        program
    }

    pub(super) async fn start(&self) -> Supervisor {
        Supervisor::start(self.program()).await.or_fail()
    }

    /// What a client gets, if anything.
    pub(super) fn get(&self) -> Option<String> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        http_get(address, "/").ok().map(|reply| reply.body.trim().to_owned())
    }

    /// A client that has begun its second request: an old worker closes connections that are between two of them.
    pub(super) fn client_in_a_request(&self) -> TcpStream {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).or_fail();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n").or_fail();
        client.read_exact(&mut [0; 16]).or_fail();
        client
    }

    /// Waits until a client gets this.
    pub(super) async fn until_it_answers(&self, text: &str) {
        until(&format!("the answer {text:?}"), || self.get().filter(|body| body == text)).await;
    }

    /// The process behind the stats socket.
    pub(super) fn worker(&self) -> Option<u32> {
        let info = cli_at(&self.stats(), "show info").ok()?;
        info.lines().find_map(|line| line.strip_prefix("Pid: ")?.trim().parse().ok())
    }

    pub(super) fn output(&self) -> String {
        fs::read_to_string(self.path("output")).unwrap_or_default()
    }

    /// The processes of this folder.
    pub(super) fn processes(&self) -> Vec<u32> {
        let own = self.dir.path().display().to_string();
        let names = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&own)
        };
        let pids = fs::read_dir("/proc").or_fail().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|&pid| pid != std::process::id()).filter(names).filter(|&pid| is_alive(pid)).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for pid in self.processes() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                kill_process(pid, Signal::KILL).ok();
            }
        }
    }
}
