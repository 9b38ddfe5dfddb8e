//! What HAProxy says and what it is told: typed commands, parsed answers.
//!
//! Everything here is text in, value out (or the reverse). Columns are found by the name in the answer's header,
//! never by position, because each HAProxy version adds some. A text that is not known is an error, never a
//! silent success: for most commands success is an *empty* answer.
//!
//! Source of the formats: HAProxy management manual, section 9.3 (Unix socket commands) and 9.1 (CSV format);
//! the texts of answers were recorded from HAProxy 2.6.12, 3.0.11 and 3.2.0.

pub mod backends;
pub mod command;
mod csv;
mod error;
#[cfg(test)]
mod facts;
pub mod info;
pub mod known;
pub mod reply;
pub mod servers_conn;
pub mod servers_state;
pub mod stat;
mod table;

pub use command::{AdminCommand, Command, ServerPath, StatScope};
pub use error::ParseError;
pub use info::ProcessInfo;
pub use reply::{Accepted, Refusal, Reply};
pub use servers_conn::ServerConnections;
pub use servers_state::{AdminState, CheckState, OpState, ServerState};
