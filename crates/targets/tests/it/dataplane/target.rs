//! The Data Plane API target: what it reads of a HAProxy behind an API, and what it writes. Runs on the stand-in, and on
//! the real program where `DATAPLANEAPI_BIN` names one, but for the tests that let something go wrong on purpose.

mod live;
mod trouble;

use std::time::Duration;

use roster_core::plan::{Change, Operation, Reason};
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::observed::State;
use roster_haproxy::weight::Weight;
use roster_targets::dataplane::{DataplaneError, DataplaneTarget};
use roster_targets::{Look, Reading, Receipt, Target};
use roster_testkit::{
    DataplaneApi, DataplaneVersion, Haproxy, HaproxyBin, HaproxyVersion, OrFail, ReloadWay, RuntimeSocket,
};

use super::{PASSWORD, USER, VersionChoice, client};

/// Each version of the API in front of each HAProxy that it is made for; 2.9 is made for two of those that the tests have.
const PAIRS: [(DataplaneVersion, HaproxyVersion); 4] = [
    (DataplaneVersion::V2, HaproxyVersion::V2_6),
    (DataplaneVersion::V2, HaproxyVersion::V2_8),
    (DataplaneVersion::V3, HaproxyVersion::V3_0),
    (DataplaneVersion::V3_3, HaproxyVersion::V3_2),
];

const CONFIG: &str = "\
global
  stats socket {socket} mode 600 level admin expose-fd listeners

defaults unnamed_defaults_1
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s

frontend fe
  bind 127.0.0.1:{port:fe}
  default_backend app

backend app
  balance roundrobin
  server s1 127.0.0.1:1001 weight 10 # a word on s1
  server s2 127.0.0.1:1002 weight 20 disabled
  server s3 127.0.0.1:1003 backup

backend fixed
  balance source
  server f1 127.0.0.1:1011 weight 7

backend slots
  server-template t 1-3 127.0.0.1:1021 weight 6 disabled
";

/// An API in front of a HAProxy, and the target.
struct Rig {
    target: DataplaneTarget,
    api: DataplaneApi,
    // Kept until the API has ended.
    haproxy: Haproxy,
}

/// How a rig differs from the usual one.
#[derive(Clone, Copy, Debug)]
struct Kind {
    version: DataplaneVersion,
    haproxy: HaproxyVersion,
    by_master: bool,
    stand_in: bool,
}

impl Kind {
    fn new((version, haproxy): (DataplaneVersion, HaproxyVersion)) -> Self {
        Self { version, haproxy, by_master: false, stand_in: false }
    }
}

impl Rig {
    fn start(kind: Kind) -> Self {
        let bin = HaproxyBin::find(kind.haproxy).or_fail();
        let haproxy =
            Haproxy::builder(&bin).whole_config(CONFIG.trim_end()).master_worker().start().or_fail();
        let mut api = DataplaneApi::builder(kind.version)
            .haproxy(&haproxy)
            .reload(ReloadWay::Signal(haproxy.master_socket()))
            .credentials(USER, PASSWORD)
            .reload_delay(Duration::from_millis(100));
        if kind.by_master {
            api = api.runtime(RuntimeSocket::Master(haproxy.master_socket()));
        }
        if kind.stand_in {
            api = api.stand_in_only();
        }
        let api = api.start().or_fail();
        let target = DataplaneTarget::new(client(api.url(), VersionChoice::Auto));
        Self { target, api, haproxy }
    }

    async fn look(&self, backends: &[&str]) -> Result<Reading, DataplaneError> {
        let backends = backends.iter().map(|name| name.parse().or_fail()).collect();
        self.target.observe(&Look { backends, ..Look::default() }).await
    }

    async fn read(&self, backends: &[&str]) -> Reading {
        self.look(backends).await.or_fail()
    }

    /// Looks at all there is and carries these out.
    async fn carry_out(&self, operations: &[Operation]) -> Result<Receipt, DataplaneError> {
        let process = self.read(&["app", "fixed", "slots"]).await.process;
        self.target.apply(process, operations).await
    }

    /// HAProxy's file.
    fn text(&self) -> String {
        std::fs::read_to_string(self.haproxy.config_path()).or_fail()
    }

    /// Whether a line of the file says this.
    fn says(&self, line: &str) -> bool {
        self.text().lines().any(|one| one.trim() == line)
    }

    /// Port, whether it is in maintenance, and weight: as HAProxy itself has it.
    fn runs(&self, backend: &str, server: &str) -> (u16, bool, u32) {
        let row = self.haproxy.server(backend, server).or_fail();
        (row.port, row.in_maintenance(), row.uweight)
    }

    /// How many writes and reloads there were; nothing is counted of the real program.
    fn counts(&self) -> (u64, u64) {
        let counters = self.api.counters();
        (counters.writes, counters.reloads_asked)
    }
}

/// Runs the same test on each pair. It has a runtime of its own, and so has the stand-in.
fn on_each(test: &impl AsyncFn(&Rig)) {
    for pair in PAIRS {
        on(Kind::new(pair), test);
    }
}

