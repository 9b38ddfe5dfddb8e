//! From ARM's lists to machines. Pure.

mod address;
mod carry;
mod join;
mod resource;
mod state;
mod tags;
#[cfg(test)]
mod tests;

pub(crate) use self::address::Listed;
pub(crate) use self::carry::settle;
pub(crate) use self::join::{Answers, Hole, Wanted, join, uniform};
pub(crate) use self::resource::ResourceId;
pub(crate) use self::state::StateOf;
pub(crate) use self::tags::Spellings;

pub use self::carry::{Memory, Unknown};
