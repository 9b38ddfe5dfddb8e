//! A master with workers.

use roster_testkit::{Haproxy, HaproxyError, HttpBackend, http_get, wait_until_or_fail};

use crate::{CAP, exists, on_each, runs, two_servers};

#[test]
fn a_reload_keeps_the_master_and_changes_the_worker() {
    on_each(|bin| {
        let (one, two) = (HttpBackend::start("one").unwrap(), HttpBackend::start("two").unwrap());
        let config = two_servers(&one, &two);
        let mut haproxy = Haproxy::builder(bin).config(&config).master_worker().start().unwrap();
        let (master, worker) = (haproxy.pid(), haproxy.worker_pid().unwrap());
        assert_ne!(master, worker);

        haproxy.set_config(&config.replace("server two", "server second")).unwrap();
        haproxy.reload().unwrap();
        assert_eq!(haproxy.pid(), master);
        assert_ne!(haproxy.worker_pid().unwrap(), worker);
        assert!(haproxy.server("be", "second").is_ok());
        wait_until_or_fail(CAP, "the old worker's end", || !runs(worker));
        assert_eq!(http_get(haproxy.addr("web").unwrap(), "/").unwrap().status, 200);
    });
}

#[test]
fn a_refused_reload_is_told_and_the_worker_stays_then_a_good_one_counts_again() {
    on_each(|bin| {
        let mut haproxy = Haproxy::builder(bin).config("backend be\n").master_worker().start().unwrap();
        let worker = haproxy.worker_pid().unwrap();
        haproxy.set_config("backend be\n    nonsense here\n").unwrap();
        let refused = haproxy.reload().unwrap_err();
        assert!(
            matches!(&refused, HaproxyError::ReloadRefused { log } if log.contains("unknown keyword")),
            "{refused}"
        );
        assert_eq!(haproxy.worker_pid().unwrap(), worker);

        haproxy.set_config("backend other\n").unwrap();
        haproxy.reload().unwrap();
        assert_ne!(haproxy.worker_pid().unwrap(), worker);
    });
}

#[test]
fn a_crash_takes_the_workers_too_and_a_restart_brings_it_back() {
    on_each(|bin| {
        let mut haproxy = Haproxy::builder(bin).config("backend be\n").master_worker().start().unwrap();
        let (master, worker) = (haproxy.pid(), haproxy.worker_pid().unwrap());
        haproxy.kill9().unwrap();
        assert!(!exists(master));
        wait_until_or_fail(CAP, "the worker's end", || !runs(worker));
        haproxy.start_again().unwrap();
        haproxy.restart().unwrap();
        assert!(haproxy.is_running());
        assert!(haproxy.master_cli("show proc").unwrap().contains("# workers"));
    });
}
