//! Held listening sockets with a real HAProxy: what waits in the kernel is served, whoever dies.

mod proxy;
mod store;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use roster_targets::managed::listen::recover::from_haproxy;
use roster_targets::managed::listen::{
    Held, ListenAddress, ListenError, ListenOptions, Place, Wanted, Way, Ways, recover,
};
use roster_testkit::{HaproxyBin, OrFail, TrafficLoad, free_port, http_get, wait_until_or_fail};
use tempfile::TempDir;

use proxy::Proxy;

/// Generous, because the tests share a small machine with compilers.
const CAP: Duration = Duration::from_secs(20);

fn on_each(test: impl Fn(&HaproxyBin)) {
    for bin in HaproxyBin::each() {
        eprintln!("on {bin}");
        test(&bin);
    }
}

fn v4() -> ListenAddress {
    ListenAddress::tcp((Ipv4Addr::LOCALHOST, free_port().or_fail()).into()).unwrap()
}

fn v6() -> ListenAddress {
    ListenAddress::tcp((Ipv6Addr::LOCALHOST, free_port().or_fail()).into()).unwrap()
}

fn unix(dir: &Path) -> ListenAddress {
    ListenAddress::unix(&dir.join("web.sock")).or_fail()
}

fn wanted<'a>(addresses: impl IntoIterator<Item = &'a ListenAddress>) -> Wanted {
    addresses.into_iter().map(|address| (address.clone(), ListenOptions::default())).collect()
}

fn open<'a>(held: &mut Held, addresses: impl IntoIterator<Item = &'a ListenAddress>) {
    let failed = held.open(&wanted(addresses)).failed;
    assert!(failed.is_empty(), "{failed:?}");
}

/// The frontend's lines for all wanted sockets.
fn binds(held: &Held) -> String {
    held.inherited()
        .iter()
        .fold(String::new(), |lines, socket| format!("{lines}    bind fd@{}\n", socket.number))
}

fn address(of: &ListenAddress) -> SocketAddr {
    match of.place() {
        Place::Tcp(address) => address,
        Place::Unix(path) => panic!("{}", path.display()),
    }
}

/// A connection with a request on its way; fails at once where it is refused.
fn ask(address: &ListenAddress) -> Box<dyn Read> {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    match address.place() {
        Place::Tcp(at) => {
            let mut stream = TcpStream::connect(at).or_fail();
            stream.set_read_timeout(Some(CAP)).or_fail();
            stream.write_all(REQUEST).or_fail();
            Box::new(stream)
        }
        Place::Unix(path) => {
            let mut stream = UnixStream::connect(path).or_fail();
            stream.set_read_timeout(Some(CAP)).or_fail();
            stream.write_all(REQUEST).or_fail();
            Box::new(stream)
        }
    }
}

fn ask_all<'a>(addresses: impl IntoIterator<Item = &'a ListenAddress>) -> Vec<Box<dyn Read>> {
    addresses.into_iter().flat_map(|address| (0..10).map(move |_| ask(address))).collect()
}

#[track_caller]
fn all_are_served(asked: Vec<Box<dyn Read>>) {
    for mut stream in asked {
        let mut reply = String::new();
        stream.read_to_string(&mut reply).or_fail();
        assert!(reply.starts_with("HTTP/1.1 200 "), "{reply:?}");
    }
}

#[test]
fn connections_made_while_haproxy_is_dead_are_served_by_the_next() {
    on_each(|bin| {
        let dir = TempDir::new().or_fail();
        let addresses = [v4(), v6(), unix(dir.path())];
        let mut held = Held::default();
        open(&mut held, &addresses);
        let mut proxy = Proxy::start(bin, &binds(&held), &held.inherited());
        for _ in 0..10 {
            all_are_served(ask_all(&addresses));
            proxy.kill9();
            let asked = ask_all(&addresses);
            proxy.again(&held.inherited());
            all_are_served(asked);
        }
    });
}

#[test]
fn a_port_is_added_and_taken_away_by_a_new_master_and_no_connection_fails() {
    on_each(|bin| {
        let (first, second) = (v4(), v4());
        let mut held = Held::default();
        open(&mut held, [&first]);
        let mut proxy = Proxy::start(bin, &binds(&held), &held.inherited());
        let load = TrafficLoad::builder(address(&first)).start();
        let served = |at_least: u64| wait_until_or_fail(CAP, "replies", || load.totals().ok >= at_least);
        served(20);

        open(&mut held, [&first, &second]);
        proxy.write(&binds(&held));
        assert!(proxy.check(&held.inherited()));
        assert!(proxy.succeed(&held.inherited()).success());
        assert_eq!(http_get(address(&second), "/").or_fail().status, 200);
        served(load.totals().ok + 20);

        open(&mut held, [&first]);
        proxy.write(&binds(&held));
        assert!(proxy.succeed(&held.inherited()).success());
        let waiting = TcpStream::connect(address(&second)).or_fail();
        held.release(&second).or_fail();
        drop(waiting);
        wait_until_or_fail(CAP, "the port to close", || TcpStream::connect(address(&second)).is_err());
        served(load.totals().ok + 20);
        let totals = load.stop();
        assert_eq!(totals.failed(), 0, "{totals:?}");
    });
}

#[test]
fn haproxys_check_needs_the_same_sockets() {
    on_each(|bin| {
        let mut held = Held::default();
        open(&mut held, [&v4()]);
        let proxy = Proxy::start(bin, &binds(&held), &held.inherited());
        assert!(proxy.check(&held.inherited()));
        assert!(!proxy.check(&[]));
    });
}

