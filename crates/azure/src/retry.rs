//! How long to wait before a call is made again, and when not to. Pure: randomness comes in as a number.

use std::time::Duration;

/// The wait before the second attempt when the server names none.
const FIRST: Duration = Duration::from_millis(500);
/// How much is added by chance at most, so that many clients do not come back at once.
const SPREAD: Duration = Duration::from_secs(1);

/// How often a call is made within one listing, and how long it may wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patience {
    /// Attempts of one call, the first included.
    pub attempts: u32,
    /// The longest single wait. When the server asks for more, the listing fails and says how long to wait.
    pub longest: Duration,
    /// All waits of one listing together.
    pub in_all: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 4, longest: Duration::from_secs(30), in_all: Duration::from_secs(60) }
    }
}

impl Patience {
    /// How long to wait after this many attempts, or none to give up. Never less than the server asked for.
    ///
    /// `chance` is from 0 to 255.
    pub(crate) fn wait(
        &self,
        attempts: u32,
        asked: Option<Duration>,
        waited: Duration,
        chance: u8,
    ) -> Option<Duration> {
        if attempts >= self.attempts {
            return None;
        }
        let base = asked.unwrap_or_else(|| FIRST * 2_u32.saturating_pow(attempts.saturating_sub(1).min(10)));
        if base > self.longest {
            return None;
        }
        let wait = base + (base / 2).min(SPREAD) * u32::from(chance) / 255;
        (waited + wait <= self.in_all).then_some(wait)
    }
}

/// `Retry-After` in seconds, as ARM sends it. A date is not understood and counts as none.
pub(crate) fn retry_after(header: &str) -> Option<Duration> {
    header.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_longer_wait_than_may_be_is_not_begun() {
        let patience = Patience::default();
        assert_eq!(patience.wait(1, Some(SECOND * 1200), Duration::ZERO, 0), None);
        assert_eq!(patience.wait(1, Some(SECOND * 20), SECOND * 50, 0), None, "all waits together");
        assert_eq!(patience.wait(4, Some(SECOND), Duration::ZERO, 0), None, "attempts");
    }

    #[test]
    fn without_a_word_of_the_server_each_wait_is_twice_the_one_before() {
        let waits =
            [1, 2, 3].map(|n| Patience::default().wait(n, None, Duration::ZERO, 0).unwrap().as_millis());
        assert_eq!(waits, [500, 1000, 2000]);
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        assert_eq!(retry_after(" 17 "), Some(SECOND * 17));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT"), None);
    }

    proptest! {
        #[test]
        fn no_wait_is_shorter_than_asked_or_longer_than_allowed(
            attempts in 1_u32..6, asked in proptest::option::of(0_u64..100), waited in 0_u64..80, chance in any::<u8>()
        ) {
            let patience = Patience::default();
            let asked = asked.map(Duration::from_secs);
            let waited = Duration::from_secs(waited);
            if let Some(wait) = patience.wait(attempts, asked, waited, chance) {
                prop_assert!(wait >= asked.unwrap_or_default());
                prop_assert!(wait <= patience.longest + SPREAD && waited + wait <= patience.in_all);
            }
        }
    }
}
