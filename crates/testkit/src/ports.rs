//! Free ports on loopback, each handed out once.
//!
//! HAProxy shares a port with whoever else asks for it (`SO_REUSEPORT`), so two tests on one port would not fail but
//! mix. A port is therefore reserved by a locked file for the life of the process, which holds between processes too.
//! The range lies below the kernel's usual ephemeral ports, so that no outgoing connection takes a port meanwhile.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::wait::{Poll, wait_until};

const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

static RESERVED: Mutex<Reserved> = Mutex::new(Reserved { tried: 0, locks: Vec::new() });

/// No port is left for the tests.
#[derive(Debug, thiserror::Error)]
pub enum NoFreePort {
    /// Every port of the range is taken.
    #[error("none of the ports {FIRST} to {} is free; end what listens there", FIRST + COUNT - 1)]
    AllTaken,
    /// The folder for the reservations cannot be made.
    #[error("cannot reserve ports in {folder:?}; make the folder writable, or set TMPDIR to one that is")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

struct Reserved {
    tried: u16,
    locks: Vec<File>,
}

/// A port on 127.0.0.1 that nobody listens on and that no other caller gets, in this process or another test process.
pub fn free_port() -> Result<u16, NoFreePort> {
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    let uid = rustix::process::getuid().as_raw();
    let folder = std::env::temp_dir().join(format!("roster-test-ports-{uid}"));
    fs::create_dir_all(&folder).map_err(|source| NoFreePort::Folder { folder: folder.clone(), source })?;
    // Processes begin at different places, so that they seldom meet.
    let start = u16::try_from(std::process::id().wrapping_mul(389) % u32::from(COUNT)).unwrap_or_default();
    while reserved.tried < COUNT {
        let port = FIRST + (start + reserved.tried) % COUNT;
        reserved.tried += 1;
        if let Some(lock) = reserve(&folder.join(port.to_string()), port) {
            reserved.locks.push(lock);
            return Ok(port);
        }
    }
    Err(NoFreePort::AllTaken)
}

/// A port on 127.0.0.1 that refuses connections, now and for the life of the process.
pub fn dead_port() -> Result<u16, NoFreePort> {
    free_port()
}

/// Listens, and tries for a moment if the address is taken: a process that another test is just starting holds a copy of
/// each listening socket until it becomes its program, also of those that were closed meanwhile.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let bound = wait_until(Duration::from_secs(2), "the port", || match TcpListener::bind(addr) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Poll::Pending(error.to_string()),
        other => Poll::Ready(other),
    });
    bound.unwrap_or_else(|_| TcpListener::bind(addr))
}

fn reserve(path: &std::path::Path, port: u16) -> Option<File> {
    let lock = File::create(path).ok()?;
    lock.try_lock().ok()?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    Some(lock)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn no_port_is_handed_out_twice() {
        let ports: BTreeSet<u16> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), 50);
    }

    #[test]
    fn a_dead_port_refuses_connections() {
        let port = dead_port().unwrap();
        let error = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
