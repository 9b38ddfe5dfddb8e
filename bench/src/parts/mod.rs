//! What is measured, a file each.

pub(crate) mod bulk;
pub(crate) mod change;
pub(crate) mod cloud;
pub(crate) mod cold;
pub(crate) mod dataplane;
pub(crate) mod fleet_memory;
pub(crate) mod house;
pub(crate) mod listing;
pub(crate) mod load;
pub(crate) mod machines;
pub(crate) mod planning;
pub(crate) mod rendering;
pub(crate) mod rest;

use crate::sample::{Sample, Unit};

/// A size of memory.
#[allow(clippy::cast_precision_loss, reason = "a memory size is far below 2^52 bytes")]
fn megabytes(bytes: u64) -> Sample {
    Sample::new(Unit::Megabytes, [bytes as f64 / 1e6])
}
