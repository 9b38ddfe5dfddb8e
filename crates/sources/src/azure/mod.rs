//! Machines of Azure: from the configuration to a client, and from its list to machines.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use roster_azure::{
    Chosen, Client, Cloud, CloudError, CredentialKind, Environment, Error, Listing, Memory, Observe,
    Outbound, ResourceGroup, Settings, Subscription,
};
use roster_config::env::ProcessEnv;
use roster_config::native::{self, AzureCloud, AzureCredential};
use roster_config::value::OneOrMany;
use roster_core::fleet::{Machine, Reported};
use roster_core::instance::Snapshot;
use roster_haproxy::name::SourceName;

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
    /// What the last listing left: a machine of which Azure says too little stays as it was.
    memory: Memory,
    /// Who asked the last time.
    asker: Option<Chosen>,
}

struct Counter {
    source: SourceName,
    calls: Arc<dyn Calls>,
}

/// Opens nothing yet.
pub fn source(name: &SourceName, config: &native::AzureSource, calls: &Arc<dyn Calls>) -> AzureSource {
    let counter = Arc::new(Counter { source: name.clone(), calls: Arc::clone(calls) });
    let azure =
        Azure { config: config.clone(), counter, client: None, memory: Memory::default(), asker: None };
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
        let rules = self.config.rules();
        let names = [&rules.port, &rules.instance_port].into_iter().chain(&rules.share);
        let chosen_by = rules.allow.keys().chain(rules.deny.keys()).chain(&self.config.selected_tags);
        settings.tags = Some(names.chain(chosen_by).cloned().collect());
        settings.tag = Some(rules.name);
        settings.client_id.clone_from(&self.config.client_id);
        settings.environment = Environment::read(|name| ProcessEnv.get_raw(name));
        settings.outbound = Outbound::read(|name| ProcessEnv.get_raw(name));
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

impl Azure {
    /// Tells who asks, the first time and whenever that is somebody else.
    fn tell_asker(&mut self) {
        let asker = self.client.as_ref().and_then(Client::credential);
        if asker.is_none() || asker == self.asker {
            return;
        }
        let (source, account) = (&self.counter.source, &self.config.subscription);
        match (&asker, &self.asker) {
            (Some(now), None) => tracing::info!(%source, account, "Azure is asked as {now}"),
            (Some(now), Some(before)) => {
                tracing::warn!(%source, account, "Azure is asked as {now} from now on, and was asked as {before} before");
            }
            (None, _) => {}
        }
        self.asker = asker;
    }
}

impl Machines for Azure {
    type Found = Vec<Machine>;

    async fn list(&mut self, _known: Option<&Snapshot>) -> Result<Listed, Failure> {
        let client = if let Some(client) = &self.client {
            client
        } else {
            let made = Client::new(self.settings()?);
            self.client.insert(made.map_err(|error| Failure::new(error.to_string()))?)
        };
        let outcome = Box::pin(client.list(&self.memory)).await;
        self.tell_asker();
        let Listing { machines, rejects, unknown, untold, ended, warnings, memory } =
            outcome.map_err(|error| failure(&error))?;
        self.memory = memory;
        let unknown = unknown.into_iter().map(|one| one.id).collect();
        Ok(Listed { reported: Reported { machines, unknown, untold, ended, rejects }, warnings })
    }
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
    fn a_machine_without_the_services_tag_is_not_even_listed_and_every_tag_that_is_looked_up_is_known() {
        let rules = serde_json::json!({
            "discover": { "tags": { "name": "svc" } }, "allow": { "Env": "prod" }, "deny": { "off": "yes" },
        });
        let mut source = config(&rules);
        source.selected_tags.insert("Team".to_owned());
        let calls: Arc<dyn Calls> = Arc::new(crate::cloud::Uncounted);
        let counter = Arc::new(Counter { source: "fleet".parse().unwrap(), calls });
        let azure = Azure { config: source, counter, client: None, memory: Memory::default(), asker: None };
        let settings = azure.settings().unwrap();
        assert_eq!(settings.tag.as_deref(), Some("svc"));
        for name in
            ["HAProxy:Service:Port", "HAProxy:Instance:Port", "HAProxy:Instance:AZperc", "Env", "off", "Team"]
        {
            assert!(settings.tags.iter().flatten().any(|known| known == name), "{name}");
        }
    }
}
