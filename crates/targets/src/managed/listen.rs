//! Listening sockets that Roster holds for HAProxy.
//!
//! HAProxy inherits them and names them `fd@N` in its file, so that while it is dead or being replaced, connections
//! wait in the kernel's queue instead of being refused.
//!
//! The numbers outlive Roster: keep [`Held::record`] whenever it changed, before HAProxy is given the sockets. A port is
//! added by a new HAProxy with `-sf OLDMASTER` that is handed all sockets, never by a master's reload: the old master
//! does not have the new one (2.6 dies of that, 3.x refuse). A master that is starting executes itself anew once its worker
//! is up, and forgets the signal of `-sf` that comes before: its own CLI must have answered first.

mod address;
mod bind;
mod error;
mod hand_over;
mod held;
mod options;
mod owner;
mod record;
pub mod recover;
mod trial;
mod verify;

pub use address::{InvalidListenAddress, ListenAddress, Place};
pub use error::ListenError;
pub use hand_over::hand_over;
pub use held::{Changes, Held, HeldSocket, Wanted};
pub use options::ListenOptions;
pub use owner::Owner;
pub use record::{InvalidRecord, Record, Recorded};
pub use recover::{Recovered, Way, Ways, recover};
pub use trial::{Trial, opens_low_ports, shares_network};
pub use verify::{NotListening, examine, verify};
