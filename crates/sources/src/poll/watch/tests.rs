use proptest::prelude::*;
use roster_core::instance::Members;

use super::*;

const SCHEDULE: Schedule = Schedule {
    every: Duration::from_secs(30),
    jitter: Duration::from_secs(5),
    first: Duration::from_secs(5),
    longest: Duration::from_secs(300),
};

#[allow(clippy::unnecessary_wraps, reason = "it stands beside `error`")]
fn answer(services: &[&str]) -> Answer {
    let services = services.iter().map(|name| (name.parse().unwrap(), Members::default())).collect();
    Ok(Arc::new(Snapshot { services, ..Snapshot::default() }))
}

fn error(message: &str) -> Answer {
    Err(Failure::new(message))
}

/// A watch with a clock that goes when told.
struct Clocked {
    watch: Watch,
    begin: Instant,
    now: Instant,
}

impl Clocked {
    fn new(schedule: Schedule) -> Self {
        let now = Instant::now();
        let (watch, effects) = Watch::start(schedule, now);
        assert!(matches!(effects.as_slice(), [Effect::List]), "it begins at once");
        Self { watch, begin: now, now }
    }

    fn pass(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
    }

    /// What is told of an answer that comes now.
    fn listed(&mut self, answer: Answer, chance: f64) -> Option<&'static str> {
        let effects = self.watch.step(Event::Listed(answer), self.now, chance);
        match effects.as_slice() {
            [] => None,
            [Effect::Tell(SourceEvent::Full(_))] => Some("full"),
            [Effect::Tell(SourceEvent::Lost(_))] => Some("lost"),
            other => panic!("{other:?}"),
        }
    }

    /// Milliseconds since the very first listing began.
    fn at(&self, moment: Instant) -> u128 {
        (moment - self.begin).as_millis()
    }

    /// When the next listing is to begin.
    fn next(&self) -> u128 {
        self.at(self.watch.wake_at().unwrap())
    }

    /// Goes there and begins it.
    fn go(&mut self) {
        self.now = self.watch.wake_at().unwrap();
        let effects = self.watch.step(Event::Tick, self.now, 0.0);
        assert!(matches!(effects.as_slice(), [Effect::List]));
        assert_eq!(self.watch.wake_at(), None, "none other begins meanwhile");
    }

    fn wake(&mut self) {
        assert!(self.watch.step(Event::Woken, self.now, 0.0).is_empty());
    }
}

#[test]
fn the_interval_goes_from_begin_to_begin() {
    let mut clock = Clocked::new(SCHEDULE);
    clock.pass(7.0);
    assert_eq!(clock.listed(answer(&["web"]), 0.0), Some("full"));
    assert_eq!(clock.next(), 30000);
    clock.go();
    clock.pass(100.0);
    clock.listed(answer(&["web"]), 0.0);
    assert_eq!(clock.next(), 130_000, "what is late is at once");
}

#[test]
fn jitter_is_added_as_far_as_chance_goes() {
    for (chance, wanted) in [(0.0, 30_000), (0.5, 32_500), (1.0, 35_000)] {
        let mut clock = Clocked::new(SCHEDULE);
        clock.listed(answer(&[]), chance);
        assert_eq!(clock.next(), wanted);
        let mut clock = Clocked::new(SCHEDULE);
        clock.listed(error("down"), chance);
        assert_eq!(clock.next(), wanted - 25_000, "to the pause after a failure too");
    }
}

#[test]
fn pauses_double_with_each_failure_up_to_the_longest_and_an_answer_ends_them() {
    let mut clock = Clocked::new(SCHEDULE);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let ended = clock.at(clock.now);
        clock.listed(error("down"), 0.0);
        pauses.push(clock.next() - ended);
        clock.go();
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300].map(|seconds| seconds * 1_000));
    let begun = clock.at(clock.now);
    clock.listed(answer(&[]), 0.0);
    assert_eq!(clock.next() - begun, 30000);
    clock.go();
    let ended = clock.at(clock.now);
    clock.listed(error("down"), 0.0);
    assert_eq!(clock.next() - ended, 5000);
}