fn on(kind: Kind, test: &impl AsyncFn(&Rig)) {
    eprintln!("on {kind:?}");
    let rig = Rig::start(kind);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().or_fail();
    runtime.block_on(test(&rig));
}

fn operation(backend: &str, server: &str, change: Change) -> Operation {
    let (backend, server) = (BackendName::new(backend).or_fail(), ServerName::new(server).or_fail());
    Operation { backend, server, change, why: Reason::Drifted }
}

fn weigh(backend: &str, server: &str, to: u32) -> Operation {
    operation(backend, server, Change::Weight(Weight::new(to).or_fail()))
}

fn state(backend: &str, server: &str, to: State) -> Operation {
    operation(backend, server, Change::State(to))
}

fn point(backend: &str, server: &str, port: u16) -> Operation {
    operation(backend, server, Change::Address(format!("127.0.0.1:{port}").parse().or_fail()))
}

fn refused(receipt: &Receipt) -> Vec<usize> {
    receipt.refused.iter().map(|refused| refused.operation).collect()
}

#[test]
fn a_look_has_addresses_and_states_of_the_process_and_weights_of_the_file() {
    on_each(&async |rig| {
        rig.haproxy.cli("set server app/s1 addr 127.0.0.1 port 2001").or_fail();
        rig.haproxy.cli("set server app/s3 state drain").or_fail();
        let reading = rig.read(&["app", "fixed", "slots", "nowhere"]).await;
        let app = &reading.observed.backends["app"];
        let of = |server: &str| {
            let seen = &app.servers[server];
            (seen.port, seen.state(), seen.weight.get(), seen.line.backup)
        };
        assert_eq!(of("s1"), (2001, State::Ready, 10, false));
        assert_eq!(of("s2"), (1002, State::Maint, 20, false));
        assert_eq!(of("s3"), (1003, State::Drain, 1, true));
        assert_eq!(reading.observed.backends["slots"].servers.len(), 3);
        let dynamic = ["app", "fixed"].map(|name| reading.observed.backends[name].limits.dynamic);
        assert_eq!(dynamic, [true, false]);
        assert_eq!(reading.observed.missing, ["nowhere".parse().or_fail()].into());
        assert_eq!(reading.process.pid, rig.haproxy.worker_pid().or_fail());
        assert_eq!(reading.process, rig.target.identify().await.or_fail());
        assert_eq!(rig.counts(), (0, 0));
        let shown = format!("{:?}", rig.target);
        assert!(!shown.contains(PASSWORD) && !shown.contains("stats socket"), "{shown}");
    });
}

#[test]
fn what_a_server_of_a_template_was_told_is_remembered_while_its_process_lives() {
    on_each(&async |rig| {
        let seen = async || {
            let reading = rig.read(&["app", "fixed", "slots"]).await;
            reading.observed.backends["slots"].servers["t2"].weight.get()
        };
        assert_eq!(seen().await, 6);
        let receipt = rig.carry_out(&[point("slots", "t2", 2022), weigh("slots", "t2", 40)]).await.or_fail();
        assert!(receipt.refused.is_empty(), "{receipt:?}");
        assert_eq!(rig.runs("slots", "t2"), (2022, true, 40));
        assert_eq!(seen().await, 40, "it would be told for ever");
        rig.carry_out(&[operation("slots", "t2", Change::InitialWeight)]).await.or_fail();
        assert_eq!((seen().await, rig.runs("slots", "t2").2), (6, 6));
    });
}

#[test]
fn a_weight_without_a_line_is_known_to_a_new_target_too() {
    on_each(&async |rig| {
        rig.haproxy.cli("set server slots/t2 state ready").or_fail();
        rig.carry_out(&[weigh("slots", "t2", 40)]).await.or_fail();
        let other = DataplaneTarget::new(client(rig.api.url(), VersionChoice::Auto));
        let look = Look { backends: ["slots".parse().or_fail()].into(), ..Look::default() };
        let seen = other.observe(&look).await.or_fail();
        let servers = &seen.observed.backends["slots"].servers;
        let weights =
            ["t1", "t2"].map(|name| (servers[name].weight.get(), servers[name].initial_weight.get()));
        assert_eq!(weights, [(6, 6), (40, 6)]);
    });
}

#[test]
fn maintenance_by_the_file_is_not_taken_for_somebodys_wish() {
    on_each(&async |rig| {
        rig.haproxy.cli("set server app/s1 state maint").or_fail();
        let reading = rig.read(&["app", "slots"]).await;
        let by_file = |backend: &str, server: &str| {
            let seen = &reading.observed.backends[backend].servers[server];
            assert_eq!(seen.state(), State::Maint);
            seen.admin.is_config_maint()
        };
        assert_eq!([by_file("app", "s1"), by_file("app", "s2"), by_file("slots", "t1")], [false, true, true]);
    });
}
