//! The faults, each with how all is seen to be well again.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use roster_testkit::{MadeCertificate, OrFail, Poll, http_get, served_certificate, wait_until_or_fail};
use rustix::process::{Signal, geteuid};

use super::{Case, Mounted, Promise, Scene, tunnel};
use crate::managed::checks::hangs;
use crate::managed::ports::exposed;
use crate::managed::site::{at, send};
use crate::managed::trouble::occupied;
use crate::rig::CAP;

pub(super) fn all() -> Vec<Case> {
    use Promise::{Always, NoneRefused};
    let case = |name, promise, prepare, act| Case { name, promise, prepare, act };
    vec![
        case("a new service, with nothing wrong", Always, nothing, |scene| scene.another_service("api")),
        case("Roster is killed and started again 5 times", Always, nothing, roster_killed),
        case("a certificate is rewritten 100 times", Always, with_certificates, certificates),
        case(
            "a reload fails after a good check, then `global` is put right",
            NoneRefused,
            nothing,
            failed_reload,
        ),
        case("`global` has lines that the check refuses, then is put right", Always, nothing, refused),
        case("a new service on a port in use", Always, on_a_port_in_use, bad_bind),
        case("a new service on an address that the machine lacks", Always, nowhere, bad_bind),
        case("a new service on a low port, without the right", Always, on_a_low_port, bad_bind),
        case("`haproxy -c` hangs", Always, with_a_check_that_hangs, hanging_check),
        case("HAProxy is stopped for 5 s", Always, nothing, stopped),
        case("the disk is full for a moment", Always, on_a_small_disk, full_disk),
        case("a folder stands where the file was", Always, nothing, folder_in_the_way),
        case("a worker is killed", NoneRefused, nothing, |scene| killed(scene, true)),
        case("a master is killed", NoneRefused, nothing, |scene| killed(scene, false)),
        case("routes change 100 times", Always, with_routes, routes),
        case("websockets that never end, over 3 reloads", Always, with_tunnels, tunnels),
    ]
}

fn nothing(_: &mut Scene) {}

fn hup(scene: &Scene) {
    scene.site.configure();
    scene.roster().signal(Signal::HUP);
}

/// Waits until so much time is over since then.
fn pass(since: Instant, time: Duration) {
    wait_until_or_fail(CAP, "the time to pass", || since.elapsed() >= time);
}

fn roster_killed(scene: &mut Scene) {
    let all = scene.ports();
    for round in 0..5 {
        scene.roster = None;
        let some = if round % 2 == 0 { &all[..2] } else { &all[..1] };
        scene.site.services(&[("web", some)]);
        scene.roster = Some(scene.site.run_again());
        scene.site.until_ready("web", some);
    }
    scene.another_service("api");
}

/// A frontend that services share, on the case's other port.
fn shared(scene: &mut Scene, more: &str, routes: &str) {
    let port = scene.other;
    scene.site.keys +=
        &["frontends: { public: { bind: { at: \"127.0.0.1:", &port.to_string(), "\"", more, " } } }\n"]
            .concat();
    scene.site.rest = scene.site.rest.replace("expose:\n", &format!("expose:\n{routes}"));
}

fn with_certificates(scene: &mut Scene) {
    let folder = scene.site.path("certs");
    fs::create_dir(&folder).or_fail();
    fs::write(folder.join("one.pem"), MadeCertificate::new("one.test").pem()).or_fail();
    shared(scene, ", certificates: [certs]", "");
}

fn certificates(scene: &mut Scene) {
    let folder = scene.site.path("certs");
    let mut last = MadeCertificate::new("one.test");
    for _ in 0..100 {
        last = MadeCertificate::new("one.test");
        fs::write(folder.join(".new"), last.pem()).or_fail();
        fs::rename(folder.join(".new"), folder.join("one.pem")).or_fail();
        let began = Instant::now();
        pass(began, Duration::from_millis(30));
    }
    wait_until_or_fail(CAP, "the last certificate", || {
        served_certificate(at(scene.other), "one.test").as_deref() == Some(&last.der[..])
    });
}

