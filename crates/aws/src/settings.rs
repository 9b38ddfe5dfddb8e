//! What to ask, of whom, and how patiently.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use roster_core::fleet::TagRules;
use secrecy::SecretString;

use crate::environment::Environment;
use crate::region::Region;

/// One account's region.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The region.
    pub region: Region,
    /// The identity that AWS is asked as.
    pub credentials: Credentials,
    /// Where both services answer instead of AWS, as an emulator or a proxy does. Goes before what the environment and the
    /// profile say.
    pub endpoint: Option<Url>,
    /// The longest time for one call, and for getting credentials.
    pub timeout: Duration,
    /// How often a call is made again within one listing.
    pub patience: Patience,
    /// Instances on a page; the API takes 5 to 1,000.
    pub page: u16,
    /// How long a list may be.
    pub bounds: Bounds,
    /// What the environment says.
    pub environment: Environment,
}

/// How long a list may be. A list that goes on without an end would be asked for ever, at the cost of all who share the
/// account's calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Pages of one question.
    pub pages: usize,
    /// Bytes of all answers of one listing.
    pub bytes: usize,
    /// The time for one listing, pauses included.
    pub time: Duration,
}

/// Where credentials come from.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// AWS's own order: environment, profile, web identity, ECS, instance metadata.
    #[default]
    Chain,
    /// This profile of the shared files and nothing else, whatever the environment says.
    Profile(String),
    /// These.
    Keys {
        /// The access key's id.
        id: String,
        /// The access key's secret.
        secret: SecretString,
        /// The session token of temporary ones.
        session: Option<SecretString>,
    },
}

/// How often a call that was limited, or met trouble of AWS's own, is made again. The time before each further attempt is
/// drawn from zero to `first`, doubled each time up to `longest`, so that many who were limited at once do not come back at
/// once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patience {
    /// Attempts of one call, the first included.
    pub attempts: u32,
    /// The longest time before the second attempt.
    pub first: Duration,
    /// The longest time before any attempt. If AWS names a longer one, the listing fails and says so.
    pub longest: Duration,
}

/// Which machines, and what is wanted of each.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Query {
    /// The rules that will be applied to the machines. What EC2 can filter by is not even fetched, and of tags only those are
    /// kept that a rule looks at.
    pub rules: TagRules,
    /// Filters of EC2's own, each with values that are alternatives.
    pub filters: BTreeMap<String, BTreeSet<String>>,
    /// Which of a machine's addresses.
    pub address: Address,
    /// Which of its zone's names.
    pub zone: ZoneName,
}

/// Which of a machine's addresses is its.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Address {
    /// The network interface, as the machine counts them; 0 is the primary one.
    pub interface: u16,
    /// The family.
    pub family: Family,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Family {
    /// IPv4, and IPv6 of a machine that has no IPv4.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// Which name of a zone is taken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ZoneName {
    /// Its name in this account, such as `us-east-2a`.
    #[default]
    Name,
    /// Its id, which is the same in all accounts, such as `use2-az1`.
    Id,
}

/// One call that was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Call {
    /// The action.
    pub api: &'static str,
    /// How it ended.
    pub end: CallEnd,
    /// How long it took, with its answer.
    pub took: Duration,
}

/// How a call ended. There are few of them, so that a metric can count each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CallEnd {
    /// By an answer of this status.
    Status(u16),
    /// Without a whole one: `timeout`, `dns`, `connect` or `broken`.
    Failed(&'static str),
}

/// Gets each call, and the principal of the credentials.
pub trait Observer: Send + Sync {
    /// A call ended. It must not block.
    fn on_call(&self, call: Call);

    /// Credentials were found, of another principal than those before. It must not block.
    fn on_principal(&self, _principal: &str) {}
}

/// Reports nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Settings {
    /// A region, with AWS's own way to find credentials.
    pub fn new(region: Region) -> Self {
        Self {
            region,
            credentials: Credentials::Chain,
            endpoint: None,
            timeout: Duration::from_secs(30),
            patience: Patience::default(),
            page: crate::question::INSTANCES_PER_PAGE,
            bounds: Bounds::default(),
            environment: Environment::default(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::Any => {}
            Family::V4 => f.write_str(" of IPv4")?,
            Family::V6 => f.write_str(" of IPv6")?,
        }
        if self.interface > 0 { write!(f, " at its network interface {}", self.interface) } else { Ok(()) }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        // Half a million instances, whose answers are some ten kilobytes each.
        Self { pages: 500, bytes: 8 * 1024 * 1024 * 1024, time: Duration::from_mins(10) }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 5, first: Duration::from_millis(500), longest: Duration::from_secs(10) }
    }
}

impl Patience {
    /// The time before attempt `attempt + 1`, or none if there is none. `draw` is between 0 and 1.
    pub(crate) fn pause(self, attempt: u32, named: Option<Duration>, draw: f64) -> Option<Duration> {
        if attempt >= self.attempts || named.is_some_and(|named| named > self.longest) {
            return None;
        }
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
        let drawn = doubled.min(self.longest).mul_f64(draw.clamp(0.0, 1.0));
        Some(named.map_or(drawn, |named| named + drawn.min(self.first)))
    }
}

impl Observer for Unobserved {
    fn on_call(&self, _call: Call) {}
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn on_call(&self, call: Call) {
        (**self).on_call(call);
    }

    fn on_principal(&self, principal: &str) {
        (**self).on_principal(principal);
    }
}

impl fmt::Display for CallEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Failed(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_time_that_aws_names_is_kept_or_the_listing_fails() {
        let patience = Patience::default();
        let named = Duration::from_secs(3);
        assert_eq!(patience.pause(1, Some(named), 0.0), Some(named));
        assert_eq!(patience.pause(1, Some(Duration::from_secs(60)), 0.0), None);
    }

    #[test]
    fn keys_stand_in_no_debug() {
        let secret = SecretString::from("wJalrXUtnFEMI".to_owned());
        let keys = Credentials::Keys { id: "AKIA".to_owned(), session: Some(secret.clone()), secret };
        assert!(!format!("{keys:?}").contains("wJalr"));
    }

    proptest! {
        #[test]
        fn pauses_grow_to_a_limit_and_end(attempt in 1_u32..200, draw in 0.0..1.0_f64, attempts in 1_u32..10) {
            let patience = Patience { attempts, ..Patience::default() };
            match patience.pause(attempt, None, draw) {
                None => prop_assert!(attempt >= attempts),
                Some(pause) => {
                    prop_assert!(attempt < attempts && pause <= patience.longest);
                    prop_assert!(pause <= patience.pause(attempt, None, 1.0).unwrap());
                    prop_assert_eq!(patience.pause(attempt, None, 0.0), Some(Duration::ZERO));
                }
            }
        }
    }
}
