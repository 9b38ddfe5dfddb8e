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

use crate::arm::wire::{Interface, ScaleSet, Vm, VmState};
use crate::arm::{Arm, Call, List};
use crate::credential::{Chosen, Credentials};
use crate::error::{Error, SettingsError, Why};
use crate::fleet::{
    self, Answers, Hole, Keeper, ListedInterface, ListedState, ListedVm, Memory, Pages, ResourceId,
    Spellings, Unknown, Wanted,
};
use crate::http::{Common, Http, Spent};
use crate::part::{Fate, fate};
use crate::settings::{ResourceGroup, Settings, Subscription};

/// Calls at the same time. ARM counts calls, so more would only be throttled sooner.
const SIDE_BY_SIDE: usize = 4;
/// The longest pause that a scale set is given. It may ask for a wrong one.
const LONGEST_PAUSE: Duration = Duration::from_secs(1800);

/// Lists the machines of one subscription.
pub struct Client {
    arm: Arm,
    credentials: Credentials,
    subscription: Subscription,
    groups: Vec<ResourceGroup>,
    wanted: Wanted,
    /// Scale sets that throttle: until when they are not asked, and why.
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
    /// Machines of which Azure's answer lacks something; those that were listed before stay.
    pub unknown: Vec<Unknown>,
    /// Parts that no listing of this client has had yet. The caller keeps the machines that it knows of them.
    pub untold: Vec<Untold>,
    /// The ids of machines that were listed and do not run, or lack the tag. Empty where no part is missing.
    pub ended: Vec<String>,
    /// What an operator should know, though it does not stop the listing.
    pub warnings: Vec<String>,
    /// What to give to the next listing.
    pub memory: Memory,
}

/// A list that is complete.
enum Complete {
    Vms(Pages<ListedVm>),
    States(Pages<ListedState>),
    Sets(Pages<ScaleSet>),
    Interfaces(Pages<ListedInterface>),
    Members(Pages<ListedVm>),
}

/// What was gathered so far, and what became of the parts.
#[derive(Default)]
struct Gathered {
    answers: Answers,
    /// Groups and scale sets whose lists of machines are all complete.
    heard: HashSet<ResourceId>,
    /// Groups one of whose lists failed, and why.
    bad_groups: Vec<(ResourceGroup, Error)>,
    warnings: Vec<String>,
}

impl Client {
    /// Checks the settings; nothing is asked yet.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let Settings { subscription, credential, client_id, environment, outbound, cloud, .. } = settings;
        let Settings { timeout, patience, observer, resource_groups, tag, tags, .. } = settings;
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
        let account = subscription.as_str().into();
        let spellings = tags.map(|tags| Spellings::new(tag.iter().cloned().chain(tags)));
        let wanted = Wanted { account, spellings: spellings.unwrap_or_default(), tag };
        Ok(Self { arm, credentials, subscription, groups, wanted, paused: Mutex::default() })
    }

    /// The identity that the calls are made with. None before the first token.
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
        let keeper = Mutex::new(Keeper::new(&self.wanted));
        let call = Call { token, spent, keeper: &keeper };
        self.round(&mut gathered, self.first(), call).await?;
        let uniform = fleet::uniform(&gathered.answers.sets);
        let (paused, sets) = self.without_paused(uniform);
        gathered.answers.holes.extend(paused);
        self.round(&mut gathered, self.second(&sets), call).await?;
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
    async fn round(&self, gathered: &mut Gathered, lists: Vec<List>, call: Call<'_>) -> Result<(), Error> {
        let calls = lists.into_iter().map(|list| async move {
            let answer = match &list {
                List::Vms | List::GroupVms(_) => self.arm.all::<Vm>(&list, call).await.map(Complete::Vms),
                List::States => self.arm.all::<VmState>(&list, call).await.map(Complete::States),
                List::Sets(_) => self.arm.all::<ScaleSet>(&list, call).await.map(Complete::Sets),
                List::Members(_) => self.arm.all::<Vm>(&list, call).await.map(Complete::Members),
                List::Interfaces(_) | List::MemberInterfaces(_) => {
                    self.arm.all::<Interface>(&list, call).await.map(Complete::Interfaces)
                }
            };
            (list, answer)
        });
        let mut answers = stream::iter(calls).buffered(SIDE_BY_SIDE);
        while let Some((list, answer)) = answers.next().await {
            match answer {
                Ok(complete) => gathered.take(&list, complete),
                Err(error) => self.failed(gathered, list, error)?,
            }
        }
        Ok(())
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
            // Each machine without its interface is reported by itself.
            (Fate::Hole, _) => gathered.warnings.push(error.lasting()),
            // The scale set is deleted, so its list is complete: it has no machines.
            (Fate::Gone, List::Members(set)) => {
                gathered.heard.insert(ResourceId::new(&set));
            }
            (Fate::Gone, _) => {}
        }
        Ok(())
    }

    /// A scale set that throttles is not asked for as long as it wants; the others are.
    fn pause(&self, set: &str, why: &Why, error: &Error) {
        if let Why::Throttled { retry_after: Some(wait), .. } = why {
            let until = Instant::now() + (*wait).min(LONGEST_PAUSE);
            self.with_paused(|paused| paused.insert(set.to_owned(), (until, error.lasting())));
        }
    }

    /// The scale sets of these that still want a pause, as parts that are missing; and the others.
    fn without_paused(&self, sets: Vec<String>) -> (Vec<Hole>, Vec<String>) {
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
        let mut reported = HashSet::new();
        // Where the lists of a group disagree on whether it is gone, nothing is known of the group.
        gathered.bad_groups.sort_by_key(|(_, error)| error.is_gone());
        for (group, error) in &gathered.bad_groups {
            if !reported.insert(scope(group)) {
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
    fn take(&mut self, list: &List, complete: Complete) {
        match (complete, list) {
            (Complete::Vms(elements), _) => self.answers.vms.extend(elements),
            (Complete::States(elements), _) => self.answers.states.get_or_insert_default().extend(elements),
            (Complete::Sets(elements), _) => self.answers.sets.extend(elements.into_iter().flatten()),
            (Complete::Interfaces(elements), _) => self.answers.interfaces.extend(elements),
            (Complete::Members(elements), list) => {
                let set = ResourceId::new(list.set().unwrap_or_default());
                self.heard.insert(set.clone());
                self.answers.members.push((set, elements));
            }
        }
    }
}
