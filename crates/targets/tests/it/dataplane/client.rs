//! The client and an API in front of a real HAProxy: the stand-in, or the real program where `DATAPLANEAPI_BIN` names one.
//! Each version of the API has the HAProxy that it was recorded with.

mod transactions;

use std::time::Duration;

use roster_targets::dataplane::client::{
    AdminState, ApiVersion, Client, ConfigVersion, Reload, Server, VersionChoice, View, Why, Write,
};
use roster_testkit::{
    DataplaneApi, DataplaneVersion, Fault, Haproxy, HaproxyBin, HaproxyVersion, HttpBackend, OrFail,
    ReloadWay,
};
use tokio::time::Instant;

use super::{CAP, PASSWORD, Settings, USER, settings, why};

const CONFIG: &str = "\
global
  stats socket {socket} mode 600 level admin expose-fd listeners

defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s

frontend fe
  bind 127.0.0.1:{port:fe}
  acl is_api path_beg /api
  use_backend app if is_api
  default_backend app

backend app
  balance roundrobin
  server s1 ADDR weight 10 check inter 500
  server s2 ADDR weight 20
";

/// An API in front of a HAProxy, and its client.
struct Rig {
    client: Client,
    api: DataplaneApi,
    // Kept until the API has ended.
    haproxy: Haproxy,
    server: HttpBackend,
}

impl Rig {
    fn start(version: DataplaneVersion, stand_in: bool) -> Self {
        let haproxy = match version {
            DataplaneVersion::V2 => HaproxyVersion::V2_6,
            DataplaneVersion::V3 => HaproxyVersion::V3_0,
            DataplaneVersion::V3_3 => HaproxyVersion::V3_2,
        };
        let bin = HaproxyBin::find(haproxy).or_fail();
        let server = HttpBackend::start("one").or_fail();
        let config = CONFIG.replace("ADDR", &server.addr().to_string());
        let haproxy =
            Haproxy::builder(&bin).whole_config(config.trim_end()).master_worker().start().or_fail();
        let api = DataplaneApi::builder(version)
            .haproxy(&haproxy)
            .reload(ReloadWay::Signal(haproxy.master_socket()))
            .credentials(USER, PASSWORD)
            .reload_delay(Duration::from_millis(100));
        let api = if stand_in { api.stand_in_only() } else { api };
        let api = api.start().or_fail();
        let client = Client::new(settings(api.url(), VersionChoice::Auto)).or_fail();
        Self { client, api, haproxy, server }
    }

    async fn weight_of(&self, server: &str) -> Option<u32> {
        let stats = self.client.server_stats("app").await.or_fail();
        // During a reload the list may be without it.
        stats.into_iter().find(|stats| stats.name == server)?.weight
    }

