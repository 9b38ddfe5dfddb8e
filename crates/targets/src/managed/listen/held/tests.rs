use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use roster_testkit::{Poll, free_port, wait_until_or_fail};

use super::super::{Way, Ways, recover};
use super::*;

const CAP: Duration = Duration::from_secs(10);

fn tcp(ip: impl Into<std::net::IpAddr>, port: u16) -> ListenAddress {
    ListenAddress::tcp(SocketAddr::new(ip.into(), port)).unwrap()
}

fn local() -> ListenAddress {
    tcp(Ipv4Addr::LOCALHOST, free_port().unwrap())
}

fn wanted<'a>(addresses: impl IntoIterator<Item = &'a ListenAddress>) -> Wanted {
    addresses.into_iter().map(|address| (address.clone(), ListenOptions::default())).collect()
}

/// Not at the first try perhaps: a child that another test starts has copies of all sockets until it executes its program.
fn open(held: &mut Held, wanted: &Wanted) -> Changes {
    let mut all = Changes::default();
    wait_until_or_fail(CAP, "the sockets", || {
        let mut changes = held.open(wanted);
        all.added.append(&mut changes.added);
        all.removed.append(&mut changes.removed);
        Poll::when(changes.failed, Vec::is_empty)
    });
    all
}

/// Waits, for the same reason.
fn is_closed(address: &ListenAddress) {
    wait_until_or_fail(CAP, "the port to close", || !connects(address));
}

fn number(held: &Held, address: &ListenAddress) -> i32 {
    held.get(address).unwrap().number()
}

fn numbers(of: &[Inherited]) -> Vec<i32> {
    of.iter().map(|inherited| inherited.number).collect()
}

fn connects(to: &ListenAddress) -> bool {
    match to.place() {
        Place::Tcp(at) => TcpStream::connect(at).is_ok(),
        Place::Unix(path) => UnixStream::connect(path).is_ok(),
    }
}

#[test]
fn a_socket_that_is_no_longer_wanted_stays_open_with_its_number_until_it_is_released() {
    let (one, two, three) = (local(), local(), local());
    let mut held = Held::default();
    assert_eq!(open(&mut held, &wanted([&one])).added, std::slice::from_ref(&one));
    open(&mut held, &wanted([&one, &two]));
    assert_eq!((number(&held, &one), number(&held, &two)), (10, 11));

    assert_eq!(open(&mut held, &wanted([&two])).removed, std::slice::from_ref(&one));
    assert!(connects(&one));
    assert_eq!(held.leaving().collect::<Vec<_>>(), [&one]);
    assert_eq!(numbers(&held.inherited()), [11]);
    assert_eq!(numbers(&held.inherited_as(&BTreeSet::from([10, 11])).unwrap()), [10, 11]);
    assert!(open(&mut held, &wanted([&two])).removed.is_empty(), "it is told once");

    open(&mut held, &wanted([&two, &three]));
    assert_eq!(number(&held, &three), 12);
    assert_eq!(held.release(&one).unwrap(), Some(10));
    is_closed(&one);
    assert!(matches!(
        held.inherited_as(&BTreeSet::from([10])),
        Err(ListenError::NumberUnknown { number: 10 })
    ));
    assert_eq!(held.release(&one).unwrap(), None);
    held.verify().unwrap();
}

#[test]
fn a_socket_that_is_wanted_again_is_the_same_one() {
    let one = local();
    let mut held = Held::default();
    open(&mut held, &wanted([&one]));
    let waiting = TcpStream::connect(one.to_string()).unwrap();
    open(&mut held, &wanted([]));
    let changes = open(&mut held, &wanted([&one]));
    assert_eq!((changes.added, number(&held, &one)), (vec![one.clone()], 10));
    assert!(matches!(held.release(&one), Err(ListenError::Wanted { .. })));
    let listener = TcpListener::from(held.get(&one).unwrap().fd.try_clone().unwrap());
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap().1, waiting.local_addr().unwrap());
}

#[test]
fn one_that_cannot_be_opened_stands_in_the_way_of_none() {
    let here = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = ListenAddress::tcp(here.local_addr().unwrap()).unwrap();
    let elsewhere = tcp(Ipv4Addr::new(192, 0, 2, 1), free_port().unwrap());
    let good = local();
    let mut held = Held::default();
    let changes = held.open(&wanted([&taken, &elsewhere, &good]));
    assert_eq!(changes.added, [good]);
    let texts: Vec<String> = changes.failed.iter().map(|(_, error)| error.to_string()).collect();
    assert!(
        texts.iter().any(|text| text.contains(&format!("{elsewhere}: the address is not on this machine")))
    );
    assert!(texts.iter().any(|text| text.contains(&taken.to_string())), "{texts:?}");
    drop(here);
    assert_eq!(open(&mut held, &wanted([&taken])).added, [taken]);
}

#[test]
fn ipv6_takes_ipv4_along_unless_it_is_told_not_to() {
    let port = free_port().unwrap();
    let any = tcp(Ipv6Addr::UNSPECIFIED, port);
    let mut held = Held::default();
    open(&mut held, &wanted([&any]));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok());

    let alone = Wanted::from([(any.clone(), ListenOptions { v6only: true, ..ListenOptions::default() })]);
    let failed = held.open(&alone).failed;
    assert!(matches!(failed.as_slice(), [(_, ListenError::V6only { held: false, .. })]), "{failed:?}");
    assert!(connects(&any));
    let v4 = tcp(Ipv4Addr::UNSPECIFIED, port);
    let failed = held.open(&wanted([&v4])).failed;
    assert!(matches!(failed.as_slice(), [(_, ListenError::HeldByUs { .. })]), "{failed:?}");

    held.release(&any).unwrap();
    open(&mut held, &alone);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    let both: Wanted = alone.into_iter().chain(wanted([&v4])).collect();
    assert_eq!(open(&mut held, &both).added, [v4]);
}

