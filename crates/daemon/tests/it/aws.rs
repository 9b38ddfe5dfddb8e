//! A region of AWS on bad days, before a real HAProxy: what stays, what goes, and what is reported.

mod gaps;
mod identity;

use std::fs;
use std::process::Command;

use roster_testkit::{Ec2Machine, Ec2StandIn, OrFail, Poll, wait_until_or_fail};

use crate::rig::{CAP, Daemon, Ended, Rig, at_home, ended, one_version};

const NAME: &str = "HAProxy:Service:Name";
const PORT: &str = "HAProxy:Service:Port";
const GROUP: &str = "aws:autoscaling:groupName";
const WEB: [(&str, &str); 2] = [(NAME, "web"), (PORT, "18080")];
const SECRET: &str = "wJalrXUtnFEMISECRET";

/// A region, a HAProxy and a configuration between them.
struct Region {
    ec2: Ec2StandIn,
    rig: Rig,
}

impl Region {
    /// One with a backend `web` of ten slots.
    fn start() -> Self {
        Self::with("backend web\n    server-template srv 1-10 127.0.0.1:1 disabled\n", "{service}")
    }

    /// One with these sections of HAProxy, and with this pattern of backends' names.
    fn with(sections: &str, backend: &str) -> Self {
        let region = Self { ec2: Ec2StandIn::start().or_fail(), rig: Rig::new(&one_version(), sections, "") };
        region.configure(&format!(", endpoint: \"{}\"", region.ec2.url()), backend);
        region
    }

    /// Writes the configuration with these further keys of the source.
    fn configure(&self, keys: &str, backend: &str) {
        let text = format!(
            "sources: {{ fleet: {{ aws: {{ region: us-east-2, poll: {{ every: 1s, jitter: 0s }}{keys} }} }} }}\n\
             targets: {{ local: {{ runtime: {{ socket: {}, timeout: 2s }} }} }}\n\
             admin: off\n\
             expose: [ {{ each: fleet, backend: \"{backend}\", bring_up: registry, drain: {{ cap: 1s }}, \
             guard: {{ hold_for: 2s }} }} ]\n",
            self.rig.haproxy.socket().display()
        );
        fs::write(self.rig.config(), text).unwrap();
    }

    fn machines(&self, machines: Vec<Ec2Machine>) {
        self.ec2.world(|world| world.machines = machines);
    }

    /// Writes a file into the home folder; its path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.rig.folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A command with these variables and no others of AWS.
    fn command(&self, word: &str, variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roster"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.rig.folder()).env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(variables.iter().copied());
        at_home(&mut command, self.rig.folder());
        command.arg(word).arg("-c").arg(self.rig.config()).arg("--state-dir").arg(self.rig.state());
        command
    }

    fn run(&self) -> Daemon {
        self.run_with(&[("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", SECRET)])
    }

    fn run_with(&self, variables: &[(&str, &str)]) -> Daemon {
        Daemon::start(self.command("run", variables), self.rig.folder().join("roster.log"))
    }

    fn plan(&self, variables: &[(&str, &str)]) -> Ended {
        let ended = ended(&mut self.command("plan", variables));
        assert!(!ended.out.contains(SECRET) && !ended.err.contains(SECRET), "{ended:?}");
        ended
    }

    /// The addresses that get traffic.
    fn live(&self, backend: &str) -> Vec<String> {
        let rows = self.rig.haproxy.servers(backend).unwrap_or_default();
        let mut live: Vec<String> = rows
            .iter()
            .filter(|row| !row.in_maintenance() && !row.in_drain())
            .map(|row| row.addr.clone())
            .collect();
        live.sort();
        live
    }

    #[track_caller]
    fn until_live(&self, backend: &str, addresses: &[&str]) {
        let what = format!("{addresses:?} in {backend}");
        wait_until_or_fail(CAP, &what, || Poll::when(self.live(backend), |live| live == addresses));
    }

    /// Waits until so many more calls came.
    #[track_caller]
    fn until_asked(&self, more: usize) {
        let before = self.ec2.calls().len();
        wait_until_or_fail(CAP, "more calls", || {
            Poll::when(self.ec2.calls().len(), |now| *now >= before + more)
        });
    }
}

fn web(id: &str, address: &str) -> Ec2Machine {
    Ec2Machine::new(id, address, &WEB)
}
