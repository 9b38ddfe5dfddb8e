//! From a test's few lines to a running API.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use super::latency::Latency;
use super::real::{Program, RealProgram};
use super::reloads::{ReloadWay, Reloads};
use super::routes::Router;
use super::runtime::{Runtime, RuntimeSocket};
use super::state::{Api, Setup};
use super::{DataplaneApi, DataplaneError, Kind, StandIn, Ticker, Version};
use crate::haproxy::Haproxy;
use crate::ports::free_port;
use crate::server::Server;

/// How an API is to be started.
#[derive(Clone)]
pub struct DataplaneBuilder {
    pub(super) version: Version,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) haproxy: PathBuf,
    pub(super) master_worker: bool,
    /// The process that a signal reloads.
    pub(super) master: u32,
    pub(super) config: PathBuf,
    pub(super) storage: PathBuf,
    pub(super) runtime: Option<RuntimeSocket>,
    pub(super) reload: Option<ReloadWay>,
    pub(super) delay: Duration,
    latency: Latency,
    tls: Option<ServerConfig>,
    port: Option<u16>,
    stand_in_only: bool,
}

impl fmt::Debug for DataplaneBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataplaneBuilder")
            .field("version", &self.version)
            .field("user", &self.user)
            .field("config", &self.config)
            .field("runtime", &self.runtime)
            .field("reload", &self.reload)
            .finish_non_exhaustive()
    }
}

impl DataplaneBuilder {
    pub(super) fn new(version: Version) -> Self {
        Self {
            version,
            user: "admin".to_owned(),
            password: "test-password".to_owned(),
            haproxy: PathBuf::new(),
            master_worker: false,
            master: 0,
            config: PathBuf::new(),
            storage: PathBuf::new(),
            runtime: None,
            reload: None,
            delay: Duration::from_secs(1),
            latency: Latency::default(),
            tls: None,
            port: None,
            stand_in_only: false,
        }
    }

    /// The HAProxy that it manages: its binary, file and sockets. It must run in master-worker mode to be reloaded.
    ///
    /// Runtime commands go to the stats socket, and reloads are asked for on the master's, unless told otherwise.
    #[must_use]
    pub fn haproxy(mut self, haproxy: &Haproxy) -> Self {
        haproxy.bin().path().clone_into(&mut self.haproxy);
        self.config = haproxy.config_path();
        self.storage = haproxy.dir().join("dataplane");
        self.master_worker = haproxy.is_master_worker();
        self.master = haproxy.pid();
        self.runtime.get_or_insert_with(|| RuntimeSocket::Stats(haproxy.socket()));
        self.reload.get_or_insert_with(|| ReloadWay::MasterSocket(haproxy.master_socket()));
        self
    }

    /// The HAProxy binary that checks a text.
    #[must_use]
    pub fn haproxy_bin(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.haproxy);
        self
    }

    /// The file that it owns; beside it goes a folder for transactions, maps and certificates.
    #[must_use]
    pub fn config(mut self, path: &Path) -> Self {
        path.clone_into(&mut self.config);
        self.storage = path.with_file_name("dataplane");
        self
    }

    /// Where runtime commands go.
    #[must_use]
    pub fn runtime(mut self, socket: RuntimeSocket) -> Self {
        self.runtime = Some(socket);
        self
    }

    /// How HAProxy is made to reload.
    #[must_use]
    pub fn reload(mut self, way: ReloadWay) -> Self {
        self.reload = Some(way);
        self
    }

    /// The name and password that it asks for. Default: `admin` and `test-password`.
    #[must_use]
    pub fn credentials(mut self, user: &str, password: &str) -> Self {
        user.clone_into(&mut self.user);
        password.clone_into(&mut self.password);
        self
    }

    /// How often scheduled reloads are run. Default: one second, the least of the real program.
    #[must_use]
    pub fn reload_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How long calls take at least. Default: no time.
    #[must_use]
    pub fn latency(mut self, latency: Latency) -> Self {
        self.latency = latency;
        self
    }

    /// Speaks TLS with this certificate and key.
    #[must_use]
    pub fn tls(mut self, config: ServerConfig) -> Self {
        self.tls = Some(config);
        self
    }

    /// Listens on this loopback port instead of a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Never starts the real program, also when `DATAPLANEAPI_BIN` names one: for tests that inject faults.
    #[must_use]
    pub fn stand_in_only(mut self) -> Self {
        self.stand_in_only = true;
        self
    }

    /// Starts it, and returns when it answers. If `DATAPLANEAPI_BIN` names a program of this version, that is started
    /// instead of the stand-in.
    pub fn start(mut self) -> Result<DataplaneApi, DataplaneError> {
        if self.config.as_os_str().is_empty() || self.haproxy.as_os_str().is_empty() {
            return Err(DataplaneError::Incomplete("`haproxy`, or `haproxy_bin` and `config`"));
        }
        let port = match self.port {
            Some(port) => port,
            None => free_port()?,
        };
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let (url, version) = (format!("{scheme}://{addr}"), self.version);
        let program = if self.stand_in_only || self.tls.is_some() { None } else { Program::named(version)? };
        let kind = match program {
            Some(program) => Kind::Real(RealProgram::start(&program, &self, addr)?),
            None => Kind::StandIn(self.stand_in(addr)?),
        };
        Ok(DataplaneApi { kind, url, version })
    }

    fn stand_in(&mut self, addr: SocketAddr) -> Result<StandIn, DataplaneError> {
        let runtime = self.runtime.take().ok_or(DataplaneError::Incomplete("`runtime`"))?;
        let way = self.reload.take().ok_or(DataplaneError::Incomplete("`reload`"))?;
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error| DataplaneError::io(what, error)
        };
        let reloads = Reloads::new(way, &self.config).map_err(failed("cannot copy HAProxy's file"))?;
        let setup = Setup {
            version: self.version,
            user: self.user.clone(),
            password: self.password.clone(),
            haproxy: self.haproxy.clone(),
            master_worker: self.master_worker,
            config: self.config.clone(),
            storage: self.storage.clone(),
            latency: self.latency,
        };
        let api = Arc::new(Api::new(setup, Runtime::new(runtime), reloads)?);
        let requests = super::Requests::default();
        let router = Arc::new(Router::new(Arc::clone(&api), Arc::clone(&requests)));
        let server = Server::start("dataplane", addr, self.tls.take(), router)
            .map_err(failed(&format!("cannot serve on {addr}")))?;
        let ticker = Ticker::start(&api, self.delay).map_err(failed("cannot start a thread"))?;
        Ok(StandIn { server, _ticker: ticker, api, requests })
    }
}
