//! Machines of a cloud, before their tags have made them instances of a service.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use crate::instance::{Health, Lifecycle};

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
    pub account: Option<String>,
    /// When it was launched or made.
    pub created: Option<Timestamp>,
    /// What the cloud's own health checks say.
    pub health: Health,
    /// Whether it is about to end.
    pub lifecycle: Lifecycle,
    /// Its tags, with those that it has from its group.
    pub tags: BTreeMap<String, String>,
}
