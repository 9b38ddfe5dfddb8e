//! Who has a port: for the message of an error alone, so everything that cannot be read is passed over.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::address::{ListenAddress, Place};

/// More descriptors than this are not looked at: the message is worth a moment, not seconds.
const MOST_DESCRIPTORS: usize = 50_000;

/// A process.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// Its name, as in `ps`.
    pub name: String,
    /// Its id.
    pub pid: u32,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// The process that listens on the address or on one that overlaps with it; ourselves if we are among them.
pub(super) fn owner(address: &ListenAddress) -> Option<Owner> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let sockets = match address.place() {
        Place::Tcp(wanted) => ["/proc/net/tcp", "/proc/net/tcp6"]
            .iter()
            .filter_map(|file| Some(tcp_listeners(BufReader::new(fs::File::open(file).ok()?), wanted.port())))
            .flatten()
            .collect(),
        Place::Unix(path) => unix_listeners(&read("/proc/net/unix"), path),
    };
    let links: Vec<String> = sockets.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let own = std::process::id();
    let mut left = MOST_DESCRIPTORS;
    let others =
        fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let pid = std::iter::once(own).chain(others).find(|&pid| has_one_of(pid, &links, &mut left))?;
    Some(Owner { name: read(&format!("/proc/{pid}/comm")).trim_end().to_owned(), pid })
}

fn has_one_of(pid: u32, links: &[String], left: &mut usize) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    for descriptor in descriptors.flatten() {
        let Some(fewer) = left.checked_sub(1) else { return false };
        *left = fewer;
        let Ok(link) = fs::read_link(descriptor.path()) else { continue };
        if link.to_str().is_some_and(|link| links.iter().any(|wanted| wanted == link)) {
            return true;
        }
    }
    false
}

/// The inodes of listening sockets with that port: columns of `/proc/net/tcp` are the number, the local and the remote
/// address, the state (`0A` is LISTEN), and as the tenth the inode (proc(5)). Those that listen come first, and what follows
/// may be a hundred thousand closed connections that are remembered, which take seconds to read.
fn tcp_listeners(table: impl BufRead, port: u16) -> Vec<u64> {
    let ending = format!(":{port:04X}");
    let row = |line: String| {
        let mut words = line.split_whitespace().skip(1);
        let is_of_port = words.next()?.ends_with(&ending);
        let listens = words.nth(1)? == "0A";
        listens.then(|| words.nth(5)?.parse().ok()).flatten().map(|inode| (is_of_port, inode))
    };
    let rows = table.lines().skip(1).map_while(|line| row(line.ok()?));
    rows.filter_map(|(is_of_port, inode): (bool, u64)| is_of_port.then_some(inode)).collect()
}

/// The inodes of listening sockets at that path: flag `10000` marks them (proc(5)).
fn unix_listeners(table: &str, path: &Path) -> Vec<u64> {
    let listener = |line: &str| {
        let mut words = line.split_whitespace().skip(3);
        let flags = words.next()?;
        let inode = words.nth(2)?;
        (flags == "00010000" && words.next()? == path.to_str()?).then(|| inode.parse().ok())?
    };
    table.lines().filter_map(listener).collect()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn listening_sockets_are_told_from_connections_and_other_ports() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 501 1 0 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 503 1 0 100 0 0 10 0
   2: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 502 1 0 20 0 0 10 -1";
        assert_eq!(tcp_listeners(table.as_bytes(), 8080), [501]);
        assert_eq!(tcp_listeners(table.as_bytes(), 80), [503]);
        let table = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 601 /run/web.sock
0000000000000000: 00000003 00000000 00000000 0001 03 602 /run/web.sock
0000000000000000: 00000002 00000000 00010000 0001 01 603";
        assert_eq!(unix_listeners(table, Path::new("/run/web.sock")), [601]);
    }

    #[test]
    fn a_listening_process_is_found() {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let address = ListenAddress::tcp(listener.local_addr().unwrap()).unwrap();
        assert_eq!(owner(&address).unwrap().pid, std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _listener = UnixListener::bind(&path).unwrap();
        assert_eq!(owner(&ListenAddress::unix(&path).unwrap()).unwrap().pid, std::process::id());
    }
}
