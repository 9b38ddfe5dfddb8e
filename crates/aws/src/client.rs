//! Complete lists of machines.
//!
//! Invariants: a listing is complete or an error; the same page is never read twice; no list is read without an end;
//! dropping a listing leaves nothing behind but credentials that were got.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use roster_core::instance::{Reject, Snapshot};

use crate::call::{Caller, Failed};
use crate::error::{Error, SettingsError, Why};
use crate::known::Known;
use crate::merge::{Found, Machines};
use crate::question::{Batch, Filters, IDS_AT_ONCE, Question};
use crate::settings::{Bounds, Observer, Query, Settings};
use crate::wire::{self, Page, WireError};

/// Asks one region of one account.
pub struct Client {
    settings: Arc<Settings>,
    observer: Arc<dyn Observer>,
    /// Only ever held to be copied or replaced.
    caller: Mutex<Arc<Caller>>,
    /// The principal that was last reported to the observer.
    principal: Arc<Mutex<Option<String>>>,
    told_of_groups: AtomicBool,
}

/// Every machine that there is to the query.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The machines, by id.
    pub machines: Machines,
    /// The ids of machines that run, but of which AWS says too little: what was known of them stays.
    pub unknown: Vec<String>,
    /// Machines that cannot be used.
    pub rejects: Vec<Reject>,
    /// What is amiss and does not make the list wrong. Each is reported once, until it is well again.
    pub warnings: Vec<Warning>,
}

/// Something that an operator should know.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Warning {
    /// The identity may not read groups.
    #[error(
        "Auto Scaling groups may not be read ({code}: {message}), so machines are found by their own tags, and what groups said \
         before stays; a machine that its group ends is not drained; allow autoscaling:DescribeAutoScalingGroups in the \
         identity's policy"
    )]
    GroupsDenied {
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
}

/// What one listing has used up.
#[derive(Debug, Default)]
struct Spent {
    bytes: usize,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("caller", &self.caller()).finish_non_exhaustive()
    }
}

impl Client {
    /// Reads AWS's configuration of this process. Credentials are got at the first call.
    pub async fn new(settings: Settings, observer: impl Observer + 'static) -> Result<Self, SettingsError> {
        let (settings, observer): (_, Arc<dyn Observer>) = (Arc::new(settings), Arc::new(observer));
        let principal = Arc::default();
        let caller = Caller::new(&settings, Arc::clone(&observer), Arc::clone(&principal)).await?;
        let caller = Mutex::new(Arc::new(caller));
        Ok(Self { settings, observer, caller, principal, told_of_groups: AtomicBool::new(false) })
    }

    /// Reads AWS's configuration again, if a file has changed that it was read from. After an error what was read before stays.
    pub async fn refresh(&self) -> Result<(), SettingsError> {
        if !self.caller().is_old() {
            return Ok(());
        }
        let caller =
            Caller::new(&self.settings, Arc::clone(&self.observer), Arc::clone(&self.principal)).await?;
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(caller);
        Ok(())
    }

    /// Lists the machines that run now, with every page of every question that it takes. `known` is what was known before.
    pub async fn list(&self, query: &Query, known: Option<&Snapshot>) -> Result<Listing, Error> {
        let caller = self.caller();
        let bounds = self.settings.bounds;
        let lister = Lister { caller: &caller, bounds, page: self.settings.page.clamp(5, 1000), query };
        let listing = tokio::time::timeout(bounds.time, lister.list(known)).await.unwrap_or_else(|_| {
            let what = format!("no end after {} s", bounds.time.as_secs_f64());
            Err(caller.error(&lister.tagged(), Why::TooLong { what }))
        });
        let mut listing = listing?;
        let denied = !listing.warnings.is_empty();
        if self.told_of_groups.swap(denied, Ordering::Relaxed) {
            listing.warnings.clear();
        }
        Ok(listing)
    }

