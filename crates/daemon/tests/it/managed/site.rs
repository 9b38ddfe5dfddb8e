//! A folder with everything of one HAProxy that Roster owns, and what an operator would look at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use roster_testkit::{
    HOLD_PATH, HaproxyBin, HttpBackend, OrFail, Poll, ServerRow, cli_at, free_port, http_get,
    parse_servers_state, wait_until_or_fail,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::rig::{CAP, Ended, all_versions, at_home, roster};

/// Servers that are right at once, leave at once, and come and go as often as a test likes.
pub(crate) const AT_ONCE: &str =
    "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s }, guard: off } ]\n";

/// The folder. Dropping it ends every HAProxy that was started with it in the command line; end roster first.
pub(crate) struct Site {
    /// HAProxy, or what the test puts in its place.
    pub(crate) haproxy: PathBuf,
    /// The operator's frontend, which leads to the backend `web`.
    pub(crate) port: u16,
    /// More keys of the target, one a line.
    pub(crate) keys: String,
    /// The operator's own sections.
    pub(crate) sections: String,
    /// Where haproxy.cfg is.
    pub(crate) file: PathBuf,
    /// What follows the sources and targets.
    pub(crate) rest: String,
    folder: tempfile::TempDir,
}

/// A running `roster run`. Dropping it is a SIGKILL.
pub(crate) struct Roster {
    child: Child,
    log: PathBuf,
}

/// Runs the same test on each HAProxy, and says which one failed.
pub(crate) fn on_each(test: impl Fn(&HaproxyBin)) {
    for bin in all_versions() {
        eprintln!("on {bin}");
        test(&bin);
    }
}

/// The same on all of them at once, for what mostly waits. A failing thread has the version's name.
pub(crate) fn on_each_at_once(test: impl Fn(&HaproxyBin) + Sync) {
    at_once(all_versions(), test);
}

/// The same on these.
pub(crate) fn at_once(bins: impl IntoIterator<Item = HaproxyBin>, test: impl Fn(&HaproxyBin) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        for bin in bins {
            thread::Builder::new().name(bin.to_string()).spawn_scoped(scope, move || test(&bin)).or_fail();
        }
    });
}

/// Running HTTP servers with these names.
pub(crate) fn backends(names: &[&str]) -> Vec<HttpBackend> {
    // A process that another test starts at this moment has the new port too until it executes.
    let start = |name: &&str| wait_until_or_fail(CAP, "a server", || HttpBackend::start(name));
    names.iter().map(start).collect()
}

/// Their ports.
pub(crate) fn ports(backends: &[HttpBackend]) -> Vec<u16> {
    backends.iter().map(HttpBackend::port).collect()
}

/// Sends a signal to one process.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).or_fail()).unwrap();
    kill_process(pid, signal).or_fail();
}

/// Whether there is such a process, and it has not ended.
pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn indented(text: &str, by: usize) -> String {
    text.lines().flat_map(|line| [" ".repeat(by), line.to_owned(), "\n".to_owned()]).collect()
}

