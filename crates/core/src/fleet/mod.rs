//! Machines of a cloud, and how their tags make them instances of services.
//!
//! Whatever a tag says is data: it is parsed into a name, a port or a share, or the machine is left out and reported. Nothing
//! is bent into a name, so that two names never meet. A service that was there stays, with nobody in it, so that its backend
//! is emptied and not forgotten.

mod group;
mod tags;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

pub(crate) use group::key;
pub use group::{definition, snapshot};
pub use tags::TagRules;

use crate::instance::{Health, Lifecycle, Metadata, Reject, Unread};

/// A machine that runs, as a cloud reports it. Its texts are the cloud's own, unchecked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Machine {
    /// What the cloud calls it for as long as it lives: an EC2 instance id, an ARM resource id.
    pub id: String,
    /// What people call it; its id where it has no name.
    pub name: String,
    /// Its private address.
    pub address: IpAddr,
    /// Its availability zone.
    pub zone: Option<String>,
    /// The region that was asked, or its location.
    pub region: String,
    /// Its auto scaling group or scale set.
    pub group: Option<String>,
    /// The account or subscription that it belongs to.
    pub account: Option<Arc<str>>,
    /// When it was launched or made.
    pub created: Option<Timestamp>,
    /// What the cloud's own health checks say.
    pub health: Health,
    /// Whether it is about to end.
    pub lifecycle: Lifecycle,
    /// Its tags, with those that it has from its group.
    pub tags: Metadata,
}

/// A machine that is there and cannot be used as an instance, for something about it that cannot be read. What was known of
/// it stays.
pub fn unreadable(id: &str, place: impl Into<String>, reason: impl Into<String>) -> Reject {
    match tags::id(id) {
        Ok(id) => Reject::unread(place, reason, Unread::of_instance(id)),
        Err(_) => Reject::unread(place, reason, Unread::default()),
    }
}

/// What a cloud said, once it was asked for everything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reported<M = Vec<Machine>> {
    /// The machines that run. They are taken one after the other, so that a large fleet need not be there twice.
    pub machines: M,
    /// The ids of machines that are there, but of which it could not be learned whether they run: what was last known of
    /// them stays.
    pub unknown: Vec<String>,
    /// Parts that were asked for and not told: what was last known of their machines stays.
    pub untold: Vec<Untold>,
    /// The ids of machines that were told and are in no service, as they do not run: they stay in no part of `untold`.
    pub ended: Vec<String>,
    /// What could not be used.
    pub rejects: Vec<Reject>,
}

/// A part of a cloud that was asked for and not told.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Untold {
    /// The machines of a group, by its name.
    Group(String),
    /// Any machine that was not told.
    Rest,
}