#[test]
fn a_single_ipv6_address_has_no_v6only_to_choose() {
    let one = tcp(Ipv6Addr::LOCALHOST, free_port().unwrap());
    let mut held = Held::default();
    for v6only in [false, true, false] {
        open(&mut held, &Wanted::from([(one.clone(), ListenOptions { v6only, ..ListenOptions::default() })]));
    }
    assert!(connects(&one));
}

fn unix(path: &Path) -> ListenAddress {
    ListenAddress::unix(path).unwrap()
}

#[test]
fn a_unix_socket_has_its_mode_and_goes_with_its_release() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    drop(UnixListener::bind(&path).unwrap());
    let address = unix(&path);
    is_closed(&address);
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let mut held = Held::default();
    for wanted_mode in [0o622, 0o600] {
        let options = ListenOptions { mode: wanted_mode, ..ListenOptions::default() };
        open(&mut held, &Wanted::from([(address.clone(), options)]));
        assert_eq!(mode(), wanted_mode);
    }
    assert!(connects(&address));
    open(&mut held, &wanted([]));
    assert!(connects(&address));
    held.release(&address).unwrap();
    assert!(!path.exists());
}

#[test]
fn a_unix_sockets_file_that_is_anothers_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let address = unix(&path);
    let mut held = Held::default();

    std::fs::write(&path, "no socket").unwrap();
    let failed = held.open(&wanted([&address])).failed;
    assert!(matches!(failed.as_slice(), [(_, ListenError::FileInTheWay { .. })]), "{failed:?}");
    std::fs::remove_file(&path).unwrap();

    let other = UnixListener::bind(&path).unwrap();
    let failed = held.open(&wanted([&address])).failed;
    assert!(matches!(failed.as_slice(), [(_, ListenError::HeldByUs { .. })]), "{failed:?}");
    drop(other);
    open(&mut held, &wanted([&address]));

    std::fs::remove_file(&path).unwrap();
    let _successor = UnixListener::bind(&path).unwrap();
    open(&mut held, &wanted([]));
    held.release(&address).unwrap();
    assert!(path.exists());
}

#[test]
fn a_busy_unix_socket_is_not_taken_for_a_dead_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("web.sock");
    let mut held = Held::default();
    let options = ListenOptions { backlog: std::num::NonZeroU16::MIN, ..ListenOptions::default() };
    open(&mut held, &Wanted::from([(unix(&path), options)]));
    // One more than the backlog is let in; the next would wait.
    let _waiting: Vec<_> = (0..2).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let failed = Held::default().open(&wanted([&unix(&path)])).failed;
    assert!(matches!(failed.as_slice(), [(_, ListenError::HeldByUs { .. })]), "{failed:?}");
}

#[test]
fn what_nobody_has_any_more_is_opened_anew_under_its_number() {
    let (one, two, gone) = (local(), local(), local());
    let mut held = Held::default();
    open(&mut held, &wanted([&gone]));
    open(&mut held, &wanted([&gone, &one]));
    open(&mut held, &wanted([&one]));
    let record = held.record();
    drop(held);
    is_closed(&gone);
    is_closed(&one);

    let mut recovered = recover(&record, &wanted([&one, &two]), Ways::default());
    assert!(recovered.failed.is_empty() && recovered.blocked.is_empty(), "{recovered:?}");
    assert_eq!(recovered.came, BTreeMap::from([(one.clone(), Way::Anew), (two.clone(), Way::Anew)]));
    // The number of the one that is gone stays its own until it is released, as an old HAProxy may have it.
    assert_eq!((number(&recovered.held, &one), number(&recovered.held, &two)), (11, 12));
    assert_eq!(recovered.held.leaving().collect::<Vec<_>>(), [&gone]);
    assert_eq!(recovered.held.record().sockets()[&gone], Recorded { number: 10, leaving: true });
    assert_eq!(recovered.held.release(&gone).unwrap(), Some(10));
}

#[test]
fn an_address_that_is_lost_to_another_gets_its_number_back_later() {
    let (one, two) = (local(), local());
    let mut held = Held::default();
    open(&mut held, &wanted([&one]));
    let record = held.record();
    drop(held);
    is_closed(&one);
    let other = TcpListener::bind(one.to_string()).unwrap();
    let mut recovered = recover(&record, &wanted([&one, &two]), Ways::default());
    assert_eq!(recovered.failed.len(), 1, "{recovered:?}");
    assert_eq!(number(&recovered.held, &two), 11);
    assert!(matches!(recovered.held.release(&one), Err(ListenError::Wanted { .. })));
    drop(other);
    open(&mut recovered.held, &wanted([&one, &two]));
    assert_eq!(number(&recovered.held, &one), 10);
    assert_eq!(TcpListener::bind(one.to_string()).unwrap_err().kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_lost_record_is_made_up_for_by_the_process_that_has_the_sockets() {
    let (one, two) = (local(), local());
    let running = TcpListener::bind(one.to_string()).unwrap();
    let ways = Ways { process: Some(std::process::id()), ..Ways::default() };
    let recovered = recover(&Record::default(), &wanted([&one, &two]), ways);
    assert!(recovered.failed.is_empty() && recovered.blocked.is_empty(), "{recovered:?}");
    assert_eq!(recovered.came, BTreeMap::from([(one.clone(), Way::Process), (two.clone(), Way::Anew)]));
    assert_eq!(number(&recovered.held, &one), running.as_raw_fd());
    assert_ne!(number(&recovered.held, &two), running.as_raw_fd());
}
