//! Starts the real servers that the tests run against, and the small stand-ins beside them.
//!
//! Everything is blocking std code on loopback, so that it serves plain tests and async ones (short calls, or
//! `spawn_blocking`). What a value of this crate started, it ends when it is dropped, also while a test panics.
//! A missing real server is an error that names the line to run, never a reason to skip.

#![allow(clippy::doc_markdown, reason = "HAProxy is a name, not code")]

mod arm;
mod backend;
mod component;
mod dataplane;
mod ec2;
mod haproxy;
mod http;
mod moto;
mod or_fail;
mod ports;
mod proxy;
mod server;
mod tls;
mod traffic;
mod wait;

pub use arm::{
    ArmAddress, ArmCall, ArmError, ArmFault, ArmNic, ArmSet, ArmStandIn, ArmView, ArmVm, ArmWorld,
    AzureClients, AzureClientsError,
};
pub use backend::{BACKEND_HEADER, BackendError, HEALTH_PATH, HOLD_PATH, HttpBackend};
pub use component::{HaproxyBin, HaproxyVersion, MissingComponent, NoHaproxy34};
pub use dataplane::{
    Cost, DataplaneApi, DataplaneBuilder, DataplaneCounters, DataplaneError, Fault, Latency, ReloadWay,
    RuntimeSocket, Version as DataplaneVersion,
};
pub use ec2::{Ec2Call, Ec2Error, Ec2Group, Ec2Machine, Ec2StandIn, Ec2World};
pub use haproxy::{CliError, Haproxy, HaproxyBuilder, HaproxyError, ServerRow, cli_at, parse_servers_state};
pub use http::{HttpError, HttpReply, http_get};
pub use moto::{GroupTag, Moto, MotoError, MotoKey};
pub use or_fail::OrFail;
pub use ports::{NoFreePort, dead_port, free_port};
pub use proxy::{ConnectProxy, ProxyError};
pub use tls::{MadeCertificate, served_certificate};
pub use traffic::{Totals, TrafficBuilder, TrafficLoad};
pub use wait::{Awaited, IntoPoll, Poll, wait_until, wait_until_or_fail};
