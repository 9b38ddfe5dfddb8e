//! Putting listening sockets onto a command, under the numbers that HAProxy's file names.

use std::collections::BTreeSet;
use std::process::Command;

use command_fds::{CommandFdExt, FdMapping};
use rustix::io::fcntl_dupfd_cloexec;

use super::ListenError;
use crate::managed::Inherited;

/// The numbers of the standard streams are no place for a socket.
pub(super) const FIRST_AFTER_STREAMS: i32 = 3;

/// Makes every process that this command starts inherit these sockets under their numbers.
///
/// For starting HAProxy, and for `haproxy -c` as well, which refuses a file with `bind fd@N` where N is not inherited.
/// A `tokio::process::Command` is handed over to by its `as_std_mut()`.
///
/// Call it once for each command: a second call would not see the numbers of the first. The command keeps copies of the
/// sockets until it is dropped, so drop it once it has spawned, or a socket that is released stays open.
///
/// # Errors
/// A number twice or below 3, or no free descriptor for a copy. Nothing is put onto the command then.
pub fn hand_over(command: &mut Command, inherited: &[Inherited]) -> Result<(), ListenError> {
    let mut numbers = BTreeSet::new();
    for &Inherited { number, .. } in inherited {
        if number < FIRST_AFTER_STREAMS {
            return Err(ListenError::NumberTaken { number });
        }
        if !numbers.insert(number) {
            return Err(ListenError::NumberTwice { number });
        }
    }
    let mappings = inherited.iter().map(mapping).collect::<Result<Vec<_>, _>>()?;
    // Numbers are different, as was just seen, so the library's only error cannot happen; it has no number to tell.
    command.fd_mappings(mappings).map_err(|_| ListenError::NumberTaken { number: FIRST_AFTER_STREAMS })?;
    Ok(())
}

/// The copy gets the wanted number itself where that is free. So the pipe by which the standard library learns whether
/// the program could be started does not get it, which the child would otherwise replace by the socket.
fn mapping(inherited: &Inherited) -> Result<FdMapping, ListenError> {
    let number = inherited.number;
    let parent_fd = fcntl_dupfd_cloexec(&inherited.fd, number)
        .map_err(|errno| ListenError::Copy { number, source: errno.into() })?;
    Ok(FdMapping { parent_fd, child_fd: number })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::sync::Arc;

    use super::*;

    fn socket(number: i32) -> Inherited {
        Inherited { number, fd: Arc::new(OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap())) }
    }

    /// What descriptors of the child point at.
    fn seen(by: &[Inherited], numbers: &str) -> Vec<String> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("for n in {numbers}; do readlink /proc/self/fd/$n; done")]);
        // `readlink` is a child of its own, which inherits what the shell inherited.
        hand_over(&mut command, by).unwrap();
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    fn own(inherited: &Inherited) -> String {
        let link = format!("/proc/self/fd/{}", inherited.fd.as_raw_fd());
        std::fs::read_link(link).unwrap().display().to_string()
    }

    #[test]
    fn a_child_has_each_socket_under_its_number() {
        let sockets = [socket(40), socket(41), socket(7)];
        let names: Vec<_> = sockets.iter().map(own).collect();
        assert_eq!(seen(&sockets, "40 41 7"), names);
    }

    #[test]
    fn sockets_may_swap_numbers_with_their_owner() {
        let (mut one, mut two) = (socket(0), socket(0));
        one.number = two.fd.as_raw_fd();
        two.number = one.fd.as_raw_fd();
        let numbers = format!("{} {}", one.number, two.number);
        let names = vec![own(&one), own(&two)];
        assert_eq!(seen(&[one, two], &numbers), names);
    }

    /// Alone in a process of its own: what other tests open and close would make free numbers of taken ones.
    #[test]
    fn a_program_that_cannot_start_is_an_error_whatever_the_numbers() {
        const ALONE: &str = "ROSTER_TEST_ALONE";
        if std::env::var_os(ALONE).is_none() {
            let name = "a_program_that_cannot_start_is_an_error_whatever_the_numbers";
            let alone = Command::new(std::env::current_exe().unwrap())
                .args([name, "--test-threads=1"])
                .env(ALONE, "1")
                .output()
                .unwrap();
            assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stdout));
            return;
        }
        let sockets: Vec<_> = (3..60).map(socket).collect();
        let mut command = Command::new("/no/such/program");
        hand_over(&mut command, &sockets).unwrap();
        assert_eq!(command.spawn().unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }

    #[test]
    fn a_command_can_be_run_again() {
        let sockets = [socket(40)];
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "readlink /proc/self/fd/40"]);
        hand_over(&mut command, &sockets).unwrap();
        let first = command.output().unwrap().stdout;
        assert_eq!(String::from_utf8(first.clone()).unwrap().trim(), own(&sockets[0]));
        assert_eq!(command.output().unwrap().stdout, first);
    }

    #[test]
    fn standard_streams_and_doubles_are_refused() {
        let mut command = Command::new("/bin/true");
        assert!(matches!(hand_over(&mut command, &[socket(2)]), Err(ListenError::NumberTaken { number: 2 })));
        let doubled = hand_over(&mut command, &[socket(9), socket(9)]);
        assert!(matches!(doubled, Err(ListenError::NumberTwice { number: 9 })));
    }
}
