//! The Data Plane API target: what it reads of a HAProxy behind an API, and what it writes. Runs on the stand-in, and on
//! the real program where `DATAPLANEAPI_BIN` names one, but for the tests that let something go wrong on purpose.

mod trouble;

use std::time::Duration;

use roster_core::departure::Departure;
use roster_core::name::{BackendName, ServerName};
use roster_core::observed::State;
use roster_core::plan::{Change, Operation, Reason};
use roster_core::weight::Weight;
use roster_targets::dataplane::{DataplaneError, DataplaneTarget, Way};
use roster_targets::{Look, Reading, Receipt, Target};
use roster_testkit::{
    DataplaneApi, DataplaneVersion, Haproxy, HaproxyBin, HaproxyVersion, OrFail, ReloadWay, RuntimeSocket,
};
use tokio::time::timeout;

use super::{CAP, PASSWORD, USER, VersionChoice, client};

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
    way: Way,
    by_master: bool,
    stand_in: bool,
}

impl Kind {
    fn new(version: DataplaneVersion, way: Way) -> Self {
        Self { version, way, by_master: false, stand_in: false }
    }
}

impl Rig {
    fn start(kind: Kind) -> Self {
        let haproxy = match kind.version {
            DataplaneVersion::V2 => HaproxyVersion::V2_6,
            DataplaneVersion::V3 => HaproxyVersion::V3_0,
            DataplaneVersion::V3_3 => HaproxyVersion::V3_2,
        };
        let bin = HaproxyBin::find(haproxy).or_fail();
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
        let target = DataplaneTarget::new(client(api.url(), VersionChoice::Auto), kind.way);
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

/// Runs the same test on each version of the API. It has a runtime of its own, and so has the stand-in.
fn on_each(way: Way, test: &impl AsyncFn(&Rig)) {
    for version in DataplaneVersion::ALL {
        on(Kind::new(version, way), test);
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
    on_each(Way::Live, &async |rig| {
        rig.haproxy.cli("set server app/s1 addr 127.0.0.1 port 2001").or_fail();
        rig.haproxy.cli("set server app/s3 state drain").or_fail();
        let reading = rig.read(&["app", "fixed", "slots", "nowhere"]).await;
        let app = &reading.observed.backends["app"];
        let of = |server: &str| {
            let seen = &app.servers[server];
            (seen.port, seen.state(), seen.weight.get(), seen.backup)
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
fn a_live_pass_is_one_write_that_changes_file_and_process_without_a_reload() {
    on_each(Way::Live, &async |rig| {
        let pid = rig.haproxy.worker_pid().or_fail();
        let operations = [
            point("app", "s1", 2001),
            weigh("app", "s1", 99),
            state("app", "s3", State::Maint),
            weigh("app", "s2", 0),
        ];
        let receipt = rig.carry_out(&operations).await.or_fail();
        assert_eq!((receipt.commands, receipt.refused.len(), receipt.left.len()), (4, 0, 0));
        assert_eq!(rig.runs("app", "s1"), (2001, false, 99));
        assert_eq!(rig.runs("app", "s2"), (1002, true, 0));
        assert_eq!(rig.runs("app", "s3"), (1003, true, 1));
        assert!(rig.says("server s1 127.0.0.1:2001 weight 99 # a word on s1"), "{}", rig.text());
        assert!(rig.says("server s2 127.0.0.1:1002 weight 0 disabled"), "{}", rig.text());
        assert!(rig.says("server s3 127.0.0.1:1003 backup disabled"), "{}", rig.text());
        if !rig.api.is_real() {
            assert_eq!(rig.counts(), (1, 0));
        }
        assert_eq!(rig.haproxy.worker_pid().or_fail(), pid);
    });
}

#[test]
fn what_drifted_in_the_process_alone_is_told_again_though_the_file_is_right() {
    on_each(Way::Live, &async |rig| {
        rig.haproxy.cli("set server app/s1 addr 127.0.0.1 port 2009").or_fail();
        let receipt = rig.carry_out(&[point("app", "s1", 1001)]).await.or_fail();
        assert_eq!((receipt.commands, receipt.refused.len()), (1, 0));
        assert_eq!(rig.runs("app", "s1").0, 1001);
    });
}

#[test]
fn a_server_is_ready_in_the_same_write_as_its_address_only_where_haproxy_has_it_at_once() {
    on_each(Way::Live, &async |rig| {
        let operations = [point("app", "s2", 2002), state("app", "s2", State::Ready)];
        let receipt = rig.carry_out(&operations).await.or_fail();
        let waits = rig.api.version() != DataplaneVersion::V2;
        assert_eq!(receipt.left, if waits { [1].into() } else { [].into() });
        assert_eq!(rig.runs("app", "s2"), (2002, waits, 20));
        if waits {
            let receipt = rig.carry_out(&[state("app", "s2", State::Ready)]).await.or_fail();
            assert!(receipt.left.is_empty() && receipt.refused.is_empty(), "{receipt:?}");
        }
        assert_eq!(rig.runs("app", "s2"), (2002, false, 20));
    });
}

#[test]
fn one_operation_that_cannot_go_live_keeps_no_other_from_it() {
    on_each(Way::Live, &async |rig| {
        let operations = [
            weigh("fixed", "f1", 3),
            weigh("app", "s1", 11),
            operation("app", "s1", Change::EnableCheck),
            state("app", "gone", State::Maint),
            point("fixed", "f1", 2011),
            weigh("app", "s2", 21),
        ];
        let receipt = rig.carry_out(&operations).await.or_fail();
        let mut places = refused(&receipt);
        places.sort_unstable();
        // All of a server's operations go together, or not at all.
        assert_eq!(places, [0, 2, 3, 4], "{receipt:?}");
        let why = &receipt.refused.iter().find(|one| one.operation == 0).unwrap().refusal;
        assert!(format!("{why}").contains("only a reload brings it"), "{why}");
        assert_eq!((rig.runs("app", "s1").2, rig.runs("app", "s2").2), (11, 21));
        assert_eq!(rig.runs("fixed", "f1"), (1011, false, 7));
        assert_eq!(rig.counts().1, 0);
    });
}

#[test]
fn what_a_server_of_a_template_was_told_is_remembered_while_its_process_lives() {
    on_each(Way::Live, &async |rig| {
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
    on_each(Way::Live, &async |rig| {
        rig.haproxy.cli("set server slots/t2 state ready").or_fail();
        rig.carry_out(&[weigh("slots", "t2", 40)]).await.or_fail();
        let other = DataplaneTarget::new(client(rig.api.url(), VersionChoice::Auto), Way::Live);
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
    on_each(Way::Live, &async |rig| {
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

/// HAProxy 3.0 has a new address only a moment after it said so.
#[test]
fn who_goes_waits_until_who_comes_is_there() {
    on_each(Way::Live, &async |rig| {
        let left = |server: &str, change: Change| Operation {
            why: Reason::Left {
                instance: None,
                endpoint: "127.0.0.1:1001".parse().or_fail(),
                why: Departure::NotReported,
            },
            ..operation("app", server, change)
        };
        let operations = [
            point("app", "s2", 2002),
            state("app", "s2", State::Ready),
            left("s1", Change::State(State::Maint)),
            left("s3", Change::State(State::Maint)),
        ];
        let receipt = rig.carry_out(&operations).await.or_fail();
        let waits = rig.api.version() != DataplaneVersion::V2;
        assert_eq!(receipt.left, if waits { [1, 2, 3].into() } else { [].into() });
        let in_maintenance = ["s1", "s2", "s3"].map(|server| rig.runs("app", server).1);
        assert_eq!(in_maintenance, if waits { [false, true, false] } else { [true, false, true] });
        if waits {
            let receipt = rig.carry_out(&operations[1..]).await.or_fail();
            assert!(receipt.left.is_empty(), "{receipt:?}");
            assert_eq!(["s1", "s2", "s3"].map(|server| rig.runs("app", server).1), [true, false, true]);
        }
    });
}

#[test]
fn a_transaction_is_one_reload_and_over_when_the_next_process_serves() {
    on_each(Way::Transaction, &async |rig| {
        let before = rig.read(&["app"]).await.process;
        let operations = [
            point("app", "s2", 2002),
            weigh("app", "s2", 5),
            state("app", "s2", State::Ready),
            weigh("app", "s1", 9),
        ];
        let receipt = rig.carry_out(&operations).await.or_fail();
        assert_eq!((receipt.commands, receipt.refused.len(), receipt.left.len()), (2, 0, 0));
        // The former process and the next one share the socket, so the former one may have the next question still.
        let reading = timeout(CAP, async {
            loop {
                let reading = rig.read(&["app"]).await;
                if reading.process != before {
                    return reading;
                }
            }
        });
        let reading = reading.await.or_fail();
        let s2 = &reading.observed.backends["app"].servers["s2"];
        assert_eq!((s2.port, s2.state(), s2.weight.get()), (2002, State::Ready, 5));
        assert_eq!((rig.runs("app", "s1").2, rig.runs("app", "s2").2), (9, 5));
        assert!(rig.target.client().transactions(None).await.or_fail().is_empty());
        if !rig.api.is_real() {
            assert_eq!(rig.counts(), (1, 1));
        }
    });
}

#[test]
fn drift_is_repaired_by_a_transaction_without_a_change() {
    on_each(Way::Transaction, &async |rig| {
        rig.haproxy.cli("set server app/s1 addr 127.0.0.1 port 2009").or_fail();
        let receipt = rig.carry_out(&[point("app", "s1", 1001)]).await.or_fail();
        assert!(receipt.refused.is_empty(), "{receipt:?}");
        let reading = rig.read(&["app"]).await;
        assert_eq!(reading.observed.backends["app"].servers["s1"].port, 1001);
        assert_eq!(rig.runs("app", "s1").0, 1001);
    });
}

#[test]
fn a_server_without_a_line_is_no_reason_for_a_transaction() {
    on_each(Way::Transaction, &async |rig| {
        let receipt = rig.carry_out(&[weigh("slots", "t1", 40)]).await.or_fail();
        assert_eq!(refused(&receipt), [0]);
        assert!(format!("{receipt:?}").contains("write its servers out"), "{receipt:?}");
        assert_eq!(rig.counts(), (0, 0));
    });
}
