//! The machines of an AWS account in one region: EC2 instances by tag, and the members of tagged Auto Scaling groups.
//!
//! [`Client::list`] gives a complete list or an error. It makes two read-only calls, `ec2:DescribeInstances` and
//! `autoscaling:DescribeAutoScalingGroups`, and goes on without the second if it is not allowed.

mod call;
mod client;
mod error;
mod http;
mod identity;
mod merge;
mod question;
mod region;
mod settings;
mod smithy;
mod wire;

pub use client::{Client, Listing, Warning};
pub use error::{Error, Retry, SettingsError, Why};
pub use region::{InvalidRegion, Region};
pub use settings::{Call, CallEnd, Credentials, Observer, Patience, Query, Settings, Unobserved};