#[test]
fn a_new_roster_copies_the_sockets_out_of_the_master() {
    on_each(|bin| {
        let dir = TempDir::new().or_fail();
        let addresses = [v4(), v6(), unix(dir.path())];
        let removed = v4();
        let mut held = Held::default();
        open(&mut held, addresses.iter().chain([&removed]));
        let mut proxy = Proxy::start(bin, &binds(&held), &held.inherited());
        let record = held.record();
        // Roster ends; HAProxy alone has the sockets.
        drop(held);

        let ways =
            Ways { stats_socket: Some(proxy.stats_socket()), process: Some(proxy.pid()), ..Ways::default() };
        let mut back = recover(&record, &wanted(&addresses), ways);
        assert!(back.failed.is_empty() && back.blocked.is_empty(), "{back:?}");
        let each_by_process =
            addresses.iter().chain([&removed]).map(|address| (address.clone(), Way::Process));
        assert_eq!(back.came, each_by_process.collect());
        assert_eq!(back.held.leaving().collect::<Vec<_>>(), [&removed]);
        for (address, recorded) in record.sockets() {
            assert_eq!(back.held.get(address).unwrap().number(), recorded.number);
        }

        proxy.write(&binds(&back.held));
        proxy.kill9();
        let asked = ask_all(&addresses);
        proxy.again(&back.held.inherited());
        all_are_served(asked);
        // The removed one waits for its release, though no process but Roster has it.
        assert!(TcpStream::connect(address(&removed)).is_ok());
        back.held.release(&removed).or_fail();
        wait_until_or_fail(CAP, "the port to close", || TcpStream::connect(address(&removed)).is_err());
    });
}

#[test]
fn a_lost_record_is_made_up_for_by_the_numbers_in_the_master() {
    on_each(|bin| {
        let (first, second, third) = (v4(), v4(), v4());
        let mut held = Held::default();
        for one in [&third, &second, &first] {
            let known: Vec<_> =
                held.sockets().map(|(address, _)| address.clone()).chain([one.clone()]).collect();
            open(&mut held, &known);
        }
        let numbers = |held: &Held| -> BTreeMap<ListenAddress, i32> {
            held.sockets().map(|(address, socket)| (address.clone(), socket.number())).collect()
        };
        let before = numbers(&held);
        let proxy = Proxy::start(bin, &binds(&held), &held.inherited());
        drop(held);
        let ways = Ways { process: Some(proxy.pid()), ..Ways::default() };
        let back = recover(
            &serde_json::from_str("{\"sockets\":{}}").or_fail(),
            &wanted([&first, &second, &third]),
            ways,
        );
        assert!(back.failed.is_empty(), "{back:?}");
        assert_eq!(numbers(&back.held), before);
    });
}

#[test]
fn haproxy_gives_the_sockets_it_opened_itself_and_none_that_it_inherited() {
    on_each(|bin| {
        let (inherited, own) = (v4(), v4());
        let mut held = Held::default();
        open(&mut held, [&inherited]);
        let lines = format!("{}    bind {own}\n", binds(&held));
        let mut proxy = Proxy::start(bin, &lines, &held.inherited());
        let given: Vec<_> =
            from_haproxy(&proxy.stats_socket()).or_fail().into_iter().map(|(at, _)| at).collect();
        assert!(given.contains(&own) && !given.contains(&inherited), "{given:?}");

        // An operator turns from HAProxy's own sockets to held ones.
        let ways = Ways { stats_socket: Some(proxy.stats_socket()), ..Ways::default() };
        let back = recover(&held.record(), &wanted([&own]), ways);
        assert_eq!(back.came, BTreeMap::from([(own.clone(), Way::Haproxy)]), "{back:?}");
        let load = TrafficLoad::builder(address(&own)).start();
        proxy.write(&binds(&back.held));
        assert!(proxy.succeed(&back.held.inherited()).success());
        proxy.kill9();
        let asked = ask_all([&own]);
        proxy.again(&back.held.inherited());
        all_are_served(asked);
        // Those that HAProxy had accepted died with it; none was refused.
        assert_eq!(load.stop().refused, 0);
    });
}

#[test]
fn a_port_that_haproxy_keeps_is_an_error_that_names_it() {
    on_each(|bin| {
        let one = v4();
        let mut held = Held::default();
        open(&mut held, [&one]);
        let proxy = Proxy::start(bin, &binds(&held), &held.inherited());
        let record = held.record();
        drop(held);
        let back = recover(&record, &wanted([&one]), Ways::default());
        let [ListenError::InUse { owner: Some(owner), .. }] = back.failed.as_slice() else {
            panic!("{back:?}")
        };
        assert_eq!(owner.name, "haproxy");
        assert!(back.failed[0].to_string().contains("by haproxy (process "), "{:?}", back.failed);
        drop(proxy);
    });
}

#[test]
fn a_process_without_such_a_socket_and_one_that_is_gone_leave_it_to_the_next_way() {
    let one = v4();
    for process in [std::process::id(), u32::MAX] {
        let back = recover(
            &Held::default().record(),
            &wanted([&one]),
            Ways { process: Some(process), ..Ways::default() },
        );
        assert_eq!(back.came, BTreeMap::from([(one.clone(), Way::Anew)]));
        assert_eq!(back.blocked.len(), usize::from(process == u32::MAX));
        drop(back);
        wait_until_or_fail(CAP, "the port to close", || TcpStream::connect(address(&one)).is_err());
    }
}
