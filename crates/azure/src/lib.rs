//! The machines of an Azure subscription, from Azure Resource Manager (ARM).
//!
//! Invariants:
//! - A listing is complete, or an error, or says which part of it is missing. What is missing keeps what was known.
//! - Only lists are asked for: the number of calls depends on pages, groups and scale sets, never on machines.
//! - Tokens and secrets are in no error, no `Debug` and no address.
//! - Everything can be dropped at an await; the next call begins anew.

mod arm;
mod broken;
mod client;
mod cloud;
mod credential;
mod environment;
mod error;
mod fleet;
mod http;
mod observe;
mod outbound;
mod part;
mod retry;
mod settings;

pub use broken::Broken;
pub use client::{Client, Listing};
pub use cloud::{Cloud, CloudError};
pub use credential::{Chosen, CredentialError, CredentialKind, IdentitySource};
pub use environment::Environment;
pub use error::{Call, Error, Refusal, SettingsError, Why};
pub use fleet::{Memory, Unknown};
pub use observe::{Observe, Silent};
pub use outbound::Outbound;
pub use retry::Patience;
pub use settings::{ResourceGroup, Settings, Subscription};
