//! The machines of an Azure subscription, from Azure Resource Manager (ARM).
//!
//! Invariants:
//! - A listing is complete or an error. Nothing partial ever becomes one.
//! - Only lists are asked for: the number of calls depends on pages, groups and scale sets, never on machines.
//! - Tokens and secrets are in no error, no `Debug` and no address.
//! - Everything can be dropped at an await; the next call begins anew.

mod arm;
mod client;
mod cloud;
mod credential;
mod environment;
mod error;
mod fleet;
mod http;
mod observe;
mod retry;
mod settings;

pub use client::{Client, Listing};
pub use cloud::{Cloud, CloudError};
pub use credential::{Chosen, CredentialError, CredentialKind, IdentitySource};
pub use environment::Environment;
pub use error::{Call, Error, Refusal, SettingsError, Why};
pub use fleet::Unknown;
pub use observe::{Observe, Silent};
pub use retry::Patience;
pub use settings::{ResourceGroup, Settings, Subscription};
