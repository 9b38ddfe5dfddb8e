//! The client against a healthy HAProxy.

use std::num::{NonZeroU16, NonZeroU32};

use roster_haproxy::cli::{
    Accepted, Command, OpState, Refusal, ServerState, StatScope, backends, servers_conn, servers_state, stat,
};
use roster_haproxy::keywords::ServerKeywords;
use roster_haproxy::keywords::{Alpn, CheckKeywords, HostName, InitState, Millis, TlsKeywords, Verify};
use roster_haproxy::name::CookieValue;
use roster_haproxy::observed::State;
use roster_haproxy::version::Version;
use roster_haproxy::weight::{ServerId, Weight};
use roster_targets::runtime::batch::{Batch, BatchOutcome};
use roster_targets::runtime::session::{Limits, run};
use roster_targets::runtime::socket::SocketAddress;
use roster_testkit::{Haproxy, OrFail};

use super::{add, address, backend, many_servers, on_each, path, set_addr, state, texts, weight, weights};

const DONE: Accepted = Accepted::Done;

async fn batch(haproxy: &Haproxy, commands: &[Command]) -> BatchOutcome {
    Batch::new(commands).run(&address(haproxy), &Limits::default()).await.or_fail()
}

/// Carries the commands out and fails if one is refused.
async fn accepted(haproxy: &Haproxy, commands: &[Command]) -> Vec<Accepted> {
    let outcome = batch(haproxy, commands).await;
    let judged = commands.iter().zip(&outcome.replies).map(|(command, reply)| {
        reply.verdict(command).unwrap_or_else(|refusal| panic!("{command}: {refusal}"))
    });
    judged.collect()
}

async fn servers(haproxy: &Haproxy, name: &str) -> Vec<ServerState> {
    let question = [Command::ShowServersState(Some(backend(name)))];
    servers_state::parse(batch(haproxy, &question).await.replies[0].text()).or_fail()
}

async fn server(haproxy: &Haproxy, backend: &str, name: &str) -> ServerState {
    let mut all = servers(haproxy, backend).await;
    all.retain(|server| server.server == name);
    all.pop().unwrap_or_else(|| panic!("no server {name}"))
}

#[tokio::test]
async fn two_thousand_pipelined_commands_get_their_own_answers() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(&many_servers(100)).start().or_fail();
        // Every seventh is for a server that is not there.
        let name = |n: usize| if n % 7 == 3 { "gone".to_owned() } else { format!("s{}", n % 100) };
        let commands: Vec<_> = (0..2_000).map(|n| weight(&name(n), 5)).collect();
        let outcome = batch(&haproxy, &commands).await;
        for (n, reply) in outcome.replies.iter().enumerate() {
            let expected = if n % 7 == 3 { Err(Refusal::NoSuchServer) } else { Ok(Accepted::Done) };
            assert_eq!(reply.verdict(&commands[n]), expected, "command {n}");
        }
        assert_eq!(outcome.process.pid, haproxy.pid());
        assert!(servers(&haproxy, "web").await.iter().all(|server| server.weight.get() == 5));
    })
    .await;
}