    fn caller(&self) -> Arc<Caller> {
        Arc::clone(&self.caller.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One listing.
struct Lister<'a> {
    caller: &'a Caller,
    bounds: Bounds,
    page: u16,
    query: &'a Query,
}

impl Lister<'_> {
    async fn list(&self, known: Option<&Snapshot>) -> Result<Listing, Error> {
        let known = Known::of(known);
        let (mut found, mut spent) = (Found::default(), Spent::default());
        self.all(&self.tagged(), &mut spent, |text| self.instances(text), |all| found.add_instances(all))
            .await?;
        let warnings = match self.groups(&mut found, &mut spent).await {
            Ok(()) => Vec::new(),
            Err(error) => match *error.why {
                // Being refused says nothing of the groups that are there.
                Why::Denied { code, message } => {
                    found.groups = None;
                    vec![Warning::GroupsDenied { code, message }]
                }
                why => return Err(Error { why: Box::new(why), ..error }),
            },
        };
        for batch in found.to_ask(&known) {
            self.by_id(batch, &mut found, &mut spent).await?;
        }
        let (machines, unknown, rejects) = found.machines(self.caller.region(), self.query, &known);
        Ok(Listing { machines, unknown, rejects, warnings })
    }

    /// The question for the instances that run and carry the tag.
    fn tagged(&self) -> Question {
        let filters = Filters::new(&self.query.rules.name, &self.query.rules.allow, &self.query.filters);
        Question::Instances { filters, per_page: self.page }
    }

    fn instances(&self, text: &str) -> Result<Page<wire::Ec2Instance>, WireError> {
        wire::instances(text, self.query)
    }

    /// The groups that carry the tag, and the others that an instance names.
    async fn groups(&self, found: &mut Found, spent: &mut Spent) -> Result<(), Error> {
        let read = |text: &str| wire::groups(text, self.query);
        let tagged = Question::Groups { tag: self.query.rules.name.clone() };
        self.all(&tagged, spent, read, |groups| found.add_tagged(groups)).await?;
        for names in found.unknown_groups() {
            self.all(&Question::GroupsByName(names), spent, read, |groups| found.add_others(groups)).await?;
        }
        Ok(())
    }

    /// Instances by id, without those that AWS says are gone: a group may name an instance a little longer than EC2 does.
    async fn by_id(
        &self,
        batch: Batch<IDS_AT_ONCE>,
        found: &mut Found,
        spent: &mut Spent,
    ) -> Result<(), Error> {
        let mut left = Some(batch);
        while let Some(batch) = left.take() {
            let filters = Filters::given(&self.query.filters);
            let question = Question::InstancesById { ids: batch.clone(), filters };
            let read = |text: &str| self.instances(text);
            let asked = self.pages(&question, spent, read, |all| found.add_instances(all)).await;
            if let Err(failed) = asked {
                let gone = failed.gone().map(|message| batch.named_in(message)).unwrap_or_default();
                if gone.is_empty() {
                    return Err(self.caller.error(&question, failed.why));
                }
                left = batch.without(&gone);
                found.add_missing(gone);
            }
        }
        Ok(())
    }

    async fn all<T>(
        &self,
        question: &Question,
        spent: &mut Spent,
        read: impl Fn(&str) -> Result<Page<T>, WireError>,
        take: impl FnMut(Vec<T>),
    ) -> Result<(), Error> {
        let asked = self.pages(question, spent, read, take).await;
        asked.map_err(|failed| self.caller.error(question, failed.why))
    }

    async fn pages<T>(
        &self,
        question: &Question,
        spent: &mut Spent,
        read: impl Fn(&str) -> Result<Page<T>, WireError>,
        mut take: impl FnMut(Vec<T>),
    ) -> Result<(), Failed> {
        let mut seen = BTreeSet::new();
        let mut next: Option<String> = None;
        for _ in 0..self.bounds.pages {
            let (page, bytes) = self.caller.ask(question, next.as_deref(), &read).await?;
            spent.bytes = spent.bytes.saturating_add(bytes);
            if spent.bytes > self.bounds.bytes {
                return Err(Why::TooLong { what: format!("more than {} bytes", self.bounds.bytes) }.into());
            }
            take(page.items);
            let Some(token) = page.next else { return Ok(()) };
            if !seen.insert(token.clone()) {
                return Err(
                    Why::Unexpected { what: "it names a page that was read already".to_owned() }.into()
                );
            }
            next = Some(token);
        }
        Err(Why::TooLong { what: format!("no end after {} pages", self.bounds.pages) }.into())
    }
}