    async fn until(&self, what: &str, met: impl AsyncFn() -> bool) {
        let end = Instant::now() + CAP;
        while !met().await {
            assert!(Instant::now() < end, "waited {CAP:?} until {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The API took what the client wrote, so its own lines are on top.
    async fn take_over(&self) -> ConfigVersion {
        let raw = self.client.raw().await.or_fail();
        self.client.write_live(raw.text, raw.version, "").await.or_fail().config.version
    }

    fn new_server(&self, name: &str) -> Server {
        let mut server = Server::new(name);
        server.set_address("127.0.0.1").set_port(self.server.addr().port()).set_weight(5);
        server
    }
}

/// Runs the same test on each version of the API. The stand-in has a runtime of its own, so it starts and ends outside
/// of the client's.
fn on_each(test: &impl AsyncFn(&Rig)) {
    each(false, test);
}

/// The same, never with the real program: for faults that only the stand-in lets in.
fn on_each_stand_in(test: &impl AsyncFn(&Rig)) {
    each(true, test);
}

fn each(stand_in: bool, test: &impl AsyncFn(&Rig)) {
    for version in DataplaneVersion::ALL {
        eprintln!("on {version:?}");
        let rig = Rig::start(version, stand_in);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().or_fail();
        runtime.block_on(test(&rig));
    }
}

/// Runs what blocks on the stand-in's runtime.
fn outside(act: impl FnOnce() + Send) {
    std::thread::scope(|scope| scope.spawn(act).join().unwrap());
}

#[test]
fn everything_that_is_there_is_read() {
    on_each(&async |rig| {
        let client = &rig.client;
        let wanted = match rig.api.version() {
            DataplaneVersion::V2 => ApiVersion::V2,
            DataplaneVersion::V3 | DataplaneVersion::V3_3 => ApiVersion::V3,
        };
        assert_eq!(client.info().await.or_fail().speaks, wanted);
        assert_eq!(client.version().await.or_fail(), ConfigVersion(1));
        let raw = client.raw().await.or_fail();
        assert_eq!(raw.text, std::fs::read_to_string(rig.haproxy.config_path()).or_fail());
        client.validate(format!("{}\n", raw.text.trim_end())).await.or_fail();

        let servers = client.servers("app", View::InForce).await.or_fail().value;
        let named: Vec<_> = servers.iter().map(|server| (server.name(), server.weight())).collect();
        assert_eq!(named, [("s1", Some(10)), ("s2", Some(20))]);
        assert_eq!(client.server("app", "s1", View::InForce).await.or_fail().value, servers[0]);
        let app = client.backend("app", View::InForce).await.or_fail().value;
        assert_eq!((app.name(), app.balance()), ("app", Some("roundrobin")));
    });
}

#[test]
fn a_backend_that_is_not_there_is_told_from_an_error() {
    on_each(&async |rig| {
        let result = rig.client.backend("missing", View::InForce).await;
        assert!(matches!(why(result), Why::NotFound { .. }));
    });
}

#[test]
fn the_running_haproxy_is_read_and_set() {
    on_each(&async |rig| {
        let client = &rig.client;
        let process = client.process().await.or_fail();
        let told = client.process().await.or_fail();
        assert_eq!((process.pid, process.version), (told.pid, told.version));
        assert!(process.version >= "2.6".parse().or_fail() && process.pid > 1);
        let servers = client.runtime_servers("app").await.or_fail().value;
        assert_eq!(servers.len(), 2);
        assert_eq!(client.runtime_server("app", "s2").await.or_fail(), servers[1]);
        assert_eq!(rig.weight_of("s2").await, Some(20));
        let drained = client.set_admin_state("app", "s2", AdminState::Drain).await.or_fail();
        assert_eq!(drained.admin_state, AdminState::Drain);
        let stats = client.server_stats("app").await.or_fail();
        assert_eq!(stats.iter().find(|stats| stats.name == "s2").unwrap().status, "DRAIN");
        assert!(matches!(why(client.runtime_server("app", "nosuch").await), Why::NotRunning { .. }));
    });
}

#[test]
fn a_live_write_changes_file_and_process_without_a_reload() {
    on_each(&async |rig| {
        let client = &rig.client;
        let raw = client.raw().await.or_fail();
        let before = client.process().await.or_fail().pid;
        let text = raw.text.replace("weight 20", "weight 77");
        let actions = "SetServerWeight app s2 77;SetServerState app s1 drain";
        let written = client.write_live(text.clone(), raw.version, actions).await.or_fail();
        assert_eq!((written.config.version, &written.reload), (raw.version.next(), &Reload::None));
        assert_eq!(client.raw().await.or_fail(), written.config);
        assert!(written.config.text.contains("weight 77"));
        assert_eq!(rig.weight_of("s2").await, Some(77));
        assert_eq!(client.process().await.or_fail().pid, before);
        assert_eq!(rig.api.counters().reloads_asked, 0);

        let error = client.write_live(text, raw.version, "").await.unwrap_err();
        assert!(error.is_stale() && !error.may_be_done(), "{error:?}");
        assert_eq!(client.raw().await.or_fail(), written.config, "a stale write writes nothing");
    });
}

#[test]
fn a_write_with_a_reload_is_waited_for() {
    on_each(&async |rig| {
        let client = &rig.client;
        let raw = client.raw().await.or_fail();
        let text = raw.text.replace("weight 20", "weight 21");
        let written = client.write_reload(text, raw.version, false).await.or_fail();
        let Reload::Scheduled(id) = &written.reload else { panic!("{written:?}") };
        client.wait_reload(id, CAP).await.or_fail();
        // A signal that comes while HAProxy 2.6 still begins anew is lost.
        rig.until("the new worker serves", async || rig.weight_of("s2").await == Some(21)).await;
        let text = written.config.text.replace("weight 21", "weight 22");
        let written = client.write_reload(text, written.config.version, true).await.or_fail();
        assert_eq!(written.reload, Reload::Done);
        // The answer of a reload by signal says nothing of HAProxy, so this is waited for.
        rig.until("the new worker serves", async || rig.weight_of("s2").await == Some(22)).await;
    });
}

#[test]
fn servers_are_changed_one_by_one_without_losing_a_field() {
    on_each(&async |rig| {
        let client = &rig.client;
        let mut read = client.server("app", "s1", View::InForce).await.or_fail();
        read.value.set_weight(33);
        let live = client.replace_server("app", "s1", &read.value, Write::At(read.version)).await.or_fail();
        assert_eq!(live.reload, Reload::None);
        assert_eq!(rig.weight_of("s1").await, Some(33));
        let again = client.server("app", "s1", View::InForce).await.or_fail();
        assert_eq!(again.value, read.value, "check and inter are still there");
        let stale = client.replace_server("app", "s1", &read.value, Write::At(read.version)).await;
        assert!(stale.unwrap_err().is_stale());

        let added = client.add_server("app", &rig.new_server("n1"), Write::At(live.version)).await.or_fail();
        match rig.api.version() {
            DataplaneVersion::V2 => assert!(matches!(added.reload, Reload::Scheduled(_)), "{added:?}"),
            DataplaneVersion::V3 | DataplaneVersion::V3_3 => assert_eq!(added.reload, Reload::None),
        }
        let again = client.add_server("app", &rig.new_server("n1"), Write::At(added.version)).await;
        assert!(matches!(why(again), Why::Exists { .. }));
        let there = client.server("app", "n1", View::InForce).await.or_fail().value;
        assert_eq!(there.name(), "n1");
    });
}

#[test]
fn a_running_server_comes_and_goes_without_the_file() {
    on_each(&async |rig| {
        let client = &rig.client;
        client.add_runtime_server("app", &rig.new_server("r1")).await.or_fail();
        let added = client.runtime_server("app", "r1").await.or_fail();
        // 2.9 sends `enabled`, and nothing of what it has to say after that.
        let wanted = match rig.api.version() {
            DataplaneVersion::V2 => AdminState::Ready,
            DataplaneVersion::V3 | DataplaneVersion::V3_3 => AdminState::Maint,
        };
        assert_eq!(added.admin_state, wanted);
        client.delete_runtime_server("app", "r1").await.or_fail();
        assert!(matches!(why(client.runtime_server("app", "r1").await), Why::NotRunning { .. }));
        assert_eq!(client.version().await.or_fail(), ConfigVersion(1));
    });
}

#[test]
fn somebody_else_who_writes_makes_each_write_stale() {
    on_each_stand_in(&async |rig| {
        let client = &rig.client;
        let version = rig.take_over().await;
        let raw = client.raw().await.or_fail();
        assert_eq!(raw.version, version);
        rig.api.inject(Fault::OtherWriter, 1).or_fail();
        let error = client.write_live(raw.text.clone(), version, "").await.unwrap_err();
        let Why::StaleVersion { given, current } = error.why else { panic!("{error:?}") };
        assert_eq!((given, current), (Some(version), Some(version.next())));
        let raw = client.raw().await.or_fail();
        let text = format!("{}# by hand\n", raw.text);
        rig.api.edit_by_hand(&rig.haproxy.config_path(), &text).or_fail();
        rig.until("the API sees the edit", async || client.version().await.or_fail() != raw.version).await;
        let error = client.write_live(raw.text, raw.version, "").await.unwrap_err();
        assert!(error.is_stale(), "{error:?}");
    });
}

#[test]
fn a_failing_action_and_a_failing_reload_are_told_apart() {
    on_each_stand_in(&async |rig| {
        let client = &rig.client;
        let raw = client.raw().await.or_fail();
        // The file that a failed reload goes back to is one that the API wrote.
        let before = client.process().await.or_fail().pid;
        let good = client.write_reload(raw.text, raw.version, true).await.or_fail();
        rig.until("the new worker serves", async || {
            client.process().await.is_ok_and(|now| now.pid != before)
        })
        .await;
        let (raw, version) = (good.config.clone(), good.config.version);
        rig.api.inject(Fault::ActionFails(2), 1).or_fail();
        let actions = "SetServerWeight app s1 50;SetServerWeight app s2 51";
        let error = client.write_live(raw.text.clone(), version, actions).await.unwrap_err();
        assert!(matches!(error.why, Why::ActionFailed { .. }), "{error:?}");
        assert_eq!((rig.weight_of("s1").await, rig.weight_of("s2").await), (Some(50), Some(20)));
        assert_eq!(client.version().await.or_fail(), version.next(), "the file is written");

        let text = raw.text.replace("weight 20", "weight 60");
        rig.api.inject(Fault::ReloadFails("boom".to_owned()), 2).or_fail();
        let error = client.write_reload(text.clone(), version.next(), true).await.unwrap_err();
        let Why::ReloadFailed { text: said } = &error.why else { panic!("{error:?}") };
        assert!(said.contains("boom") && error.may_be_done());
        let version = client.version().await.or_fail();
        let written = client.write_reload(text, version, false).await.or_fail();
        let Reload::Scheduled(id) = written.reload else { panic!() };
        let Why::ReloadFailed { text: said } = why(client.wait_reload(&id, CAP).await) else { panic!() };
        assert!(said.contains("boom"), "{said}");
        let raw = client.raw().await.or_fail();
        assert!(
            raw.written_as().is_none_or(|written| written < raw.version),
            "an older file with a newer version: {raw:?}"
        );
    });
}

#[test]
fn what_stands_between_is_told_from_what_the_api_says() {
    on_each_stand_in(&async |rig| {
        let client = &rig.client;
        client.api().await.or_fail();
        rig.api.inject(Fault::HalfBody, 1).or_fail();
        assert!(matches!(why(client.raw().await), Why::HalfBody { .. }));
        rig.api.inject(Fault::BadGateway, 1).or_fail();
        assert!(matches!(why(client.raw().await), Why::Html { status: 502 }));
        rig.api.inject(Fault::Unauthorized, 1).or_fail();
        assert!(matches!(why(client.raw().await), Why::Unauthorized));
        outside(|| rig.api.refuse());
        assert!(matches!(why(client.raw().await), Why::Unreachable { .. } | Why::Lost { .. }));
        outside(|| rig.api.listen_again().or_fail());
        client.raw().await.or_fail();
    });
}

#[test]
fn a_slow_write_that_was_given_up_may_be_done() {
    on_each_stand_in(&async |rig| {
        let raw = rig.client.raw().await.or_fail();
        let hasty =
            Settings { timeout: Duration::from_secs(2), ..settings(rig.api.url(), VersionChoice::Auto) };
        let hasty = Client::new(hasty).or_fail();
        hasty.api().await.or_fail();
        rig.api.inject(Fault::Slow(Duration::from_secs(8)), 1).or_fail();
        let error = hasty.write_live(raw.text.clone(), raw.version, "").await.unwrap_err();
        assert!(matches!(error.why, Why::Timeout { .. }) && error.may_be_done(), "{error:?}");
        assert_eq!(rig.client.version().await.or_fail(), raw.version.next(), "and it is");
    });
}

#[test]
fn a_wrong_password_is_told_by_the_api_and_not_repeated() {
    on_each(&async |rig| {
        let wrong = Settings { password: "sesame".into(), ..settings(rig.api.url(), VersionChoice::Auto) };
        let error = Client::new(wrong).or_fail().raw().await.unwrap_err();
        assert!(matches!(error.why, Why::Unauthorized));
        assert!(!format!("{error} {error:?}").contains("sesame"));
    });
}
