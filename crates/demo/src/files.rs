//! The texts of the demo's files. Whoever runs the demo reads them, so they are short and say what they are.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

/// The service that gets the traffic, and its backend.
pub(crate) const WEB: &str = "web";
/// The service that comes later, and its backend.
pub(crate) const SHOP: &str = "shop";
/// How many slots the first backend starts with.
pub(crate) const SLOTS: usize = 6;
/// Roster's name for HAProxy.
pub(crate) const TARGET: &str = "local";
/// Where HAProxy's sockets and output are, in the demo's folder.
pub(crate) const RUN: &str = "run";
/// What Roster writes for HAProxy, in the demo's folder.
pub(crate) const CFG: &str = "haproxy.cfg";

/// A server as the files name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// What it is one of.
    pub(crate) service: &'static str,
    /// Its name.
    pub(crate) name: &'static str,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
}

/// Where HAProxy listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// The frontend of the first service, which Roster writes and whose port it holds.
    pub(crate) web: SocketAddr,
    /// An operator's own frontend: the statistics page, and every other service by its path.
    pub(crate) side: SocketAddr,
}

/// Roster's configuration: it writes HAProxy's file and runs HAProxy with it.
pub(crate) fn roster_yaml(haproxy: &Path, ports: Ports) -> String {
    let haproxy = quoted(&haproxy.to_string_lossy());
    let Ports { web, side } = ports;
    format!(
        "\
sources:
  demo:
    file: {{ path: services.yaml }}

targets:
  {TARGET}:
    managed:
      haproxy: {haproxy}
      config: {CFG}        # Roster writes this file and runs HAProxy with it
      run_dir: {RUN}               # HAProxy's sockets, its output, its servers' state
      listen: held               # Roster holds the port: while HAProxy is dead, connections wait
      on_exit: stop              # HAProxy ends together with Roster
      stop: {{ graceful: 1s }}
      defaults: |
        mode http
        timeout connect 2s
        timeout client 30s
        timeout server 30s
      sections: |
        # A frontend of one's own: /stats shows statistics, /NAME goes to the backend of that name.
        frontend side
            bind {side}
            stats enable
            stats uri /stats
            stats refresh 2s
            use_backend %[path,field(2,/)]

expose:
  - service: demo/{WEB}
    backend: {{ name: {WEB}, bind: \"{web}\" }}
    server: {{ check: true, inter: 1s }}
    slots: {{ base: {SLOTS} }}         # spare ones are filled without a reload
  - service: demo/{SHOP}
    backend: {SHOP}
    server: {{ check: true, inter: 1s }}

admin: off
"
    )
}

/// The list of servers. Those that are not in it stand there as comments, for whoever edits the file.
pub(crate) fn services_yaml(all: &[Entry], listed: &[&str]) -> String {
    let mut text =
        "# Who is there. Edit and save: Roster brings HAProxy to what stands here.\nservices:\n".to_owned();
    let is_listed = |entry: &Entry| listed.contains(&entry.name);
    for service in [WEB, SHOP] {
        let its = all.iter().filter(|entry| entry.service == service);
        // Roster knows the first one from the start; without the second there is none.
        let (mark, rest) = match (its.clone().any(is_listed), service) {
            (true, _) => ("", ""),
            (false, WEB) => ("", " []"),
            (false, _) => ("# ", ""),
        };
        // Writing to a string cannot fail.
        writeln!(text, "  {mark}{service}:{rest}").ok();
        for entry @ Entry { name, addr, .. } in its {
            let mark = if is_listed(entry) { "" } else { "# " };
            writeln!(text, "    {mark}- {{ id: {name}, address: \"{addr}\" }}").ok();
        }
    }
    text
}

/// A text of roster.yaml, which neither YAML nor what Roster does with `${NAME}` changes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace("${", "$${"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use roster_config::native::{Config, Reach};

    use super::*;

    fn entries() -> [Entry; 3] {
        [
            Entry { service: WEB, name: "amber", addr: "127.0.0.1:4001".parse().unwrap() },
            Entry { service: WEB, name: "blue", addr: "127.0.0.1:4002".parse().unwrap() },
            Entry { service: SHOP, name: "mint", addr: "127.0.0.1:4003".parse().unwrap() },
        ]
    }

    #[test]
    fn roster_takes_its_configuration_wherever_haproxy_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roster.yaml");
        let ports = Ports { web: "127.0.0.1:80".parse().unwrap(), side: "127.0.0.1:81".parse().unwrap() };
        let haproxy = Path::new("/opt/it's ${HERE}: #1/haproxy");
        std::fs::write(&file, roster_yaml(haproxy, ports)).unwrap();
        let config = Config::load(&file, &BTreeMap::new()).unwrap();
        assert_eq!((config.sources.len(), config.targets.len()), (1, 1));
        let Reach::Managed(reach) = config.targets.values().next().unwrap() else {
            panic!("{:?}", config.targets)
        };
        assert_eq!(reach.haproxy, haproxy);
    }

    #[test]
    fn servers_that_are_not_listed_stand_there_to_be_uncommented() {
        insta::assert_snapshot!(services_yaml(&entries(), &["amber"]), @r##"
        # Who is there. Edit and save: Roster brings HAProxy to what stands here.
        services:
          web:
            - { id: amber, address: "127.0.0.1:4001" }
            # - { id: blue, address: "127.0.0.1:4002" }
          # shop:
            # - { id: mint, address: "127.0.0.1:4003" }
        "##);
    }

    #[test]
    fn an_empty_list_is_a_list() {
        insta::assert_snapshot!(services_yaml(&entries(), &[]), @r##"
        # Who is there. Edit and save: Roster brings HAProxy to what stands here.
        services:
          web: []
            # - { id: amber, address: "127.0.0.1:4001" }
            # - { id: blue, address: "127.0.0.1:4002" }
          # shop:
            # - { id: mint, address: "127.0.0.1:4003" }
        "##);
    }

    #[test]
    fn a_second_service_is_one_more_list() {
        insta::assert_snapshot!(services_yaml(&entries(), &["amber", "blue", "mint"]), @r##"
        # Who is there. Edit and save: Roster brings HAProxy to what stands here.
        services:
          web:
            - { id: amber, address: "127.0.0.1:4001" }
            - { id: blue, address: "127.0.0.1:4002" }
          shop:
            - { id: mint, address: "127.0.0.1:4003" }
        "##);
    }
}
