//! From ARM's lists to machines. Pure.

mod address;
mod carry;
mod join;
mod resource;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use self::carry::settle;
pub(crate) use self::join::{Answers, join, uniform};
pub(crate) use self::resource::ResourceId;

pub use self::carry::Unknown;
