//! Each kind of refusal, from a real HAProxy.

use std::time::Duration;

use roster_haproxy::cli::{Command, Refusal};
use roster_haproxy::keywords::ServerKeywords;
use roster_haproxy::name::CookieValue;
use roster_haproxy::observed::State;
use roster_haproxy::version::Version;
use roster_haproxy::weight::{ServerId, Weight};
use roster_targets::runtime::batch::Batch;
use roster_targets::runtime::session::{Limits, run};
use roster_targets::runtime::socket::SocketAddress;
use roster_testkit::{HOLD_PATH, Haproxy, HttpBackend, OrFail, http_get, wait_until_or_fail};

use super::{CAP, add, address, many_servers, on_each, path, set_addr, state, weight};

const BACKENDS: &str = "
backend web
    balance roundrobin
    server s0 127.0.0.1:9 id 5
    server unchecked 127.0.0.1:9
    server tracked 127.0.0.1:9 check
    server tracking 127.0.0.1:9 track tracked
backend static
    balance static-rr
    server s0 127.0.0.1:9
backend map-uri
    balance uri
    server s0 127.0.0.1:9
backend map-source
    balance source
    server s0 127.0.0.1:9
backend consistent
    balance uri
    hash-type consistent
    server s0 127.0.0.1:9
backend off
    disabled
    server s0 127.0.0.1:9
";

fn plain() -> ServerKeywords {
    ServerKeywords::default()
}

async fn verdicts(socket: &SocketAddress, commands: &[Command]) -> Vec<Option<Refusal>> {
    let replies = run(socket, &Limits::default(), commands).await.or_fail();
    commands.iter().zip(&replies).map(|(command, reply)| reply.verdict(command).err()).collect()
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(BACKENDS).start().or_fail();
        for (backend, server, refusal) in
            [("web", "gone", Refusal::NoSuchServer), ("gone", "s0", Refusal::NoSuchBackend)]
        {
            let s = || path(backend, server);
            let commands = [
                weight(&format!("{backend}/{server}"), 1),
                Command::ResetWeight(s()),
                state(backend, server, State::Ready),
                set_addr(backend, server, "10.0.0.1:80"),
                Command::SetMaxconn { server: s(), to: 1 },
                Command::EnableHealth(s()),
                Command::DisableHealth(s()),
                Command::EnableServer(s()),
                Command::DelServer(s()),
                Command::ShutdownSessions(s()),
            ];
            let said = verdicts(&address(&haproxy), &commands).await;
            assert_eq!(said, vec![Some(refusal); commands.len()]);
        }
        let commands = [add("gone", "s0", "10.0.0.1:80", plain())];
        assert_eq!(verdicts(&address(&haproxy), &commands).await, [Some(Refusal::NoSuchBackend)]);
    })
    .await;
}

/// R7: static-rr, and `source` and `uri` with the default hash-type.
#[tokio::test]
async fn a_static_algorithm_takes_no_new_server_and_no_weight_but_none_and_all() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(BACKENDS).start().or_fail();
        for backend in ["static", "map-uri", "map-source"] {
            let commands = [
                weight(&format!("{backend}/s0"), 5),
                add(backend, "new", "10.0.0.1:80", plain()),
                Command::SetWeight { server: path(backend, "s0"), to: Weight::ZERO },
                Command::ResetWeight(path(backend, "s0")),
            ];
            let said = verdicts(&address(&haproxy), &commands).await;
            assert_eq!(said[0], Some(Refusal::WeightNotAllowed), "{backend}");
            assert!(matches!(said[1], Some(Refusal::NotDynamicAlgorithm(_))), "{backend}: {said:?}");
            assert_eq!(said[2..], [None, None], "{backend}");
        }
        let commands = [weight("consistent/s0", 5), add("consistent", "new", "10.0.0.1:80", plain())];
        assert_eq!(verdicts(&address(&haproxy), &commands).await, [None, None]);
    })
    .await;
}

#[tokio::test]
async fn a_name_an_id_and_a_setting_that_cannot_be_taken_are_told_apart() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(BACKENDS).start().or_fail();
        let cookie = ServerKeywords { cookie: CookieValue::new("c").ok(), ..plain() };
        let commands = [
            add("web", "s0", "10.0.0.1:80", plain()),
            add("web", "new", "10.0.0.1:80", ServerKeywords { id: ServerId::new(5), ..plain() }),
            add("web", "new", "10.0.0.1:80", ServerKeywords { id: ServerId::new(77), ..plain() }),
            add("web", "newer", "10.0.0.1:80", ServerKeywords { id: ServerId::new(77), ..plain() }),
            add("web", "baked", "10.0.0.1:80", cookie),
        ];
        let said = verdicts(&address(&haproxy), &commands).await;
        assert_eq!(said[0], Some(Refusal::DuplicateName));
        assert!(matches!(said[1], Some(Refusal::DuplicateId(_))), "{said:?}");
        assert_eq!(said[2], None);
        assert!(matches!(said[3], Some(Refusal::DuplicateId(_))), "{said:?}");
        let version: Version = bin.version().parse().or_fail();
        assert_eq!(said[4].is_none(), version.takes_cookie_live(), "{said:?}");
        assert!(matches!(said[4], None | Some(Refusal::UnknownKeyword(_))), "{said:?}");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_cannot_be_deleted_says_why() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(BACKENDS).start().or_fail();
        let commands = [
            Command::DelServer(path("web", "s0")),
            state("web", "tracked", State::Maint),
            Command::DelServer(path("web", "tracked")),
            Command::EnableHealth(path("web", "unchecked")),
        ];
        let said = verdicts(&address(&haproxy), &commands).await;
        assert_eq!(
            said,
            [Some(Refusal::NotInMaint), None, Some(Refusal::Referenced), Some(Refusal::NoCheck)]
        );
    })
    .await;
}