fn failed_reload(scene: &mut Scene) {
    wrong_for_a_moment(scene, "chroot /nonexistent-dir", "Cannot chroot");
}

fn refused(scene: &mut Scene) {
    wrong_for_a_moment(scene, "nonsense 1", "HAProxy refuses the file");
}

/// `global` has this line until the log says so.
fn wrong_for_a_moment(scene: &mut Scene, line: &str, word: &str) {
    let good = scene.site.keys.clone();
    scene.site.keys += &["global: ", line, "\n"].concat();
    hup(scene);
    scene.roster().until_log(word);
    scene.site.keys = good;
    hup(scene);
    scene.another_service("api");
    scene.site.until_ready("web", &scene.ports()[..1]);
}

fn on_a_port_in_use(scene: &mut Scene) {
    let at = format!("127.0.0.1:{}", scene.other);
    exposed(&mut scene.site, &[("api", &at)]);
    // Until the test program ends.
    std::mem::forget(occupied(scene.other));
}

fn nowhere(scene: &mut Scene) {
    exposed(&mut scene.site, &[("api", "192.0.2.1:8080")]);
}

fn on_a_low_port(scene: &mut Scene) {
    exposed(&mut scene.site, &[("api", "127.0.0.1:1021")]);
    scene.site.services(&[("web", &scene.ports()[..1])]);
    scene.site.configure();
    let without = ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"];
    scene.is_possible = geteuid().is_root();
    scene.roster = scene.is_possible.then(|| scene.site.run_under(&without));
}

/// The service cannot listen; another one comes all the same.
fn bad_bind(scene: &mut Scene) {
    let all = scene.ports();
    scene.site.services(&[("web", &all[..1]), ("api", &all[1..2]), ("mail", &all[2..])]);
    scene.roster().until_log("a bind of frontend api is left out");
    scene.site.until_ready("mail", &all[2..]);
    scene.site.until_ready("api", &all[1..2]);
}

fn with_a_check_that_hangs(scene: &mut Scene) {
    scene.site.haproxy = hangs(&scene.site, &scene.bin);
}

fn hanging_check(scene: &mut Scene) {
    let all = scene.ports();
    fs::write(scene.site.path("hangs"), "").or_fail();
    scene.site.services(&[("web", &all[..1]), ("api", &all[1..2])]);
    wait_until_or_fail(CAP, "the check", || scene.site.path("pids").exists());
    scene.site.services(&[("web", &all[..2]), ("api", &all[1..2])]);
    scene.site.until_ready("web", &all[..2]);
    scene.roster().until_log("and was killed");
    fs::remove_file(scene.site.path("hangs")).or_fail();
    scene.site.until_ready("api", &all[1..2]);
}

fn stopped(scene: &mut Scene) {
    let all = scene.ports();
    let worker = scene.site.worker().unwrap();
    send(worker, Signal::STOP);
    let began = Instant::now();
    scene.site.services(&[("web", &all[..2])]);
    pass(began, Duration::from_secs(5));
    send(worker, Signal::CONT);
    scene.site.until_ready("web", &all[..2]);
    scene.another_service("api");
}

fn on_a_small_disk(scene: &mut Scene) {
    let folder = scene.site.path("etc");
    fs::create_dir(&folder).or_fail();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"]).arg(&folder).status();
    scene.is_possible = mounted.or_fail().success();
    scene.mounted = scene.is_possible.then(|| Mounted(folder.clone()));
    scene.site.file = folder.join("haproxy.cfg");
}

fn full_disk(scene: &mut Scene) {
    let all = scene.ports();
    let filler = scene.site.path("etc/filler");
    let mut file = fs::File::create(&filler).or_fail();
    while file.write_all(&[0; 4096]).is_ok() {}
    // What is open takes its room though it is removed.
    drop(file);
    scene.site.services(&[("web", &all[..2]), ("api", &all[1..2])]);
    scene.roster().until_log("the disk is full");
    scene.site.until_ready("web", &all[..2]);
    fs::remove_file(&filler).or_fail();
    scene.site.until_ready("api", &all[1..2]);
}

