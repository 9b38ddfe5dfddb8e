//! Credentials that were given, for as long as they are good.

use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;

/// Renewed this long before their end.
const EARLY: Duration = Duration::from_secs(300);
/// Looked up again after this long if they name no end: a file may have been changed.
const KEPT: Duration = Duration::from_secs(900);

/// Credentials, and until when they are good by the time inside the process: the machine's clock may jump meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    credentials: Credentials,
    renew: Instant,
    ends: Option<Instant>,
}

impl Kept {
    /// Credentials that were given now, when the machine's clock shows this.
    pub(super) fn new(credentials: Credentials, wall: SystemTime, now: Instant) -> Self {
        let life = credentials.expiry().map(|end| end.duration_since(wall).unwrap_or_default());
        let ends = life.and_then(|life| now.checked_add(life));
        let renew = match ends {
            Some(end) => end.checked_sub(EARLY).map_or(now, |renew| renew.max(now)),
            None => now + KEPT,
        };
        Self { credentials, renew, ends }
    }

    /// The credentials, unless it is time to renew them.
    pub(super) fn fresh(&self, now: Instant) -> Option<&Credentials> {
        (now < self.renew).then_some(&self.credentials)
    }

    /// The credentials, unless they have ended.
    pub(super) fn alive(&self, now: Instant) -> Option<&Credentials> {
        self.ends.is_none_or(|end| now < end).then_some(&self.credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(life: Option<Duration>, now: Instant) -> Kept {
        let wall = SystemTime::UNIX_EPOCH;
        Kept::new(Credentials::new("id", "hush", None, life.map(|life| wall + life), "test"), wall, now)
    }

    #[test]
    fn credentials_are_renewed_by_how_long_they_live_whatever_the_clock_shows_later() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let kept = given(Some(Duration::from_secs(3600)), now);
        assert!(kept.fresh(at(3299)).is_some() && kept.fresh(at(3300)).is_none());
        assert!(kept.alive(at(3599)).is_some() && kept.alive(at(3600)).is_none());
        let short = given(Some(Duration::from_secs(60)), now);
        assert!(short.fresh(now).is_none() && short.alive(at(59)).is_some() && short.alive(at(60)).is_none());
        let endless = given(None, now);
        assert!(endless.fresh(at(899)).is_some() && endless.fresh(at(900)).is_none());
        assert!(endless.alive(at(1_000_000)).is_some());
    }
}
