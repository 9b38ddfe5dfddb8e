//! The runtime target: what it reads of a real HAProxy, and what it writes.

use std::collections::BTreeSet;

use roster_core::plan::{Change, Operation, Reason};
use roster_haproxy::name::BackendName;
use roster_haproxy::observed::State;
use roster_haproxy::weight::Weight;
use roster_targets::runtime::RuntimeTarget;
use roster_targets::runtime::session::Limits;
use roster_targets::{Look, Reading, Target};
use roster_testkit::{Haproxy, HttpBackend, OrFail, TrafficLoad, wait_until_or_fail};

use super::{CAP, address, backend, on_each, server_name};

const ALGORITHMS: &str = "\
frontend rr
    bind 127.0.0.1:{port:rr}
    default_backend rr
backend rr
    balance roundrobin
    server a 127.0.0.1:{port:a}
    server spare 127.0.0.1:9 backup disabled
backend least
    balance leastconn
    server a 127.0.0.1:9
backend static
    balance static-rr
    server a 127.0.0.1:9 weight 7
backend map
    balance source
    server a 127.0.0.1:9
backend ring
    balance uri
    hash-type consistent
    server a 127.0.0.1:9
backend empty
    balance roundrobin
";

fn target(haproxy: &Haproxy) -> RuntimeTarget {
    RuntimeTarget::new(address(haproxy), Limits::default())
}

fn backends(names: &[&str]) -> BTreeSet<BackendName> {
    names.iter().map(|name| backend(name)).collect()
}

async fn observe(target: &mut RuntimeTarget, names: &[&str], connections: &[&str]) -> Reading {
    let look = Look { backends: backends(names), connections: backends(connections) };
    target.observe(&look).await.or_fail()
}

#[tokio::test]
async fn each_backend_is_read_with_what_its_algorithm_allows() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(ALGORITHMS).start().or_fail();
        let mut target = target(&haproxy);
        let all = ["rr", "least", "static", "map", "ring", "empty", "absent"];
        let reading = observe(&mut target, &all, &[]).await;
        let limits = |name: &str| reading.observed.backends[name].limits.clone();
        let dynamic = ["rr", "least", "static", "map", "ring", "empty"].map(|name| limits(name).dynamic);
        assert_eq!(dynamic, [true, true, false, false, true, true]);
        assert_eq!(limits("static").algorithm.as_deref(), Some("static-rr"));
        assert_eq!(limits("empty").algorithm.as_deref(), Some("roundrobin"));
        assert_eq!(reading.observed.missing, backends(&["absent"]));
        let rr = &reading.observed.backends["rr"].servers;
        assert_eq!((rr["a"].line.backup, rr["spare"].line.backup), (false, true));
        assert_eq!((rr["a"].state(), rr["spare"].state()), (State::Ready, State::Maint));
        assert_eq!(reading.observed.backends["static"].servers["a"].weight, Weight::new(7).unwrap());
        assert_eq!(reading.process.pid, haproxy.pid());
    })
    .await;
}

#[tokio::test]
async fn a_second_look_asks_nothing_that_cannot_have_changed() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(ALGORITHMS).start().or_fail();
        let mut target = target(&haproxy);
        let first = observe(&mut target, &["rr", "map"], &[]).await;
        let asked = haproxy.log().matches("roster-asks").count();
        assert!(asked <= 1, "asked although the algorithm's name tells: {}", haproxy.log());
        let second = observe(&mut target, &["rr", "map"], &[]).await;
        assert_eq!(first.observed, second.observed);
        assert_eq!(haproxy.log().matches("roster-asks").count(), asked);
    })
    .await;
}

#[tokio::test]
async fn connections_are_counted_where_that_is_asked_for() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(ALGORITHMS).start().or_fail();
        let at = format!("127.0.0.1:{}", haproxy.port("a").or_fail());
        let server = HttpBackend::start_at("a", at.parse().unwrap()).or_fail();
        let load = TrafficLoad::builder(haproxy.addr("rr").or_fail()).workers(2).path("/hold").start();
        wait_until_or_fail(CAP, "two requests on the server", || server.held() == 2);
        let mut target = target(&haproxy);
        let reading = observe(&mut target, &["rr", "least"], &["rr"]).await;
        assert_eq!(reading.observed.backends["rr"].servers["a"].connections, Some(2));
        assert_eq!(reading.observed.backends["least"].servers["a"].connections, None);
        let ending = std::thread::spawn(move || load.stop());
        wait_until_or_fail(CAP, "the load to end", || {
            server.release_held();
            ending.is_finished()
        });
    })
    .await;
}

#[tokio::test]
async fn what_is_refused_is_told_with_its_place_and_the_rest_is_done() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(ALGORITHMS).start().or_fail();
        let mut target = target(&haproxy);
        let operation = |on: &str, to: &str, change: Change| Operation {
            backend: backend(on),
            server: server_name(to),
            change,
            why: Reason::Drifted,
        };
        let operations = [
            operation("static", "a", Change::Weight(Weight::new(3).unwrap())),
            operation("rr", "gone", Change::State(State::Maint)),
            operation("least", "a", Change::State(State::Drain)),
        ];
        let process = target.identify().await.or_fail();
        let receipt = target.apply(process, &operations).await.or_fail();
        let places: Vec<usize> = receipt.refused.iter().map(|refused| refused.operation).collect();
        assert_eq!(places, [0, 1]);
        let reading = observe(&mut target, &["least"], &[]).await;
        assert_eq!(reading.observed.backends["least"].servers["a"].state(), State::Drain);
    })
    .await;
}
