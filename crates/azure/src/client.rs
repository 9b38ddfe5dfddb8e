//! One listing: the calls that it needs, in two rounds, and what they make together.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::Url;
use roster_core::fleet::{Machine, Untold};
use roster_core::instance::Reject;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::arm::wire::{Element, Read, ScaleSet, Vm};
use crate::arm::{Arm, List};
use crate::credential::{Chosen, Credentials};
use crate::error::{Error, SettingsError, Why};
use crate::fleet::{self, Answers, Hole, Listed, Memory, ResourceId, Spellings, StateOf, Unknown, Wanted};
use crate::http::{Common, Http, Spent};
use crate::part::{Fate, fate};
use crate::settings::{ResourceGroup, Settings, Subscription};

/// Calls at the same time. ARM counts calls, so more would only be throttled sooner.
const SIDE_BY_SIDE: usize = 4;
/// The longest that a scale set is left alone, for it may be wrong about it.
const LONGEST_PAUSE: Duration = Duration::from_secs(1800);

/// Lists the machines of one subscription.
pub struct Client {
    arm: Arm,
    credentials: Credentials,
    subscription: Subscription,
    groups: Vec<ResourceGroup>,
    wanted: Wanted,
    /// Scale sets that want to be left alone, until when, and why.
    paused: Mutex<HashMap<String, (Instant, String)>>,
}

/// Everything that was found. A machine that is neither here nor among `unknown`, and in no part of `untold`, does not run,
/// is gone, or lacks the tag.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The machines that run, by their id. The id is Azure's `vmId`: a machine that is deleted and made again under its
    /// name is another one.
    pub machines: Vec<Machine>,
    /// What cannot be used, and why.
    pub rejects: Vec<Reject>,
    /// Machines that Azure says too little about just now; those that were listed before still are.
    pub unknown: Vec<Unknown>,
    /// Parts of which this client has never heard: whoever knows their machines from before keeps them.
    pub untold: Vec<Untold>,
    /// The ids of machines that were told and do not run, or lack the tag. It is empty where nothing is untold.
    pub ended: Vec<String>,
    /// What an operator should know, though it does not stop the listing.
    pub warnings: Vec<String>,
    /// What to give to the next listing.
    pub memory: Memory,
}

/// What the lists of a round came to.
enum Told {
    Vms(Vec<Read<Vm>>),
    States(Vec<Read<StateOf>>),
    Sets(Vec<Read<ScaleSet>>),
    Interfaces(Vec<Read<Listed>>),
    Members(Vec<Read<Vm>>),
}

/// What was gathered so far, and what became of the parts.
#[derive(Default)]
struct Gathered {
    answers: Answers,
    /// Groups and scale sets whose lists of machines were all told.
    heard: HashSet<ResourceId>,
    /// Groups one of whose lists failed, and why.
    bad_groups: Vec<(ResourceGroup, Error)>,
    warnings: Vec<String>,
}

impl Client {
    /// Checks the settings; nothing is asked yet.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let Settings { subscription, credential, client_id, environment, outbound, cloud, .. } = settings;
        let Settings { timeout, patience, observer, resource_groups, tag, spellings, .. } = settings;
        let authority = cloud.authority(environment.authority.as_deref())?;
        // Other addresses (metadata, App Service) are without TLS.
        let tls = [cloud.arm(), &authority].into_iter().any(|url: &Url| url.scheme() == "https");
        let common = Common { timeout, near: credential.near(timeout), patience, observer };
        let http = Http::new(common, &outbound, tls)?;
        let credentials = Credentials::new(http.clone(), credential, client_id, environment, &cloud)?;
        let arm = Arm::new(http, cloud, subscription.clone());
        let mut groups: Vec<ResourceGroup> = Vec::new();
        for group in resource_groups {
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        let account = subscription.as_str().to_owned();
        let wanted = Wanted { account, spellings: Spellings::new(tag.iter().cloned().chain(spellings)), tag };
        Ok(Self { arm, credentials, subscription, groups, wanted, paused: Mutex::default() })
    }

    /// Who asks, once there was a token.
    pub fn credential(&self) -> Option<Chosen> {
        self.credentials.chosen()
    }

    /// Lists the machines. `before` is what the last listing left: a machine of which Azure says too little this time stays.
    ///
    /// A token that is refused is replaced once; then the listing begins anew, so that it is of one piece.
    pub async fn list(&self, before: &Memory) -> Result<Listing, Error> {
        let spent = Spent::new();
        let token = self.credentials.token(&spent).await?;
        let gathered = match self.gather(&token, &spent).await {
            Err(error) if error.is_unauthorized() => {
                self.credentials.forget(&token);
                let token = self.credentials.token(&spent).await?;
                let again = self.gather(&token, &spent).await;
                if again.as_ref().is_err_and(Error::is_unauthorized) {
                    self.credentials.forget(&token);
                }
                again?
            }
            outcome => outcome?,
        };
        let joined = fleet::join(gathered.answers, &self.wanted);
        let settled = fleet::settle(joined, gathered.heard, before);
        let mut warnings = settled.warnings;
        warnings.extend(gathered.warnings);
        Ok(Listing {
            machines: settled.machines,
            rejects: settled.rejects,
            unknown: settled.unknown,
            untold: settled.untold,
            ended: settled.ended,
            warnings,
            memory: settled.memory,
        })
    }

