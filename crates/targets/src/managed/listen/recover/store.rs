//! systemd's store of descriptors: sockets put there come back when Roster is started again (`FileDescriptorStoreMax=`
//! in `systemd.service(5)`, `sd_notify(3)`, `sd_listen_fds(3)`).

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType, sendmsg_addr, socket_with,
};

use super::super::ListenError;
use crate::managed::Inherited;

/// How a stored socket is named, before its number in HAProxy. A name has no colon, so it cannot be the address.
const NAME: &str = "roster-listen-";
/// systemd's queue is short and quickly read.
const PATIENCE: Duration = Duration::from_secs(2);

/// Descriptors can be made ours once: they belong to whoever took them then.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// A descriptor that systemd passed.
#[derive(Debug)]
pub struct Passed {
    /// Its name: ours from the store, or that of a `.socket` unit.
    pub name: Option<String>,
    /// What was passed.
    pub fd: OwnedFd,
}

/// systemd's end of `NOTIFY_SOCKET`.
#[derive(Clone, Debug)]
pub struct FdStore {
    text: String,
    address: SocketAddrUnix,
}

/// Takes the descriptors that systemd passed (`LISTEN_FDS`, `LISTEN_PID`, `LISTEN_FDNAMES`); none where it passed none.
///
/// Once in a process, and before anything else opens or closes descriptors by number. From here on children do not
/// inherit them.
pub fn passed() -> Result<Vec<Passed>, ListenError> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(ListenError::PassedTwice);
    }
    let own = |(name, fd): (Option<String>, sd_listen_fds::OwnedFd)| {
        let fd = fd.into_std();
        // One that is not open, though it is named, is found out when it is looked at.
        fcntl_setfd(&fd, FdFlags::CLOEXEC).ok();
        Passed { name, fd }
    };
    Ok(sd_listen_fds::get().map_err(|_| ListenError::Passed)?.into_iter().map(own).collect())
}

impl Passed {
    /// The number in HAProxy that the name tells.
    pub fn number(&self) -> Option<i32> {
        number(self.name.as_deref()?)
    }
}

impl FdStore {
    /// From the value of `NOTIFY_SOCKET`; `None` where it is no unix socket, as outside of systemd.
    pub fn new(notify_socket: &str) -> Option<Self> {
        let address = match notify_socket.strip_prefix('@') {
            Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
            None if notify_socket.starts_with('/') => SocketAddrUnix::new(notify_socket),
            None => return None,
        };
        Some(Self { text: notify_socket.to_owned(), address: address.ok()? })
    }

    /// Puts a socket into the store. systemd does not answer: whether it has room is not to be learned here.
    pub fn keep(&self, socket: &Inherited) -> Result<(), ListenError> {
        let text = format!("FDSTORE=1\nFDNAME={NAME}{}\n", socket.number);
        self.send(&text, &[socket.fd.as_fd()]).map_err(|source| self.failed("put into", source))
    }

    /// Takes it out again, once it is released.
    pub fn forget(&self, number: i32) -> Result<(), ListenError> {
        let text = format!("FDSTOREREMOVE=1\nFDNAME={NAME}{number}\n");
        self.send(&text, &[]).map_err(|source| self.failed("take out of", source))
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> ListenError {
        ListenError::Store { doing, socket: self.text.clone(), source }
    }

    fn send(&self, text: &str, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bytes = [IoSlice::new(text.as_bytes())];
        sendmsg_addr(&socket, &self.address, &bytes, &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

fn number(name: &str) -> Option<i32> {
    let digits = name.strip_prefix(NAME)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_tell_a_number() {
        assert_eq!(number("roster-listen-12"), Some(12));
        for name in [
            "",
            "roster.socket",
            "roster-listen-",
            "roster-listen-+1",
            "roster-listen--1",
            "roster-listen-1x",
        ] {
            assert_eq!(number(name), None, "{name}");
        }
    }

    #[test]
    fn systemds_socket_is_a_path_or_an_abstract_name() {
        assert!(FdStore::new("/run/systemd/notify").is_some() && FdStore::new("@notify").is_some());
        for other in ["", "vsock:2:1234", "notify"] {
            assert!(FdStore::new(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_service_manager_that_is_gone_is_an_error_that_says_where_to_look() {
        let socket = Inherited {
            number: 12,
            fd: std::sync::Arc::new(std::net::TcpListener::bind("127.0.0.1:0").unwrap().into()),
        };
        let error = FdStore::new("/nowhere/notify").unwrap().keep(&socket).unwrap_err().to_string();
        assert!(error.contains("/nowhere/notify") && error.contains("FileDescriptorStoreMax="), "{error}");
    }
}
