//! What a running keeper is asked to do by an operator, between two passes.

mod compact;

pub(crate) use compact::how_alone;
use roster_haproxy::name::BackendName;
use roster_targets::Target;
use tokio::sync::oneshot;

use super::{Keeper, Owner, Takeover, TargetStatus};
use crate::clock;
use crate::compaction::CompactedTarget;
use crate::events::{Event, Ordered, StateTrouble, chain};
use crate::orders::{Done, Refused, Want};
use crate::planned::PlannedTarget;

/// Something to do, and where to say what came of it. Whoever no longer waits for that has called it off.
#[derive(Debug)]
pub(crate) enum Order {
    /// Release or adopt.
    Do(Want, oneshot::Sender<Result<Done, Refused>>),
    /// Say how everything is doing, by a look made now that changes nothing.
    Look(oneshot::Sender<TargetStatus>),
    /// Look at everything anew, HAProxy's routes, certificates and file too, as after a start.
    LookAnew,
    /// Say what would be done now.
    Plan(oneshot::Sender<PlannedTarget>),
    /// Say what of a backend's slots, or of all, could go; or have it go.
    Compact { only: Option<BackendName>, apply: bool, reply: oneshot::Sender<CompactedTarget> },
}

impl<T: Target> Keeper<T>
where
    T::Error: Takeover,
{
    pub(super) async fn obey(&mut self, order: Order) {
        match order {
            Order::Do(want, reply) if !reply.is_closed() => {
                if self.agenda.items.contains_key(want.backend()) {
                    // What somebody did by hand a moment ago has to be seen before it can be taken back.
                    self.pass(&[want.backend().clone()].into()).await;
                }
                if !reply.is_closed() {
                    reply.send(self.carry_out(&want)).ok();
                }
            }
            Order::Plan(reply) if !reply.is_closed() => {
                reply.send(self.planned().await).ok();
            }
            Order::Compact { only, apply, reply } if !reply.is_closed() => {
                reply.send(self.compact(only.as_ref(), apply).await).ok();
            }
            Order::Look(reply) if !reply.is_closed() => {
                reply.send(self.looked().await).ok();
            }
            Order::LookAnew => {
                self.schedule.hurry(clock::now());
                self.schedule.add(self.agenda.items.keys());
                if let Some(own) = &mut self.own {
                    own.look_anew(clock::now());
                }
            }
            Order::Do(..) | Order::Look(_) | Order::Plan(_) | Order::Compact { .. } => {}
        }
    }

    fn carry_out(&mut self, want: &Want) -> Result<Done, Refused> {
        let backend = want.backend();
        let done = want.carry_out(&self.name, &mut self.applied)?;
        if let Some(record) = self.applied.backends.get(backend)
            && let Err(error) = self.store.keep_backend(&self.name, backend, record)
        {
            StateTrouble { error: &error }.emit(&self.reporter);
        }
        self.schedule.add([backend]);
        self.is_outdated = true;
        Ordered { target: &self.name, done: &done }.emit(&self.reporter);
        Ok(done)
    }

    /// The status as it was left, with what HAProxy shows now. One that did not answer lately is not waited for.
    async fn looked(&mut self) -> TargetStatus {
        let mut status = self.status.borrow().clone();
        if self.schedule.is_troubled() {
            return status;
        }
        let backends = self.agenda.items.keys().cloned().collect();
        match self.bench().look(&backends).await {
            Ok(passed) => status.show(&self.agenda, &passed, clock::now()),
            Err(error) => status.trouble = Some(chain(&error)),
        }
        for (place, unreached) in self.probes.unreached() {
            status.unreached(place, unreached);
        }
        status
    }

    async fn planned(&mut self) -> PlannedTarget {
        let backends = self.agenda.items.keys().map(BackendName::clone).collect();
        match self.bench().look(&backends).await {
            Ok(mut passed) => {
                if matches!(self.own, Some(Owner::Managed(_))) {
                    // What a reload brings is not missing.
                    passed.missing.clear();
                }
                let own = self.own.as_ref().map(|own| own.planned(&self.agenda, clock::now()));
                let own = own.unwrap_or_default();
                PlannedTarget::new(&self.name, &self.agenda, &passed, &own, |operation| {
                    self.target.lines(operation)
                })
            }
            Err(error) => PlannedTarget::failed(&self.name, chain(&error)),
        }
    }
}
