//! The machines of an AWS account in one region: EC2 instances by tag, and the members of tagged Auto Scaling groups.
//!
//! [`Client::list`] gives a complete list or an error. It makes two read-only calls, `ec2:DescribeInstances` and
//! `autoscaling:DescribeAutoScalingGroups`, and goes on without the second if it is not allowed.

mod call;
mod client;
mod endpoint;
mod environment;
mod error;
mod http;
mod identity;
mod known;
mod merge;
mod question;
mod region;
mod settings;
mod shared;
mod smithy;
mod wire;

pub use client::{Client, Listing, Warning};
pub use environment::Environment;
pub use error::{Error, Retry, SettingsError, Why};
pub use merge::Machines;
pub use region::{InvalidRegion, Region};
pub use settings::{
    Address, Bounds, Call, CallEnd, Credentials, Family, Observer, Patience, Query, Settings, Unobserved,
    ZoneName,
};
