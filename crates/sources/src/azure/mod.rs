//! Machines of Azure: from the configuration to a client, and from its list to machines.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use roster_azure::{
    Client, Cloud, CloudError, CredentialKind, Environment, Error, Listing, Observe, ResourceGroup, Settings,
    Subscription, Unknown,
};
use roster_config::env::ProcessEnv;
use roster_config::native::{self, AzureCloud, AzureCredential};
use roster_config::value::OneOrMany;
use roster_core::fleet::{Machine, Reported};
use roster_core::instance::Reject;
use roster_core::name::SourceName;

use crate::cloud::{Calls, Fleet, Listed, Machines};
use crate::poll::{Failure, Poller};

/// The source.
pub type AzureSource = Poller<Fleet<Azure>>;

/// One subscription.
pub struct Azure {
    config: native::AzureSource,
    counter: Arc<Counter>,
    /// None until it is asked for the first time.
    client: Option<Client>,
    /// What was listed last: a machine of which Azure says too little stays as it was.
    last: Vec<Machine>,
}

struct Counter {
    source: SourceName,
    calls: Arc<dyn Calls>,
}

/// Opens nothing yet.
pub fn source(name: &SourceName, config: &native::AzureSource, calls: &Arc<dyn Calls>) -> AzureSource {
    let counter = Arc::new(Counter { source: name.clone(), calls: Arc::clone(calls) });
    let azure = Azure { config: config.clone(), counter, client: None, last: Vec::new() };
    let account = Some(config.subscription.clone());
    Poller::new(Fleet::new(name.clone(), account, azure, config.rules()), config.poll.into())
}

impl Azure {
    fn settings(&self) -> Result<Settings, Failure> {
        let wrong = |why: String| Failure::new(format!("{why}; correct this source in the configuration"));
        let subscription =
            Subscription::new(&self.config.subscription).map_err(|error| wrong(error.to_string()))?;
        let cloud = cloud(&self.config).map_err(|error| wrong(error.to_string()))?;
        let groups = self.config.resource_groups.iter().flat_map(OneOrMany::values);
        let groups = groups.map(String::as_str).map(ResourceGroup::new).collect::<Result<Vec<_>, _>>();
        let observer: Arc<dyn Observe> = self.counter.clone();
        let mut settings = Settings::new(subscription, cloud, observer);
        settings.resource_groups = groups.map_err(|error| wrong(error.to_string()))?;
        settings.credential = match self.config.credential {
            AzureCredential::Default => CredentialKind::Default,
            AzureCredential::Environment => CredentialKind::Environment,
            AzureCredential::WorkloadIdentity => CredentialKind::WorkloadIdentity,
            AzureCredential::ManagedIdentity => CredentialKind::ManagedIdentity,
            AzureCredential::Cli => CredentialKind::Cli,
        };
        settings.tag = Some(self.config.rules().name);
        settings.client_id.clone_from(&self.config.client_id);
        settings.environment = Environment::read(|name| ProcessEnv.get_raw(name));
        settings.timeout = self.config.timeout.get();
        Ok(settings)
    }
}

fn cloud(config: &native::AzureSource) -> Result<Cloud, CloudError> {
    let cloud = Cloud::named(match config.cloud {
        AzureCloud::Public => "AzureCloud",
        AzureCloud::China => "AzureChinaCloud",
        AzureCloud::UsGovernment => "AzureUSGovernment",
    })?;
    let cloud = match &config.endpoint {
        Some(endpoint) => cloud.reached_at(endpoint)?,
        None => cloud,
    };
    match &config.authority {
        Some(authority) => cloud.with_authority(authority),
        None => Ok(cloud),
    }
}

impl Machines for Azure {
    async fn list(&mut self) -> Result<Listed, Failure> {
        let client = if let Some(client) = &self.client {
            client
        } else {
            let made = Client::new(self.settings()?);
            self.client.insert(made.map_err(|error| Failure::new(error.to_string()))?)
        };
        let listing = Box::pin(client.list(&self.last)).await.map_err(|error| failure(&error))?;
        let Listing { machines, rejects, unknown, warnings } = listing;
        self.last.clone_from(&machines);
        let warnings = warnings.into_iter().chain(told(&unknown, &rejects)).collect();
        let unknown = unknown.into_iter().map(|one| one.id).collect();
        Ok(Listed { reported: Reported { machines, rejects, unknown, ..Reported::default() }, warnings })
    }
}

/// What is to be known of machines that Azure says too little about. One that is rejected too is told of as such.
fn told(unknown: &[Unknown], rejects: &[Reject]) -> Vec<String> {
    let rejected: BTreeSet<&str> = rejects.iter().map(|reject| reject.place.as_str()).collect();
    let told = unknown.iter().filter(|one| !rejected.contains(one.resource.as_str())).map(|one| {
        let becomes =
            if one.kept { "it stays as it was" } else { "it counts as it did before, or not at all" };
        format!("{}: {}; {becomes}", one.resource, one.reason)
    });
    told.collect()
}

fn failure(error: &Error) -> Failure {
    Failure { cause: Some(error.cause()), wait: error.retry_after(), ..Failure::new(error.to_string()) }
}

impl Observe for Counter {
    fn on_call(&self, api: &'static str, code: &str, took: Duration) {
        self.calls.ended(&self.source, api, code, took);
    }
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Azure").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(resource: &str, kept: bool) -> Unknown {
        Unknown {
            id: resource.to_owned(),
            resource: resource.to_owned(),
            reason: "no state".to_owned(),
            kept,
        }
    }

    #[test]
    fn a_machine_of_which_too_little_is_known_is_told_of_once_however_it_is_reported() {
        let rejects = [Reject::aside("/c", "no interface")];
        let told = told(&[unknown("/a", true), unknown("/b", false), unknown("/c", false)], &rejects);
        assert_eq!(
            told,
            ["/a: no state; it stays as it was", "/b: no state; it counts as it did before, or not at all"]
        );
    }

    fn config(keys: &serde_json::Value) -> native::AzureSource {
        let mut all = serde_json::json!({ "subscription": "00000000-1111-2222-3333-444444444444" });
        let object = all.as_object_mut().unwrap();
        object.extend(keys.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    #[test]
    fn another_endpoint_is_asked_with_tokens_for_the_cloud_from_where_the_cloud_has_them() {
        let at = "https://arm.example";
        let us = config(&serde_json::json!({ "cloud": "us_government", "endpoint": at }));
        let wanted = Cloud::named("AzureUSGovernment").unwrap().reached_at(at).unwrap();
        assert_eq!(cloud(&us).unwrap(), wanted);
        let own = config(&serde_json::json!({ "authority": "https://login.here" }));
        let wanted = Cloud::public().unwrap().with_authority("https://login.here").unwrap();
        assert_eq!(cloud(&own).unwrap(), wanted);
    }

    #[test]
    fn a_machine_without_the_services_tag_is_not_even_listed() {
        let rules = serde_json::json!({ "discover": { "tags": { "name": "svc" } } });
        let source = config(&rules);
        let calls: Arc<dyn Calls> = Arc::new(crate::cloud::Uncounted);
        let counter = Arc::new(Counter { source: "fleet".parse().unwrap(), calls });
        let azure = Azure { config: source, counter, client: None, last: Vec::new() };
        assert_eq!(azure.settings().unwrap().tag.as_deref(), Some("svc"));
    }
}