impl Site {
    /// With every service exposed, a frontend of the operator's, and as many reloads as there are changes.
    pub(crate) fn new(bin: &HaproxyBin) -> Self {
        let port = free_port().or_fail();
        // Short, because a socket's path has room for about a hundred bytes.
        let folder = tempfile::Builder::new().prefix("own-").tempdir().or_fail();
        let site = Self {
            haproxy: bin.path().to_owned(),
            port,
            keys: "max_reloads: off\n".to_owned(),
            sections: format!("frontend www\n    bind 127.0.0.1:{port}\n    default_backend web\n"),
            file: folder.path().join("haproxy.cfg"),
            rest: format!("{AT_ONCE}admin: off\n"),
            folder,
        };
        site.services(&[]);
        site
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Writes the configuration as the fields say.
    pub(crate) fn configure(&self) {
        let mut text = format!(
            "sources: {{ fleet: {{ file: {{ path: services.yaml }} }} }}\ntargets:\n  own:\n    managed:\n      \
             config: {}\n      haproxy: {}\n      run_dir: run\n      defaults: |\n",
            self.file.display(),
            self.haproxy.display()
        );
        text += &indented("mode http\ntimeout connect 2s\ntimeout client 30s\ntimeout server 30s", 8);
        if !self.sections.is_empty() {
            text += "      sections: |\n";
            text += &indented(&self.sections, 8);
        }
        text += &indented(&self.keys, 6);
        fs::write(self.path("roster.yaml"), text + &self.rest).or_fail();
    }

    /// Replaces the file of services as a careful program does: written beside, renamed.
    pub(crate) fn services(&self, services: &[(&str, &[u16])]) {
        let service = |(name, ports): &(&str, &[u16])| {
            let ports: Vec<String> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
            format!("  {name}: [{}],\n", ports.join(", "))
        };
        let text: Vec<String> = services.iter().map(service).collect();
        let beside = self.path(".services.new");
        fs::write(&beside, format!("services: {{\n{}}}\n", text.concat())).or_fail();
        fs::rename(beside, self.path("services.yaml")).or_fail();
    }

    /// Runs a command of roster's with this configuration and state folder.
    pub(crate) fn command(&self, words: &[&str]) -> Ended {
        let (config, state) = (self.path("roster.yaml"), self.path("state"));
        let mut all = words.to_vec();
        all.extend(["-c", config.to_str().unwrap(), "--state-dir", state.to_str().unwrap()]);
        roster(&all)
    }

    /// Writes the configuration and starts roster.
    pub(crate) fn run(&self) -> Roster {
        self.configure();
        self.run_again()
    }

    /// Starts roster with the configuration as it stands in the file.
    pub(crate) fn run_again(&self) -> Roster {
        self.run_by(Command::new(env!("CARGO_BIN_EXE_roster")))
    }

    /// The same by a command that runs what its arguments say.
    pub(crate) fn run_under(&self, words: &[&str]) -> Roster {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(env!("CARGO_BIN_EXE_roster"));
        self.run_by(command)
    }

    fn run_by(&self, mut command: Command) -> Roster {
        let log = self.path("roster.log");
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).or_fail();
        command.args(["run", "-c"]).arg(self.path("roster.yaml")).arg("--state-dir").arg(self.path("state"));
        at_home(&mut command, &self.path("."));
        command.env_remove("NOTIFY_SOCKET");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        Roster { child: command.spawn().or_fail(), log }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        at(self.port)
    }

    /// What a client gets on the operator's frontend, if anything.
    pub(crate) fn get(&self) -> Option<String> {
        http_get(self.address(), "/").ok().and_then(|reply| reply.backend)
    }

    /// A client in the middle of an answer, which the server ends when the test says so.
    pub(crate) fn client_in_an_answer(&self) -> TcpStream {
        let mut client = TcpStream::connect(self.address()).or_fail();
        client.set_read_timeout(Some(CAP)).or_fail();
        let asks = format!("GET {HOLD_PATH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client.write_all(asks.as_bytes()).or_fail();
        client.read_exact(&mut [0; 16]).or_fail();
        client
    }

    /// Waits until a client gets an answer of one of the servers.
    #[track_caller]
    pub(crate) fn until_served(&self) {
        wait_until_or_fail(CAP, "an answer through HAProxy", || self.get());
    }

    /// What the stats socket answers; nothing if nobody is there.
    pub(crate) fn cli(&self, line: &str) -> Option<String> {
        cli_at(&self.path("run/admin.sock"), line).ok()
    }

    /// The process behind the stats socket.
    pub(crate) fn worker(&self) -> Option<u32> {
        let info = self.cli("show info")?;
        info.lines().find_map(|line| line.strip_prefix("Pid: ")?.trim().parse().ok())
    }

    /// The process behind the master's socket.
    pub(crate) fn master(&self) -> Option<u32> {
        let said = cli_at(&self.path("run/master.sock"), "show proc").ok()?;
        said.lines().find(|line| line.contains(" master "))?.split_whitespace().next()?.parse().ok()
    }

    /// The servers of a backend; none where there is no such backend.
    pub(crate) fn rows(&self, backend: &str) -> Vec<ServerRow> {
        let said = self.cli(&format!("show servers state {backend}")).unwrap_or_default();
        parse_servers_state(&said)
    }

    /// The names and ports of the servers of a backend that are ready, in the order of their ports.
    pub(crate) fn ready(&self, backend: &str) -> BTreeMap<u16, String> {
        let rows = self.rows(backend).into_iter();
        let ready = rows.filter(|row| !row.in_maintenance() && !row.in_drain());
        ready.map(|row| (row.port, row.name)).collect()
    }

    /// Waits until exactly these ports are ready.
    #[track_caller]
    pub(crate) fn until_ready(&self, backend: &str, ports: &[u16]) {
        let wanted: BTreeSet<u16> = ports.iter().copied().collect();
        wait_until_or_fail(CAP, &format!("{wanted:?} to be ready in {backend}"), || {
            Poll::when(self.ready(backend), |ready| ready.keys().copied().collect::<BTreeSet<_>>() == wanted)
        });
    }

    /// haproxy.cfg as it stands.
    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap_or_default()
    }

