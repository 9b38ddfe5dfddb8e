//! The pure heart of Roster: model, catalog, policy and planner.
//!
//! Nothing here opens a socket, reads a file, looks at the environment or asks for the time: all of it comes in
//! as a value, so that every decision can be tested, replayed and shown before it is carried out.

pub mod agenda;
pub mod applied;
pub mod catalog;
pub mod cause;
pub mod departure;
pub mod expose;
pub mod exposure;
pub mod fleet;
pub mod found;
pub mod guard;
pub mod instance;
mod later;
pub mod layout;
pub mod operation;
pub mod pattern;
pub mod plan;
pub mod refusals;
pub mod select;
pub mod shared;
pub mod slots;
pub mod times;
