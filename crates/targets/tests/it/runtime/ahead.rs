//! What the runtime target learns before it is needed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use roster_haproxy::name::BackendName;
use roster_haproxy::observed::Observed;
use roster_targets::runtime::RuntimeTarget;
use roster_targets::runtime::session::Limits;
use roster_targets::{Look, Target};
use roster_testkit::{Haproxy, OrFail};

use super::tap::Tap;
use super::{address, backend, on_each};

/// A frontend has the name of one of the backends, one is empty and one is disabled.
const BACKENDS: &str = "\
frontend rr
    bind 127.0.0.1:{port:rr}
    default_backend rr
backend rr
    balance roundrobin
    server a 127.0.0.1:9
    server spare 127.0.0.1:9 backup disabled
backend map
    balance source
    server a 127.0.0.1:9
backend empty
    balance leastconn
backend off
    disabled
    server a 127.0.0.1:9
listen both
    bind 127.0.0.1:{port:both}
    server a 127.0.0.1:9
";

fn target(tap: &Tap) -> RuntimeTarget {
    RuntimeTarget::new(tap.address.clone(), Limits::default())
}

fn backends(names: &[&str]) -> BTreeSet<BackendName> {
    names.iter().map(|name| backend(name)).collect()
}

async fn observe(target: &RuntimeTarget, names: &[&str]) -> Observed {
    let look = Look { backends: backends(names), connections: BTreeSet::new() };
    target.observe(&look).await.or_fail().observed
}

/// How often a question that begins so was asked since the last time.
fn asked(tap: &Tap, begin: &str) -> usize {
    tap.take().iter().flatten().filter(|line| line.starts_with(begin)).count()
}

#[tokio::test]
async fn every_backend_is_listed() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(BACKENDS).start().or_fail();
        let listed = RuntimeTarget::new(address(&haproxy), Limits::default()).backends().await.or_fail();
        let expected = backends(&["rr", "map", "empty", "off", "both"]);
        assert!(listed.is_superset(&expected) && !listed.contains("stats"), "{listed:?}");
    })
    .await;
}

#[tokio::test]
async fn what_was_read_ahead_is_not_asked_again_and_is_right() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(BACKENDS).start().or_fail();
        let tap = Tap::on(haproxy.socket());
        let target = target(&tap);
        let all = ["rr", "map", "empty", "both"];
        target.prepare(&backends(&["rr", "map", "empty", "both", "absent"])).await.or_fail();
        assert_eq!(asked(&tap, "show stat "), 4);
        let seen = observe(&target, &all).await;
        assert_eq!(asked(&tap, "show stat "), 0);
        let fresh = RuntimeTarget::new(address(&haproxy), Limits::default());
        assert_eq!(seen, observe(&fresh, &all).await);
        assert!(
            seen.backends["rr"].servers["spare"].line.backup && !seen.backends["rr"].servers["a"].line.backup
        );
    })
    .await;
}

#[tokio::test]
async fn a_backend_that_may_never_be_rosters_gets_no_question_that_haproxy_logs() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(BACKENDS).start().or_fail();
        let tap = Tap::on(haproxy.socket());
        let target = target(&tap);
        target.prepare(&backends(&["map"])).await.or_fail();
        assert_eq!(asked(&tap, "add server "), 0);
        for times in [1, 0] {
            let seen = observe(&target, &["map"]).await;
            assert!(!seen.backends["map"].limits.dynamic);
            assert_eq!(asked(&tap, "add server "), times);
        }
    })
    .await;
}

#[tokio::test]
async fn many_backends_are_read_ahead_a_few_at_a_time_and_once() {
    on_each(async |bin| {
        let mut config = String::new();
        for number in 0..20 {
            writeln!(config, "backend b{number}\n    server-template s 1-300 127.0.0.1:9 disabled").or_fail();
        }
        let haproxy = Haproxy::builder(bin).config(&config).start().or_fail();
        let tap = Tap::on(haproxy.socket());
        let target = target(&tap);
        let listed = target.backends().await.or_fail();
        assert!(listed.len() >= 20);
        tap.take();
        target.prepare(&listed).await.or_fail();
        let connections = tap.take();
        let counts = |begin| {
            let of = |lines: &Vec<String>| lines.iter().filter(|line| line.starts_with(begin)).count();
            connections.iter().map(of).collect::<Vec<usize>>()
        };
        for (begin, most) in [("show servers state ", 8), ("show stat ", 4)] {
            let counts = counts(begin);
            assert_eq!(counts.iter().sum::<usize>(), listed.len(), "{begin}{counts:?}");
            assert!(counts.iter().all(|count| *count <= most), "{begin}{counts:?}");
        }
        target.prepare(&listed).await.or_fail();
        assert_eq!(asked(&tap, "show s"), 0, "only which process serves");
    })
    .await;
}

#[tokio::test]
async fn what_was_read_ahead_counts_only_for_its_process() {
    on_each(async |bin| {
        let mut haproxy = Haproxy::builder(bin).config(BACKENDS).start().or_fail();
        let tap = Tap::on(haproxy.socket());
        let target = target(&tap);
        target.prepare(&backends(&["rr", "map"])).await.or_fail();
        let swapped = std::fs::read_to_string(haproxy.config_path()).or_fail();
        let swapped = swapped.replace("backup disabled", "disabled").replace("roundrobin", "leastconn");
        haproxy.set_config(&swapped).or_fail();
        haproxy.restart().or_fail();
        tap.take();
        let seen = observe(&target, &["rr"]).await;
        assert_eq!(asked(&tap, "show stat "), 1);
        assert!(!seen.backends["rr"].servers["spare"].line.backup);
        assert_eq!(seen.backends["rr"].limits.algorithm.as_deref(), Some("leastconn"));
        haproxy.restart().or_fail();
        target.prepare(&backends(&["rr", "map"])).await.or_fail();
        assert_eq!(asked(&tap, "show stat "), 2);
        observe(&target, &["rr", "map"]).await;
        assert_eq!(asked(&tap, "show stat "), 0);
    })
    .await;
}

#[tokio::test]
async fn another_server_makes_what_was_read_ahead_void() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(BACKENDS).start().or_fail();
        let tap = Tap::on(haproxy.socket());
        let target = target(&tap);
        target.prepare(&backends(&["rr"])).await.or_fail();
        for line in ["del server rr/spare", "add server rr/other 127.0.0.1:9 backup"] {
            let said = haproxy.cli(line).or_fail();
            assert!(said.contains("deleted") || said.contains("registered"), "{said}");
        }
        tap.take();
        let seen = observe(&target, &["rr"]).await;
        assert_eq!(asked(&tap, "show stat "), 1);
        assert!(seen.backends["rr"].servers["other"].line.backup);
    })
    .await;
}
