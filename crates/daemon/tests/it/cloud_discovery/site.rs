//! A real HAProxy behind an API, and Roster before it with the original's file: one of the examples.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use roster_testkit::{
    DataplaneApi, DataplaneBuilder, DataplaneVersion, Haproxy, HaproxyBin, HaproxyVersion, OrFail, Poll,
    ServerRow, wait_until_or_fail,
};
use serde_json::Value;

use super::example;
pub(super) use crate::dataplane::site::PAIRS;
use crate::rig::{CAP, Daemon, Ended};

/// A frontend that leads to the backend that the path names, and a backend that is nobody's business.
const HAPROXY: &str = "\
global
  stats socket {socket} mode 600 level admin expose-fd listeners

userlist dataplane
  user admin insecure-password test-password

defaults unnamed_defaults_1
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s

frontend www
  bind 127.0.0.1:{port:web}
  use_backend %[path,field(2,/)]

backend foreign
  balance roundrobin
  server own 127.0.0.1:9 weight 7
";

/// `admin:test-password`.
const BASIC: &str = "YWRtaW46dGVzdC1wYXNzd29yZA==";

/// One HAProxy. Dropping it ends it; end Roster first.
pub(super) struct Site {
    pub(super) haproxy: Haproxy,
    pub(super) api: DataplaneApi,
    /// What Roster finds in its environment, besides `PATH`.
    pub(super) env: BTreeMap<&'static str, String>,
    config: String,
    folder: tempfile::TempDir,
}

impl Site {
    /// With the example of this name: the address and the version of the API stand in it, and it polls as often as can be.
    pub(super) fn start(name: &str, pair: (DataplaneVersion, HaproxyVersion)) -> Self {
        Self::start_with(name, pair, "")
    }

    /// The same with more sections in HAProxy's file.
    pub(super) fn start_with(name: &str, pair: (DataplaneVersion, HaproxyVersion), sections: &str) -> Self {
        Self::start_behind(name, pair, sections, |api| api)
    }

    /// The same with an API that is set up otherwise.
    pub(super) fn start_behind(
        name: &str,
        pair: (DataplaneVersion, HaproxyVersion),
        sections: &str,
        change: impl FnOnce(DataplaneBuilder) -> DataplaneBuilder,
    ) -> Self {
        let (version, haproxy) = pair;
        let bin = HaproxyBin::find(haproxy).or_fail();
        let text = format!("{HAPROXY}{sections}");
        let haproxy = Haproxy::builder(&bin).whole_config(&text).master_worker().start().or_fail();
        let api = change(DataplaneApi::builder(version).haproxy(&haproxy)).start().or_fail();
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().display().to_string();
        let env = BTreeMap::from([
            ("HOME", home),
            ("HAPROXY_DATAPLANE_PASSWORD", "test-password".to_owned()),
            // Nobody is to be asked outside of this machine.
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]);
        let config = fs::read_to_string(example(name)).unwrap();
        let mut site = Self { haproxy, api, env, config, folder };
        let url = site.api.url().to_owned();
        site.edit("http://localhost:5555", &url);
        site.edit("api_version: \"v2\"", &format!("api_version: \"{}\"", version.word()));
        site.edit("interval_seconds: 30", "interval_seconds: 5");
        site.edit("jitter_seconds: 5", "jitter_seconds: 0");
        site.edit("backoff_base_seconds: 5", "backoff_base_seconds: 1");
        site.edit("max_backoff_seconds: 300", "max_backoff_seconds: 2");
        site
    }

    /// Changes the file; what is to be replaced must be there.
    #[track_caller]
    pub(super) fn edit(&mut self, from: &str, to: &str) {
        assert!(self.config.contains(from), "no {from:?} in\n{}", self.config);
        self.config = self.config.replace(from, to);
        fs::write(self.path("config.yaml"), &self.config).unwrap();
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `haproxy-cloud-discovery` with these options and this file.
    pub(super) fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(&self.env).stdin(Stdio::null());
        command.env("XDG_STATE_HOME", self.path("home"));
        command.args(["as", "haproxy-cloud-discovery", "-c"]).arg(self.path("config.yaml")).args(options);
        command
    }

    /// `--once`.
    pub(super) fn once(&self) -> Ended {
        let output = self.command(&["--once"]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ended =
            Ended { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) };
        // Roster's own commands do not read this program's file.
        assert!(!ended.err.contains("`roster "), "{ended:?}");
        ended
    }

    /// The same, which must do all.
    #[track_caller]
    pub(super) fn once_well(&self) -> Ended {
        let ended = self.once();
        assert_eq!(ended.code, Some(0), "{ended:?}\n{}", self.text());
        ended
    }