/// 3.x carries out only the first of several lines where no `prompt` came first, and says nothing.
#[tokio::test]
async fn the_last_of_many_lines_is_carried_out_as_the_first_is() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(&many_servers(50)).start().or_fail();
        accepted(&haproxy, &weights(50, 50)).await;
        let set: Vec<_> =
            (0..50).map(|n| haproxy.server("web", &format!("s{n}")).or_fail().uweight).collect();
        assert_eq!(set, (1..=50).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn twenty_thousand_commands_over_a_hundred_backends_are_all_answered() {
    on_each(async |bin| {
        let config: String = (0..100).map(|b| many_servers(100).replace("web", &format!("b{b}"))).collect();
        let haproxy = Haproxy::builder(bin).config(&config).start().or_fail();
        let each =
            |n: usize| weight(&format!("b{}/s{}", n % 100, n / 100 % 100), u32::try_from(n % 250).or_fail());
        let commands: Vec<_> = (0..20_000).map(each).collect();
        let started = std::time::Instant::now();
        let outcome = batch(&haproxy, &commands).await;
        eprintln!("{bin}: 20,000 commands in {:?}", started.elapsed());
        assert_eq!(outcome.replies.len(), 20_000);
        assert!(outcome.replies.iter().all(|reply| reply.text().is_empty()));
    })
    .await;
}

#[tokio::test]
async fn long_answers_come_whole_and_in_their_place() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(&many_servers(500)).start().or_fail();
        let commands: Vec<_> = (0..100)
            .flat_map(|n| [Command::ShowServersState(Some(backend("web"))), weight("s499", n)])
            .collect();
        let outcome = batch(&haproxy, &commands).await;
        for (n, pair) in outcome.replies.chunks(2).enumerate() {
            let rows = servers_state::parse(pair[0].text()).or_fail();
            assert_eq!(rows.len(), 500);
            let before = if n == 0 { 1 } else { n - 1 };
            assert_eq!(usize::from(rows[499].weight.get()), before, "read before it was set to {n}");
            assert_eq!(pair[1].text(), "");
        }
    })
    .await;
}

#[tokio::test]
async fn a_tcp_socket_serves_as_a_unix_socket_does() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(&many_servers(2)).stats_on_tcp().start().or_fail();
        let tcp = SocketAddress::Tcp(haproxy.stats_addr().unwrap());
        let outcome = Batch::new(&weights(500, 2)).run(&tcp, &Limits::default()).await.or_fail();
        assert_eq!((outcome.replies.len(), outcome.process.pid), (500, haproxy.pid()));
        assert_eq!(haproxy.server("web", "s1").or_fail().uweight, 100);
    })
    .await;
}

/// `severity-output` on the socket's line puts `[3]: ` before each text.
#[tokio::test]
async fn a_socket_with_severity_output_is_understood() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin)
            .global("stats socket {dir}/sev mode 600 level admin severity-output number")
            .config(&many_servers(1))
            .start()
            .or_fail();
        let socket = SocketAddress::Unix(haproxy.dir().join("sev"));
        let commands = [weight("gone", 1), set_addr("web", "s0", "127.0.0.2:99")];
        let replies = run(&socket, &Limits::default(), &commands).await.or_fail();
        assert_eq!(replies[0].verdict(&commands[0]), Err(Refusal::NoSuchServer));
        assert_eq!(replies[1].verdict(&commands[1]), Ok(Accepted::Done));
    })
    .await;
}

#[tokio::test]
async fn an_address_a_weight_and_a_state_are_set_and_read_back() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(&many_servers(2)).start().or_fail();
        let done = accepted(
            &haproxy,
            &[
                state("web", "s0", State::Maint),
                set_addr("web", "s0", "[fd00::1]:8080"),
                set_addr("web", "s0", "[fd00::1]:8080"),
                set_addr("web", "s0", "[fd00::1]:8081"),
                state("web", "s0", State::Drain),
                weight("s0", 256),
            ],
        )
        .await;
        assert_eq!(
            done,
            [DONE, DONE, Accepted::Unchanged, DONE, DONE, DONE],
            "each address waits for the one before"
        );
        let s0 = server(&haproxy, "web", "s0").await;
        assert_eq!((s0.address, s0.port), ("fd00::1".parse().ok(), 8081));
        assert!(s0.admin.is_drain() && !s0.admin.is_maint());
        assert_eq!((s0.weight, s0.initial_weight), (Weight::MAX, Weight::ONE));

        let back = [
            Command::ResetWeight(path("web", "s0")),
            set_addr("web", "s0", "10.0.0.1:80"),
            state("web", "s0", State::Ready),
            Command::SetMaxconn { server: path("web", "s0"), to: 7 },
        ];
        assert_eq!(accepted(&haproxy, &back).await, [DONE; 4]);
        let s0 = server(&haproxy, "web", "s0").await;
        assert_eq!((s0.address, s0.weight), ("10.0.0.1".parse().ok(), Weight::ONE));
        assert_eq!((s0.admin.bits(), s0.operational), (0, OpState::Running));
    })
    .await;
}

