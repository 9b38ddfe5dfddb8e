//! Copies of another process's listening sockets, by `pidfd_getfd` (Linux 5.6).
//!
//! The kernel asks for the right to trace the process: the same user and `kernel.yama.ptrace_scope` 0, or
//! `CAP_SYS_PTRACE`. With scope 1, which many machines have, a Roster that was started anew is no ancestor of HAProxy and
//! needs the capability.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::super::ListenError;
use super::super::address::ListenAddress;
use super::super::verify::examine;

/// A listening socket of another process.
#[derive(Debug)]
pub struct FromProcess {
    /// Its number there.
    pub number: i32,
    /// Where it listens.
    pub address: ListenAddress,
    /// The copy.
    pub fd: OwnedFd,
}

/// The listening sockets of a process, under these numbers or under all.
///
/// # Errors
/// The process is gone, or may not be traced. A number under which there is nothing, or no listening socket, is passed
/// over.
pub fn from_process(pid: u32, numbers: Option<&BTreeSet<i32>>) -> Result<Vec<FromProcess>, ListenError> {
    let failed = |source: io::Error| ListenError::Process { pid, source };
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(|| failed(Errno::SRCH.into()))?;
    let process = pidfd_open(id, PidfdFlags::empty()).map_err(|errno| failed(errno.into()))?;
    let numbers = numbers.map_or_else(|| sockets_of(pid), |numbers| Ok(numbers.clone())).map_err(failed)?;
    let mut found = Vec::new();
    for number in numbers {
        match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
            Ok(fd) => found.extend(examine(&fd).ok().map(|address| FromProcess { number, address, fd })),
            Err(Errno::BADF) => {}
            Err(errno) => return Err(failed(errno.into())),
        }
    }
    Ok(found)
}

/// The numbers under which the process has sockets of whatever kind.
fn sockets_of(pid: u32) -> io::Result<BTreeSet<i32>> {
    let socket = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let link = fs::read_link(entry.path()).ok()?;
        link.to_str()?.starts_with("socket:").then(|| entry.file_name().to_str()?.parse().ok())?
    };
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.filter_map(socket).collect())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_listening_socket_is_copied_with_its_number_and_nothing_else_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        let numbers = BTreeSet::from([listener.as_raw_fd(), file.as_raw_fd(), 1_000_000]);
        let found = from_process(std::process::id(), Some(&numbers)).unwrap();
        let [FromProcess { number, address, .. }] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(*number, listener.as_raw_fd());
        assert_eq!(*address, ListenAddress::tcp(listener.local_addr().unwrap()).unwrap());
        let all = from_process(std::process::id(), None).unwrap();
        assert!(all.iter().any(|found| found.number == listener.as_raw_fd() && found.address == *address));
    }

    #[test]
    fn a_missing_right_is_told_with_the_ways_to_get_it() {
        let text = ListenError::Process { pid: 1, source: Errno::PERM.into() }.to_string();
        assert!(text.contains("CAP_SYS_PTRACE") && text.contains("FileDescriptorStoreMax="), "{text}");
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
        child.wait().unwrap();
        let error = from_process(child.id(), None).unwrap_err();
        assert!(matches!(error, ListenError::Process { .. }), "{error}");
    }
}
