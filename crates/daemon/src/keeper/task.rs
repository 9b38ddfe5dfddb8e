//! The task of a keeper: a keeper that ended by a mistake is followed by another one, which reads the records and what HAProxy
//! shows, as after a start of Roster.

use std::future::Future;

use roster_targets::Target;
use roster_targets::runtime::Watching;

use super::{Ears, Keeper, Takeover};
use crate::supervise::{Task, stopped};

/// Makes the keepers of one target, one after the other.
pub(crate) trait Make: Send {
    /// The target.
    type Target: Target<Error: Takeover>;

    /// A keeper that has done nothing yet, or why there can be none now.
    fn make(&mut self) -> impl Future<Output = Result<Made<Self::Target>, String>> + Send;
}

/// A keeper, and what gives it signs that the target's socket was made anew.
pub(crate) struct Made<T> {
    pub keeper: Keeper<T>,
    pub watching: Option<Watching>,
}

/// Keeps one target. What it listens to stays the same from one keeper to the next.
pub(crate) struct Keeping<M> {
    pub make: M,
    pub ears: Ears,
}

impl<M: Make> Task for Keeping<M> {
    type Left = Keeper<M::Target>;

    async fn run(&mut self) -> Result<Keeper<M::Target>, String> {
        let Made { keeper, watching: _watching } = self.make.make().await?;
        let keeper = keeper.run(&mut self.ears).await;
        stopped(keeper, &self.ears.stop)
    }

    async fn pause(&mut self) {
        while self.ears.orders.recv().await.is_some() {}
        std::future::pending::<()>().await;
    }
}
