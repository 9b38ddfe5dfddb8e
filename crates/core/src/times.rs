//! The times that a value holds.
//!
//! Inside the process all times are of one clock that never jumps. A value that leaves the process, as a record or as a status, or
//! that enters it, has its times moved to the other clock. Each implementation names every field, so that none is forgotten. What
//! HAProxy's or a cloud's clock said is not moved.

use jiff::{SignedDuration, Timestamp};

use crate::applied::{AppliedBackend, AppliedServer, OperatorHold};
use crate::guard::{GuardRecord, Hold};
use crate::instance::{Definition, Snapshot};
use crate::plan::{Note, Standing, Status};
use crate::refusals::Refused;

/// A value that holds times.
pub trait Times {
    /// Calls this with each time.
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp));

    /// Moves each time by so much.
    fn shift(&mut self, by: SignedDuration) {
        if by.is_zero() {
            return;
        }
        self.each_time(&mut |at| {
            let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
            *at = at.checked_add(by).unwrap_or(end);
        });
    }

    /// Nothing that is remembered is of the future: what seems so was written before the clock was set back.
    fn not_after(&mut self, now: Timestamp) {
        self.each_time(&mut |at| *at = (*at).min(now));
    }
}

impl Times for AppliedBackend {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { process: _, exposure: _, servers, guard } = self;
        for server in servers.values_mut() {
            server.each_time(with);
        }
        guard.each_time(with);
    }
}

impl Times for AppliedServer {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self {
            since,
            operator,
            phase: _,
            instance: _,
            endpoint: _,
            weight: _,
            own_weight: _,
            full_weight: _,
            health: _,
            left: _,
            made: _,
            confirmed: _,
        } = self;
        with(since);
        if let Some(operator) = operator {
            operator.each_time(with);
        }
    }
}

impl Times for OperatorHold {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { since, state: _, weight: _ } = self;
        with(since);
    }
}

impl Times for GuardRecord {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { hold, left, waiting, flapping: _, unread: _, released: _ } = self;
        if let Some(hold) = hold {
            hold.each_time(with);
        }
        left.values_mut().flatten().for_each(&mut *with);
        waiting.iter_mut().for_each(with);
    }
}

impl Times for Hold {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { since, answer, guard: _, answers: _, leaving: _, of: _ } = self;
        with(since);
        with(answer);
    }
}

impl Times for Snapshot {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { taken, definitions, services: _, removed: _, rejects: _, metadata_kept: _ } = self;
        with(taken);
        for definition in definitions.values_mut() {
            definition.each_time(with);
        }
    }
}

impl Times for Definition {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { empty_since, name: _, port: _, region: _ } = self;
        empty_since.iter_mut().for_each(with);
    }
}

impl Times for Standing {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { status, since, instance: _, endpoint: _, left: _ } = self;
        since.iter_mut().for_each(&mut *with);
        match status {
            Status::Draining { until, connections: _ } => with(until),
            Status::Operator(hold) => hold.each_time(with),
            Status::Active
            | Status::Down
            | Status::Inherited
            | Status::Agent
            | Status::Rising(_)
            | Status::Leaving
            | Status::Unhealthy
            | Status::Held
            | Status::Spare
            | Status::Foreign
            | Status::Absent => {}
        }
    }
}

impl Times for Refused {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        let Self { since, at, again, op: _, change: _, why: _, times: _, by_socket: _, brings: _ } = self;
        with(since);
        with(at);
        with(again);
    }
}

impl Times for Note {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        if let Note::ReplacementsAwaited { until, servers: _ } = self {
            with(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applied::Phase;
    use crate::guard::Guard;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn hold() -> Hold {
        Hold { guard: Guard::Share, since: at(100), answer: at(90), answers: 1, leaving: 3, of: 4 }
    }

    #[test]
    fn what_is_moved_away_and_back_is_the_same() {
        let operator = OperatorHold { state: None, weight: None, since: at(70) };
        let server =
            AppliedServer { operator: Some(operator), ..AppliedServer::new(Phase::Draining, at(50)) };
        let record = GuardRecord {
            hold: Some(hold()),
            left: [("i-1".parse().unwrap(), vec![at(10), at(20)])].into(),
            ..GuardRecord::default()
        };
        for by in [3600, -3600] {
            let by = SignedDuration::from_secs(by);
            let (mut moved, mut guard) = (server.clone(), record.clone());
            moved.shift(by);
            guard.shift(by);
            assert_eq!((moved.since, moved.operator.unwrap().since), (at(50) + by, at(70) + by));
            assert_eq!(guard.left["i-1"], [at(10) + by, at(20) + by]);
            assert_eq!(guard.hold.as_ref().unwrap().answer, at(90) + by);
            moved.shift(-by);
            guard.shift(-by);
            assert_eq!((moved, guard), (server.clone(), record.clone()));
        }
    }

    #[test]
    fn what_seems_to_be_of_the_future_is_of_now() {
        let mut hold = hold();
        hold.not_after(at(95));
        assert_eq!((hold.since, hold.answer), (at(95), at(90)));
    }

    #[test]
    fn a_time_that_cannot_be_moved_so_far_is_moved_to_the_end() {
        let mut hold = Hold { since: Timestamp::MAX, answer: Timestamp::MIN, ..hold() };
        hold.shift(SignedDuration::from_hours(1));
        assert_eq!(hold.since, Timestamp::MAX);
        hold.shift(SignedDuration::from_hours(-2));
        assert_eq!(hold.answer, Timestamp::MIN);
    }
}
