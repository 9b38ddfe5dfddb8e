//! A frontend that several services share: its routes come and go while HAProxy runs.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use roster_testkit::{
    HaproxyBin, MadeCertificate, OrFail, Poll, TrafficLoad, free_port, served_certificate, wait_until_or_fail,
};
use rustix::process::Signal;

use super::site::{Site, at, backends, on_each_at_once, ports};
use crate::rig::{CAP, one_version};

/// Who answers a request for a host; the status if nobody does.
fn asked(addr: SocketAddr, host: &str, path: &str) -> String {
    let ask = || -> std::io::Result<String> {
        let mut client = TcpStream::connect(addr)?;
        client.set_read_timeout(Some(CAP))?;
        write!(client, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        client.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().unwrap_or_default();
    let backend = answer
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("x-backend: ").map(str::to_owned));
    backend.unwrap_or_else(|| answer.split(' ').nth(1).unwrap_or("nothing").to_owned())
}

#[track_caller]
fn until_asked(addr: SocketAddr, host: &str, path: &str, by: &str) {
    wait_until_or_fail(CAP, &format!("{host}{path} to be answered by {by}"), || {
        Poll::when(asked(addr, host, path), |found| found == by)
    });
}

/// With a frontend `public` that every service is reached by, and one of them without a route.
fn site(bin: &HaproxyBin, bind: &str, default: &str, route: &str) -> Site {
    let mut site = Site::new(bin);
    site.sections = String::new();
    let frontend = format!("{{ bind: {bind}, default_backend: {default} }}");
    site.keys = [site.keys.as_str(), "frontends: { public: ", &frontend, " }\n"].concat();
    site.rest = format!(
        "expose: [ {{ each: fleet, bring_up: registry, drain: {{ cap: 0s }}, guard: off, backend: {{ route: {route} }} }} ]\n\
         admin: off\n"
    );
    site
}

fn routes_follow(bin: &HaproxyBin) {
    let port = free_port().or_fail();
    let addr = at(port);
    let route = "{ frontend: public, host: \"{service}.test\" }";
    let mut site = site(bin, &format!("127.0.0.1:{port}"), "shop", route);
    let servers = backends(&["shop", "api"]);
    let all = ports(&servers);
    let (shop, api) = (&all[..1], &all[1..]);
    site.services(&[("shop", shop), ("api", api)]);
    let roster = site.run();
    until_asked(addr, "shop.test", "/", "shop");
    until_asked(addr, "API.test:8080", "/x", "api");
    assert_eq!(asked(addr, "other.test", "/"), "shop");
    let (reloads, worker) = (site.reloads(), site.worker());
    let load = TrafficLoad::builder(addr).start();

    // Routes go elsewhere: by path now.
    site.rest = site.rest.replace("host: \"{service}.test\"", "path: \"/{service}\"");
    site.configure();
    roster.signal(Signal::HUP);
    until_asked(addr, "any.test", "/api/1", "api");
    until_asked(addr, "api.test", "/", "shop");

    // What somebody else takes away comes back.
    let map = site.path("haproxy.cfg.public.paths.map");
    site.cli(&format!("del map {} /api", map.display())).unwrap();
    assert_eq!(asked(addr, "any.test", "/api"), "shop");
    roster.signal(Signal::HUP);
    until_asked(addr, "any.test", "/api", "api");

    // A service that is removed takes its route along, and what is on the disk follows.
    site.services(&[("shop", shop)]);
    until_asked(addr, "any.test", "/api", "shop");
    wait_until_or_fail(CAP, "the map to be written", || {
        Poll::when(fs::read_to_string(&map).unwrap_or_default(), |text| text == "/shop shop\n")
    });
    assert_eq!((site.reloads(), site.worker()), (reloads, worker), "{}", roster.log());
    let load = load.stop();
    assert!(load.failed() == 0 && load.ok > 0, "{load:?}");
}

#[test]
fn routes_come_and_go_without_a_reload() {
    on_each_at_once(routes_follow);
}

/// The operator has a backend `api`, written like this, and a service of that name comes.
fn is_left_alone(bin: &HaproxyBin, written: &str) {
    let port = free_port().or_fail();
    let addr = at(port);
    let route = "{ frontend: public, host: \"{service}.test\" }";
    let mut site = site(bin, &format!("127.0.0.1:{port}"), "shop", route);
    let servers = backends(&["shop", "api", "mine"]);
    let all = ports(&servers);
    site.sections = format!("backend {written}\n    server mine 127.0.0.1:{}\n", all[2]);
    site.services(&[("shop", &all[..1])]);
    let roster = site.run();
    until_asked(addr, "shop.test", "/", "shop");
    site.services(&[("shop", &all[..1]), ("api", &all[1..2]), ("more", &all[1..2])]);
    roster.until_log("backend api is left out: ");
    // What comes after it comes all the same.
    until_asked(addr, "more.test", "/", "api");
    site.services(&[("shop", &all[..1]), ("api", &all[..2]), ("more", &all[1..2])]);
    assert_eq!(asked(addr, "api.test", "/"), "shop", "the operator's own backend was published");
    let names: Vec<String> = site.rows("api").into_iter().map(|row| row.name).collect();
    assert_eq!(names, ["mine"]);
    let status = site.command(&["status"]).out;
    assert!(status.contains("backend api is left out: "), "{status}");
    // The roster that runs is asked, and knows what HAProxy said of the file.
    assert_eq!(site.command(&["plan"]).out.matches("backend api is left out: ").count(), 1);

    // Under another name it comes.
    site.services(&[("shop", &all[..1]), ("api2", &all[1..2]), ("more", &all[1..2])]);
    until_asked(addr, "api2.test", "/", "api");
    assert!(!site.command(&["status"]).out.contains("is left out"));
}

#[test]
fn an_own_backend_with_the_name_of_a_service_is_left_alone_in_the_file_in_its_routes_and_live() {
    on_each_at_once(|bin| is_left_alone(bin, "api"));
}

#[test]
fn so_is_one_whose_name_only_haproxy_reads() {
    on_each_at_once(|bin| is_left_alone(bin, "a\"p\"i"));
}

#[test]
#[ignore = "wants HAProxy 3.4: HAPROXY_34_BIN=/path/to/haproxy"]
fn new_services_are_reached_without_a_reload_on_haproxy_3_4() {
    let bin = HaproxyBin::named_3_4().or_fail();
    let port = free_port().or_fail();
    let addr = at(port);
    let mut site = site(
        &bin,
        &format!("127.0.0.1:{port}"),
        "first",
        "{ frontend: public, host: \"{service}.test\" }, balance: leastconn, http_check: { path: /health }",
    );
    site.rest = site.rest.replace("guard: off,", "guard: off, server: { check: true, inter: 200ms },");
    let servers = backends(&["first", "more"]);
    let all = ports(&servers);
    site.services(&[("first", &all[..1])]);
    let roster = site.run();
    until_asked(addr, "first.test", "/", "first");
    let (reloads, worker) = (site.reloads(), site.worker());
    let load = TrafficLoad::builder(addr).start();
    let names: Vec<String> = (1..=50).map(|n| format!("svc{n}")).collect();
    for count in 1..=names.len() {
        let new = names.iter().take(count).map(|name| (name.as_str(), &all[1..]));
        site.services(&new.chain([("first", &all[..1])]).collect::<Vec<_>>());
        until_asked(addr, &format!("{}.test", names[count - 1]), "/", "more");
    }
    assert_eq!((site.reloads(), site.worker()), (reloads, worker), "{}", roster.log());
    let load = load.stop();
    assert!(load.failed() == 0 && load.ok > 0, "{load:?}");
    // Whoever starts HAProxy from the file gets the same, and so does a reload.
    site.until_written("svc50");
    let master = site.master().unwrap();
    super::site::send(master, Signal::USR2);
    wait_until_or_fail(CAP, "another worker", || site.worker().filter(|new| Some(*new) != worker));
    for name in &names {
        until_asked(addr, &format!("{name}.test"), "/", "more");
    }
}

#[test]
fn a_shared_frontend_can_be_held() {
    let port = free_port().or_fail();
    let mut site =
        site(&one_version(), &format!("127.0.0.1:{port}"), "shop", "{ frontend: public, path: /api }");
    site.keys += "listen: held\n";
    site.rest = site.rest.replace("each: fleet", "service: fleet/api");
    site.rest = site.rest.replace("expose: [", "expose: [ { service: fleet/shop, bring_up: registry },");
    let servers = backends(&["shop", "api"]);
    let all = ports(&servers);
    site.services(&[("shop", &all[..1]), ("api", &all[1..])]);
    let _roster = site.run();
    until_asked(at(port), "any.test", "/", "shop");
    until_asked(at(port), "any.test", "/api", "api");
    assert!(site.text().contains("bind fd@"), "{}", site.text());
}

fn certificates_follow(bin: &HaproxyBin) {
    let port = free_port().or_fail();
    let addr = at(port);
    let bind = format!("{{ at: \"127.0.0.1:{port}\", certificates: [first.pem, certs] }}");
    let site = site(bin, &bind, "shop", "{ frontend: public, path: /shop }");
    let servers = backends(&["shop"]);
    site.services(&[("shop", &ports(&servers))]);
    let (first, one) = (MadeCertificate::new("first.test"), MadeCertificate::new("one.test"));
    let certs = site.path("certs");
    fs::create_dir(&certs).or_fail();
    fs::write(site.path("first.pem"), first.pem()).or_fail();
    fs::write(certs.join("one.pem"), one.pem()).or_fail();
    let roster = site.run();
    site.until_ready("shop", &ports(&servers));
    let until_served = |name: &str, der: &[u8]| {
        wait_until_or_fail(CAP, &format!("the certificate of {name}"), || {
            Poll::when(served_certificate(addr, name), |served| served.as_deref() == Some(der))
        });
    };
    until_served("one.test", &one.der);
    until_served("other.test", &first.der);
    let (reloads, worker) = (site.reloads(), site.worker());

    // A new one, a renewed one, a damaged one, and one that goes; each as a careful program writes it.
    let place = |name: &str, text: &str| {
        fs::write(certs.join(".new"), text).or_fail();
        fs::rename(certs.join(".new"), certs.join(name)).or_fail();
    };
    let (two, renewed) = (MadeCertificate::new("two.test"), MadeCertificate::new("one.test"));
    place("two.pem", &two.pem());
    until_served("two.test", &two.der);
    place("one.pem", &renewed.certificate);
    roster.until_log("one.pem is no certificate");
    assert_eq!(served_certificate(addr, "one.test").as_deref(), Some(&one.der[..]));
    place("one.pem", &renewed.pem());
    until_served("one.test", &renewed.der);
    fs::remove_file(certs.join("two.pem")).or_fail();
    until_served("two.test", &first.der);
    assert_eq!((site.reloads(), site.worker()), (reloads, worker), "{}", roster.log());
    let secret = one.key.lines().nth(1).unwrap();
    assert!(!roster.log().contains(secret) && !site.text().contains(secret));

    // Whoever starts HAProxy from the file gets the same.
    super::site::send(site.master().unwrap(), Signal::USR2);
    wait_until_or_fail(CAP, "another worker", || site.worker().filter(|new| Some(*new) != worker));
    until_served("one.test", &renewed.der);
    until_served("two.test", &first.der);
}

#[test]
fn certificates_come_are_renewed_and_go_without_a_reload() {
    on_each_at_once(certificates_follow);
}
