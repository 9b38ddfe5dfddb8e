//! Free ports on loopback, each handed out once.
//!
//! HAProxy shares a port with whoever else asks for it (`SO_REUSEPORT`), so two tests on one port would not fail but
//! mix. Ports are therefore reserved for the life of the process, by a socket with an abstract name (unix(7)): that holds
//! between processes too, and nothing is left of it. One name reserves a block of ports, since a process may have no more
//! than 1,024 files open and a suite takes more ports than that.
//! The range lies below the kernel's usual ephemeral ports, so that no outgoing connection takes a port meanwhile.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixListener};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::wait::{Poll, wait_until};

const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;
/// The ports of a block.
const BLOCK: u16 = 100;
const BLOCKS: u16 = COUNT / BLOCK;

static RESERVED: Mutex<Reserved> = Mutex::new(Reserved { tried: 0, left: 0..0, names: Vec::new() });

/// No port is left for the tests.
#[derive(Debug, thiserror::Error)]
#[error("none of the ports {FIRST} to {} is free; end what listens there", FIRST + COUNT - 1)]
pub struct NoFreePort;

struct Reserved {
    /// How many blocks were asked for.
    tried: u16,
    /// What is left of the last block.
    left: Range<u16>,
    names: Vec<UnixListener>,
}

/// A port on 127.0.0.1 that nobody listens on and that no other caller gets, in this process or another test process.
pub fn free_port() -> Result<u16, NoFreePort> {
    let mut reserved = RESERVED.lock().unwrap_or_else(PoisonError::into_inner);
    // Processes begin at different places, so that they seldom meet.
    let start = u16::try_from(std::process::id().wrapping_mul(37) % u32::from(BLOCKS)).unwrap_or_default();
    loop {
        if let Some(port) = reserved.left.find(|port| is_free(*port)) {
            return Ok(port);
        }
        if reserved.tried == BLOCKS {
            return Err(NoFreePort);
        }
        let block = (start + reserved.tried) % BLOCKS;
        reserved.tried += 1;
        if let Some(name) = reserve(block) {
            reserved.names.push(name);
            let first = FIRST + block * BLOCK;
            reserved.left = first..first + BLOCK;
        }
    }
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

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn reserve(block: u16) -> Option<UnixListener> {
    let name = UnixAddr::from_abstract_name(format!("roster-test-ports-{block}")).ok()?;
    UnixListener::bind_addr(&name).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::ErrorKind;
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn no_port_is_handed_out_twice() {
        let count = usize::from(BLOCK) * 2;
        let ports: BTreeSet<u16> = (0..count).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), count);
    }

    #[test]
    fn a_block_that_another_process_has_reserved_is_passed_over() {
        let free = (BLOCKS..u16::MAX).find_map(|block| Some((block, reserve(block)?)));
        let (block, name) = free.unwrap();
        assert!(reserve(block).is_none());
        drop(name);
        // A process that another test is just starting holds a copy of the socket until it becomes its program.
        wait_until(Duration::from_secs(20), "the block", || reserve(block).is_some()).unwrap();
    }

    #[test]
    fn a_dead_port_refuses_connections() {
        let port = dead_port().unwrap();
        let error = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
