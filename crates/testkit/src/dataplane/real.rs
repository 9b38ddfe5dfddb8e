//! The real program, when `DATAPLANEAPI_BIN` names one: the same suites then try whether the stand-in tells the truth.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::builder::DataplaneBuilder;
use super::reloads::ReloadWay;
use super::runtime::RuntimeSocket;
use super::{DataplaneError, Version};
use crate::http::http_get;
use crate::wait::wait_until;

const CAP: Duration = Duration::from_secs(20);

/// A binary and what it speaks.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
}

/// A running one. Dropping it ends it.
#[derive(Debug)]
pub(super) struct RealProgram {
    child: Mutex<Child>,
    program: Program,
    config: PathBuf,
    log: PathBuf,
    addr: SocketAddr,
    version: Version,
}

impl Program {
    /// The first one that `DATAPLANEAPI_BIN` names and that speaks this version. The variable may hold several, with `:`
    /// between. One that does not tell its version is an error: the stand-in in its place would prove nothing of it.
    pub(super) fn named(version: Version) -> Result<Option<Self>, DataplaneError> {
        let named = std::env::var_os("DATAPLANEAPI_BIN").unwrap_or_default();
        let mut found = None;
        for path in std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()) {
            let Some(spoken) = speaks(&path) else { return Err(DataplaneError::NoVersion { path }) };
            if spoken == version && found.is_none() {
                found = Some(Self { path });
            }
        }
        Ok(found)
    }
}

fn speaks(path: &PathBuf) -> Option<Version> {
    let output = Command::new(path).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split("HAProxy Data Plane API v").nth(1)?;
    let mut parts = number.split(['.', ' ']).map(str::parse);
    match (parts.next()?.ok()?, parts.next()?.ok()?) {
        (2_u32, _) => Some(Version::V2),
        (3, 0..=2_u32) => Some(Version::V3),
        (3, _) => Some(Version::V3_3),
        _ => None,
    }
}

impl RealProgram {
    pub(super) fn start(
        program: &Program,
        builder: &DataplaneBuilder,
        addr: SocketAddr,
    ) -> Result<Self, DataplaneError> {
        let folder = &builder.storage;
        let failed = |error| DataplaneError::io(format!("cannot write in {}", folder.display()), error);
        for name in ["maps", "ssl", "tx", "general", "spoe", "spoe-tx", "dataplane", "backups"] {
            fs::create_dir_all(folder.join(name)).map_err(failed)?;
        }
        let config = folder.join("dataplaneapi.yaml");
        fs::write(&config, yaml(builder, addr)).map_err(failed)?;
        let log = folder.join("dataplaneapi.log");
        let program = Program { path: program.path.clone() };
        let child = spawn(&program, &config, &log)?;
        let child = Mutex::new(child);
        let real = Self { child, program, config, log, addr, version: builder.version };
        real.until_up()?;
        Ok(real)
    }

    pub(super) fn restart(&self) -> Result<(), DataplaneError> {
        self.end();
        *self.child() = spawn(&self.program, &self.config, &self.log)?;
        self.until_up()
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn until_up(&self) -> Result<(), DataplaneError> {
        let path = format!("/{}/info", self.version.word());
        let addr = self.addr;
        wait_until(CAP, "an answer of the Data Plane API", || {
            http_get(addr, &path).is_ok_and(|reply| reply.status == 401)
        })
        .map_err(|source| DataplaneError::NotUp {
            log: fs::read_to_string(&self.log).unwrap_or_default(),
            source,
        })
    }

    /// Once it has ended this changes nothing.
    pub(super) fn end(&self) {
        let mut child = self.child();
        child.kill().ok();
        child.wait().ok();
    }
}

impl Drop for RealProgram {
    fn drop(&mut self) {
        self.end();
    }
}

fn spawn(program: &Program, config: &PathBuf, log: &PathBuf) -> Result<Child, DataplaneError> {
    let failed = |error| DataplaneError::io(format!("cannot start {}", program.path.display()), error);
    let out = File::options().create(true).append(true).open(log).map_err(failed)?;
    Command::new(&program.path)
        .arg("-f")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(out.try_clone().map_err(failed)?)
        .stderr(out)
        .spawn()
        .map_err(failed)
}

/// Its configuration (the program's own documentation, "configuration file"); the two versions share these keys.
fn yaml(builder: &DataplaneBuilder, addr: SocketAddr) -> String {
    let folder = builder.storage.display();
    let reload = match &builder.reload {
        Some(ReloadWay::Command(words)) => words.join(" "),
        // A signal either way: only that is the same on every HAProxy.
        Some(ReloadWay::MasterSocket(_) | ReloadWay::Signal(_)) => format!("kill -USR2 {}", builder.master),
        None => "false".to_owned(),
    };
    let master = match &builder.runtime {
        Some(RuntimeSocket::Master(socket)) => format!("  master_runtime: {}\n", socket.display()),
        _ => String::new(),
    };
    format!(
        "config_version: 2\nname: testkit\ndataplaneapi:\n  host: {host}\n  port: {port}\n  \
         user:\n  - name: {user}\n    insecure: true\n    password: {password}\n  \
         transaction:\n    transaction_dir: {folder}/tx\n  \
         resources:\n    maps_dir: {folder}/maps\n    ssl_certs_dir: {folder}/ssl\n    \
         general_storage_dir: {folder}/general\n    spoe_dir: {folder}/spoe\n    \
         spoe_transaction_dir: {folder}/spoe-tx\n    dataplane_storage_dir: {folder}/dataplane\n    \
         backups_dir: {folder}/backups\n\
         haproxy:\n  config_file: {config}\n  haproxy_bin: {bin}\n{master}  \
         reload:\n    reload_delay: {delay}\n    reload_strategy: custom\n    reload_cmd: {reload}\n    \
         restart_cmd: {reload}\n",
        host = addr.ip(),
        user = builder.user,
        password = builder.password,
        port = addr.port(),
        config = builder.config.display(),
        bin = builder.haproxy.display(),
        delay = builder.delay.as_secs().max(1),
    )
}
