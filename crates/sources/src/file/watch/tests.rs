//! The watch on a clock of its own: no file, no waiting.

use std::collections::BTreeMap;

use jiff::Timestamp;
use roster_core::instance::Members;
use roster_haproxy::name::ServiceName;

use super::*;

const POLL: Duration = Duration::from_secs(30);
const MS: Duration = Duration::from_millis(1);
const OLD: Duration = Duration::from_secs(3600);

/// A watch, a clock, and what was told.
struct Rig {
    watch: Watch,
    now: Instant,
    reads: usize,
    told: Vec<String>,
}

#[allow(clippy::unnecessary_wraps, reason = "the counterpart of `wrong`")]
fn answer(service: &str) -> Answer {
    let services = BTreeMap::from([(service.parse().unwrap(), Members::default())]);
    let taken = Timestamp::UNIX_EPOCH;
    Ok(Arc::new(Snapshot { services, taken, ..Snapshot::default() }))
}

fn error(message: &str) -> SourceError {
    SourceError { message: message.into() }
}

fn wrong(message: &str) -> Answer {
    Err(error(message))
}

impl Rig {
    /// A watch that has asked for its first reading.
    fn new() -> Self {
        let (watch, effects) = Watch::start(POLL, error("restless"));
        let mut rig = Self { watch, now: Instant::now(), reads: 0, told: Vec::new() };
        rig.note(effects);
        rig
    }

    /// A watch that has told the service `a`.
    fn settled() -> Self {
        let mut rig = Self::new();
        rig.read_old(answer("a"));
        assert_eq!(rig.told(), ["a"]);
        rig
    }

    fn note(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Read => self.reads += 1,
                Effect::Tell(SourceEvent::Full(snapshot)) => {
                    self.told.push(snapshot.services.keys().map(ServiceName::as_str).collect());
                }
                Effect::Tell(SourceEvent::Lost(error)) => self.told.push(format!("lost: {error}")),
            }
        }
    }

    fn event(&mut self, event: Event) {
        let effects = self.watch.step(event, self.now);
        self.note(effects);
    }

    fn notice(&mut self, hint: Hint) {
        self.event(Event::Noticed(hint));
    }

    /// Lets time pass, waking the watch when it wants.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.watch.wake_at().filter(|at| *at <= end) {
            self.now = at;
            self.event(Event::Tick);
        }
        self.now = end;
    }

    /// Answers the one reading that was asked for.
    fn reading(&mut self, new: Option<Answer>, torn: bool, age: Duration) {
        assert_eq!(std::mem::take(&mut self.reads), 1, "readings asked for");
        self.event(Event::Read(Reading { new, torn, age }));
    }

    fn read(&mut self, answer: Answer) {
        self.reading(Some(answer), false, Duration::ZERO);
    }

    fn read_old(&mut self, answer: Answer) {
        self.reading(Some(answer), false, OLD);
    }

    fn read_alike(&mut self) {
        self.reading(None, false, OLD);
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    fn rests(&self) -> bool {
        self.reads == 0 && self.watch.wake_at() == Some(self.now + POLL)
    }
}

#[test]
fn a_file_that_was_there_is_told_at_once() {
    assert!(Rig::settled().rests());
}

#[test]
fn a_file_written_just_before_the_start_is_told_when_it_stands_still() {
    let mut rig = Rig::new();
    rig.read(answer("half"));
    rig.pass(QUIET);
    rig.read(answer("whole"));
    rig.pass(QUIET);
    assert!(rig.told().is_empty());
    rig.read_alike();
    assert_eq!(rig.told(), ["whole"]);
}

#[test]
fn a_rename_is_told_without_delay() {
    let mut rig = Rig::settled();
    rig.notice(Hint::Whole);
    rig.read(answer("b"));
    assert_eq!(rig.told(), ["b"]);
    assert!(rig.rests());
}

#[test]
fn what_is_being_written_is_read_once_its_writer_closed_it() {
    let mut rig = Rig::settled();
    rig.notice(Hint::Writing);
    rig.pass(100 * MS);
    rig.notice(Hint::Writing);
    rig.pass(200 * MS);
    assert_eq!(rig.reads, 0);
    rig.notice(Hint::Whole);
    rig.read(answer("b"));
    assert_eq!(rig.told(), ["b"]);
}

#[test]
fn a_writer_that_never_closes_is_read_when_it_pauses() {
    let mut rig = Rig::settled();
    rig.notice(Hint::Writing);
    rig.pass(QUIET);
    rig.read(answer("b"));
    assert_eq!(rig.told(), ["b"]);
}

#[test]
fn a_writer_that_never_pauses_is_complained_of_once_and_then_heard() {
    let mut rig = Rig::settled();
    for _ in 0..120 {
        rig.notice(Hint::Writing);
        rig.pass(100 * MS);
    }
    assert_eq!(rig.told(), ["lost: restless"]);
    rig.notice(Hint::Whole);
    rig.read_alike();
    assert_eq!(rig.told(), ["a"], "the content is the same, but it was said to be lost");
}

