//! Opening a listening socket anew.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with, sockopt,
};

use super::ListenError;
use super::address::{ListenAddress, Place};
use super::options::ListenOptions;
use super::owner::owner;
use super::trial::Trial;
use super::verify::verify;

/// A unix socket's file, to remove later that one and no successor's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SocketFile {
    device: u64,
    inode: u64,
}

/// Opens, binds and listens, then looks whether it is what was asked for.
pub(super) fn open(address: &ListenAddress, options: ListenOptions) -> Result<OwnedFd, ListenError> {
    let opened = match address.place() {
        Place::Tcp(at) => tcp(at, options),
        Place::Unix(path) => clear(path).and_then(|()| unix(path, options)),
    };
    let fd = opened.map_err(|failed| failed.explain(address))?;
    verify(&fd, address)?;
    Ok(fd)
}

/// Binds without listening, and closes.
pub(super) fn attempt(trial: &Trial) -> Result<(), ListenError> {
    let attempted = match trial.address.place() {
        Place::Tcp(at) => bound(at, trial.v6only, trial.shares).map(drop),
        Place::Unix(path) => beside(path),
    };
    attempted.map_err(|failed| failed.explain(&trial.address))
}

impl SocketFile {
    /// The socket at that path now.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let data = fs::symlink_metadata(path).ok()?;
        data.file_type().is_socket().then(|| Self { device: data.dev(), inode: data.ino() })
    }

    /// Removes it if the path still names it. That it is gone is all that is wanted, so no error.
    pub(super) fn remove(self, path: &Path) {
        if Self::at(path) == Some(self) {
            fs::remove_file(path).ok();
        }
    }
}

/// Changes what can be changed on a socket that listens already.
pub(super) fn adjust(fd: &OwnedFd, address: &ListenAddress, to: ListenOptions) -> Result<(), ListenError> {
    listen(fd, to.backlog.get().into()).map_err(|errno| Failed::new("listen", errno).explain(address))?;
    if let Place::Unix(path) = address.place() {
        set_mode(path, to.mode).map_err(|failed| failed.explain(address))?;
    }
    Ok(())
}

struct Failed {
    doing: &'static str,
    source: io::Error,
}

impl Failed {
    fn new(doing: &'static str, source: impl Into<io::Error>) -> Self {
        Self { doing, source: source.into() }
    }

    fn explain(self, address: &ListenAddress) -> ListenError {
        let Self { doing, source } = self;
        let address = address.clone();
        match Errno::from_io_error(&source) {
            Some(Errno::ADDRINUSE) => match owner(&address) {
                Some(owner) if owner.pid == std::process::id() => ListenError::HeldByUs { address },
                owner => ListenError::InUse { address, owner },
            },
            Some(Errno::ACCESS | Errno::PERM) => ListenError::NotPermitted { address, source },
            Some(Errno::ADDRNOTAVAIL) => ListenError::NotHere { address },
            Some(Errno::NOTSOCK) => ListenError::FileInTheWay { address },
            _ => ListenError::Open { address, doing, source },
        }
    }
}

fn tcp(at: SocketAddr, options: ListenOptions) -> Result<OwnedFd, Failed> {
    let fd = bound(at, Some(options.v6only), false)?;
    listen(&fd, options.backlog.get().into()).map_err(|errno| Failed::new("listen", errno))?;
    Ok(fd)
}

fn bound(at: SocketAddr, v6only: Option<bool>, shares: bool) -> Result<OwnedFd, Failed> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = stream(family)?;
    // Without it the address is refused while closed connections are remembered (tcp(7)).
    sockopt::set_socket_reuseaddr(&fd, true).map_err(|errno| Failed::new("SO_REUSEADDR", errno))?;
    if shares {
        sockopt::set_socket_reuseport(&fd, true).map_err(|errno| Failed::new("SO_REUSEPORT", errno))?;
    }
    if let Some(only) = v6only.filter(|_| at.is_ipv6()) {
        sockopt::set_ipv6_v6only(&fd, only).map_err(|errno| Failed::new("IPV6_V6ONLY", errno))?;
    }
    bind(&fd, &at).map_err(|errno| Failed::new("bind", errno))?;
    Ok(fd)
}

/// HAProxy binds a unix socket under another name in the same folder, and renames it over what is there.
fn beside(path: &Path) -> Result<(), Failed> {
    let beside = path.with_extension(format!("{}.try", std::process::id()));
    // One that has no room for the longer name shows nothing.
    let Ok(name) = SocketAddrUnix::new(&beside) else { return Ok(()) };
    let fd = stream(AddressFamily::UNIX)?;
    bind(&fd, &name).map_err(|errno| Failed::new("bind", errno))?;
    fs::remove_file(&beside).map_err(|source| Failed::new("removing a socket", source))
}

fn unix(path: &Path, options: ListenOptions) -> Result<OwnedFd, Failed> {
    let fd = stream(AddressFamily::UNIX)?;
    // The file gets the socket's own mode, less the umask: so it is never open to more than it is to be.
    fchmod(&fd, Mode::from_raw_mode(options.mode)).map_err(|errno| Failed::new("fchmod", errno))?;
    let name = SocketAddrUnix::new(path).map_err(|errno| Failed::new("the path", errno))?;
    bind(&fd, &name).map_err(|errno| Failed::new("bind", errno))?;
    set_mode(path, options.mode)?;
    listen(&fd, options.backlog.get().into()).map_err(|errno| Failed::new("listen", errno))?;
    Ok(fd)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Failed> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(|source| Failed::new("chmod", source))
}

fn stream(family: AddressFamily) -> Result<OwnedFd, Failed> {
    // HAProxy makes it non-blocking in any case, and the flag is shared with every copy.
    socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
        .map_err(|errno| Failed::new("socket", errno))
}

/// Removes the socket of a process that is gone; one that is listened on is left alone.
fn clear(path: &Path) -> Result<(), Failed> {
    let Ok(data) = fs::symlink_metadata(path) else { return Ok(()) };
    if !data.file_type().is_socket() {
        return Err(Failed::new("the path", Errno::NOTSOCK));
    }
    let probe = stream(AddressFamily::UNIX)?;
    let name = SocketAddrUnix::new(path).map_err(|errno| Failed::new("the path", errno))?;
    match connect(&probe, &name) {
        Err(Errno::CONNREFUSED) => {
            fs::remove_file(path).map_err(|source| Failed::new("removing the old socket", source))
        }
        // It was accepted, or would be with less load or more rights.
        _ => Err(Failed::new("bind", Errno::ADDRINUSE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(address: &str, errno: Errno) -> String {
        Failed::new("bind", errno).explain(&address.parse().unwrap()).to_string()
    }

    #[test]
    fn an_error_tells_what_to_do() {
        assert!(text("0.0.0.0:80", Errno::ACCESS).contains("CAP_NET_BIND_SERVICE"));
        assert!(text("unix@/run/s", Errno::ACCESS).contains("let Roster's user write"));
        assert!(text("192.0.2.1:80", Errno::ADDRNOTAVAIL).contains("ip_nonlocal_bind"));
        assert!(text("unix@/run/s", Errno::NOTSOCK).contains("no socket; move it away"));
        assert!(text("0.0.0.0:80", Errno::MFILE).contains("0.0.0.0:80: bind failed"));
    }
}
