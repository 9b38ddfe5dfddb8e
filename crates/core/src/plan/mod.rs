//! Plans: what to do so that a target holds what it should, and why.
//!
//! Planning is a pure function of what is desired, what was observed and what was last applied. It is done one
//! backend at a time; nothing in one backend changes the plan for another.

mod additions;
mod backend;
mod beside;
mod compact;
mod departed;
mod derive;
mod leaving;
mod note;
mod numbers;
mod places;
mod server;
mod standing;
mod types;

#[cfg(test)]
pub(crate) mod tests;

pub use crate::operation::{Operation, Reason};
pub use backend::{BackendPlan, Inputs, plan_backend};
pub use compact::{Compaction, Kept, Stays, compact};
pub use note::Note;
pub use roster_haproxy::change::Change;
pub use types::{ProbeOrder, ProbeResults, Replacement, Standing, Status};
