//! One write of a pass: live, or by a transaction.

use std::collections::{BTreeMap, BTreeSet};

use roster_core::dataplane::{
    FileView, Left, LiveWrite, PassContext, PassWrite, Post, Posts, ReloadReason, ReloadWrite,
    Why as WhyLeft, Write as Planned, process, server_object, write as plan,
};
use roster_core::haproxy::{Refusal, Version};
use roster_core::name::{BackendName, ServerName};
use roster_core::observed::Observed;
use roster_core::plan::{Change, Operation};
use roster_core::weight::Weight;

use super::client::{ApiVersion, Client, ClientError, ConfigVersion, RawConfig, Server, Transaction, Write};
use super::target::Way;
use crate::Refused;

/// What became of the operations of a pass.
#[derive(Debug, Default)]
pub(super) struct Wrote {
    pub commands: usize,
    pub refused: Vec<Refused>,
    pub left: BTreeSet<usize>,
}

/// The call that operations come to, for one who wants to see it.
pub(super) fn lines(operation: &Operation) -> Vec<String> {
    let Operation { backend, server, change, .. } = operation;
    vec![match change {
        Change::Address(to) => format!("SetServerAddr {backend} {server} {} {}", to.ip, to.port),
        Change::Weight(to) => format!("SetServerWeight {backend} {server} {to}"),
        Change::InitialWeight => format!("SetServerWeight {backend} {server} 100%"),
        Change::State(to) => format!("SetServerState {backend} {server} {to}"),
        other => format!("{other} (no call of the Data Plane API)"),
    }]
}

/// Carries the operations out, in as few writes as possible.
pub(super) async fn write(
    client: &Client,
    way: Way,
    raw: &RawConfig,
    observed: &Observed,
    version: Version,
    operations: &[Operation],
) -> Result<Wrote, ClientError> {
    let process = process(observed);
    let by_restart = way == Way::Transaction;
    let context = PassContext {
        version,
        process: &process,
        edits: &[],
        posts: if way == Way::Live && client.api().await? == ApiVersion::V3 {
            Posts::Unchecked
        } else {
            Posts::No
        },
        ready_with_address: by_restart || PassContext::settles(version),
    };
    let PassWrite { write, posts, left, .. } = plan(&raw.text, operations, &context);
    let (mut wrote, mut at) = (Wrote::default(), raw.version);
    for left in left {
        wrote.leave(left);
    }
    match (write, way) {
        (None, _) => {}
        (Some(planned), Way::Transaction) => {
            wrote.commands = transact(client, raw, planned.text(), operations).await?;
        }
        (Some(Planned::Live(live)), Way::Live) => {
            wrote.commands = live.actions().len();
            at = send(client, raw, &live).await?;
        }
        (Some(Planned::Reload(reload)), Way::Live) => {
            if let Some(first) = half(&reload, operations.len()) {
                // What is too much for one call comes in several; the rest is found undone by the next look.
                let (now, _) = operations.split_at(first);
                let mut part = Box::pin(write_part(client, raw, observed, version, now)).await?;
                part.left.extend(first..operations.len());
                return Ok(part);
            }
            wrote.refuse_all(&reload, operations.len());
        }
    }
    for post in posts {
        at = add(client, &post, version, at).await?;
        wrote.commands += 1;
    }
    Ok(wrote)
}

async fn write_part(
    client: &Client,
    raw: &RawConfig,
    observed: &Observed,
    version: Version,
    operations: &[Operation],
) -> Result<Wrote, ClientError> {
    write(client, Way::Live, raw, observed, version, operations).await
}

/// How many operations to try instead, where only their number is in the way.
fn half(reload: &ReloadWrite, operations: usize) -> Option<usize> {
    let too_many = |reason: &ReloadReason| matches!(reason, ReloadReason::TooManyActions { .. });
    (operations > 1 && reload.reasons().iter().all(too_many)).then_some(operations / 2)
}

