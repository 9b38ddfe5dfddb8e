//! One listing: the calls that it needs, in two rounds, and what they make together.

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Url;
use roster_core::fleet::Machine;
use roster_core::instance::Reject;
use secrecy::SecretString;
use serde_json::Value;

use crate::arm::{Arm, List};
use crate::credential::{Chosen, Credentials};
use crate::error::{Error, SettingsError, Why};
use crate::fleet::{self, Answers, ResourceId, Unknown};
use crate::http::{Http, Waited};
use crate::settings::{ResourceGroup, Settings, Subscription};

/// Calls at the same time. ARM counts calls, so more would only be throttled sooner.
const SIDE_BY_SIDE: usize = 4;

/// Lists the machines of one subscription.
pub struct Client {
    arm: Arm,
    credentials: Credentials,
    subscription: Subscription,
    groups: Vec<ResourceGroup>,
    tag: Option<String>,
}

/// Everything that was found. It is complete: a machine that is neither here nor among `unknown` does not run, or lacks the
/// tag.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The machines that run, by their id. The id is Azure's `vmId`: a machine that is deleted and made again under its
    /// name is another one.
    pub machines: Vec<Machine>,
    /// What cannot be used, and why.
    pub rejects: Vec<Reject>,
    /// Machines that Azure says too little about just now; those that were listed before still are.
    pub unknown: Vec<Unknown>,
    /// What is odd, but in nobody's way.
    pub warnings: Vec<String>,
}

impl Client {
    /// Checks the settings; nothing is asked yet.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let Settings {
            subscription,
            credential,
            client_id,
            environment,
            cloud,
            timeout,
            patience,
            observer,
            resource_groups,
            tag,
        } = settings;
        let authority = cloud.authority(environment.authority.as_deref())?;
        // Other addresses (metadata, App Service) are without TLS.
        let tls = [cloud.arm(), &authority].into_iter().any(|url: &Url| url.scheme() == "https");
        let http = Http::new(timeout, patience, observer, tls)?;
        let credentials = Credentials::new(http.clone(), credential, client_id, environment, &cloud)?;
        let arm = Arm::new(http, &cloud, subscription.clone());
        let mut groups: Vec<ResourceGroup> = Vec::new();
        for group in resource_groups {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        Ok(Self { arm, credentials, subscription, groups, tag })
    }

    /// The way to tokens that was found, once there was one.
    pub fn credential(&self) -> Option<Chosen> {
        self.credentials.chosen()
    }

    /// Lists the machines. `last` are those of the last listing: one whose state Azure does not tell this time stays.
    ///
    /// A token that is refused is replaced once; then the listing begins anew, so that it is of one piece.
    pub async fn list(&self, last: &[Machine]) -> Result<Listing, Error> {
        let waited = Waited::default();
        let token = self.credentials.token(&waited).await?;
        let answers = match self.answers(&token, &waited).await {
            Err(error) if error.is_unauthorized() => {
                self.credentials.forget(&token);
                let token = self.credentials.token(&waited).await?;
                let again = self.answers(&token, &waited).await;
                if again.as_ref().is_err_and(Error::is_unauthorized) {
                    self.credentials.forget(&token);
                }
                again?
            }
            outcome => outcome?,
        };
        let joined = fleet::join(answers, self.subscription.as_str(), self.tag.as_deref())
            .map_err(|why| self.odd(&List::Vms, why))?;
        let settled = fleet::settle(joined.found, last);
        let mut rejects = joined.rejects;
        rejects.extend(settled.rejects);
        rejects.sort();
        Ok(Listing {
            machines: settled.machines,
            rejects,
            unknown: settled.unknown,
            warnings: joined.warnings,
        })
    }

    /// Machines and scale sets first; then what belongs to them, so that nothing which they name is missing for being
    /// younger.
    async fn answers(&self, token: &SecretString, waited: &Waited) -> Result<Answers, Error> {
        let mut answers = Answers::default();
        for (list, elements) in self.round(self.first(), token, waited).await? {
            match list {
                List::Sets(_) => answers.sets.extend(elements),
                _ => answers.vms.extend(elements),
            }
        }
        let sets = fleet::uniform(&answers.sets).map_err(|why| self.odd(&List::Sets(None), why))?;
        for (list, elements) in self.round(self.second(&sets), token, waited).await? {
            match list {
                List::States => answers.states.get_or_insert_default().extend(elements),
                List::Members(set) => answers.members.push((ResourceId::new(&set), elements)),
                _ => answers.interfaces.extend(elements),
            }
        }
        Ok(answers)
    }

    fn first(&self) -> Vec<List> {
        if self.groups.is_empty() {
            return vec![List::Vms, List::Sets(None)];
        }
        let of_group =
            |group: &ResourceGroup| [List::GroupVms(group.clone()), List::Sets(Some(group.clone()))];
        self.groups.iter().flat_map(of_group).collect()
    }

    fn second(&self, sets: &[String]) -> Vec<List> {
        let of_set = |set: &String| [List::Members(set.clone()), List::MemberInterfaces(set.clone())];
        let mut lists: Vec<List> = sets.iter().flat_map(of_set).collect();
        if self.groups.is_empty() {
            lists.extend([List::States, List::Interfaces(None)]);
        }
        lists.extend(self.groups.iter().map(|group| List::Interfaces(Some(group.clone()))));
        lists
    }

    fn odd(&self, list: &List, why: String) -> Error {
        Error::Arm { at: list.call(&self.subscription), why: Why::NotArm { why } }
    }

    async fn round(
        &self,
        lists: Vec<List>,
        token: &SecretString,
        waited: &Waited,
    ) -> Result<Vec<(List, Vec<Value>)>, Error> {
        let calls = lists.into_iter().map(|list| async move {
            let elements = self.arm.all(&list, token, waited).await?;
            Ok((list, elements))
        });
        stream::iter(calls).buffered(SIDE_BY_SIDE).try_collect().await
    }
}
