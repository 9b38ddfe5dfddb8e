//! How many reloads may be made within a time.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roster_config::native::ReloadBudget;

use crate::clock::after;

/// The reloads of the last while.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: Option<ReloadBudget>,
    made: VecDeque<Timestamp>,
    /// Whether it was told that none is left.
    pub(crate) told: bool,
}

/// No reload may be made now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Spent {
    pub count: u32,
    pub per: Duration,
    /// When one may be made again.
    pub until: Timestamp,
}

impl Budget {
    pub(crate) fn new(limit: Option<ReloadBudget>) -> Self {
        Self { limit, made: VecDeque::new(), told: false }
    }

    /// Whether one more may be made now.
    pub(crate) fn check(&mut self, now: Timestamp) -> Result<(), Spent> {
        let Some(ReloadBudget { count, per }) = self.limit else { return Ok(()) };
        let window = SignedDuration::try_from(per).unwrap_or_default();
        self.made.retain(|at| now.duration_since(*at) < window);
        let most = usize::try_from(count.get()).unwrap_or(usize::MAX);
        if let Some(first) = self.made.front().filter(|_| self.made.len() >= most) {
            let until = after(*first, per);
            return Err(Spent { count: count.get(), per, until });
        }
        self.told = false;
        Ok(())
    }

    /// One was made.
    pub(crate) fn made(&mut self, now: Timestamp) {
        self.made.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn as_many_as_allowed_and_one_more_when_the_first_is_long_enough_ago() {
        let two = ReloadBudget { count: std::num::NonZeroU32::new(2).unwrap(), per: Duration::from_secs(10) };
        let mut budget = Budget::new(Some(two));
        for second in [0, 4] {
            assert_eq!(budget.check(at(second)), Ok(()));
            budget.made(at(second));
        }
        let spent = Spent { count: 2, per: Duration::from_secs(10), until: at(10) };
        assert_eq!(budget.check(at(9)), Err(spent));
        assert_eq!(budget.check(at(10)), Ok(()));
    }

    #[test]
    fn without_a_limit_there_is_none() {
        let mut budget = Budget::new(None);
        for second in 0..1000 {
            assert_eq!(budget.check(at(second)), Ok(()));
            budget.made(at(second));
        }
    }
}