fn folder_in_the_way(scene: &mut Scene) {
    let all = scene.ports();
    fs::remove_file(&scene.site.file).or_fail();
    fs::create_dir(&scene.site.file).or_fail();
    scene.site.services(&[("web", &all[..2]), ("api", &all[1..2])]);
    scene.roster().until_log("is no ordinary file");
    scene.site.until_ready("web", &all[..2]);
    fs::remove_dir(&scene.site.file).or_fail();
    scene.site.until_ready("api", &all[1..2]);
}

fn killed(scene: &mut Scene, worker: bool) {
    let pid = if worker { scene.site.worker() } else { scene.site.master() };
    send(pid.unwrap(), Signal::KILL);
    scene.roster().until_said("HAProxy serves", 2);
    scene.site.until_served();
    scene.site.until_ready("web", &scene.ports()[..1]);
}

fn with_routes(scene: &mut Scene) {
    shared(
        scene,
        "",
        "  - { service: fleet/shop, bring_up: registry, guard: off, backend: { route: { frontend: public, path: /shop } } }\n  \
         - { service: fleet/api, bring_up: registry, guard: off, drain: { cap: 0s }, backend: { route: { frontend: public, path: /api } } }\n",
    );
}

/// A service with a route comes and goes; requests go to another one of the same frontend meanwhile.
fn routes(scene: &mut Scene) {
    let all = scene.ports();
    scene.site.services(&[("web", &all[..1]), ("shop", &all[1..2]), ("api", &all[2..])]);
    let routed = |path: &str| http_get(at(scene.other), path).is_ok_and(|reply| reply.status == 200);
    wait_until_or_fail(CAP, "both routes", || routed("/shop") && routed("/api"));
    let load = roster_testkit::TrafficLoad::builder(at(scene.other)).path("/shop").start();
    for _ in 0..50 {
        scene.site.services(&[("web", &all[..1]), ("shop", &all[1..2])]);
        wait_until_or_fail(CAP, "no route", || !routed("/api"));
        scene.site.services(&[("web", &all[..1]), ("shop", &all[1..2]), ("api", &all[2..])]);
        wait_until_or_fail(CAP, "the route", || routed("/api"));
    }
    let totals = load.stop();
    assert_eq!(totals.failed(), 0, "on the shared frontend: {totals:?}");
}

fn with_tunnels(scene: &mut Scene) {
    let server = tunnel::Server::start();
    let at = format!("127.0.0.1:{}", scene.other);
    exposed(&mut scene.site, &[("chat", &at)]);
    scene.site.keys += "hard_stop_after: 10s\n";
    scene.tunnel = Some(server);
}

/// Each reload leaves an old worker with a tunnel, until `hard_stop_after` ends it.
fn tunnels(scene: &mut Scene) {
    let all = scene.ports();
    let chat = [scene.tunnel.as_ref().unwrap().port];
    let mut services: Vec<(&str, &[u16])> = vec![("web", &all[..1]), ("chat", &chat)];
    scene.site.services(&services);
    scene.site.until_ready("chat", &chat);
    wait_until_or_fail(CAP, "the service of tunnels", || {
        http_get(at(scene.other), "/").is_ok_and(|reply| reply.status == 200)
    });
    let mut open = Vec::new();
    for name in ["api", "mail", "shop"] {
        open.push(tunnel::Tunnel::open(at(scene.other), "chat.test"));
        services.push((name, &all[1..2]));
        scene.site.services(&services);
        scene.site.until_ready(name, &all[1..2]);
        assert!(open.iter_mut().all(tunnel::Tunnel::echoes), "a reload ended a tunnel");
    }
    let worker = scene.site.worker();
    wait_until_or_fail(CAP, "hard_stop_after to end the old workers", || {
        Poll::when(scene.site.processes(), |processes| processes.len() == 2)
    });
    assert_eq!(scene.site.worker(), worker);
    assert!(!open.iter_mut().any(tunnel::Tunnel::echoes), "a tunnel outlived its worker");
    let mut last = tunnel::Tunnel::open(at(scene.other), "chat.test");
    assert!(last.echoes());
}
