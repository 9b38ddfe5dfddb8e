//! Values that more than one part of the configuration has.

mod duration;
mod host_port;
mod off;
mod one_or_many;
mod percent;
mod secret;
mod service_ref;
mod variable;

pub use duration::{Duration, InvalidDuration};
pub use host_port::{HostPort, InvalidHostPort};
pub use off::{Off, OffOr};
pub use one_or_many::OneOrMany;
pub use percent::{InvalidPercent, Percent};
pub use secret::{Secret, SecretError, SecretFile, SecretText};
pub use service_ref::{InvalidServiceRef, ServiceRef};
pub use variable::{InvalidVariable, VariableName};
