//! What a client is made of. Texts that go into a path are checked when they are made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cloud::Cloud;
use crate::credential::CredentialKind;
use crate::environment::Environment;
use crate::error::SettingsError;
use crate::observe::Observe;
use crate::outbound::Outbound;
use crate::retry::Patience;

/// A subscription's id, such as `00000000-1111-2222-3333-444444444444`, in lower case.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Subscription(String);

/// A resource group's name: up to 90 letters, digits and `_ - . ( )`, as ARM allows. Its case does not count.
#[derive(Clone, Debug)]
pub struct ResourceGroup(String);

/// What a client is made of.
#[derive(Clone)]
pub struct Settings {
    /// Whose machines.
    pub subscription: Subscription,
    /// The groups to look into; none for all of the subscription.
    pub resource_groups: Vec<ResourceGroup>,
    /// The tag that a machine, or its scale set, must have to be listed, in any case; none for all machines.
    pub tag: Option<String>,
    /// The tags that are kept, besides that one and those with a number behind these names; none for all tags. Azure's names
    /// have no case, so each tag gets the spelling that it has here.
    pub tags: Option<Vec<String>>,
    /// How to get tokens.
    pub credential: CredentialKind,
    /// The user-assigned managed identity's client id; none for `AZURE_CLIENT_ID`, and without that the system's.
    pub client_id: Option<String>,
    /// What the environment says of identities.
    pub environment: Environment,
    /// What it says of the way out of this machine.
    pub outbound: Outbound,
    /// Where ARM is.
    pub cloud: Cloud,
    /// The longest that one call may take.
    pub timeout: Duration,
    /// How often a call is repeated.
    pub patience: Patience,
    /// Gets a report of each call.
    pub observer: Arc<dyn Observe>,
}

impl Subscription {
    /// Takes the text if it is a subscription's id.
    pub fn new(given: &str) -> Result<Self, SettingsError> {
        let given = given.trim();
        let dashes = [8, 13, 18, 23];
        let fits = given.len() == 36
            && given
                .chars()
                .enumerate()
                .all(|(at, c)| if dashes.contains(&at) { c == '-' } else { c.is_ascii_hexdigit() });
        if fits {
            Ok(Self(given.to_ascii_lowercase()))
        } else {
            Err(SettingsError::Subscription(given.to_owned()))
        }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ResourceGroup {
    /// Takes the text if it can be a group's name.
    pub fn new(given: &str) -> Result<Self, SettingsError> {
        let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '(' | ')');
        let fits =
            (1..=90).contains(&given.chars().count()) && given.chars().all(allowed) && !given.ends_with('.');
        if fits { Ok(Self(given.to_owned())) } else { Err(SettingsError::ResourceGroup(given.to_owned())) }
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its id.
    pub(crate) fn scope(&self, subscription: &Subscription) -> String {
        format!("/subscriptions/{}/resourceGroups/{}", subscription.as_str(), self.0)
    }
}

impl PartialEq for ResourceGroup {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_lowercase() == other.0.to_lowercase()
    }
}

impl Eq for ResourceGroup {}

impl Settings {
    /// All of a subscription in this cloud, with what is usual for the rest.
    pub fn new(subscription: Subscription, cloud: Cloud, observer: Arc<dyn Observe>) -> Self {
        Self {
            subscription,
            resource_groups: Vec::new(),
            tag: None,
            tags: None,
            credential: CredentialKind::Default,
            client_id: None,
            environment: Environment::default(),
            outbound: Outbound::default(),
            cloud,
            timeout: Duration::from_secs(30),
            patience: Patience::default(),
            observer,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("subscription", &self.subscription)
            .field("resource_groups", &self.resource_groups)
            .field("tag", &self.tag)
            .field("credential", &self.credential)
            .field("cloud", &self.cloud)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_an_id_and_nothing_that_could_change_a_path() {
        assert!(Subscription::new("00000000-1111-2222-3333-44444444ABCD").is_ok());
        for wrong in [
            "",
            "my subscription",
            "00000000-1111-2222-3333-4444444444/4",
            "00000000111122223333444444444444",
        ] {
            assert!(Subscription::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_groups_case_does_not_count() {
        assert_eq!(ResourceGroup::new("RG-Edge").unwrap(), ResourceGroup::new("rg-edge").unwrap());
        for wrong in ["", "a/b", "a b", "ends.", "?x"] {
            assert!(ResourceGroup::new(wrong).is_err(), "{wrong}");
        }
    }
}