    /// The ports of a backend's servers as they stand in haproxy.cfg, without those that are parked.
    pub(crate) fn written(&self, backend: &str) -> BTreeMap<u16, String> {
        let text = self.text();
        let lines = text.lines().skip_while(|line| *line != format!("backend {backend}")).skip(1);
        let lines = lines.take_while(|line| line.starts_with(' '));
        let servers = lines.filter_map(|line| line.trim().strip_prefix("server "));
        let live = servers.filter(|server| !server.split_whitespace().any(|word| word == "disabled"));
        let server = |text: &str| {
            let mut words = text.split_whitespace();
            let name = words.next()?.to_owned();
            Some((words.next()?.rsplit_once(':')?.1.parse().ok()?, name))
        };
        live.filter_map(server).collect()
    }

    /// Waits until haproxy.cfg says what runs.
    #[track_caller]
    pub(crate) fn until_written(&self, backend: &str) {
        wait_until_or_fail(CAP, "the file to say what runs", || {
            let (runs, written) = (self.ready(backend), self.written(backend));
            Poll::when((runs, written), |(runs, written)| runs == written)
        });
    }

    /// How many times HAProxy was reloaded or replaced, as the log says.
    pub(crate) fn reloads(&self) -> usize {
        let log = fs::read_to_string(self.path("roster.log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("HAProxy was re") && line.contains("old processes")).count()
    }

    /// Waits until HAProxy's processes are so many. A master that executes itself anew is for a moment none.
    #[track_caller]
    pub(crate) fn until_processes(&self, count: usize) {
        wait_until_or_fail(CAP, &format!("{count} processes of HAProxy"), || {
            Poll::when(self.processes(), |all| all.len() == count)
        });
    }

    /// The processes of HAProxy that were started with this folder.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let own = self.folder().display().to_string();
        let is_ours = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&own) && exe != Path::new(env!("CARGO_BIN_EXE_roster"))
        };
        let pids = fs::read_dir("/proc").or_fail().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|&pid| pid != std::process::id()).filter(is_ours).filter(|&pid| is_alive(pid)).collect()
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

impl Roster {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What this one and those before it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How many lines of the log say this.
    pub(crate) fn said(&self, text: &str) -> usize {
        self.log().lines().filter(|line| line.contains(text)).count()
    }

    /// Waits until so many lines of the log say this.
    #[track_caller]
    pub(crate) fn until_said(&self, text: &str, times: usize) {
        wait_until_or_fail(CAP, &format!("{text:?} {times} times in the log"), || self.said(text) >= times);
    }

    #[track_caller]
    pub(crate) fn until_log(&self, text: &str) {
        self.until_said(text, 1);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Tells it to stop and waits for its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits for its exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        wait_until_or_fail(CAP, "roster to end", || self.child.try_wait().unwrap()).code()
    }

    /// The time that it and what it started and saw the end of spent on a processor.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).or_fail();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split_whitespace().collect();
        // utime to cstime, proc_pid_stat(5) fields 14 to 17, in ticks of 10 ms.
        let ticks: u64 = fields[11..15].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Roster {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- the log of roster:\n{}", self.log());
        }
    }
}

/// Whether the answer that a client was in the middle of ends as it should.
pub(crate) fn is_answered(mut client: TcpStream) -> bool {
    let mut rest = String::new();
    client.read_to_string(&mut rest).is_ok() && rest.ends_with("0\r\n\r\n")
}

/// A port on loopback.
pub(crate) fn at(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
