//! What the tests share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roster_aws::{
    Call, CallEnd, Client, Credentials, Environment, Listing, Observer, Patience, Query, Region, Settings,
};
use roster_core::fleet::{Machine, TagRules};

pub(crate) const TAG: &str = "HAProxy:Service:Name";
pub(crate) const REGION: &str = "us-east-2";

/// Remembers every call.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Call>>>, Arc<Mutex<Vec<String>>>);

impl Observer for Calls {
    fn on_call(&self, call: Call) {
        self.0.lock().unwrap().push(call);
    }

    fn on_principal(&self, principal: &str) {
        self.1.lock().unwrap().push(principal.to_owned());
    }
}

impl Calls {
    /// How often each call ended how, such as `DescribeInstances 200`; forgets them.
    pub(crate) fn take(&self) -> BTreeMap<String, usize> {
        let calls = std::mem::take(&mut *self.0.lock().unwrap());
        calls.iter().fold(BTreeMap::new(), |mut counted, call| {
            *counted.entry(format!("{} {}", call.api, call.end)).or_default() += 1;
            counted
        })
    }

    /// The identity that asked, once for each change.
    pub(crate) fn principals(&self) -> Vec<String> {
        self.1.lock().unwrap().clone()
    }

    pub(crate) fn ends(&self) -> Vec<CallEnd> {
        self.0.lock().unwrap().iter().map(|call| call.end).collect()
    }
}

/// So many of each call.
pub(crate) fn counts(all: &[(&str, usize)]) -> BTreeMap<String, usize> {
    all.iter().map(|&(call, count)| (call.to_owned(), count)).collect()
}

/// Settings for a server of the test's own, with little patience.
pub(crate) fn settings(endpoint: &str) -> Settings {
    Settings {
        credentials: keys("AKIATEST", "wJalrXUtnFEMISECRET"),
        endpoint: Some(endpoint.parse().unwrap()),
        patience: Patience {
            attempts: 3,
            first: Duration::from_millis(20),
            longest: Duration::from_millis(1500),
        },
        ..Settings::new(Region::new(REGION).unwrap())
    }
}

pub(crate) fn keys(id: &str, secret: &str) -> Credentials {
    Credentials::Keys { id: id.to_owned(), secret: secret.to_owned().into(), session: None }
}

pub(crate) async fn client(settings: Settings) -> (Client, Calls) {
    let calls = Calls::default();
    (Client::new(settings, calls.clone()).await.unwrap(), calls)
}

pub(crate) fn query() -> Query {
    Query { rules: TagRules { name: TAG.to_owned(), ..TagRules::default() }, ..Query::default() }
}

/// By another tag for the service's name.
pub(crate) fn by_tag(name: &str) -> Query {
    Query { rules: TagRules { name: name.to_owned(), ..TagRules::default() }, ..Query::default() }
}

/// The machines of a listing.
pub(crate) fn machines(listing: &Listing) -> Vec<Machine> {
    listing.machines.clone().into_iter().collect()
}

/// The environment of this process.
pub(crate) fn environment() -> Environment {
    Environment::read(|name| std::env::var_os(name))
}