    /// The daemon.
    pub(super) fn run(&self) -> Daemon {
        self.run_with(&[])
    }

    pub(super) fn run_with(&self, options: &[&str]) -> Daemon {
        Daemon::start(self.command(options), self.path("roster.log"))
    }

    /// HAProxy's file.
    pub(super) fn text(&self) -> String {
        fs::read_to_string(self.haproxy.config_path()).unwrap_or_default()
    }

    /// The lines of a backend in it; none where it is not there.
    pub(super) fn section(&self, backend: &str) -> Vec<String> {
        let text = self.text();
        let head = format!("backend {backend} ");
        let lines = text.lines().skip_while(|line| !format!("{line} ").starts_with(&head)).skip(1);
        let lines = lines.take_while(|line| line.starts_with(' '));
        lines.map(|line| line.trim().to_owned()).collect()
    }

    /// What the process has of a backend; nothing where it is not there.
    pub(super) fn rows(&self, backend: &str) -> Vec<ServerRow> {
        self.haproxy.servers(backend).unwrap_or_default()
    }

    /// All that HAProxy and its file say of a backend, but for what checks find: they go on by themselves.
    pub(super) fn state(&self, backend: &str) -> (String, Vec<ServerRow>) {
        let mut rows = self.rows(backend);
        for row in &mut rows {
            (row.op, row.check_result) = (0, 0);
        }
        (self.text(), rows)
    }

    /// The servers of a backend that are not in maintenance, with their addresses.
    pub(super) fn active(&self, backend: &str) -> BTreeMap<String, String> {
        let rows = self.rows(backend).into_iter().filter(|row| !row.in_maintenance() && !row.in_drain());
        rows.map(|row| (row.name.clone(), row.endpoint())).collect()
    }

    /// Waits until exactly these are active.
    #[track_caller]
    pub(super) fn until_active(&self, backend: &str, servers: &[(&str, String)]) {
        let wanted: BTreeMap<String, String> =
            servers.iter().map(|(name, endpoint)| ((*name).to_owned(), endpoint.clone())).collect();
        wait_until_or_fail(CAP, &format!("{wanted:?} to be active in {backend}"), || {
            Poll::when(self.active(backend), |active| *active == wanted)
        });
    }

    /// Waits until a line of a backend in the file begins with this.
    #[track_caller]
    pub(super) fn until_written(&self, backend: &str, line: &str) {
        wait_until_or_fail(CAP, &format!("{line:?} in the file's {backend}"), || {
            Poll::when(self.section(backend), |lines| lines.iter().any(|one| one.starts_with(line)))
        });
    }

    /// Calls to the API that were to change something; of the real program the number of the file.
    pub(super) fn changes(&self) -> u64 {
        if self.api.is_real() {
            let text = self.text();
            let number = text.lines().find_map(|line| line.strip_prefix("# _version="));
            return number.and_then(|number| number.parse().ok()).unwrap_or_default();
        }
        let requests = self.api.counters().requests;
        requests.iter().filter(|(kind, _)| !kind.starts_with("GET")).map(|(_, count)| count).sum()
    }

    /// How often HAProxy was reloaded.
    pub(super) fn reloads(&self) -> u64 {
        if self.api.is_real() {
            return self.haproxy.reloads().or_fail();
        }
        self.api.counters().reloads_asked
    }

    /// What the API answers to `curl -u admin:test-password` with this path; in version 2 without what is around it.
    pub(super) fn curl(&self, path: &str) -> Value {
        let addr: SocketAddr = self.api.url().trim_start_matches("http://").parse().unwrap();
        let mut stream = TcpStream::connect(addr).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {addr}\r\nAuthorization: Basic {BASIC}\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{path}: {answer}");
        let value: Value = serde_json::from_str(body).unwrap();
        value.get("data").cloned().unwrap_or(value)
    }

    /// The two looks of the original's documentation: the names of the backends, and the servers of one.
    pub(super) fn by_curl(&self, backend: &str) -> (Vec<String>, Vec<Value>) {
        let base = format!("/{}/services/haproxy/configuration", self.api.version().word());
        let backends = self.curl(&format!("{base}/backends"));
        let names = backends.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned());
        let servers = match self.api.version() {
            DataplaneVersion::V2 => self.curl(&format!("{base}/servers?backend={backend}")),
            DataplaneVersion::V3 | DataplaneVersion::V3_3 => {
                self.curl(&format!("{base}/backends/{backend}/servers"))
            }
        };
        (names.collect(), servers.as_array().unwrap().clone())
    }
}
