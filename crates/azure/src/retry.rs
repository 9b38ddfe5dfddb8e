//! How long to wait before a call is made again, and when not to. Pure: randomness comes in as a number.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

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

/// How long a server wants to be left alone, by its headers: those in milliseconds, as azure-core reads them, else
/// `Retry-After` in seconds or as a time, which is compared with the answer's own `Date`.
pub(crate) fn retry_after<'h>(header: impl Fn(&str) -> Option<&'h str>) -> Option<Duration> {
    let number = |name: &str| header(name)?.trim().parse().ok();
    let millis =
        number("retry-after-ms").or_else(|| number("x-ms-retry-after-ms")).map(Duration::from_millis);
    millis.or_else(|| number("retry-after").map(Duration::from_secs)).or_else(|| {
        let [until, now] = ["retry-after", "date"].map(|name| header(name).and_then(time));
        Some(Duration::try_from(until?.duration_since(now?)).unwrap_or_default())
    })
}

/// A time as HTTP writes it.
fn time(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
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

    fn asked(headers: &[(&str, &'static str)]) -> Option<Duration> {
        retry_after(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
    }

    #[test]
    fn a_wait_is_read_in_seconds_in_milliseconds_and_as_a_time() {
        assert_eq!(asked(&[("retry-after", " 17 ")]), Some(SECOND * 17));
        let millis = Duration::from_millis(1500);
        assert_eq!(asked(&[("retry-after-ms", "1500"), ("retry-after", "2")]), Some(millis));
        assert_eq!(asked(&[("x-ms-retry-after-ms", "1500")]), Some(millis));
        let date = ("date", "Fri, 31 Dec 1999 23:59:29 GMT");
        assert_eq!(asked(&[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT"), date]), Some(SECOND * 30));
        assert_eq!(asked(&[("retry-after", "Fri, 31 Dec 1999 23:59:09 GMT"), date]), Some(Duration::ZERO));
        for odd in ["soon", "-3", "", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(asked(&[("retry-after", odd)]), None, "{odd}");
        }
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
