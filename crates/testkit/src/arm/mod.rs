//! A stand-in for Azure Resource Manager and the endpoints that give tokens for it, since Azure has none to run.
//!
//! It answers as azure-mgmt-compute 39 and azure-mgmt-network 33 read it: lists in pages, ids whose group is in capitals,
//! machines without a power state, refusals by scope. `exchanges.json` holds answers that those clients parsed.
//!
//! Invariants: it is on loopback and ends with its value; the world changes only by the test's hand.

mod clients;
mod fault;
mod render;
mod routes;
#[cfg(test)]
mod tests;
mod tokens;
mod world;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::Request;
use hyper::body::Incoming;
use rustls::ServerConfig;

pub use clients::{AzureClients, AzureClientsError};
pub use fault::ArmFault;
pub use world::{ArmAddress, ArmNic, ArmSet, ArmView, ArmVm, ArmWorld};

use self::fault::Faults;
use self::routes::{Asked, Reply};
use self::tokens::Tokens;
use crate::MadeCertificate;
use crate::ports::{NoFreePort, free_port};
use crate::server::{Answers, Outcome, Server, whole};

/// What went wrong with the stand-in.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
    /// No port.
    #[error(transparent)]
    Port(#[from] NoFreePort),
    /// Threads or sockets.
    #[error("the stand-in for ARM: {0}")]
    Io(#[from] io::Error),
}

/// A call that came in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArmCall {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Its query, as it was written.
    pub query: String,
    /// The bearer token that came along.
    pub token: Option<String>,
    /// The status that went back.
    pub status: u16,
}

/// A running stand-in. Dropping it ends it.
#[derive(Debug)]
pub struct ArmStandIn {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _server: Server,
}

#[derive(Debug)]
struct Shared {
    url: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    world: ArmWorld,
    tokens: Tokens,
    faults: Faults,
    calls: Vec<ArmCall>,
}

impl ArmStandIn {
    /// Starts one with an empty subscription.
    pub fn start() -> Result<Self, ArmError> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        Self::with(addr, format!("http://{addr}"), None)
    }

    /// The same with TLS, under this name and with its certificate. Nobody resolves the name: a proxy leads there.
    pub fn start_tls(name: &str, certificate: &MadeCertificate) -> Result<Self, ArmError> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let tls = certificate.server().map_err(io::Error::other)?;
        Self::with(addr, format!("https://{name}"), Some(tls))
    }

    fn with(addr: SocketAddr, url: String, tls: Option<ServerConfig>) -> Result<Self, ArmError> {
        let shared = Arc::new(Shared { url, state: Mutex::default() });
        let server = Server::start("arm", addr, tls, Arc::clone(&shared))?;
        Ok(Self { addr, shared, _server: server })
    }

    /// Its address: of ARM, of Entra ID and of the metadata service alike.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address of the token endpoint that App Service would put into `IDENTITY_ENDPOINT`.
    pub fn identity_endpoint(&self) -> String {
        format!("{}/msi/token", self.url())
    }

    /// Looks at the world, or changes it; no call is answered meanwhile.
    pub fn world<T>(&self, act: impl FnOnce(&mut ArmWorld) -> T) -> T {
        act(&mut self.shared.lock().world)
    }

    /// Lets the next calls whose path and query hold this text go wrong, so many times.
    pub fn fault(&self, fault: ArmFault, at: &str, times: u32) {
        self.shared.lock().faults.add(fault, at, times);
    }

    /// Takes back all faults that have not struck yet.
    pub fn clear_faults(&self) {
        self.shared.lock().faults = Faults::default();
    }

    /// The calls so far, those for tokens included.
    pub fn calls(&self) -> Vec<ArmCall> {
        self.shared.lock().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.shared.lock().calls.clear();
    }

    /// No token that was seen or handed out so far is accepted any more.
    pub fn revoke_tokens(&self) {
        self.shared.lock().tokens.revoke();
    }

    /// The last token that was handed out.
    pub fn last_token(&self) -> Option<String> {
        self.shared.lock().tokens.last()
    }
}

impl Answers for Shared {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Outcome> {
        let (head, body) = whole(request).await?;
        let query = head.uri.query().unwrap_or_default();
        let asked = Asked::new(head.method.as_str(), head.uri.path(), query, head.headers, body);
        let Reply { status, headers, body, later, cut } = self.lock().answer(&self.url, &asked);
        if !later.is_zero() {
            tokio::time::sleep(later).await;
        }
        Ok(Outcome { status, headers, body, cut })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