#[tokio::test]
async fn a_slot_that_is_disabled_in_the_file_reads_as_live_once_it_is() {
    on_each(async |bin| {
        let config = "backend web\n    server-template t 2 127.0.0.1:9 disabled check\n";
        let haproxy = Haproxy::builder(bin).config(config).start().or_fail();
        let parked = server(&haproxy, "web", "t1").await.admin;
        assert!(parked.is_maint() && parked.is_config_maint());
        accepted(&haproxy, &[state("web", "t1", State::Ready)]).await;
        let live = server(&haproxy, "web", "t1").await.admin;
        assert!(!live.is_maint() && !live.is_drain() && live.is_config_maint());
    })
    .await;
}

/// Names by address, and all settings on the line: `default-server` does not count for servers added live.
#[tokio::test]
async fn a_server_added_live_starts_parked_and_has_only_what_its_line_says() {
    on_each(async |bin| {
        let config = "backend web\n    balance roundrobin\n    default-server weight 33 check\n    server s0 127.0.0.1:9\n";
        let haproxy = Haproxy::builder(bin).config(config).start().or_fail();
        let checked = ServerKeywords {
            id: ServerId::new(77),
            weight: Weight::new(20).ok(),
            check: Some(CheckKeywords { inter: Millis::new(500).ok(), ..CheckKeywords::default() }),
            ..ServerKeywords::default()
        };
        accepted(
            &haproxy,
            &[
                add("web", "10.0.0.1:8080", "10.0.0.1:8080", ServerKeywords::default()),
                add("web", "fd00::1:8080", "[fd00::1]:8080", checked),
            ],
        )
        .await;
        let plain = server(&haproxy, "web", "10.0.0.1:8080").await;
        assert_eq!(plain.weight, Weight::ONE, "not the 33 of default-server");
        assert!(plain.admin.is_maint() && !plain.check.is_configured());
        let full = server(&haproxy, "web", "fd00::1:8080").await;
        assert_eq!((full.address, full.port), ("fd00::1".parse().ok(), 8080));
        assert_eq!((full.server_id, full.id_is_forced, full.weight.get()), (ServerId::new(77), true, 20));
        assert!(full.check.is_configured() && !full.check.is_enabled());

        let up = [Command::EnableHealth(path("web", "fd00::1:8080")), Command::EnableServer(path("web", "fd00::1:8080"))];
        accepted(&haproxy, &up).await;
        let full = server(&haproxy, "web", "fd00::1:8080").await;
        assert!(full.check.is_enabled() && !full.admin.is_maint());

        let gone = [
            Command::DisableHealth(path("web", "fd00::1:8080")),
            state("web", "fd00::1:8080", State::Maint),
            Command::ShutdownSessions(path("web", "fd00::1:8080")),
            Command::DelServer(path("web", "fd00::1:8080")),
            Command::DelServer(path("web", "10.0.0.1:8080")),
        ];
        accepted(&haproxy, &gone).await;
        assert_eq!(servers(&haproxy, "web").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn every_setting_is_taken_by_the_versions_that_it_is_said_to_need() {
    on_each(async |bin| {
        let config =
            "backend web\n    balance roundrobin\n    cookie SRV insert\n    server s0 127.0.0.1:9\n";
        let haproxy = Haproxy::builder(bin).config(config).start().or_fail();
        let version: Version = bin.version().parse().or_fail();
        let host = || HostName::new("web.internal").ok();
        let base = ServerKeywords {
            id: ServerId::new(77),
            weight: Some(Weight::MAX),
            maxconn: NonZeroU32::new(33),
            backup: true,
            slowstart: Millis::new(10_000).ok(),
            send_proxy: Some(roster_haproxy::keywords::ProxyProtocol::V2),
            tls: Some(TlsKeywords { verify: Verify::None, sni: host(), alpn: Some(Alpn::H2OrHttp1) }),
            check: Some(CheckKeywords {
                inter: Millis::new(500).ok(),
                fastinter: Millis::new(100).ok(),
                downinter: Millis::new(1_000).ok(),
                rise: NonZeroU16::new(2),
                fall: NonZeroU16::new(3),
                port: roster_haproxy::address::Port::new(99),
                addr: "fd00::9".parse().ok(),
                tls: true,
                sni: host(),
                send_proxy: true,
            }),
            ..ServerKeywords::default()
        };
        let cookie = ServerKeywords { id: None, cookie: CookieValue::new("c1").ok(), ..base.clone() };
        let init = ServerKeywords { id: None, init_state: Some(InitState::FullyDown), ..base.clone() };
        for (name, keywords) in [("base", base), ("cookie", cookie), ("init", init)] {
            let commands = [add("web", name, "10.0.0.1:80", keywords.clone())];
            let judged = batch(&haproxy, &commands).await.replies[0].verdict(&commands[0]);
            if version >= keywords.oldest_version() {
                assert_eq!(judged, Ok(Accepted::Done), "{name}");
            } else {
                assert!(matches!(judged, Err(Refusal::UnknownKeyword(_))), "{name}: {judged:?}");
            }
        }
    })
    .await;
}

/// `show stat NAME` shows the frontend where both have the name; the number finds the backend.
#[tokio::test]
async fn a_backend_that_shares_its_name_with_a_frontend_is_found_by_its_number() {
    on_each(async |bin| {
        let config = "frontend web\n    bind 127.0.0.1:{port:web}\n    default_backend web\n".to_owned()
            + &many_servers(3);
        let haproxy = Haproxy::builder(bin).config(&config).start().or_fail();
        let number = servers(&haproxy, "web").await[0].backend_id;
        let questions = [StatScope::Backend(backend("web")), StatScope::Proxy(number)];
        let outcome = batch(&haproxy, &questions.map(Command::ShowStat)).await;
        let fixed: Vec<_> = outcome.replies.iter().map(|reply| stat::fixed(reply.text()).or_fail()).collect();
        assert_eq!([fixed[0].servers.len(), fixed[1].servers.len()], [0, 3]);
        assert_eq!(
            (fixed[0].algorithm.as_deref(), fixed[1].algorithm.as_deref()),
            (None, Some("roundrobin"))
        );
    })
    .await;
}

#[tokio::test]
async fn every_question_has_an_answer_that_can_be_read() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(&many_servers(3)).start().or_fail();
        let questions = [
            Command::ShowBackend,
            Command::ShowServersState(None),
            Command::ShowServersConn(None),
            Command::ShowServersConn(Some(backend("web"))),
            Command::ShowServersState(Some(backend("nope"))),
        ];
        let outcome = batch(&haproxy, &questions).await;
        assert_eq!(outcome.process.version, bin.version().parse().or_fail());
        let said = texts(&outcome.replies);
        assert!(backends::parse(said[0]).or_fail().contains(&"web".to_owned()));
        assert!(
            servers_state::parse(said[1]).or_fail().iter().filter(|row| row.backend == "web").count() == 3
        );
        for conn in [said[2], said[3]] {
            assert_eq!(
                servers_conn::parse(conn).or_fail().iter().filter(|row| row.backend == "web").count(),
                3
            );
        }
        assert!(servers_state::parse(said[4]).is_err());
        assert_eq!(outcome.replies[4].verdict(&questions[4]), Err(Refusal::NoSuchBackend));
    })
    .await;
}
