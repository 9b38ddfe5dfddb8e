//! A real HAProxy behind an API, and Roster before it.

use std::fs;
use std::net::SocketAddr;

use roster_targets::dataplane::client::{Client, OpenTransaction, Settings, Tls, VersionChoice};
use roster_testkit::{
    DataplaneApi, DataplaneBuilder, DataplaneVersion, Haproxy, HaproxyBin, HaproxyVersion, HttpBackend,
    OrFail, Poll, http_get, wait_until_or_fail,
};

use crate::rig::{CAP, Rig};

/// The pairs that were measured: 2.9 in front of 2.6, 3.2 in front of 3.0, and 3.3 in front of 3.2.
pub(crate) const PAIRS: [(DataplaneVersion, HaproxyVersion); 3] = [
    (DataplaneVersion::V2, HaproxyVersion::V2_6),
    (DataplaneVersion::V3, HaproxyVersion::V3_0),
    (DataplaneVersion::V3_3, HaproxyVersion::V3_2),
];

/// A frontend in front of `web` with three slots, and a backend that is nobody's business.
pub(super) const CONFIG: &str = "\
# The operator's own words.
global
  maxconn 500
  stats socket {socket} mode 600 level admin expose-fd listeners

userlist dataplane
  user admin insecure-password test-password

# Named as the API names it.
defaults unnamed_defaults_1
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s

frontend www
  bind 127.0.0.1:{port:web}
  # A comment inside.
  acl is_private path_beg /private
  http-request deny if is_private
  default_backend web

# Above the backend.
backend web
  balance roundrobin
  server srv1 127.0.0.1:1 weight 10 disabled # a word on srv1
  server srv2 127.0.0.1:1 weight 10 disabled
  server srv3 127.0.0.1:1 weight 10 disabled

backend foreign
  server own 127.0.0.1:9 weight 7
";

pub(super) struct Site {
    pub(super) rig: Rig,
    pub(super) api: DataplaneApi,
    pub(super) servers: Vec<HttpBackend>,
    /// More keys of the target.
    pub(super) keys: String,
    /// What follows the sources and targets.
    pub(super) expose: String,
    /// The worker at the start.
    first: u32,
}

/// Waits for what a client does.
pub(super) fn wait_for<T>(what: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().or_fail();
    runtime.block_on(what)
}

/// Each pair by the API alone.
pub(super) fn alone(test: impl Fn(Site)) {
    each(&[false], Site::start, test);
}

/// The same, never with the real program: for faults that only the stand-in lets in.
pub(super) fn alone_stand_in(test: impl Fn(Site)) {
    each(&[false], Site::stand_in, test);
}

/// Each pair, by the API alone and with the socket too.
pub(super) fn on_each(test: impl Fn(Site)) {
    each(&[false, true], Site::start, test);
}

/// The same, never with the real program: for faults that only the stand-in lets in.
pub(super) fn on_each_stand_in(test: impl Fn(Site)) {
    each(&[false, true], Site::stand_in, test);
}

fn each(sockets: &[bool], start: fn(DataplaneVersion, HaproxyVersion, bool) -> Site, test: impl Fn(Site)) {
    for (api, haproxy) in PAIRS {
        for socket in sockets.iter().copied() {
            eprintln!("on {haproxy:?} behind {}, with its socket: {socket}", api.word());
            test(start(api, haproxy, socket));
        }
    }
}

impl Site {
    pub(super) fn start(version: DataplaneVersion, haproxy: HaproxyVersion, socket: bool) -> Self {
        Self::with(version, haproxy, socket, CONFIG, |_, api| api)
    }

    /// Never with the real program: for what only the stand-in lets go wrong.
    pub(super) fn stand_in(version: DataplaneVersion, haproxy: HaproxyVersion, socket: bool) -> Self {
        Self::with(version, haproxy, socket, CONFIG, |_, api| api.stand_in_only())
    }

    /// With another file before it, or set up otherwise.
    pub(super) fn with(
        version: DataplaneVersion,
        haproxy: HaproxyVersion,
        socket: bool,
        config: &str,
        change: impl FnOnce(&Haproxy, DataplaneBuilder) -> DataplaneBuilder,
    ) -> Self {
        let bin = HaproxyBin::find(haproxy).or_fail();
        let haproxy = Haproxy::builder(&bin).whole_config(config).master_worker().start().or_fail();
        let api = DataplaneApi::builder(version).haproxy(&haproxy);
        let api = change(&haproxy, api).start().or_fail();
        let keys = if socket { format!(", socket: {}", haproxy.socket().display()) } else { String::new() };
        let servers = ["a", "b", "c", "d"].map(|name| HttpBackend::start(name).or_fail()).into();
        let expose =
            "expose: [ { each: fleet, bring_up: registry, drain: { cap: 0s }, guard: off } ]\n".to_owned();
        let mut site = Self { rig: Rig::around(haproxy, ""), api, servers, keys, expose, first: 0 };
        site.first = site.pid();
        site.configure();
        site
    }

