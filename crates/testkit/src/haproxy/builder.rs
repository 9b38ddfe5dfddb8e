//! From a test's few lines to a configuration file and a running process.

use std::collections::BTreeMap;
use std::fs;

use tempfile::TempDir;

use super::{Haproxy, HaproxyError};
use crate::component::HaproxyBin;
use crate::haproxy::process::Family;
use crate::ports::free_port;

/// What a test usually does not care about. `hard-stop-after` keeps a drained process from outliving its test.
const DEFAULTS: &str = "\
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout check 2s

";

/// How a HAProxy is to be started.
#[derive(Clone, Debug)]
pub struct HaproxyBuilder {
    bin: HaproxyBin,
    config: String,
    whole_config: bool,
    globals: String,
    master_worker: bool,
    stats_tcp: bool,
}

impl HaproxyBuilder {
    pub(super) fn new(bin: &HaproxyBin) -> Self {
        Self {
            bin: bin.clone(),
            config: String::new(),
            whole_config: false,
            globals: String::new(),
            master_worker: false,
            stats_tcp: false,
        }
    }

    /// The sections after `global` and a `defaults` in http mode. `{port:NAME}` becomes a free port, the same one
    /// wherever the name stands; `{dir}` is the folder, `{socket}` and `{master}` are the two CLI sockets.
    #[must_use]
    pub fn config(mut self, sections: &str) -> Self {
        sections.clone_into(&mut self.config);
        self.whole_config = false;
        self
    }

    /// The whole file, `global` included. It must have a `stats socket {socket} level admin`.
    #[must_use]
    pub fn whole_config(mut self, text: &str) -> Self {
        text.clone_into(&mut self.config);
        self.whole_config = true;
        self
    }

    /// One more line of the `global` section.
    #[must_use]
    pub fn global(mut self, line: &str) -> Self {
        self.globals.extend(["    ", line, "\n"]);
        self
    }

    /// Master-worker mode (`-W`) with a master CLI socket. Without it one process runs in the foreground (`-db`).
    #[must_use]
    pub fn master_worker(mut self) -> Self {
        self.master_worker = true;
        self
    }

    /// A second stats socket of level admin, on a free loopback port.
    #[must_use]
    pub fn stats_on_tcp(mut self) -> Self {
        self.stats_tcp = true;
        self
    }

    /// Starts it, and returns when it answers on the stats socket.
    pub fn start(self) -> Result<Haproxy, HaproxyError> {
        // Short, because a socket's path has room for about a hundred bytes.
        let dir = TempDir::with_prefix("hap-").map_err(|source| HaproxyError::Io {
            what: "cannot make a temporary folder".to_owned(),
            source,
        })?;
        let mut haproxy = Haproxy {
            family: Family::default(),
            bin: self.bin,
            master_worker: self.master_worker,
            stats_port: if self.stats_tcp { Some(free_port()?) } else { None },
            whole_config: self.whole_config,
            globals: self.globals,
            ports: BTreeMap::new(),
            dir,
        };
        write_config(&mut haproxy, &self.config)?;
        haproxy.start_again()?;
        Ok(haproxy)
    }
}

pub(super) fn write_config(haproxy: &mut Haproxy, text: &str) -> Result<(), HaproxyError> {
    let preamble = if haproxy.whole_config { String::new() } else { preamble(haproxy) };
    let text = fill(&format!("{preamble}{text}\n"), |name| value(haproxy, name))?;
    let path = haproxy.config_path();
    fs::write(&path, text)
        .map_err(|source| HaproxyError::Io { what: format!("cannot write {}", path.display()), source })
}

fn preamble(haproxy: &Haproxy) -> String {
    let tcp = haproxy
        .stats_addr()
        .map_or_else(String::new, |addr| format!("    stats socket ipv4@{addr} level admin\n"));
    format!(
        "global\n    stats socket {{socket}} mode 600 level admin expose-fd listeners\n{tcp}    hard-stop-after 10s\n{}\n{DEFAULTS}",
        haproxy.globals
    )
}

fn value(haproxy: &mut Haproxy, name: &str) -> Result<String, HaproxyError> {
    match name {
        "dir" => Ok(haproxy.dir().display().to_string()),
        "socket" => Ok(haproxy.socket().display().to_string()),
        "master" => Ok(haproxy.master_socket().display().to_string()),
        _ => {
            let port =
                name.strip_prefix("port:").ok_or_else(|| HaproxyError::Placeholder(name.to_owned()))?;
            if let Some(known) = haproxy.ports.get(port) {
                return Ok(known.to_string());
            }
            let free = free_port()?;
            haproxy.ports.insert(port.to_owned(), free);
            Ok(free.to_string())
        }
    }
}

/// Replaces each `{word}`. HAProxy's own braces always have a space after the opening one (`{ path /x }`) or a `%`
/// before it, so only a letter right behind the brace makes a placeholder.
fn fill(
    text: &str,
    mut value: impl FnMut(&str) -> Result<String, HaproxyError>,
) -> Result<String, HaproxyError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        match after.split_once('}') {
            Some((name, behind)) if is_placeholder(before, name) => {
                filled.push_str(&value(name)?);
                rest = behind;
            }
            _ => {
                filled.push('{');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn is_placeholder(before: &str, name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_');
    !before.ends_with(['%', '$'])
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_haproxys_own_braces_stay() {
        let text = "bind :{port:web}\nuse_backend b if { path /x }\nlog-format %{+Q}o ${HOME} {port:web}";
        let filled = fill(text, |name| Ok(format!("<{name}>"))).unwrap();
        assert_eq!(
            filled,
            "bind :<port:web>\nuse_backend b if { path /x }\nlog-format %{+Q}o ${HOME} <port:web>"
        );
    }
}
