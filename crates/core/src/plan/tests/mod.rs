//! Planning against a small HAProxy made of values.

mod additions;
mod authors;
mod compact;
mod departures;
mod life;
mod properties;
mod replacements;
pub(crate) mod sim;
mod weights;
