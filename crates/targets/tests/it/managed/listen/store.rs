//! systemd's store: what is put there, and what comes back from it. The test plays systemd, with real descriptors.

use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use roster_targets::managed::Inherited;
use roster_targets::managed::listen::recover::{FdStore, passed};
use roster_targets::managed::listen::{
    Held, ListenAddress, ListenError, Way, Ways, hand_over, recover, verify,
};
use roster_testkit::{OrFail, wait_until_or_fail};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tempfile::TempDir;

use super::{CAP, address, open, v4, v6, wanted};

/// The addresses that the new Roster wants, for the process that plays it.
const WANTED: &str = "ROSTER_TEST_WANTED";

/// One message to systemd: its text and its descriptors.
fn receive(at: &UnixDatagram) -> (String, Vec<OwnedFd>) {
    let mut text = [0; 1024];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got =
        recvmsg(at, &mut [IoSliceMut::new(&mut text)], &mut ancillary, RecvFlags::CMSG_CLOEXEC).or_fail();
    let fds = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let fds = fds.flatten().collect();
    (String::from_utf8_lossy(&text[..got.bytes]).into_owned(), fds)
}

#[test]
fn what_is_put_into_the_store_is_the_socket_and_its_number() {
    let folder = TempDir::new().or_fail();
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).or_fail();
    systemd.set_read_timeout(Some(CAP)).or_fail();
    let store = FdStore::new(path.to_str().unwrap()).unwrap();
    let mut held = Held::default();
    let one = v4();
    open(&mut held, [&one]);
    let socket = held.get(&one).unwrap();
    store.keep(&socket.inherited()).or_fail();
    let (text, fds) = receive(&systemd);
    assert_eq!(text, "FDSTORE=1\nFDNAME=roster-listen-10\n");
    let [fd] = fds.as_slice() else { panic!("{fds:?}") };
    verify(fd, &one).or_fail();
    store.forget(socket.number()).or_fail();
    assert_eq!(receive(&systemd).0, "FDSTOREREMOVE=1\nFDNAME=roster-listen-10\n");
}

#[test]
fn a_new_roster_gets_its_sockets_out_of_the_store_and_others_apart() {
    if let Some(addresses) = std::env::var_os(WANTED) {
        return as_the_new_roster(addresses.to_str().unwrap());
    }
    let (first, second, other) = (v4(), v6(), v4());
    let mut held = Held::default();
    open(&mut held, [&second]);
    open(&mut held, [&second, &first]);
    open(&mut held, [&second, &first, &other]);
    // As systemd passes them: from 3 on, whatever their names say.
    let at = |address: &ListenAddress, number| Inherited { number, ..held.get(address).unwrap().inherited() };
    let sockets = [at(&first, 3), at(&second, 4), at(&other, 5)];
    // Only the process itself knows its id before it executes the program.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""]).arg(std::env::current_exe().or_fail());
    command.args(["a_new_roster_gets_its_sockets_out_of_the_store_and_others_apart", "--nocapture"]);
    command.env("LISTEN_FDS", "3").env("LISTEN_FDNAMES", "roster-listen-11:roster-listen-10:admin.socket");
    command.env(WANTED, format!("{first} {second}"));
    hand_over(&mut command, &sockets).or_fail();
    let (outcome, other) = (command.output().or_fail(), address(&other));
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stdout));
    drop((command, sockets, held));
    wait_until_or_fail(CAP, "the ports to close", || TcpStream::connect(other).is_err());
}

fn as_the_new_roster(addresses: &str) {
    let addresses: Vec<ListenAddress> = addresses.split(' ').map(|text| text.parse().or_fail()).collect();
    let [first, second] = addresses.as_slice() else { panic!("{addresses:?}") };
    let passed_on = passed().or_fail();
    assert!(passed_on.iter().all(|one| fcntl_getfd(&one.fd).unwrap() == FdFlags::CLOEXEC));
    assert!(matches!(passed(), Err(ListenError::PassedTwice)));
    // The record is lost: the names tell the numbers.
    let nothing = Held::default().record();
    let back = recover(&nothing, &wanted(&addresses), Ways { passed: passed_on, ..Ways::default() });
    assert!(back.failed.is_empty() && back.blocked.is_empty(), "{back:?}");
    assert_eq!(back.came, BTreeMap::from([(first.clone(), Way::Store), (second.clone(), Way::Store)]));
    let number = |address| back.held.get(address).unwrap().number();
    assert_eq!((number(first), number(second)), (11, 10));
    let [other] = back.others.as_slice() else { panic!("{:?}", back.others) };
    assert_eq!(other.name.as_deref(), Some("admin.socket"));
    back.held.verify().or_fail();
}
