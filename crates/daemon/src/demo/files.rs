//! The texts of the demo's files. Whoever runs the demo reads them, so they are short and say what they are.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

/// The backend, and the service that goes there.
pub(super) const BACKEND: &str = "web";
/// How many slots HAProxy starts with.
pub(super) const SLOTS: usize = 6;
/// HAProxy's socket, in the demo's folder.
pub(super) const SOCKET: &str = "admin.sock";

/// A server as the files name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    /// Its name.
    pub(super) name: &'static str,
    /// Where it listens.
    pub(super) addr: SocketAddr,
}

/// Where HAProxy listens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    /// The frontend.
    pub(super) web: SocketAddr,
    /// Its statistics page.
    pub(super) stats: SocketAddr,
}

/// HAProxy's configuration: an ordinary one, with slots for Roster to fill.
pub(super) fn haproxy_cfg(folder: &Path, ports: Ports) -> String {
    let socket = quoted(&folder.join(SOCKET).to_string_lossy());
    let Ports { web, stats } = ports;
    format!(
        "\
global
    stats socket {socket} mode 600 level admin

defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s

frontend {BACKEND}
    bind {web}
    default_backend {BACKEND}

frontend stats
    bind {stats}
    stats enable
    stats uri /
    stats refresh 2s

backend {BACKEND}
    balance roundrobin
    # Slots for Roster to fill; nothing listens on port 1.
    server-template srv 1-{SLOTS} 127.0.0.1:1 check inter 1s disabled
"
    )
}

/// Roster's configuration. Without `expose` each service goes to the backend of its name.
pub(super) fn roster_yaml() -> String {
    format!(
        "\
sources:
  demo:
    file: {{ path: services.yaml }}

targets:
  local:
    runtime: {{ socket: {SOCKET} }}

admin: off
"
    )
}

/// The list of servers. Those that are not in it stand there as comments, for whoever edits the file.
pub(super) fn services_yaml(all: &[Entry], listed: &[&str]) -> String {
    let mut text = format!(
        "# The servers of the backend `{BACKEND}`. Edit and save: Roster brings HAProxy to what stands here.\n\
         services:\n  {BACKEND}:"
    );
    text.push_str(if listed.is_empty() { " []\n" } else { "\n" });
    for Entry { name, addr } in all {
        let mark = if listed.contains(name) { "" } else { "# " };
        // Writing to a string cannot fail.
        writeln!(text, "    {mark}- {{ id: {name}, address: \"{addr}\" }}").ok();
    }
    text
}

/// A word of haproxy.cfg: in single quotes nothing has a meaning but the quote itself (configuration manual 2.2).
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use roster_config::native::Config;

    use super::*;

    fn entries() -> [Entry; 2] {
        [
            Entry { name: "amber", addr: "127.0.0.1:4001".parse().unwrap() },
            Entry { name: "blue", addr: "127.0.0.1:4002".parse().unwrap() },
        ]
    }

    #[test]
    fn the_configuration_of_haproxy_is_short_and_whole() {
        let ports = Ports { web: "127.0.0.1:80".parse().unwrap(), stats: "127.0.0.1:81".parse().unwrap() };
        insta::assert_snapshot!(haproxy_cfg(Path::new("/tmp/d"), ports), @r"
        global
            stats socket /tmp/d/admin.sock mode 600 level admin

        defaults
            mode http
            timeout connect 2s
            timeout client 30s
            timeout server 30s

        frontend web
            bind 127.0.0.1:80
            default_backend web

        frontend stats
            bind 127.0.0.1:81
            stats enable
            stats uri /
            stats refresh 2s

        backend web
            balance roundrobin
            # Slots for Roster to fill; nothing listens on port 1.
            server-template srv 1-6 127.0.0.1:1 check inter 1s disabled
        ");
    }

    #[test]
    fn a_folder_with_odd_characters_is_one_word_to_haproxy() {
        assert_eq!(quoted("/tmp/a b/it's $x"), r"'/tmp/a b/it'\''s $x'");
    }

    #[test]
    fn roster_takes_its_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roster.yaml");
        std::fs::write(&file, roster_yaml()).unwrap();
        let config = Config::load(&file, &BTreeMap::new()).unwrap();
        assert_eq!((config.sources.len(), config.targets.len()), (1, 1));
    }

    #[test]
    fn servers_that_are_not_listed_stand_there_to_be_uncommented() {
        insta::assert_snapshot!(services_yaml(&entries(), &["amber"]), @r##"
        # The servers of the backend `web`. Edit and save: Roster brings HAProxy to what stands here.
        services:
          web:
            - { id: amber, address: "127.0.0.1:4001" }
            # - { id: blue, address: "127.0.0.1:4002" }
        "##);
    }

    #[test]
    fn an_empty_list_is_a_list() {
        insta::assert_snapshot!(services_yaml(&entries(), &[]), @r##"
        # The servers of the backend `web`. Edit and save: Roster brings HAProxy to what stands here.
        services:
          web: []
            # - { id: amber, address: "127.0.0.1:4001" }
            # - { id: blue, address: "127.0.0.1:4002" }
        "##);
    }
}
