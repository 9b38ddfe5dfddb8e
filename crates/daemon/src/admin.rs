//! What Roster tells over HTTP, and what it can be asked to do.
//!
//! Over TCP everything is read-only. What changes something goes through the Unix socket in the state folder, which
//! is for its owner only. Neither ever holds up a keeper: all that is told is what they last left behind.

pub(crate) mod client;
mod control;
mod host;
mod live;
mod page;
mod routes;
mod serve;
mod stream;

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::serve::Listener;
use roster_config::native::Listen;
use thiserror::Error;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(crate) use control::{Asked, AskedToCompact, Said};
pub(crate) use live::{Kept, Live};

use crate::events::Reporter;
use crate::overview::RefusedConfig;
use crate::store::Store;
use crate::supervise::Tasks;
use live::Window;
use serve::Served;

/// The socket's name in the state folder.
const SOCKET: &str = "control.sock";

/// What listens.
#[derive(Debug)]
pub(crate) struct Admin {
    window: Window,
    live: watch::Sender<Option<Arc<Live>>>,
    refused: watch::Sender<Option<RefusedConfig>>,
    control: Option<(PathBuf, Served)>,
    open: Option<(SocketAddr, Served)>,
    tasks: Tasks,
    stop: CancellationToken,
}

/// A listener for a configuration that is about to be taken over.
#[derive(Debug)]
pub(crate) enum Bound {
    /// It listens there already.
    Same,
    /// It is not to listen, or cannot at an address that nobody asked for.
    Off,
    /// There.
    At(SocketAddr, TcpListener),
}

/// Why it cannot listen.
#[derive(Debug, Error)]
pub(crate) enum AdminError {
    /// The address that the configuration names.
    #[error("admin.listen {address}: {source}; name another address, or `admin: off`")]
    Address {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

impl Admin {
    /// Begins to listen; until [`Admin::show`] there is nothing to be told.
    pub(crate) async fn start(
        store: &Store,
        listen: Option<Listen>,
        reporter: &Reporter,
        tasks: &Tasks,
    ) -> Result<Self, AdminError> {
        let stop = CancellationToken::new();
        let (live, seen) = watch::channel(None);
        let (refused, seen_refused) = watch::channel(None);
        let window = Window::new(seen, seen_refused, reporter.clone(), stop.clone());
        let mut admin = Self { window, live, refused, control: None, open: None, tasks: tasks.clone(), stop };
        let bound = admin.bind(listen).await?;
        admin.listen(bound);
        if let Some(folder) = store.folder() {
            admin.control(&folder.join(SOCKET));
        }
        Ok(admin)
    }

    /// Takes the address, so that it is known to be free before anything is given up for it.
    pub(crate) async fn bind(&self, listen: Option<Listen>) -> Result<Bound, AdminError> {
        let Some(Listen { address, given }) = listen else { return Ok(Bound::Off) };
        if self.open.as_ref().is_some_and(|(before, _)| *before == address) {
            return Ok(Bound::Same);
        }
        match TcpListener::bind(address).await {
            Ok(listener) => Ok(Bound::At(address, listener)),
            Err(source) if given => Err(AdminError::Address { address, source }),
            Err(error) => {
                warn!(%address, "no status page and no metrics: {error}; set admin.listen to a free address, or `admin: off`");
                Ok(Bound::Off)
            }
        }
    }

    /// Listens there, and no longer where it did before.
    pub(crate) fn listen(&mut self, bound: Bound) {
        match bound {
            Bound::Same => {}
            Bound::Off => self.open = None,
            Bound::At(address, listener) => {
                let at = listener.local_addr().unwrap_or(address);
                info!(address = %at, "status page and metrics");
                let router = routes::open(self.window.clone());
                self.open = Some((address, self.serve("admin address", listener, router)));
            }
        }
    }

    fn control(&mut self, path: &Path) {
        match bind_for_owner(path) {
            Ok(listener) => {
                let router = routes::control(self.window.clone());
                self.control = Some((path.to_owned(), self.serve("control socket", listener, router)));
            }
            Err(error) => {
                warn!(path = %path.display(), "`roster release`, `roster adopt` and `roster compact` cannot reach this roster: {error}; a shorter path for the state folder may help");
            }
        }
    }

    fn serve(&self, name: &str, listener: impl Listener, router: Router) -> Served {
        serve::start(name, listener, router, &self.tasks, &self.stop)
    }

    /// Tells of these from now on.
    pub(crate) fn show(&self, live: Live) {
        self.refused.send_replace(None);
        self.live.send_replace(Some(Arc::new(live)));
    }

    /// Tells that a newer configuration was not taken.
    pub(crate) fn refused(&self, refused: RefusedConfig) {
        self.refused.send_replace(Some(refused));
    }

    /// Ends all connections and listens no longer.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if let Some((path, served)) = self.control {
            served.ended().await;
            // The next one makes its own anyway.
            std::fs::remove_file(path).ok();
        }
        if let Some((_, served)) = self.open {
            served.ended().await;
        }
    }
}

/// A socket that only its owner can use, from the first moment on. One that a dead process left is replaced: the
/// folder's lock says that there is no living one.
fn bind_for_owner(path: &Path) -> io::Result<UnixListener> {
    // A socket has the mode that the umask leaves until it is given another one. Meanwhile its folder keeps others out.
    let private = path.with_file_name(format!(".{}", std::process::id()));
    std::fs::remove_dir_all(&private).or_else(not_there)?;
    std::fs::DirBuilder::new().mode(0o700).create(&private)?;
    let beside = private.join("s");
    let bound = UnixListener::bind(&beside).and_then(|listener| {
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&beside, path)?;
        Ok(listener)
    });
    std::fs::remove_dir_all(&private).ok();
    bound
}

fn not_there(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}
