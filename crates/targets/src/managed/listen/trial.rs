//! Trying whether HAProxy could listen on an address, before HAProxy does: a HAProxy that finds one address taken does not
//! start, and one that reloads makes the process that serves stop listening meanwhile (2.4 s, measured on 2.6 to 3.0).
//!
//! Nothing is listened on: a socket that listens beside HAProxy's own would take connections from it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::getxattr;

use super::ListenError;
use super::address::ListenAddress;
use super::bind;

/// `CAP_NET_BIND_SERVICE` in a mask of capabilities (capabilities(7)).
const LOW_PORTS: u64 = 1 << 10;

/// How HAProxy would listen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trial {
    /// Where.
    pub address: ListenAddress,
    /// Whether `[::]` leaves IPv4 alone; none where the system decides.
    pub v6only: Option<bool>,
    /// Whether others of the same user may listen there too (`SO_REUSEPORT`), as HAProxy lets its successor.
    pub shares: bool,
}

impl Trial {
    /// Binds and closes.
    ///
    /// # Errors
    /// HAProxy could not listen there. What only shows that Roster itself lacks something is no error: whether
    /// low ports are HAProxy's to open is for the caller to say.
    pub fn run(&self, opens_low_ports: bool) -> Result<(), ListenError> {
        match bind::attempt(self) {
            Err(ListenError::NotPermitted { address, .. }) if opens_low_ports && address.is_tcp() => Ok(()),
            Err(ListenError::Open { ref source, .. }) if is_own_want(source) => Ok(()),
            done => done,
        }
    }
}

/// Too many files, or no memory: what a process has of its own.
fn is_own_want(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let wants = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
    Errno::from_io_error(error).is_some_and(|errno| wants.contains(&errno))
}

/// Whether HAProxy may open ports that Roster may not: its master has the capability, or its binary gives it.
pub fn opens_low_ports(binary: &Path, master: Option<u32>) -> bool {
    let of_master = master.is_some_and(|pid| capabilities(pid).is_none_or(|mask| mask & LOW_PORTS != 0));
    let of_binary = fs::metadata(binary)
        .is_ok_and(|data| data.uid() == 0 && data.permissions().mode() & 0o4000 != 0)
        || getxattr(binary, "security.capability", &mut [0_u8; 64]).is_ok();
    of_master || of_binary
}

fn capabilities(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Whether a process has the same addresses and ports as Roster; no where that cannot be seen.
pub fn shares_network(pid: u32) -> bool {
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    of("self").is_some_and(|own| of(&pid.to_string()) == Some(own))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn attempt(address: &str, shares: bool) -> Result<(), String> {
        let trial = Trial { address: address.parse().unwrap(), v6only: None, shares };
        trial.run(false).map_err(|error| error.to_string())
    }

    #[test]
    fn a_free_address_is_free_afterwards_too_and_one_in_use_names_the_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        for shares in [true, false] {
            let error = attempt(&address, shares).unwrap_err();
            assert!(error.contains(&address), "{error}");
        }
        drop(listener);
        attempt(&address, true).unwrap();
        TcpListener::bind(&address).unwrap();
    }

    #[test]
    fn an_address_of_another_machine_is_an_error() {
        let error = attempt("192.0.2.1:80", true).unwrap_err();
        assert!(error.contains("not on this machine"), "{error}");
        let error = attempt("[2001:db8::1]:80", true).unwrap_err();
        assert!(error.contains("[2001:db8::1]:80"), "{error}");
    }

    #[test]
    fn a_unix_socket_needs_a_folder_and_takes_the_place_of_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _there = UnixListener::bind(&path).unwrap();
        attempt(&format!("unix@{}", path.display()), true).unwrap();
        let names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["s"]);
        assert!(attempt("unix@/no/such/folder/s", true).is_err());
    }

    #[test]
    fn a_process_shares_its_own_network() {
        assert!(shares_network(std::process::id()));
        assert!(!shares_network(u32::MAX));
    }
}
