//! What goes wrong with listening sockets.

use std::io;
use std::path::PathBuf;

use super::address::ListenAddress;
use super::owner::Owner;
use super::verify::NotListening;

/// Why a listening socket could not be opened, handed over or got back.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Two sockets under one number.
    #[error("descriptor {number} is given to two sockets; each needs a number of its own")]
    NumberTwice {
        /// The number.
        number: i32,
    },
    /// A number that a child cannot inherit a socket under.
    #[error("descriptor {number} cannot be inherited as a listening socket: 0, 1 and 2 are standard streams")]
    NumberTaken {
        /// The number.
        number: i32,
    },
    /// A number that nothing is held under.
    #[error(
        "HAProxy's file names fd@{number}, and no listening socket is held under that number; write the file anew"
    )]
    NumberUnknown {
        /// The number.
        number: i32,
    },
    /// No copy for the child.
    #[error(
        "cannot copy the listening socket for descriptor {number}; if too many files are open, raise LimitNOFILE (ulimit -n)"
    )]
    Copy {
        /// The number it was to have.
        number: i32,
        /// Why not.
        source: io::Error,
    },
    /// The address is taken.
    #[error("cannot listen on {address}: it is in use{}; end that, or choose another address", by(owner.as_ref()))]
    InUse {
        /// The address.
        address: ListenAddress,
        /// By whom, where that can be seen.
        owner: Option<Owner>,
    },
    /// The address is taken by a socket of ours that a HAProxy still has.
    #[error(
        "cannot listen on {address} yet: Roster still holds a socket that overlaps with it, until HAProxy has let that one go"
    )]
    HeldByUs {
        /// The address.
        address: ListenAddress,
    },
    /// A port below 1024, or a folder.
    #[error("not permitted to listen on {address}; {}", permission(address))]
    NotPermitted {
        /// The address.
        address: ListenAddress,
        /// What the kernel says.
        source: io::Error,
    },
    /// Not an address of this machine.
    #[error(
        "cannot listen on {address}: the address is not on this machine; give it to an interface, or let net.ipv4.ip_nonlocal_bind (ipv6: net.ipv6.ip_nonlocal_bind) be 1"
    )]
    NotHere {
        /// The address.
        address: ListenAddress,
    },
    /// A file that is no socket is in the way.
    #[error("cannot listen on {address}: there is a file of that name which is no socket; move it away")]
    FileInTheWay {
        /// The address.
        address: ListenAddress,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {doing} failed")]
    Open {
        /// The address.
        address: ListenAddress,
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// `v6only` cannot be changed on a bound socket.
    #[error(
        "{address} is held with v6only {}, which cannot be changed while it is; take the address out, and put it back once HAProxy has let it go",
        if *held { "on" } else { "off" }
    )]
    V6only {
        /// The address.
        address: ListenAddress,
        /// What it is.
        held: bool,
    },
    /// A descriptor is not what it is said to be.
    #[error("the descriptor that should listen on {address} is {found}; it is not used")]
    NotTheSocket {
        /// The address.
        address: ListenAddress,
        /// What it is.
        found: NotListening,
    },
    /// A socket that is still wanted is not closed.
    #[error("{address} is not closed: it is wanted")]
    Wanted {
        /// The address.
        address: ListenAddress,
    },
    /// The descriptors that systemd passed.
    #[error("systemd's LISTEN_FDS and LISTEN_PID make no sense; nothing is taken from its store")]
    Passed,
    /// The descriptors were asked for twice.
    #[error("the descriptors that systemd passed were taken already; they can be taken once in a process")]
    PassedTwice,
    /// The service manager does not take a socket.
    #[error(
        "cannot {doing} systemd's store of descriptors over {socket}; check NotifyAccess= and FileDescriptorStoreMax= of the unit"
    )]
    Store {
        /// What was tried: put into or take out of.
        doing: &'static str,
        /// Where.
        socket: String,
        /// Why not.
        source: io::Error,
    },
    /// HAProxy did not hand its sockets out.
    #[error(
        "cannot get listening sockets from HAProxy on {socket:?}; does its `stats socket` line say `expose-fd listeners`?"
    )]
    GetSocks {
        /// The stats socket.
        socket: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No descriptor of another process.
    #[error("cannot get listening sockets from process {pid}{}", trace(source))]
    Process {
        /// The process.
        pid: u32,
        /// Why not.
        source: io::Error,
    },
}

fn by(owner: Option<&Owner>) -> String {
    owner.map(|owner| format!(" by {owner}")).unwrap_or_default()
}

fn permission(address: &ListenAddress) -> &'static str {
    match address.place() {
        super::Place::Tcp(_) => {
            "ports below 1024 need CAP_NET_BIND_SERVICE (AmbientCapabilities= in the unit) or net.ipv4.ip_unprivileged_port_start"
        }
        super::Place::Unix(_) => "let Roster's user write to that folder",
    }
}

fn trace(source: &io::Error) -> &'static str {
    if source.kind() == io::ErrorKind::PermissionDenied {
        ": Roster must run as the same user and kernel.yama.ptrace_scope be 0, or have CAP_SYS_PTRACE; systemd's store needs neither (FileDescriptorStoreMax= in the unit)"
    } else {
        ""
    }
}
