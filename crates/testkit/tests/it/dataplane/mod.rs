//! The stand-in for the Data Plane API, in front of a real HAProxy. With `DATAPLANEAPI_BIN` the same tests run against
//! the real program, where they do not inject faults.

mod client;
mod faults;
mod file;
mod objects;
mod replay;
mod stage;
mod truths;

use std::time::Duration;

use roster_testkit::{
    DataplaneApi, DataplaneBuilder, DataplaneVersion, Haproxy, HaproxyBin, HaproxyVersion, HttpBackend,
    OrFail, ReloadWay, RuntimeSocket,
};
use serde_json::Value;

use client::{Answer, Request};

/// A HAProxy, three servers behind it, and an API in front.
struct Rig {
    api: DataplaneApi,
    haproxy: Haproxy,
    servers: Vec<HttpBackend>,
}

/// The file of the recorded exchanges, with places for what differs from run to run.
const CONFIG: &str = "\
# Managed by hand: top comment
global
  master-worker
  stats socket {socket} mode 600 level admin expose-fd listeners
  pidfile {dir}/haproxy.pid   # trailing comment
  # comment inside global

userlist dataplane
  user admin insecure-password test-password

defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s

# comment before frontend
frontend fe
  bind 127.0.0.1:{port:fe}
  # comment in fe
  acl is_api path_beg /api
  acl is_img path_beg /img
  use_backend app if is_api
  default_backend app

# comment before backend app
backend app
    balance roundrobin
    # comment in app
    server s1 ADDR1 weight 10 check inter 500
    server s2 ADDR2 weight 20 check inter 500 # note on s2
    server s3 ADDR3 weight 30

backend two
  server t1 ADDR1
";

impl Rig {
    /// The pair of the recorded exchanges: 2.9 in front of 2.6, 3.2 in front of 3.0.
    fn pair(version: DataplaneVersion) -> (Haproxy, Vec<HttpBackend>) {
        let haproxy = match version {
            DataplaneVersion::V2 => HaproxyVersion::V2_6,
            DataplaneVersion::V3 => HaproxyVersion::V3_0,
            DataplaneVersion::V3_3 => HaproxyVersion::V3_2,
        };
        Self::haproxy(&HaproxyBin::find(haproxy).or_fail())
    }

    fn haproxy(bin: &HaproxyBin) -> (Haproxy, Vec<HttpBackend>) {
        let servers: Vec<HttpBackend> =
            ["one", "two", "three", "four"].map(HttpBackend::start).map(OrFail::or_fail).into();
        let mut text = CONFIG.to_owned();
        for (at, server) in servers.iter().enumerate() {
            text = text.replace(&format!("ADDR{}", at + 1), &server.addr().to_string());
        }
        let haproxy = Haproxy::builder(bin).whole_config(text.trim_end()).master_worker().start().or_fail();
        (haproxy, servers)
    }

    /// With runtime commands on the stats socket.
    fn start(version: DataplaneVersion) -> Self {
        Self::start_with(version, |builder, _| builder)
    }

    /// As the recorded pairs were set up: runtime commands go to the master's CLI.
    fn start_behind_master(version: DataplaneVersion) -> Self {
        Self::start_with(version, |builder, haproxy| {
            builder.runtime(RuntimeSocket::Master(haproxy.master_socket()))
        })
    }

    fn start_with(
        version: DataplaneVersion,
        change: impl FnOnce(DataplaneBuilder, &Haproxy) -> DataplaneBuilder,
    ) -> Self {
        let (haproxy, servers) = Self::pair(version);
        let builder = DataplaneApi::builder(version)
            .haproxy(&haproxy)
            .reload(ReloadWay::Signal(haproxy.master_socket()))
            .reload_delay(Duration::from_secs(1));
        let api = change(builder, &haproxy).start().or_fail();
        Self { api, haproxy, servers }
    }

    /// Lets the API write the file, and then begin anew on it: the file that a failed reload goes back to is its own.
    fn take_over_the_file(&mut self) {
        let request =
            self.request("POST", "~/configuration/raw").query("version", "1").query("skip_reload", "true");
        request.text(&self.file()).send().expect(201);
        self.api.restart().or_fail();
    }

    fn v2(&self) -> bool {
        self.api.version() == DataplaneVersion::V2
    }

    fn request(&self, method: &str, path: &str) -> Request {
        let base = format!("/{}", self.api.version().word());
        let path = path.replace('~', &format!("{base}/services/haproxy"));
        Request::new(self.api.url(), method, &path)
    }

    fn get(&self, path: &str) -> Answer {
        self.request("GET", path).send()
    }

    /// A write at the present version.
    fn write(&self, method: &str, path: &str, body: &Value) -> Answer {
        let version = self.version().to_string();
        let request = self.request(method, path).query("version", &version);
        if body.is_null() { request.send() } else { request.json(body).send() }
    }

    fn version(&self) -> i64 {
        self.get("~/configuration/version").json().as_i64().unwrap_or_default()
    }

    /// The text of the file, as it is on disk.
    fn file(&self) -> String {
        std::fs::read_to_string(self.haproxy.config_path()).unwrap_or_default()
    }

    /// Where a backend's servers are, in the file.
    fn servers_path(&self, name: &str) -> Request {
        self.server_request("GET", "app", name)
    }

    fn server_request(&self, method: &str, backend: &str, name: &str) -> Request {
        let tail = if name.is_empty() { String::new() } else { format!("/{name}") };
        if self.v2() {
            self.request(method, &format!("~/configuration/servers{tail}"))
                .query("parent_type", "backend")
                .query("parent_name", backend)
        } else {
            self.request(method, &format!("~/configuration/backends/{backend}/servers{tail}"))
        }
    }

    fn runtime_request(&self, method: &str, backend: &str, name: &str) -> Request {
        let tail = if name.is_empty() { String::new() } else { format!("/{name}") };
        if self.v2() {
            self.request(method, &format!("~/runtime/servers{tail}")).query("backend", backend)
        } else {
            self.request(method, &format!("~/runtime/backends/{backend}/servers{tail}"))
        }
    }
}