    /// Machines and scale sets first; then what belongs to them, so that nothing which they name is missing for being
    /// younger.
    async fn gather(&self, token: &SecretString, spent: &Spent) -> Result<Gathered, Error> {
        let mut gathered = Gathered::default();
        self.round(&mut gathered, self.first(), token, spent).await?;
        let uniform = fleet::uniform(&gathered.answers.sets);
        let (paused, sets) = self.left_alone(uniform);
        gathered.answers.holes.extend(paused);
        self.round(&mut gathered, self.second(&sets), token, spent).await?;
        self.settle_groups(gathered)
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

    /// Asks for lists side by side. What makes the listing fail ends those that are under way.
    async fn round(
        &self,
        gathered: &mut Gathered,
        lists: Vec<List>,
        token: &SecretString,
        spent: &Spent,
    ) -> Result<(), Error> {
        let calls = lists.into_iter().map(|list| async move {
            let told = match &list {
                List::Vms | List::GroupVms(_) => self.all(&list, token, spent).await.map(Told::Vms),
                List::States => self.all(&list, token, spent).await.map(Told::States),
                List::Sets(_) => self.all(&list, token, spent).await.map(Told::Sets),
                List::Members(_) => self.all(&list, token, spent).await.map(Told::Members),
                List::Interfaces(_) | List::MemberInterfaces(_) => {
                    self.all(&list, token, spent).await.map(Told::Interfaces)
                }
            };
            (list, told)
        });
        let mut told = stream::iter(calls).buffered(SIDE_BY_SIDE);
        while let Some((list, told)) = told.next().await {
            match told {
                Ok(told) => gathered.take(&list, told),
                Err(error) => self.failed(gathered, list, error)?,
            }
        }
        Ok(())
    }

    async fn all<T: Element>(
        &self,
        list: &List,
        token: &SecretString,
        spent: &Spent,
    ) -> Result<Vec<Read<T>>, Error> {
        self.arm.all(list, token, spent).await
    }

    /// A list has failed: so has the listing, or a part of it is missing.
    fn failed(&self, gathered: &mut Gathered, list: List, error: Error) -> Result<(), Error> {
        let Error::Arm { why, .. } = &error else { return Err(error) };
        match (fate(&list, why, self.groups.len() > 1), list) {
            (Fate::Fails, _) => return Err(error),
            (Fate::Gone | Fate::Hole, List::GroupVms(group) | List::Sets(Some(group))) => {
                gathered.bad_groups.push((group, error));
            }
            (Fate::Hole, List::Members(set)) => {
                self.pause(&set, why, &error);
                gathered
                    .answers
                    .holes
                    .push(Hole { scope: Some(ResourceId::new(&set)), why: error.lasting() });
            }
            // Machines without their interfaces are told one by one.
            (Fate::Hole, _) => gathered.warnings.push(error.lasting()),
            // Its machines are told: there are none.
            (Fate::Gone, List::Members(set)) => {
                gathered.heard.insert(ResourceId::new(&set));
            }
            (Fate::Gone, _) => {}
        }
        Ok(())
    }

    /// A scale set that throttles is left alone as long as it wants; the others are not.
    fn pause(&self, set: &str, why: &Why, error: &Error) {
        if let Why::Throttled { retry_after: Some(wait), .. } = why {
            let until = Instant::now() + (*wait).min(LONGEST_PAUSE);
            self.with_paused(|paused| paused.insert(set.to_owned(), (until, error.lasting())));
        }
    }

    /// Those of these scale sets that want to be left alone still, as parts of which nothing is heard; and the others.
    fn left_alone(&self, sets: Vec<String>) -> (Vec<Hole>, Vec<String>) {
        let now = Instant::now();
        self.with_paused(|paused| {
            paused.retain(|set, (until, _)| *until > now && sets.contains(set));
            let (alone, others): (Vec<_>, Vec<_>) =
                sets.into_iter().partition(|set| paused.contains_key(set));
            let hole = |set: &String| {
                let (_, why) = paused.get(set)?;
                Some(Hole { scope: Some(ResourceId::new(set)), why: why.clone() })
            };
            (alone.iter().filter_map(hole).collect(), others)
        })
    }

    fn with_paused<T>(&self, act: impl FnOnce(&mut HashMap<String, (Instant, String)>) -> T) -> T {
        act(&mut self.paused.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the groups that failed mean, unless all of them have.
    fn settle_groups(&self, mut gathered: Gathered) -> Result<Gathered, Error> {
        let failed = |group: &ResourceGroup| gathered.bad_groups.iter().any(|(bad, _)| bad == group);
        let heard: Vec<&ResourceGroup> = self.groups.iter().filter(|group| !failed(group)).collect();
        if heard.is_empty()
            && let Some((_, error)) = gathered.bad_groups.pop()
        {
            return Err(error);
        }
        let scope = |group: &ResourceGroup| ResourceId::new(&group.scope(&self.subscription));
        gathered.heard.extend(heard.into_iter().map(scope));
        let mut told = HashSet::new();
        // Where one list of a group says that it is gone and another says something else, nobody knows.
        gathered.bad_groups.sort_by_key(|(_, error)| error.is_gone());
        for (group, error) in &gathered.bad_groups {
            if !told.insert(scope(group)) {
                continue;
            }
            if error.is_gone() {
                gathered.warnings.push(format!("{}; its machines are gone with it", error.lasting()));
            } else {
                gathered.answers.holes.push(Hole { scope: Some(scope(group)), why: error.lasting() });
            }
        }
        Ok(gathered)
    }
}

impl Gathered {
    fn take(&mut self, list: &List, told: Told) {
        match (told, list) {
            (Told::Vms(elements), _) => self.answers.vms.extend(elements),
            (Told::States(elements), _) => self.answers.states.get_or_insert_default().extend(elements),
            (Told::Sets(elements), _) => self.answers.sets.extend(elements),
            (Told::Interfaces(elements), _) => self.answers.interfaces.extend(elements),
            (Told::Members(elements), list) => {
                let set = ResourceId::new(list.set().unwrap_or_default());
                self.heard.insert(set.clone());
                self.answers.members.push((set, elements));
            }
        }
    }
}
