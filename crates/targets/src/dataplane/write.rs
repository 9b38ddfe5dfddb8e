//! One write of a pass, live.

use std::collections::BTreeSet;

use roster_core::plan::{Change, Operation};
use roster_haproxy::cli::Refusal;
use roster_haproxy::dataplane::{
    Left, LiveWrite, PassContext, PassWrite, Post, Posts, ReloadReason, ReloadWrite, Why as WhyLeft,
    Write as Planned, process, server_object, write as plan,
};
use roster_haproxy::name::BackendName;
use roster_haproxy::observed::Observed;
use roster_haproxy::version::Version;

use super::client::{
    ApiVersion, Client, ClientError, ConfigVersion, Outcome, RawConfig, Reload, Server, Write,
};
use super::ready;
use super::sift::{Sifted, pick, sift};
use crate::Refused;

/// What became of the operations of a pass.
#[derive(Debug, Default)]
pub(super) struct Wrote {
    pub commands: usize,
    pub refused: Vec<Refused>,
    pub left: BTreeSet<usize>,
    /// Whether another process is about to serve.
    pub reloaded: bool,
    /// The file as it is then, where the API told.
    pub file: Option<RawConfig>,
}

/// What a pass writes to, as it was read.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub client: &'a Client,
    pub raw: &'a RawConfig,
    pub observed: &'a Observed,
    pub version: Version,
}

pub(super) fn refused(operation: usize, why: String) -> Refused {
    Refused { operation, refusal: Refusal::NotTried(why) }
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

impl Pass<'_> {
    /// Carries the operations out, in as few writes as possible.
    pub(super) async fn write(&self, operations: &[Operation]) -> Result<Wrote, ClientError> {
        if ready::is_all(operations) {
            return ready::make(self.client, operations).await;
        }
        let process = process(self.observed);
        let context = PassContext {
            version: self.version,
            process: &process,
            edits: &[],
            posts: self.posts().await?,
            ready_with_address: PassContext::settles(self.version),
        };
        let sifted = sift(&self.raw.text, operations, &context);
        let held = held(operations, &sifted);
        let (held, now): (Vec<usize>, Vec<usize>) =
            sifted.good.into_iter().partition(|place| held.contains(place));
        let chosen = pick(operations, &now);
        let planned = if held.is_empty() { sifted.planned } else { plan(&self.raw.text, &chosen, &context) };
        let mut wrote = self.write_planned(planned, &chosen, &context).await?;
        wrote.place(&now);
        wrote.left.extend(held);
        wrote.refused.extend(sifted.bad.into_iter().map(|(operation, why)| refused(operation, why)));
        Ok(wrote)
    }

    /// Whether servers can be added live.
    async fn posts(&self) -> Result<Posts, ClientError> {
        let adds = self.client.api().await? == ApiVersion::V3;
        Ok(if adds { Posts::Unchecked } else { Posts::No })
    }

    async fn write_planned(
        &self,
        planned: PassWrite,
        operations: &[Operation],
        context: &PassContext<'_>,
    ) -> Result<Wrote, ClientError> {
        let PassWrite { write, posts, left, .. } = planned;
        let (mut wrote, mut at) = (Wrote::default(), self.raw.version);
        for left in left {
            wrote.leave(left);
        }
        match write {
            None => {}
            Some(Planned::Live(live)) => {
                wrote.commands = live.actions().len();
                let file = self.send(&live).await?;
                at = file.version;
                wrote.file = Some(file);
            }
            Some(Planned::Reload(reload)) => {
                if let Some(first) = half(&reload, operations.len()) {
                    // What is too much for one call comes in several; the rest is found undone by the next look.
                    let (now, _) = operations.split_at(first);
                    let planned = plan(&self.raw.text, now, context);
                    let mut part = Box::pin(self.write_planned(planned, now, context)).await?;
                    part.left.extend(first..operations.len());
                    return Ok(part);
                }
                wrote.refuse_all(&reload, operations.len());
            }
        }
        for post in posts {
            let Some(added) = add(self.client, &post, self.version, at).await? else { continue };
            at = added.version;
            wrote.commands += 1;
            wrote.file = None;
            // The API could not add it live, and reloads HAProxy.
            wrote.reloaded |= added.reload != Reload::None;
        }
        Ok(wrote)
    }

    /// Answers the file that it made.
    async fn send(&self, live: &LiveWrite) -> Result<RawConfig, ClientError> {
        let header = live.header().unwrap_or_default();
        let written = self.client.write_live(live.text().to_owned(), self.raw.version, &header).await?;
        Ok(written.config)
    }
}

/// The operations that take servers out of backends to which others are only about to come: who goes waits until who comes
/// is there, or nobody would serve in between.
fn held(operations: &[Operation], sifted: &Sifted) -> BTreeSet<usize> {
    let good = &sifted.good;
    let waits = sifted.planned.left.iter().filter(|left| matches!(left.why, WhyLeft::Waits(_)));
    let coming: BTreeSet<&BackendName> = waits
        .filter_map(|left| operations.get(*good.get(left.operation)?))
        .map(|operation| &operation.backend)
        .collect();
    let is_held = |place: &usize| {
        operations.get(*place).is_some_and(|one| one.is_going() && coming.contains(&one.backend))
    };
    good.iter().copied().filter(is_held).collect()
}

/// How many operations to try instead, where only their number is in the way.
fn half(reload: &ReloadWrite, operations: usize) -> Option<usize> {
    let too_many = |reason: &ReloadReason| matches!(reason, ReloadReason::TooManyActions { .. });
    (operations > 1 && reload.reasons().iter().all(too_many)).then_some(operations / 2)
}

/// Adds a server to the file and to the process, in maintenance.
async fn add(
    client: &Client,
    post: &Post,
    version: Version,
    at: ConfigVersion,
) -> Result<Option<Outcome>, ClientError> {
    // A server's object always has its name.
    let Ok(server) = Server::try_from(server_object(&post.server, version)) else { return Ok(None) };
    client.add_server(post.backend.as_str(), &server, Write::At(at)).await.map(Some)
}

impl Wrote {
    fn leave(&mut self, left: Left) {
        let Left { operation, why } = left;
        match why {
            WhyLeft::Waits(_) => _ = self.left.insert(operation),
            why => self.refused.push(refused(operation, why.to_string())),
        }
    }

    fn refuse_all(&mut self, reload: &ReloadWrite, operations: usize) {
        let reasons: Vec<String> = reload.reasons().iter().map(ToString::to_string).collect();
        let why = format!("only a reload brings it: {}", reasons.join("; "));
        let places = (0..operations).filter(|place| !self.left.contains(place));
        self.refused = places.map(|operation| refused(operation, why.clone())).collect();
    }

    /// Puts the places of a choice of operations back to those among all of them.
    fn place(&mut self, chosen: &[usize]) {
        let among_all = |place: usize| chosen.get(place).copied();
        self.left = self.left.iter().copied().filter_map(among_all).collect();
        self.refused.retain_mut(|one| {
            among_all(one.operation).is_some_and(|place| {
                one.operation = place;
                true
            })
        });
    }
}
