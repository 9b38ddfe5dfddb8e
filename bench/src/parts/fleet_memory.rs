//! The memory of a Roster whose source lists many machines: at rest, and the most that the process ever had.

use std::fs;
use std::process::Command;
use std::time::Duration;

use roster_testkit::{ArmCall, ArmStandIn, Haproxy, Poll, wait_until};

use super::megabytes;
use crate::Bench;
use crate::daemon::{CONVERGED, Daemon};
use crate::fleet::{address, service};
use crate::process;
use crate::report::Row;
use crate::rig::{RARELY, backend};

/// What the whole process may take, in bytes.
const MEMORY: u64 = 60_000_000;
/// How many machines each service has.
const MEMBERS: usize = 100;
/// Elements of a page, as of Azure's larger lists.
const PAGE: usize = 1_000;
/// An answer stands beside the one before from the second listing on.
const LISTINGS: usize = 3;
/// Longer than the listings take: the stand-in renders all machines anew for each page.
const CAP: Duration = Duration::from_secs(900);

/// Lists all machines three times. HAProxy has the backend of one service.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let machines = bench.scale.machines;
    let arm = ArmStandIn::start()?;
    fill(&arm, machines);
    let haproxy = Haproxy::builder(&bench.haproxy).config(&backend(&service(0), MEMBERS, RARELY)).start()?;
    let folder = tempfile::Builder::new().prefix("roster-bench-").tempdir()?;
    let config = folder.path().join("roster.yaml");
    let url = arm.url();
    let socket = haproxy.socket();
    let socket = socket.display();
    let subscription = arm.world(|world| world.subscription.clone());
    fs::write(
        &config,
        format!(
            "admin: off\nsources:\n  fleet:\n    azure:\n      subscription: {subscription}\n      endpoint: \"{url}\"\n      \
             authority: \"{url}\"\n      timeout: 60s\n      poll: {{ every: 1s, jitter: 0s }}\ntargets:\n  local: \
             {{ runtime: {{ socket: {socket} }} }}\nexpose:\n  - {{ each: fleet, backend: \"{{service}}\", bring_up: registry }}\n",
        ),
    )?;
    let identity = arm.world(|world| {
        [
            ("AZURE_TENANT_ID", world.tenant.clone()),
            ("AZURE_CLIENT_ID", world.client.clone()),
            ("AZURE_CLIENT_SECRET", world.secret.clone()),
        ]
    });
    let mut command = Command::new(&bench.roster);
    command.env_clear().env("HOME", folder.path()).envs(identity).arg("run");
    command.arg("-c").arg(&config).arg("--state-dir").arg(folder.path().join("state"));
    let mut daemon = Daemon::spawn(command)?;
    // The next listing begins once these have ended.
    wait_until(CAP, "the listings", || Poll::when(begun(&arm), |begun| *begun > LISTINGS))?;
    daemon.line(&[CONVERGED])?;
    let most = process::peak(daemon.pid())?;
    let now = process::resident(daemon.pid())?;
    daemon.stop()?;
    let shown = format!("{} now, {} at most", megabytes(now), megabytes(most));
    let row =
        Row::new(format!("resident memory with {machines} machines of a cloud, {LISTINGS} listings"), shown);
    Ok(vec![row.against(format!("≤ {} at most", megabytes(MEMORY)), most <= MEMORY)])
}

/// Gives the subscription its machines.
fn fill(arm: &ArmStandIn, machines: usize) {
    arm.world(|world| {
        world.page_size = PAGE;
        for number in 0..machines {
            let (high, low) = (number / MEMBERS, number % MEMBERS);
            let (name, ip) = (service(high), address(high, low).ip().to_string());
            let tags = [
                ("HAProxy:Service:Name", name.as_str()),
                ("HAProxy:Service:Port", "8080"),
                ("environment", "production"),
                ("cost-center", "4711"),
            ];
            world.add_vm(&format!("machine-{number:06}"), &ip, &tags);
        }
    });
}

/// How many listings have begun.
fn begun(arm: &ArmStandIn) -> usize {
    let begins = |call: &&ArmCall| {
        call.path.to_ascii_lowercase().ends_with("/virtualmachinescalesets")
            && !call.query.contains("skiptoken")
    };
    arm.calls().iter().filter(begins).count()
}
