//! HAProxy through its Data Plane API, as HAProxy Technologies ships it: version 2 (2.9) and version 3 (3.x).

pub mod client;
mod error;
mod known;
mod observe;
mod ready;
mod sift;
mod target;
mod weights;
mod write;

pub use error::DataplaneError;
pub use target::DataplaneTarget;
