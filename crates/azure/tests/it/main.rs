//! The client against a stand-in for ARM, and beside Azure's own clients.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test is built of fails as the test does"
)]

mod credentials;
mod default;
mod judge;
mod listing;
mod outbound;
mod parts;
mod trouble;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use roster_azure::{
    Client, Cloud, CredentialKind, Environment, Listing, Memory, Observe, ResourceGroup, Settings,
    Subscription,
};
use roster_testkit::{ArmStandIn, OrFail};

const TAGS: [(&str, &str); 2] = [("HAProxy:Service:Name", "web"), ("HAProxy:Service:Port", "80")];

/// Remembers the calls that it was told of.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<(&'static str, String)>>);

impl Observe for Told {
    fn on_call(&self, api: &'static str, code: &str, _took: Duration) {
        self.0.lock().unwrap().push((api, code.to_owned()));
    }
}

impl Told {
    fn calls(&self) -> Vec<(&'static str, String)> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, api: &str) -> usize {
        self.calls().iter().filter(|(known, _)| *known == api).count()
    }
}

/// The variables of the stand-in's service principal.
fn principal(arm: &ArmStandIn) -> Environment {
    arm.world(|world| Environment {
        tenant: Some(world.tenant.clone()),
        client: Some(world.client.clone()),
        secret: Some(world.secret.clone().into()),
        ..Environment::default()
    })
}

fn settings(arm: &ArmStandIn, told: &Arc<Told>) -> Settings {
    let cloud = Cloud::at(arm.url(), Some("https://management.azure.com")).or_fail();
    let cloud = cloud.with_authority(arm.url()).or_fail();
    let subscription = Subscription::new(&arm.world(|world| world.subscription.clone())).or_fail();
    let observer = Arc::clone(told) as Arc<dyn Observe>;
    Settings {
        credential: CredentialKind::Environment,
        environment: principal(arm),
        timeout: Duration::from_secs(20),
        ..Settings::new(subscription, cloud, observer)
    }
}

fn client(arm: &ArmStandIn) -> Client {
    Client::new(settings(arm, &Arc::default())).or_fail()
}

fn groups(names: &[&str]) -> Vec<ResourceGroup> {
    names.iter().map(|name| ResourceGroup::new(name).or_fail()).collect()
}

/// A listing of a client that remembers none before.
async fn anew(client: &Client) -> Listing {
    client.list(&Memory::default()).await.or_fail()
}

/// The names of the machines that stay because they were listed before.
fn kept(listing: &Listing) -> Vec<&str> {
    let kept = listing.unknown.iter().filter(|one| one.known);
    let mut kept: Vec<&str> = kept.map(|one| one.resource.rsplit('/').next().unwrap_or_default()).collect();
    kept.sort_unstable();
    kept
}

fn names(listing: &Listing) -> Vec<&str> {
    let mut names: Vec<&str> = listing.machines.iter().map(|machine| machine.name.as_str()).collect();
    names.sort_unstable();
    names
}
