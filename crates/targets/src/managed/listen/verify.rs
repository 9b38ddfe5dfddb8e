//! Looking at a descriptor before it is believed: whatever came back or is handed over may be something else by now.

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, getsockname, sockopt};

use super::ListenError;
use super::address::{ListenAddress, Place};

/// What a descriptor is instead of a listening stream socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotListening {
    /// No socket, or closed.
    NoSocket,
    /// A socket of datagrams, or another that is no stream.
    NoStream,
    /// A stream socket that does not listen: a connection, or one only bound.
    Idle,
    /// Of a family or with an address that Roster does not hold.
    Foreign,
    /// A listening one, of another address.
    Elsewhere(ListenAddress),
}

/// Where a listening stream socket listens.
pub fn examine(fd: impl AsFd) -> Result<ListenAddress, NotListening> {
    let fd = fd.as_fd();
    let kind = sockopt::socket_type(fd).map_err(|_| NotListening::NoSocket)?;
    if kind != SocketType::STREAM {
        return Err(NotListening::NoStream);
    }
    if !sockopt::socket_acceptconn(fd).map_err(|_| NotListening::NoSocket)? {
        return Err(NotListening::Idle);
    }
    let name = getsockname(fd).map_err(|_| NotListening::NoSocket)?;
    let foreign = NotListening::Foreign;
    match name.address_family() {
        AddressFamily::INET => {
            SocketAddrV4::try_from(name).ok().map(SocketAddr::V4).and_then(ListenAddress::tcp)
        }
        AddressFamily::INET6 => {
            SocketAddrV6::try_from(name).ok().map(SocketAddr::V6).and_then(ListenAddress::tcp)
        }
        AddressFamily::UNIX => SocketAddrUnix::try_from(name).ok().and_then(|address| {
            let path = Path::new(std::ffi::OsStr::from_bytes(address.path_bytes()?));
            ListenAddress::unix(path).ok()
        }),
        _ => None,
    }
    .ok_or(foreign)
}

/// Whether the descriptor is a listening stream socket of this address.
pub fn verify(fd: impl AsFd, address: &ListenAddress) -> Result<(), ListenError> {
    match examine(fd) {
        Ok(found) if found == *address => Ok(()),
        Ok(found) => Err(NotListening::Elsewhere(found)),
        Err(found) => Err(found),
    }
    .map_err(|found| ListenError::NotTheSocket { address: address.clone(), found })
}

/// Whether an IPv6 socket of all addresses takes IPv6 alone; `None` for others, where there is nothing to choose: the
/// kernel turns it on for a single IPv6 address.
pub(super) fn v6only(fd: impl AsFd, address: &ListenAddress) -> Option<bool> {
    match address.place() {
        Place::Tcp(SocketAddr::V6(at)) if at.ip().is_unspecified() => sockopt::ipv6_v6only(fd).ok(),
        _ => None,
    }
}

impl fmt::Display for NotListening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSocket => f.write_str("no open socket"),
            Self::NoStream => f.write_str("no stream socket"),
            Self::Idle => f.write_str("a socket that does not listen"),
            Self::Foreign => f.write_str("a socket of another kind of address"),
            Self::Elsewhere(address) => write!(f, "a socket that listens on {address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_listening_socket_tells_its_address() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let unix = UnixListener::bind(&path).unwrap();
        assert_eq!(examine(&unix).unwrap(), ListenAddress::unix(&path).unwrap());
        for at in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let listener = TcpListener::bind(at).unwrap();
            let address = ListenAddress::tcp(listener.local_addr().unwrap()).unwrap();
            assert_eq!(examine(&listener).unwrap(), address);
            verify(&listener, &address).unwrap();
            assert_eq!(v6only(&listener, &address).is_some(), at == "[::]:0");
        }
    }

    #[test]
    fn anything_else_is_told_from_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = ListenAddress::tcp(listener.local_addr().unwrap()).unwrap();
        let found = |fd: &dyn AsFdDyn| match verify(fd.fd(), &address) {
            Err(ListenError::NotTheSocket { found, .. }) => found,
            other => panic!("{other:?}"),
        };
        assert_eq!(found(&TcpStream::connect(listener.local_addr().unwrap()).unwrap()), NotListening::Idle);
        assert_eq!(found(&UdpSocket::bind("127.0.0.1:0").unwrap()), NotListening::NoStream);
        assert_eq!(found(&std::fs::File::open("/dev/null").unwrap()), NotListening::NoSocket);
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let elsewhere = ListenAddress::tcp(other.local_addr().unwrap()).unwrap();
        assert_eq!(found(&other), NotListening::Elsewhere(elsewhere));
    }

    trait AsFdDyn {
        fn fd(&self) -> std::os::fd::BorrowedFd<'_>;
    }

    impl<T: AsFd> AsFdDyn for T {
        fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
            self.as_fd()
        }
    }
}
