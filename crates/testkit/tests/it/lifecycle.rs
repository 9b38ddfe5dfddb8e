//! One process in the foreground.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Duration;

use roster_testkit::{
    Haproxy, HaproxyError, HttpBackend, Poll, http_get, parse_servers_state, wait_until_or_fail,
};

use crate::{CAP, exists, on_each, two_servers};

#[test]
fn a_started_haproxy_answers_on_its_sockets_and_serves() {
    on_each(|bin| {
        let (one, two) = (HttpBackend::start("one").unwrap(), HttpBackend::start("two").unwrap());
        let haproxy = Haproxy::builder(bin).config(&two_servers(&one, &two)).stats_on_tcp().start().unwrap();
        assert!(haproxy.cli("show version").unwrap().trim().starts_with(bin.version()));
        assert_eq!(haproxy.worker_pid().unwrap(), haproxy.pid());
        assert!(std::net::TcpStream::connect(haproxy.stats_addr().unwrap()).is_ok());

        let mut seen: Vec<_> =
            (0..2).map(|_| http_get(haproxy.addr("web").unwrap(), "/").unwrap().body).collect();
        seen.sort();
        assert_eq!(seen, ["one", "two"]);
    });
}

#[test]
fn a_servers_row_follows_what_the_cli_changes() {
    on_each(|bin| {
        let (one, two) = (HttpBackend::start("one").unwrap(), HttpBackend::start("two").unwrap());
        let haproxy = Haproxy::builder(bin).config(&two_servers(&one, &two)).start().unwrap();
        let row = haproxy.server("be", "one").unwrap();
        assert_eq!((row.endpoint(), row.uweight, row.op), (one.addr().to_string(), 1, 2));

        haproxy.cli("set server be/one state maint; set server be/one addr 127.0.0.9 port 99").unwrap();
        haproxy.cli("set server be/two weight 7").unwrap();
        // 3.0 answers before the address is in place, and shows the old one for some milliseconds at most.
        let rows = wait_until_or_fail(CAP, "the new address", || {
            let rows = parse_servers_state(&haproxy.cli("show servers state be").unwrap());
            Poll::when(rows, |rows| rows[0].endpoint() == "127.0.0.9:99")
        });
        assert!(rows[0].in_maintenance() && !rows[1].in_maintenance());
        assert_eq!(rows[1].uweight, 7);
        assert_eq!(haproxy.stat("be", "one", "status").unwrap().as_deref(), Some("MAINT"));

        let unknown = haproxy.server("be", "three").unwrap_err();
        assert!(matches!(unknown, HaproxyError::NoServer { known, .. } if known == "one, two"));
    });
}

#[test]
fn a_restart_loses_runtime_changes_and_keeps_the_ports() {
    on_each(|bin| {
        let (one, two) = (HttpBackend::start("one").unwrap(), HttpBackend::start("two").unwrap());
        let mut haproxy = Haproxy::builder(bin).config(&two_servers(&one, &two)).start().unwrap();
        let (pid, addr) = (haproxy.pid(), haproxy.addr("web").unwrap());
        haproxy.cli("set server be/one weight 9").unwrap();

        haproxy.restart().unwrap();
        assert!(!exists(pid));
        assert_ne!(haproxy.pid(), pid);
        assert_eq!(haproxy.server("be", "one").unwrap().uweight, 1);
        assert_eq!(haproxy.addr("web").unwrap(), addr);
        assert_eq!(http_get(addr, "/").unwrap().status, 200);
    });
}

