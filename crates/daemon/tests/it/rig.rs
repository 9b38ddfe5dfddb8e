//! A real HAProxy, a file of services, and the real `roster` between them.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use roster_testkit::{Haproxy, HaproxyBin, HaproxyVersion, OrFail, Poll, wait_until_or_fail};
use rustix::process::{Pid, Signal, kill_process};

/// Generous, because the tests share a small machine with compilers.
pub(crate) const CAP: Duration = Duration::from_secs(30);

/// A backend with three slots, and a frontend before it.
pub(crate) const THREE_SLOTS: &str = "\
frontend www
    bind 127.0.0.1:{port:web}
    default_backend web
backend web
    server-template srv 1-3 127.0.0.1:1 check inter 200ms disabled
";

/// One HAProxy, one folder with Roster's files.
pub(crate) struct Rig {
    pub(crate) haproxy: Haproxy,
    folder: tempfile::TempDir,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A running `roster run`. Dropping it ends it.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

/// HAProxy 2.6, where one version is enough.
pub(crate) fn one_version() -> HaproxyBin {
    HaproxyBin::find(HaproxyVersion::V2_6).or_fail()
}

/// Every version that the suite runs on.
pub(crate) fn all_versions() -> impl Iterator<Item = HaproxyBin> {
    HaproxyBin::each()
}

/// Runs `roster` with these words.
pub(crate) fn roster(words: &[&str]) -> Ended {
    ended(&mut command(words))
}

/// Runs a command to its end.
pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
    command.args(words).stdin(Stdio::null());
    let config = words.iter().skip_while(|word| **word != "-c").nth(1).map(Path::new);
    at_home(&mut command, config.and_then(Path::parent).unwrap_or(Path::new(env!("CARGO_TARGET_TMPDIR"))));
    command
}

/// Lets nothing have a state folder that is not named.
pub(crate) fn homeless(words: &[&str]) -> Command {
    let mut command = command(words);
    command.env("XDG_STATE_HOME", "/dev/null");
    command
}

/// Lets what has no state folder have one in this folder.
pub(crate) fn at_home(command: &mut Command, folder: &Path) {
    command.env_remove("STATE_DIRECTORY").env("XDG_STATE_HOME", folder.join("home"));
}

impl Rig {
    /// Starts a HAProxy with these sections, and writes a configuration that exposes every service of a file.
    pub(crate) fn new(bin: &HaproxyBin, sections: &str, expose: &str) -> Self {
        Self::around(Haproxy::builder(bin).config(sections).start().or_fail(), expose)
    }

    /// The same around a HAProxy that runs already.
    pub(crate) fn around(haproxy: Haproxy, expose: &str) -> Self {
        let rig = Self { haproxy, folder: tempfile::tempdir().unwrap() };
        rig.configure(expose);
        rig.services("services: {}\n");
        rig
    }

    /// Writes the configuration anew; `expose` is what follows the sources and targets.
    pub(crate) fn configure(&self, expose: &str) {
        let socket = self.haproxy.socket();
        let text = format!(
            "sources: {{ fleet: {{ file: {{ path: services.yaml }} }} }}\n\
             targets: {{ local: {{ runtime: {{ socket: {}, timeout: 2s }} }} }}\n\
             admin: off\n{expose}",
            socket.display()
        );
        fs::write(self.config(), text).unwrap();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder().join("roster.yaml")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder().join("state")
    }

    /// Replaces the file of services as a careful program does: written beside, renamed.
    pub(crate) fn services(&self, text: &str) {
        let beside = self.folder().join(".services.new");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.folder().join("services.yaml")).unwrap();
    }

    /// The service `web` with these ports on loopback.
    pub(crate) fn web(&self, ports: &[u16]) {
        let list: Vec<String> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        self.services(&format!("services: {{ web: [{}] }}\n", list.join(", ")));
    }

    /// Runs a command with this rig's configuration and state folder.
    pub(crate) fn roster(&self, words: &[&str]) -> Ended {
        let (config, state) = (self.config(), self.state());
        let mut all = words.to_vec();
        all.extend(["-c", config.to_str().unwrap(), "--state-dir", state.to_str().unwrap()]);
        roster(&all)
    }

    /// Runs a command that is given the configuration and nothing else.
    pub(crate) fn bare(&self, words: &[&str]) -> Ended {
        let config = self.config();
        roster(&[words, &["-c", config.to_str().unwrap()]].concat())
    }

    /// Starts the daemon.
    pub(crate) fn run(&self) -> Daemon {
        self.run_with(&["--state-dir", self.state().to_str().unwrap()])
    }

    /// Starts the daemon with these options.
    pub(crate) fn run_with(&self, options: &[&str]) -> Daemon {
        self.start("run", options)
    }

    /// Starts a command with these options.
    pub(crate) fn start(&self, word: &str, options: &[&str]) -> Daemon {
        let config = self.config();
        let command = command(&[&[word, "-c", config.to_str().unwrap()], options].concat());
        Daemon::start(command, self.folder().join("roster.log"))
    }

    /// The ports of the servers of a backend that are ready, in the order of their names.
    pub(crate) fn ready(&self, backend: &str) -> Vec<(String, u16)> {
        let rows = self.haproxy.servers(backend).unwrap_or_default();
        let ready = rows.iter().filter(|row| !row.in_maintenance() && !row.in_drain());
        ready.map(|row| (row.name.clone(), row.port)).collect()
    }

    /// Waits until exactly these are ready.
    #[track_caller]
    pub(crate) fn until_ready(&self, backend: &str, servers: &[(&str, u16)]) {
        let wanted: Vec<(String, u16)> =
            servers.iter().map(|(name, port)| ((*name).to_owned(), *port)).collect();
        let what = format!("{wanted:?} to be ready in {backend}");
        wait_until_or_fail(CAP, &what, || Poll::when(self.ready(backend), |ready| *ready == wanted));
    }
}

/// Gives the service `web` an instance that listens and, behind it, one that does not; answers the port of the latter.
pub(crate) fn up_and_down(rig: &Rig) -> (TcpListener, u16) {
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let (one, other) = (listen(), listen());
    // Slots go by the address.
    let (up, down) = if port(&one) < port(&other) { (one, other) } else { (other, one) };
    let down = port(&down);
    rig.web(&[port(&up), down]);
    (up, down)
}

impl Daemon {
    /// Starts this, with its log at the end of that file.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        Self { child: command.stdout(Stdio::null()).stderr(file).spawn().unwrap(), log }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the log says this.
    #[track_caller]
    pub(crate) fn until_log(&self, says: &str) {
        let what = format!("{says:?} in the log");
        wait_until_or_fail(CAP, &what, || Poll::when(self.log(), |log| log.contains(says)));
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).or_fail();
    }

    /// Has the configuration read again, and waits until that is done.
    pub(crate) fn hang_up(&self) {
        let count = || self.log().matches("the configuration was read again").count();
        let before = count();
        self.signal(Signal::HUP);
        wait_until_or_fail(CAP, "the configuration to be read again", || {
            Poll::when(count(), |now| *now > before)
        });
    }

    /// Tells it to stop and waits for its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits for its exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let code = wait_until_or_fail(CAP, "roster to end", || self.child.try_wait().unwrap());
        code.code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- the log of roster:\n{}", self.log());
        }
    }
}