#[test]
fn the_same_content_is_not_told_again() {
    let mut rig = Rig::settled();
    rig.notice(Hint::Whole);
    rig.read_alike();
    rig.notice(Hint::Whole);
    rig.read(answer("a"));
    assert!(rig.told().is_empty());
    assert!(rig.rests());
}

#[test]
fn a_mistake_is_told_after_a_quiet_time_and_once() {
    let mut rig = Rig::settled();
    rig.notice(Hint::Whole);
    rig.read(wrong("line 3"));
    assert!(rig.told().is_empty());
    rig.pass(QUIET);
    rig.read_alike();
    assert_eq!(rig.told(), ["lost: line 3"]);
    for _ in 0..3 {
        rig.pass(POLL);
        rig.read_alike();
        rig.notice(Hint::Whole);
        rig.read(wrong("line 3"));
    }
    assert!(rig.told().is_empty());
    assert!(rig.rests());
}

#[test]
fn what_is_half_written_and_then_whole_is_told_once() {
    let mut rig = Rig::settled();
    rig.notice(Hint::Whole);
    rig.read(wrong("cut off"));
    rig.pass(100 * MS);
    rig.notice(Hint::Whole);
    rig.read(answer("b"));
    assert_eq!(rig.told(), ["b"]);
    assert!(rig.rests());
}

#[test]
fn another_mistake_is_another_loss_and_a_sound_file_ends_it() {
    let mut rig = Rig::settled();
    for message in ["line 3", "line 4", "line 3"] {
        rig.notice(Hint::Whole);
        rig.read(wrong(message));
        rig.pass(QUIET);
        rig.read_alike();
    }
    assert_eq!(rig.told(), ["lost: line 3", "lost: line 4", "lost: line 3"]);
    rig.notice(Hint::Whole);
    rig.read(answer("a"));
    assert_eq!(rig.told(), ["a"], "the same as before the loss, told again to end it");
}

#[test]
fn a_file_deleted_and_written_again_at_once_is_no_loss() {
    let mut rig = Rig::settled();
    rig.notice(Hint::Whole);
    rig.read(wrong("not there"));
    rig.notice(Hint::Writing);
    rig.notice(Hint::Whole);
    rig.read(answer("a"));
    assert!(rig.told().is_empty());
}

#[test]
fn what_a_poll_finds_counts_when_it_was_read_twice_alike() {
    let mut rig = Rig::settled();
    rig.pass(POLL);
    rig.read_old(answer("half"));
    rig.pass(QUIET);
    rig.read_old(answer("whole"));
    assert!(rig.told().is_empty());
    rig.pass(QUIET);
    rig.read_alike();
    assert_eq!(rig.told(), ["whole"]);
}

#[test]
fn a_poll_that_finds_nothing_new_is_silent() {
    let mut rig = Rig::settled();
    for _ in 0..5 {
        rig.pass(POLL);
        rig.read_alike();
    }
    assert!(rig.told().is_empty());
    assert!(rig.rests());
}

#[test]
fn a_change_during_the_reading_is_read_as_well() {
    let mut rig = Rig::settled();
    rig.notice(Hint::Whole);
    rig.notice(Hint::Whole);
    rig.read(answer("b"));
    assert_eq!(rig.told(), ["b"]);
    rig.read(answer("c"));
    assert_eq!(rig.told(), ["c"]);
}

#[test]
fn what_was_written_to_during_the_reading_is_not_believed() {
    let mut rig = Rig::settled();
    rig.notice(Hint::Whole);
    rig.notice(Hint::Writing);
    rig.read(answer("half"));
    assert!(rig.told().is_empty());
    rig.notice(Hint::Whole);
    rig.reading(Some(answer("torn")), true, Duration::ZERO);
    assert!(rig.told().is_empty());
    rig.pass(QUIET);
    rig.read(answer("whole"));
    assert_eq!(rig.told(), ["whole"]);
}

#[test]
fn a_file_that_is_torn_at_every_reading_is_complained_of() {
    let mut rig = Rig::settled();
    rig.notice(Hint::Whole);
    for turn in 0..50 {
        rig.reading(Some(answer(&format!("torn{turn}"))), true, Duration::ZERO);
        rig.pass(QUIET);
    }
    assert_eq!(rig.told(), ["lost: restless"]);
}

#[test]
fn a_missing_file_is_told_and_its_coming_too() {
    let mut rig = Rig::new();
    rig.read(wrong("not there"));
    rig.pass(QUIET);
    rig.read(wrong("not there"));
    assert_eq!(rig.told(), ["lost: not there"]);
    rig.pass(POLL);
    rig.read(wrong("not there"));
    assert!(rig.told().is_empty());
    rig.notice(Hint::Writing);
    rig.notice(Hint::Whole);
    rig.read(answer("a"));
    assert_eq!(rig.told(), ["a"]);
}