#[test]
fn each_answer_is_told_since_guards_count_them_and_an_error_only_once() {
    let mut clock = Clocked::new(SCHEDULE);
    let told: Vec<Option<&str>> = [
        answer(&["web"]),
        answer(&["web"]),
        error("down"),
        error("down"),
        error("refused"),
        answer(&["web"]),
        answer(&[]),
    ]
    .into_iter()
    .map(|answer| {
        let told = clock.listed(answer, 0.0);
        clock.go();
        told
    })
    .collect();
    let (full, lost) = (Some("full"), Some("lost"));
    assert_eq!(told, [full, full, lost, None, lost, full, full]);
}

#[test]
fn a_failure_is_the_same_one_by_its_cause_and_not_by_a_number_in_its_words() {
    let mut clock = Clocked::new(SCHEDULE);
    let failure = |number: u32, cause: &str| {
        Err(Failure { cause: Some(cause.to_owned()), ..Failure::new(format!("{cause}, request {number}")) })
    };
    let told = [failure(1, "throttled"), failure(2, "throttled"), failure(3, "refused")].map(|answer| {
        let told = clock.listed(answer, 0.0);
        clock.go();
        told
    });
    assert_eq!(told, [Some("lost"), None, Some("lost")]);
}

#[test]
fn a_registry_that_wants_to_be_left_alone_is_up_to_the_longest_pause() {
    for (wait, wanted) in [(3, 5_000), (60, 60_000), (4_000, 300_000)] {
        let mut clock = Clocked::new(SCHEDULE);
        let failure = Failure { wait: Some(Duration::from_secs(wait)), ..Failure::new("throttled") };
        clock.listed(Err(failure), 0.0);
        assert_eq!(clock.next(), wanted);
    }
}

#[test]
fn somebody_who_wants_to_know_ends_the_wait_but_makes_no_storm() {
    let mut clock = Clocked::new(SCHEDULE);
    clock.listed(error("down"), 0.0);
    clock.pass(0.25);
    clock.wake();
    assert_eq!(clock.next(), 1000);
    clock.go();
    clock.listed(answer(&[]), 0.0);
    clock.pass(10.0);
    clock.wake();
    assert_eq!(clock.next(), 11000, "at once");
}

#[test]
fn whoever_asks_during_a_listing_gets_one_that_begins_after_that() {
    let mut clock = Clocked::new(SCHEDULE);
    clock.pass(3.0);
    clock.wake();
    clock.listed(answer(&[]), 1.0);
    assert_eq!(clock.next(), 3000);
    clock.go();
    clock.listed(answer(&[]), 0.0);
    assert_eq!(clock.next(), 33000, "once");
}

#[test]
fn a_tick_that_comes_early_begins_nothing() {
    let mut clock = Clocked::new(SCHEDULE);
    clock.listed(answer(&[]), 0.0);
    assert!(clock.watch.step(Event::Tick, clock.now, 0.0).is_empty());
}

proptest! {
    /// Whatever is configured and happens, listings begin a second apart or more and the wait has an end.
    #[test]
    fn listings_never_follow_each_other_within_a_second(
        every in 0_u64..100, jitter in 0_u64..20, first in 0_u64..20, longest in 0_u64..400,
        steps in prop::collection::vec((0.0..40.0_f64, any::<bool>(), any::<bool>(), any::<bool>(), 0.0..1.0_f64), 1..60),
    ) {
        let seconds = Duration::from_secs;
        let schedule =
            Schedule { every: seconds(every), jitter: seconds(jitter), first: seconds(first), longest: seconds(longest) };
        let mut clock = Clocked::new(schedule);
        let mut begun = clock.now;
        for (took, good, woken_in, woken_after, chance) in steps {
            clock.pass(took);
            if woken_in { clock.wake(); }
            clock.listed(if good { answer(&[]) } else { error("down") }, chance);
            if woken_after { clock.wake(); }
            let next = clock.watch.wake_at().unwrap();
            prop_assert!(next >= begun + SHORTEST);
            let most = every.max(1).max(longest).max(1) + jitter + 1;
            prop_assert!(next <= clock.now + seconds(most), "{:?}", next - clock.now);
            clock.go();
            begun = clock.now;
        }
    }
}