#[test]
fn a_reload_takes_the_new_configuration_and_the_old_sockets() {
    on_each(|bin| {
        let (one, two) = (HttpBackend::start("one").unwrap(), HttpBackend::start("two").unwrap());
        let mut haproxy = Haproxy::builder(bin).config(&two_servers(&one, &two)).start().unwrap();
        let before = haproxy.pid();
        haproxy.set_config(&two_servers(&one, &two).replace("server two", "server second")).unwrap();
        haproxy.reload().unwrap();
        assert_ne!(haproxy.pid(), before);
        assert!(haproxy.server("be", "second").is_ok());

        let serving = haproxy.pid();
        haproxy.set_config("frontend web\n    nonsense here\n").unwrap();
        let refused = haproxy.reload().unwrap_err();
        assert!(
            matches!(&refused, HaproxyError::ReloadRefused { log } if log.contains("unknown keyword")),
            "{refused}"
        );
        assert_eq!((haproxy.pid(), haproxy.worker_pid().unwrap()), (serving, serving));
    });
}

#[test]
fn a_killed_haproxy_refuses_connections_until_it_is_started_again() {
    on_each(|bin| {
        let (one, two) = (HttpBackend::start("one").unwrap(), HttpBackend::start("two").unwrap());
        let mut haproxy = Haproxy::builder(bin).config(&two_servers(&one, &two)).start().unwrap();
        haproxy.kill9().unwrap();
        assert!(!haproxy.is_running());
        assert!(http_get(haproxy.addr("web").unwrap(), "/").is_err());
        haproxy.start_again().unwrap();
        assert_eq!(http_get(haproxy.addr("web").unwrap(), "/").unwrap().status, 200);
    });
}

#[test]
fn a_paused_haproxy_answers_again_when_it_is_resumed() {
    on_each(|bin| {
        let haproxy = Haproxy::builder(bin).config("backend be\n").start().unwrap();
        haproxy.pause().unwrap();
        let silent = haproxy.cli_within("show info", Duration::from_millis(300)).unwrap_err();
        assert!(
            matches!(&silent, HaproxyError::Cli(error) if is_timeout(error)),
            "expected a timeout, not {silent}"
        );
        haproxy.resume();
        assert_eq!(haproxy.worker_pid().unwrap(), haproxy.pid());
    });
}

fn is_timeout(error: &dyn std::error::Error) -> bool {
    error
        .source()
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|source| matches!(source.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn a_test_that_panics_leaves_no_process_and_no_folder() {
    on_each(|bin| {
        let seen = Mutex::new(None);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let haproxy = Haproxy::builder(bin).config("backend be\n").master_worker().start().unwrap();
            haproxy.pause().unwrap();
            let pids = (haproxy.pid(), haproxy.dir().to_owned());
            *seen.lock().unwrap() = Some(pids);
            std::panic::resume_unwind(Box::new("as a failing assertion does"));
        }));
        assert!(outcome.is_err());
        let (pid, folder) = seen.into_inner().unwrap().unwrap();
        assert!(!exists(pid) && !folder.exists());
    });
}

#[test]
fn a_broken_configuration_fails_with_haproxys_own_words() {
    on_each(|bin| {
        let error = Haproxy::builder(bin).config("backend be\n    nonsense here\n").start().unwrap_err();
        assert!(error.to_string().contains("unknown keyword"), "{error}");
        let error = Haproxy::builder(bin).config("backend {what}\n").start().unwrap_err();
        assert!(matches!(error, HaproxyError::Placeholder(name) if name == "what"));
    });
}

#[test]
fn dropping_a_haproxy_with_an_open_connection_does_not_leave_it_draining() {
    on_each(|bin| {
        let (one, two) = (HttpBackend::start("one").unwrap(), HttpBackend::start("two").unwrap());
        let haproxy = Haproxy::builder(bin).config(&two_servers(&one, &two)).start().unwrap();
        let (pid, addr) = (haproxy.pid(), haproxy.addr("web").unwrap());
        let client = std::thread::spawn(move || http_get(addr, "/hold"));
        wait_until_or_fail(CAP, "a held response", || one.held() + two.held() == 1);
        drop(haproxy);
        assert!(!exists(pid));
        assert!(client.join().unwrap().is_err());
    });
}
