//! Which services go to which backends, and how.

mod all_backups;
mod backend;
mod bind;
mod guard;
mod layout;
mod overlap;
mod pace;
mod resolve;
mod route;
mod select;
mod server;
mod slots;
mod zone;

pub(crate) use all_backups::all_backups;
pub use backend::{Backend, BackendRule, Claim, Fallback, Own};
pub(crate) use bind::resolve as binds;
pub use bind::{Bind, BindRule, TlsVersion};
pub use guard::{Guard, GuardRule};
pub use layout::{CheckMethod, HttpCheck, Mode};
pub(crate) use overlap::overlaps;
pub use pace::{BringUp, Drain, Probe, SlowStart};
pub(crate) use resolve::{everything, rule};
use roster_haproxy::name::{SourceName, TargetName};
use roster_haproxy::weight::Weight;
pub use route::Route;
use schemars::JsonSchema;
pub use select::Select;
use serde::{Deserialize, Serialize};
pub use server::{Alpn, InitState, SendProxy, Server, Ssl, Verify};
pub use slots::{Growth, Slots};
pub use zone::{OtherZones, Zone};

use crate::format;
use crate::value::{Duration, OneOrMany, ServiceRef};

/// A rule that makes backends of services. Where several rules name a service, the first decides; later ones that
/// lead to other backends add to it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[schemars(title = "exposure")]
pub struct Expose {
    /// The source, all of whose services this is about. Without `each` and `service` it is about those of all sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::SourceName>")]
    pub each: Option<SourceName>,
    /// The service or services that this is about, each as `SOURCE/SERVICE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<OneOrMany<ServiceRef>>,
    /// The target or targets; without it all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OneOrMany<format::TargetName>>")]
    pub on: Option<OneOrMany<TargetName>>,
    /// The backend: its name alone, or a mapping. The name may have placeholders; it is `{service}` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<BackendRule>,
    /// The names and number of the backend's slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<Slots>,
    /// Which instances of a service are taken; without it all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select: Option<Select>,
    /// A second backend, for the instances that `select` leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// What instances of other zones become.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// The weight of instances that name none. Without it HAProxy's own stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::Weight>")]
    pub weight: Option<Weight>,
    /// What stands on the line of a server that Roster adds itself: `default-server` is not applied to those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// When a new instance gets traffic. Without it: `registry` if the source knows its health, else `probe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bring_up: Option<BringUp>,
    /// How Roster itself asks an instance whether it is there, where `bring_up` is `probe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// How an instance is taken out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
    /// How the weight of a new instance rises. Without it, it is there at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<SlowStart>,
    /// What holds back changes that look like a failure of the source; `off` believes every answer. What no answer speaks for,
    /// and what an entry that cannot be read may be, stays all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardRule>,
    /// How long a freed slot waits before another instance takes it, unless no other slot is free: cookies of old
    /// sessions name the slot. `5m` where `server.cookie` is set, else `0s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_rest: Option<Duration>,
}