/// Answers the version that it made.
async fn send(client: &Client, raw: &RawConfig, live: &LiveWrite) -> Result<ConfigVersion, ClientError> {
    let header = live.header().unwrap_or_default();
    let written = client.write_live(live.text().to_owned(), raw.version, &header).await?;
    Ok(written.config.version)
}

/// Adds a server to the file and to the process, in maintenance. Answers the version that it made.
async fn add(
    client: &Client,
    post: &Post,
    version: Version,
    at: ConfigVersion,
) -> Result<ConfigVersion, ClientError> {
    // A server's object always has its name.
    let Ok(server) = Server::try_from(server_object(&post.server, version)) else { return Ok(at) };
    Ok(client.add_server(post.backend.as_str(), &server, Write::At(at)).await?.version)
}

impl Wrote {
    fn leave(&mut self, left: Left) {
        let Left { operation, why } = left;
        match why {
            WhyLeft::Waits(_) => _ = self.left.insert(operation),
            why => self.refused.push(Refused { operation, refusal: Refusal::NotTried(why.to_string()) }),
        }
    }

    fn refuse_all(&mut self, reload: &ReloadWrite, operations: usize) {
        let reasons: Vec<String> = reload.reasons().iter().map(ToString::to_string).collect();
        let why = format!("only a reload brings it: {}", reasons.join("; "));
        let refused = (0..operations).filter(|place| !self.left.contains(place));
        self.refused =
            refused.map(|operation| Refused { operation, refusal: Refusal::NotTried(why.clone()) }).collect();
    }
}

/// What a server's line is to say.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Said {
    address: String,
    port: Option<u16>,
    weight: Option<Weight>,
    disabled: bool,
}

/// The servers that two texts say differently.
fn differences(
    before: &str,
    after: &str,
    operations: &[Operation],
) -> BTreeMap<(BackendName, ServerName), Said> {
    let (old, new) = (FileView::read(before), FileView::read(after));
    let said = |view: &FileView<'_>, backend: &BackendName, server: &ServerName| -> Option<Said> {
        let line = view.backend(backend.as_str())?.server(server.as_str())?;
        let endpoint = line.endpoint;
        Some(Said {
            address: endpoint.map_or_else(|| line.address.to_string(), |at| at.ip.to_string()),
            port: endpoint.map(|at| at.port.get()),
            weight: line.weight,
            disabled: line.disabled,
        })
    };
    let touched: BTreeSet<(&BackendName, &ServerName)> =
        operations.iter().map(|operation| (&operation.backend, &operation.server)).collect();
    let differing = touched.into_iter().filter_map(|(backend, server)| {
        let now = said(&new, backend, server)?;
        (said(&old, backend, server).as_ref() != Some(&now)).then(|| ((backend.clone(), server.clone()), now))
    });
    differing.collect()
}

/// Writes the servers one by one within a transaction, and has HAProxy reloaded.
async fn transact(
    client: &Client,
    raw: &RawConfig,
    text: &str,
    operations: &[Operation],
) -> Result<usize, ClientError> {
    let servers = differences(&raw.text, text, operations);
    if servers.is_empty() {
        return Ok(0);
    }
    let transaction = client.begin(raw.version).await?;
    match put_all(client, &transaction, &servers).await {
        Ok(()) => {
            transaction.commit(true).await?;
            Ok(servers.len())
        }
        Err(error) => {
            // Whatever cannot be deleted now is deleted before the next one begins.
            transaction.abandon().await.ok();
            Err(error)
        }
    }
}

async fn put_all(
    client: &Client,
    transaction: &Transaction,
    servers: &BTreeMap<(BackendName, ServerName), Said>,
) -> Result<(), ClientError> {
    for ((backend, name), said) in servers {
        let mut server = client.server(backend.as_str(), name.as_str(), transaction.view()).await?.value;
        server.set_address(&said.address).set_maintenance(said.disabled);
        if let Some(port) = said.port {
            server.set_port(port);
        }
        if let Some(weight) = said.weight {
            server.set_weight(weight.get());
        }
        client.replace_server(backend.as_str(), name.as_str(), &server, transaction.write()).await?;
    }
    Ok(())
}