#[tokio::test]
async fn a_server_with_a_connection_is_deleted_once_the_connection_ended() {
    on_each(async |bin| {
        let behind = HttpBackend::start("one").or_fail();
        let config = format!(
            "frontend f\n    bind 127.0.0.1:{{port:web}}\n    default_backend web\n\
             backend web\n    balance roundrobin\n    server s0 {}\n",
            behind.addr()
        );
        let haproxy = Haproxy::builder(bin).config(&config).start().or_fail();
        let front = haproxy.addr("web").or_fail();
        let client = std::thread::spawn(move || http_get(front, HOLD_PATH));
        wait_until_or_fail(CAP, "a held response", || behind.held() == 1);

        let socket = address(&haproxy);
        let parked = [state("web", "s0", State::Maint), Command::DelServer(path("web", "s0"))];
        assert_eq!(verdicts(&socket, &parked).await, [None, Some(Refusal::StillHasConnections)]);

        // On one line or in one batch the sessions are not gone yet when the server is to be deleted.
        let shut = [Command::ShutdownSessions(path("web", "s0"))];
        assert_eq!(verdicts(&socket, &shut).await, [None]);
        let deadline = std::time::Instant::now() + CAP;
        loop {
            match verdicts(&socket, &[Command::DelServer(path("web", "s0"))]).await.pop().flatten() {
                None => break,
                Some(refusal) => {
                    assert_eq!(refusal, Refusal::StillHasConnections);
                    assert!(std::time::Instant::now() < deadline, "the connection never ended");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        let _cut_short = client.join();
    })
    .await;
}

#[tokio::test]
async fn a_disabled_backend_refuses_every_change() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(BACKENDS).start().or_fail();
        let commands = [
            weight("off/s0", 1),
            state("off", "s0", State::Ready),
            set_addr("off", "s0", "10.0.0.1:80"),
            Command::EnableServer(path("off", "s0")),
        ];
        let said = verdicts(&address(&haproxy), &commands).await;
        assert_eq!(said, vec![Some(Refusal::ProxyDisabled); commands.len()]);
        let commands = [add("off", "new", "10.0.0.1:80", plain())];
        let said = verdicts(&address(&haproxy), &commands).await;
        assert!(
            matches!(said[0], Some(Refusal::NotDynamicAlgorithm(_) | Refusal::ProxyDisabled)),
            "{said:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_socket_below_level_admin_answers_questions_and_refuses_changes() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin)
            .global("stats socket {dir}/operator mode 600 level operator\n    stats socket {dir}/user mode 600 level user")
            .config(BACKENDS)
            .start()
            .or_fail();
        for level in ["operator", "user"] {
            let socket = SocketAddress::Unix(haproxy.dir().join(level));
            let commands = [
                weight("s0", 1),
                set_addr("web", "s0", "10.0.0.1:80"),
                add("web", "new", "10.0.0.1:80", plain()),
                Command::DelServer(path("web", "s0")),
                Command::EnableHealth(path("web", "s0")),
                Command::ShutdownSessions(path("web", "s0")),
            ];
            let said = verdicts(&socket, &commands).await;
            assert_eq!(said, vec![Some(Refusal::PermissionDenied); commands.len()], "{level}");
            let questions = [Command::ShowBackend, Command::ShowServersState(None), Command::ShowServersConn(None)];
            assert_eq!(verdicts(&socket, &questions).await, [None, None, None], "{level}");
        }
    })
    .await;
}

/// What builds on the address would make a server live that points elsewhere.
#[tokio::test]
async fn a_server_whose_address_cannot_be_changed_stays_as_it_was() {
    on_each(async |bin| {
        let config = many_servers(1) + "    server unix /nowhere/app.sock disabled\n";
        let haproxy = Haproxy::builder(bin).config(&config).start().or_fail();
        let commands = [set_addr("web", "unix", "10.0.0.1:80"), state("web", "unix", State::Ready)];
        let outcome = Batch::new(&commands).run(&address(&haproxy), &Limits::default()).await.or_fail();
        let said = outcome.replies.iter().zip(&commands).map(|(reply, command)| reply.verdict(command).err());
        let said: Vec<_> = said.collect();
        let [Some(Refusal::Other(text)), Some(Refusal::NotTried(why))] = said.as_slice() else {
            panic!("{said:?}")
        };
        assert!(text.contains("address family") && why.contains("address family"), "{said:?}");
        assert!(haproxy.server("web", "unix").or_fail().in_maintenance());
    })
    .await;
}

/// It is asked by a command that is refused in any case; nothing may be left behind.
#[tokio::test]
async fn whether_a_backend_takes_new_servers_is_told_by_a_refusal_that_leaves_nothing_behind() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(BACKENDS).start().or_fail();
        let before = haproxy.cli("show servers state").or_fail().lines().count();
        let ask = |name: &str| Command::AskIfDynamic(super::backend(name));
        let said =
            verdicts(&address(&haproxy), &["web", "consistent", "static", "map-uri", "gone"].map(ask)).await;
        assert!(
            matches!(said[..2], [Some(Refusal::UnknownKeyword(_)), Some(Refusal::UnknownKeyword(_))]),
            "{said:?}"
        );
        let refused = |said: &Option<Refusal>| matches!(said, Some(Refusal::NotDynamicAlgorithm(_)));
        assert!(said[2..4].iter().all(refused), "{said:?}");
        assert_eq!(said[4], Some(Refusal::NoSuchBackend));
        assert_eq!(haproxy.cli("show servers state").or_fail().lines().count(), before);
    })
    .await;
}
