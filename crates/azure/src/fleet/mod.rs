//! From ARM's lists to machines. Pure.

mod address;
mod carry;
mod join;
mod listed;
mod resource;
mod state;
mod table;
mod tags;
#[cfg(test)]
mod tests;
mod vm_id;

pub(crate) use self::carry::settle;
pub(crate) use self::join::{Answers, Hole, Pages, Wanted, join, uniform};
pub(crate) use self::listed::{Keeper, ListedInterface, ListedState, ListedVm};
pub(crate) use self::resource::ResourceId;
pub(crate) use self::tags::Spellings;

pub use self::carry::{Memory, Unknown};