    pub(super) fn configure(&self) {
        self.configure_at(self.api.url());
    }

    /// The same for an API that is reached elsewhere.
    pub(super) fn configure_at(&self, url: &str) {
        let text = format!(
            "sources: {{ fleet: {{ file: {{ path: services.yaml }} }} }}\n\
             targets: {{ edge: {{ dataplane: {{ url: \"{}\", username: admin, password: test-password, poll: 200ms{} }} }} }}\n\
             admin: off\n{}",
            url, self.keys, self.expose
        );
        fs::write(self.rig.config(), text).or_fail();
    }

    /// From now on a service gets a backend of its own if there is none.
    pub(super) fn with_backends(&mut self) {
        self.expose = self.expose.replace("guard: off", "guard: off, backend: { balance: roundrobin }");
        self.configure();
    }

    pub(super) fn ports(&self) -> Vec<u16> {
        self.servers.iter().map(HttpBackend::port).collect()
    }

    /// Services by their names and ports.
    pub(super) fn services(&self, services: &[(&str, &[u16])]) {
        let service = |(name, ports): &(&str, &[u16])| {
            let ports: Vec<String> = ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
            format!("  {name}: [{}],\n", ports.join(", "))
        };
        let text: Vec<String> = services.iter().map(service).collect();
        self.rig.services(&format!("services: {{\n{}}}\n", text.concat()));
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.rig.haproxy.addr("web").or_fail()
    }

    /// HAProxy's file.
    pub(super) fn text(&self) -> String {
        fs::read_to_string(self.rig.haproxy.config_path()).unwrap_or_default()
    }

    pub(super) fn pid(&self) -> u32 {
        let info = self.rig.haproxy.cli("show info").unwrap_or_default();
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid: ")?.trim().parse().ok());
        pid.unwrap_or_default()
    }

    /// Waits until exactly these ports are ready.
    #[track_caller]
    pub(super) fn until_ready(&self, backend: &str, ports: &[u16]) {
        let mut wanted = ports.to_vec();
        wanted.sort_unstable();
        wait_until_or_fail(CAP, &format!("{wanted:?} to be ready in {backend}"), || {
            let ready = || {
                let mut ready: Vec<u16> = self.rig.ready(backend).into_iter().map(|(_, port)| port).collect();
                ready.sort_unstable();
                ready
            };
            Poll::when(ready(), |ready| *ready == wanted)
        });
    }

    /// Waits until a line of the file says this.
    #[track_caller]
    pub(super) fn until_written(&self, line: &str) {
        wait_until_or_fail(CAP, &format!("{line:?} in the file"), || {
            Poll::when(self.text(), |text| text.lines().any(|one| one.trim() == line))
        });
    }

    /// Waits until the file says of each server that is ready where it is.
    #[track_caller]
    pub(super) fn until_file_follows(&self, backend: &str) {
        wait_until_or_fail(CAP, "the file to say what runs", || {
            let (ready, text) = (self.rig.ready(backend), self.text());
            let is_said = |(name, port): &(String, u16)| {
                let line = format!("server {name} 127.0.0.1:{port} ");
                text.lines()
                    .any(|one| format!("{} ", one.trim()).starts_with(&line) && !one.contains("disabled"))
            };
            (!ready.is_empty() && ready.iter().all(is_said)).then_some(())
        });
    }

    /// How often HAProxy was reloaded. The real program counts nothing: there HAProxy's master does.
    pub(super) fn reloads(&self) -> u64 {
        if self.api.is_real() {
            self.rig.haproxy.reloads().or_fail()
        } else {
            self.api.counters().reloads_asked
        }
    }

    /// What counts the writes of the file, whoever makes them.
    pub(super) fn version(&self) -> u64 {
        let text = self.text();
        let version = text.lines().find_map(|line| line.strip_prefix("# _version=")?.trim().parse().ok());
        version.unwrap_or_default()
    }

    pub(super) fn get(&self) -> Option<String> {
        http_get(self.address(), "/").ok().and_then(|reply| reply.backend)
    }

    /// A client of the API, as somebody else has one.
    pub(super) fn client(&self) -> Client {
        let settings = Settings {
            url: self.api.url().parse().or_fail(),
            version: VersionChoice::Auto,
            username: "admin".to_owned(),
            password: "test-password".into(),
            tls: Tls::default(),
            timeout: CAP,
        };
        Client::new(settings).or_fail()
    }

    /// The transactions that the API holds, as it says it.
    pub(super) fn transactions(&self) -> Vec<OpenTransaction> {
        wait_for(self.client().transactions(None)).or_fail()
    }

    /// What is not of Roster's in the file, as far as the API leaves it alone.
    pub(super) fn others(&self) -> Vec<String> {
        let text = self.text();
        let own = |line: &&str| {
            let line = line.trim();
            line.starts_with("# _") || line.is_empty() || line.starts_with("server srv")
        };
        let mut lines: Vec<String> =
            text.lines().filter(|line| !own(line)).map(|line| line.trim().to_owned()).collect();
        lines.sort();
        lines
    }
}
