//! Complete lists of machines.
//!
//! Invariants: a listing is complete or an error; the same page is never read twice; dropping a listing leaves nothing
//! behind but credentials that were got.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use roster_core::fleet::Machine;
use roster_core::instance::Reject;

use crate::call::{Caller, Failed};
use crate::error::{Error, SettingsError, Why};
use crate::merge::{Found, Groups};
use crate::question::{Batch, Filters, IDS_AT_ONCE, Question};
use crate::settings::{Observer, Query, Settings};
use crate::wire::{self, Page, WireError};

/// Asks one region of one account.
pub struct Client {
    caller: Caller,
    page: u16,
    told_of_groups: AtomicBool,
    /// What groups said last; only ever held to be copied.
    groups: Mutex<Groups>,
}

/// Every machine that there is to the query.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The machines, by id.
    pub machines: Vec<Machine>,
    /// Machines that cannot be used.
    pub rejects: Vec<Reject>,
    /// What is amiss and does not make the list wrong. Each is told once, until it is well again.
    pub warnings: Vec<Warning>,
}

/// Something that an operator should know.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Warning {
    /// The identity may not read groups.
    #[error(
        "Auto Scaling groups may not be read ({code}: {message}), so machines are found by their own tags, and by the \
         groups that were known before; one that its group ends is not drained; allow autoscaling:DescribeAutoScalingGroups in the identity's policy"
    )]
    GroupsDenied {
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl Client {
    /// Reads AWS's configuration of this process. Credentials are got at the first call.
    pub async fn new(settings: Settings, observer: impl Observer + 'static) -> Result<Self, SettingsError> {
        let page = settings.page.clamp(5, 1000);
        let caller = Caller::new(settings, Box::new(observer)).await?;
        Ok(Self { caller, page, told_of_groups: AtomicBool::new(false), groups: Mutex::default() })
    }

    /// Lists the machines that run now, with every page of every question that it takes.
    pub async fn list(&self, query: &Query) -> Result<Listing, Error> {
        let mut found = Found::default();
        let filters = Filters::new(&query.name_tag, &query.allow);
        let tagged = Question::Instances { filters, per_page: self.page };
        self.all(&tagged, wire::instances, |instances| found.add_instances(instances)).await?;
        let denied = match self.groups(query, &mut found).await {
            Err(Error { why: Why::Denied { code, message }, .. }) => {
                // Being refused says nothing of the groups that were there.
                found.groups = self.last_groups().clone();
                Some(Warning::GroupsDenied { code, message })
            }
            other => {
                other?;
                self.last_groups().clone_from(&found.groups);
                None
            }
        };
        for batch in found.unknown_members() {
            self.by_id(batch, &mut found).await?;
        }
        let (machines, rejects) = found.machines(self.caller.region(), &query.name_tag);
        let told = self.told_of_groups.swap(denied.is_some(), Ordering::Relaxed);
        Ok(Listing { machines, rejects, warnings: denied.filter(|_| !told).into_iter().collect() })
    }

    fn last_groups(&self) -> MutexGuard<'_, Groups> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The groups that carry the tag, and the others that an instance names.
    async fn groups(&self, query: &Query, found: &mut Found) -> Result<(), Error> {
        let tagged = Question::Groups { tag: query.name_tag.clone() };
        self.all(&tagged, wire::groups, |groups| found.add_tagged(groups)).await?;
        for names in found.unknown_groups() {
            self.all(&Question::GroupsByName(names), wire::groups, |groups| found.add_others(groups)).await?;
        }
        Ok(())
    }

    /// Instances by id, without those that AWS says are gone: a group may name an instance a little longer than EC2 does.
    async fn by_id(&self, batch: Batch<IDS_AT_ONCE>, found: &mut Found) -> Result<(), Error> {
        let mut left = Some(batch);
        while let Some(batch) = left.take() {
            let question = Question::InstancesById(batch.clone());
            let asked =
                self.pages(&question, wire::instances, |instances| found.add_instances(instances)).await;
            if let Err(failed) = asked {
                let gone = failed.gone().map(|message| batch.named_in(message)).unwrap_or_default();
                if gone.is_empty() {
                    return Err(self.caller.error(&question, failed.why));
                }
                left = batch.without(&gone);
            }
        }
        Ok(())
    }

    async fn all<T>(
        &self,
        question: &Question,
        read: fn(&str) -> Result<Page<T>, WireError>,
        take: impl FnMut(Vec<T>),
    ) -> Result<(), Error> {
        let asked = self.pages(question, read, take).await;
        asked.map_err(|failed| self.caller.error(question, failed.why))
    }

    async fn pages<T>(
        &self,
        question: &Question,
        read: fn(&str) -> Result<Page<T>, WireError>,
        mut take: impl FnMut(Vec<T>),
    ) -> Result<(), Failed> {
        let mut seen = BTreeSet::new();
        let mut next: Option<String> = None;
        loop {
            let page = self.caller.ask(question, next.as_deref(), read).await?;
            take(page.items);
            let Some(token) = page.next else { return Ok(()) };
            if !seen.insert(token.clone()) {
                return Err(
                    Why::Unexpected { what: "it names a page that was read already".to_owned() }.into()
                );
            }
            next = Some(token);
        }
    }
}
