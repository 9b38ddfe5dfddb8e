//! What is measured, a file each.

pub(crate) mod bulk;
pub(crate) mod change;
pub(crate) mod cloud;
pub(crate) mod cold;
pub(crate) mod dataplane;
pub(crate) mod house;
pub(crate) mod listing;
pub(crate) mod load;
pub(crate) mod machines;
pub(crate) mod planning;
pub(crate) mod rendering;
pub(crate) mod rest;
