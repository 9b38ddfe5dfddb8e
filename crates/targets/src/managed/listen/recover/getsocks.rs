//! Copies of the listening sockets that HAProxy opened itself, by `_getsocks` on its stats socket.
//!
//! This is what a new HAProxy does with `-x` (management manual, section 3; `expose-fd listeners` in section 3.1 of the
//! configuration manual). The answer, as in HAProxy's `src/cli.c`: the number of sockets as a native `int`, then messages
//! with up to 253 descriptors and for each of them the lengths and texts of its network namespace and its interface and
//! four bytes of nothing; the client sends four bytes after each message. Sockets that HAProxy inherited are not in it.

use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::super::ListenError;
use super::super::address::{ListenAddress, Place};
use super::super::verify::examine;

/// HAProxy waits one second for each acknowledgement.
const PATIENCE: Duration = Duration::from_secs(2);
/// More listening sockets than anybody has; a count beyond it is no count but the text of an error.
const MOST_SOCKETS: i32 = 100_000;
/// The kernel's limit for one message (unix(7)).
const MOST_IN_MESSAGE: usize = 253;

/// The listening sockets that HAProxy opened itself, in the machine's own network namespace and on no single interface.
///
/// # Errors
/// HAProxy does not answer, or gives no socket, as without `expose-fd listeners`.
pub fn from_haproxy(stats_socket: &Path) -> Result<Vec<(ListenAddress, OwnedFd)>, ListenError> {
    let sockets = ask(stats_socket)
        .map_err(|source| ListenError::GetSocks { socket: stats_socket.to_owned(), source })?;
    let plain = sockets.into_iter().filter(|(described, _)| described.plain);
    Ok(plain.filter_map(|(_, fd)| Some((settled(examine(&fd).ok()?), fd))).collect())
}

/// What HAProxy says of one socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Described {
    /// Neither in another network namespace nor on one interface.
    plain: bool,
}

fn ask(socket: &Path) -> io::Result<Vec<(Described, OwnedFd)>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"_getsocks\n")?;
    let mut count = [0; size_of::<i32>()];
    stream.read_exact(&mut count)?;
    let count = i32::from_ne_bytes(count);
    let wanted = (0..=MOST_SOCKETS).contains(&count).then(|| usize::try_from(count).ok()).flatten();
    let wanted = wanted.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it answered with text"))?;
    let mut sockets = Vec::new();
    while sockets.len() < wanted {
        sockets.extend(message(&stream)?);
        let acknowledged = stream.write_all(&[0; size_of::<i32>()]);
        // 2.6 closes after the last message, others wait for the acknowledgement of that one too.
        if sockets.len() < wanted {
            acknowledged?;
        }
    }
    Ok(sockets)
}

/// One message: it may come in pieces, of which the first has the descriptors.
fn message(stream: &UnixStream) -> io::Result<Vec<(Described, OwnedFd)>> {
    let (mut bytes, mut fds) = (Vec::new(), Vec::new());
    loop {
        receive(stream, &mut bytes, &mut fds)?;
        let described = describe(&bytes);
        if !fds.is_empty() && described.len() >= fds.len() {
            return Ok(described.into_iter().zip(fds).collect());
        }
    }
}

fn receive(stream: &UnixStream, bytes: &mut Vec<u8>, fds: &mut Vec<OwnedFd>) -> io::Result<()> {
    let mut piece = [0; 16 * 1024];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_IN_MESSAGE))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = recvmsg(stream, &mut [IoSliceMut::new(&mut piece)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    for control in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = control {
            fds.extend(received);
        }
    }
    if got.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.extend(piece.iter().take(got.bytes));
    Ok(())
}

/// Those of the descriptions that are whole.
fn describe(mut bytes: &[u8]) -> Vec<Described> {
    let mut all = Vec::new();
    while let Some((described, rest)) = describe_one(bytes) {
        all.push(described);
        bytes = rest;
    }
    all
}

fn describe_one(bytes: &[u8]) -> Option<(Described, &[u8])> {
    let (namespace, rest) = counted(bytes)?;
    let (interface, rest) = counted(rest)?;
    let (_, rest) = rest.split_at_checked(size_of::<i32>())?;
    Some((Described { plain: namespace.is_empty() && interface.is_empty() }, rest))
}

fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    rest.split_at_checked(length.into())
}

/// HAProxy binds a unix socket beside its path, as `PATH.PID.tmp`, and renames it; the kernel goes on telling the first.
fn settled(address: ListenAddress) -> ListenAddress {
    let renamed = match address.place() {
        Place::Tcp(_) => None,
        Place::Unix(path) => path.to_str().and_then(|path| {
            let (path, pid) = path.strip_suffix(".tmp")?.rsplit_once('.')?;
            let is_pid = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
            is_pid.then(|| ListenAddress::unix(Path::new(path)).ok())?
        }),
    };
    renamed.unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_read_one_by_one_and_a_cut_one_waits() {
        let mut bytes = vec![0, 0, 0, 0, 0, 0];
        bytes.extend([3, b'd', b'm', b'z', 0, 0, 0, 0, 0]);
        bytes.extend([0, 4, b'e', b't', b'h', b'0', 0, 0, 0, 0]);
        let described: Vec<bool> = describe(&bytes).iter().map(|one| one.plain).collect();
        assert_eq!(described, [true, false, false]);
        for cut in 0..bytes.len() {
            assert!(describe(&bytes[..cut]).len() < 3);
        }
    }

    #[test]
    fn the_name_before_haproxys_rename_is_not_the_address() {
        let settle = |text: &str| settled(text.parse().unwrap()).to_string();
        assert_eq!(settle("unix@/run/web.sock.123.tmp"), "unix@/run/web.sock");
        assert_eq!(settle("unix@/run/web.sock.tmp"), "unix@/run/web.sock.tmp");
        assert_eq!(settle("unix@/run/web.sock..tmp"), "unix@/run/web.sock..tmp");
        assert_eq!(settle("127.0.0.1:80"), "127.0.0.1:80");
    }

    #[test]
    fn a_text_or_silence_instead_of_sockets_is_an_error() {
        for (answer, kind) in [
            (b"Unknown command".as_slice(), io::ErrorKind::InvalidData),
            (b"", io::ErrorKind::UnexpectedEof),
            (b"\x01\x00\x00\x00", io::ErrorKind::UnexpectedEof),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("s");
            let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut line = [0; 10];
                stream.read_exact(&mut line).unwrap();
                stream.write_all(answer).unwrap();
            });
            let error = from_haproxy(&path).unwrap_err();
            let ListenError::GetSocks { source, .. } = &error else { panic!("{error}") };
            assert_eq!(source.kind(), kind, "{error}");
            server.join().unwrap();
        }
    }
}
