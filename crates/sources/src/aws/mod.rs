//! Machines of AWS: from the configuration to a client, and from its list to machines.

use std::sync::Arc;

use roster_aws::{
    Address, Call, Client, Credentials, Environment, Error, Family, Listing, Observer, Query, Region, Retry,
    Settings, SettingsError, ZoneName,
};
use roster_config::env::ProcessEnv;
use roster_config::native::{self, AddressFamily, AwsZone};
use roster_core::fleet::{Reported, TagRules};
use roster_core::instance::Snapshot;
use roster_haproxy::name::SourceName;

use crate::cloud::{Calls, Fleet, Listed, Machines};
use crate::poll::{Failure, Poller};

/// The source.
pub type AwsSource = Poller<Fleet<Aws>>;

/// One region of one account.
#[derive(Debug)]
pub struct Aws {
    config: native::AwsSource,
    query: Query,
    counter: Counter,
    /// None until it is asked for the first time.
    client: Option<Client>,
}

#[derive(Clone)]
struct Counter {
    source: SourceName,
    /// What the account is called in the log.
    account: Option<String>,
    calls: Arc<dyn Calls>,
}

/// Opens nothing yet.
pub fn source(name: &SourceName, config: &native::AwsSource, calls: &Arc<dyn Calls>) -> AwsSource {
    let rules = config.rules();
    let query = query(config, rules.clone());
    let account = config.account.clone();
    let counter = Counter { source: name.clone(), account: account.clone(), calls: Arc::clone(calls) };
    let aws = Aws { config: config.clone(), query, counter, client: None };
    Poller::new(Fleet::new(name.clone(), account, aws, rules), config.poll.into())
}

fn query(config: &native::AwsSource, rules: TagRules) -> Query {
    Query {
        rules,
        filters: config.filters(),
        address: Address {
            interface: config.address.interface,
            family: match config.address.family {
                AddressFamily::Any => Family::Any,
                AddressFamily::Ipv4 => Family::V4,
                AddressFamily::Ipv6 => Family::V6,
            },
        },
        zone: match config.zone {
            AwsZone::Name => ZoneName::Name,
            AwsZone::Id => ZoneName::Id,
        },
    }
}

impl Aws {
    fn settings(&self) -> Result<Settings, Failure> {
        let wrong = |why: String| Failure::new(format!("{why}; correct this source in the configuration"));
        let region = Region::new(&self.config.region).map_err(|error| wrong(error.to_string()))?;
        let mut settings = Settings::new(region);
        if let Some(profile) = &self.config.profile {
            settings.credentials = Credentials::Profile(profile.clone());
        }
        if let Some(endpoint) = &self.config.endpoint {
            settings.endpoint =
                Some(endpoint.parse().map_err(|error| wrong(format!("{endpoint}: {error}")))?);
        }
        settings.timeout = self.config.timeout.get();
        settings.environment = Environment::read(|name| ProcessEnv.get_raw(name));
        Ok(settings)
    }
}

impl Machines for Aws {
    type Found = roster_aws::Machines;

    async fn list(&mut self, known: Option<&Snapshot>) -> Result<Listed<Self::Found>, Failure> {
        let wrong = |error: SettingsError| Failure::new(error.to_string());
        let client = if let Some(client) = &self.client {
            Box::pin(client.refresh()).await.map_err(wrong)?;
            client
        } else {
            let made = Box::pin(Client::new(self.settings()?, self.counter.clone())).await;
            self.client.insert(made.map_err(wrong)?)
        };
        let Listing { machines, unknown, rejects, warnings } =
            Box::pin(client.list(&self.query, known)).await.map_err(|error| failure(&error))?;
        let reported = Reported { machines, rejects, unknown, ..Reported::default() };
        Ok(Listed { reported, warnings: warnings.iter().map(ToString::to_string).collect() })
    }
}

fn failure(error: &Error) -> Failure {
    let wait = match error.retry() {
        Retry::Later { after } => after,
        Retry::WhenChanged => None,
    };
    Failure { cause: Some(error.cause()), wait, ..Failure::new(error.to_string()) }
}

impl Observer for Counter {
    fn on_call(&self, call: Call) {
        self.calls.ended(&self.source, call.api, &call.end.to_string(), call.took);
    }

    fn on_principal(&self, principal: &str) {
        tracing::info!(source = %self.source, account = self.account, "AWS is asked as {principal}");
    }
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counter").field("source", &self.source).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn settings(keys: &Value) -> Settings {
        let mut all = json!({ "region": "us-east-2" });
        all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let calls: Arc<dyn Calls> = Arc::new(crate::cloud::Uncounted);
        let counter = Counter { source: "fleet".parse().unwrap(), account: None, calls };
        let config = serde_json::from_value(all).unwrap();
        Aws { config, query: Query::default(), counter, client: None }.settings().unwrap()
    }

    #[test]
    fn a_profile_is_who_asks_and_without_one_awss_own_order_finds_somebody() {
        let plain = settings(&json!({}));
        assert!(matches!(plain.credentials, Credentials::Chain), "{plain:?}");
        assert_eq!((plain.region.as_str(), plain.endpoint), ("us-east-2", None));
        let named = settings(&json!({ "profile": "prod" }));
        assert!(matches!(&named.credentials, Credentials::Profile(name) if name == "prod"), "{named:?}");
    }
}
