//! `docs/why-did-my-server-leave.md` has a row for everything that can be said, and for nothing else.

use std::collections::BTreeSet;
use std::fmt::Display;

use jiff::Timestamp;
use roster_haproxy::observed::State;
use roster_haproxy::weight::Weight;

use super::*;
use crate::applied::OperatorHold;
use crate::expose::{InvalidRoute, Unexposed};
use crate::exposure::BringUp;
use crate::guard::{Guard, Hold};
use crate::pattern::{NoValue, Place};
use crate::plan::{Note, Reason, Status};
use crate::slots::{NoName, NoSlot, Shape, Unplaced};

const PAGE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/why-did-my-server-leave.md"));

/// What each variant of an enum says. One without a sample does not compile.
macro_rules! said {
    ($enum:ty, $($variant:pat => $sample:expr),+ $(,)?) => {{
        fn has_a_sample(value: &$enum) {
            match value { $($variant => {})+ }
        }
        let samples: Vec<$enum> = vec![$($sample),+];
        samples.iter().for_each(has_a_sample);
        samples.iter().map(ToString::to_string).collect::<Vec<String>>()
    }};
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn service() -> ServiceKey {
    ServiceKey { source: parsed("fleet"), service: parsed("web") }
}

/// The first column of the table under a heading.
fn rows(heading: &str) -> BTreeSet<String> {
    let (_, rest) =
        PAGE.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let section = rest.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    rows.map(|(said, _)| said.replace("\\|", "|")).collect()
}

#[track_caller]
fn has_rows(heading: &str, said: Vec<String>) {
    // Within the backquotes of the page.
    let said = said.into_iter().map(|said| said.replace('`', "'"));
    assert_eq!(rows(heading), said.collect(), "{heading}");
}

fn hold(guard: Guard) -> impl Display {
    let at = Timestamp::UNIX_EPOCH;
    Hold { guard, since: at, answer: at, answers: 1, leaving: 3, of: 4 }
}

#[test]
fn why_an_instance_lost_its_server() {
    let said = said!(Departure,
        Departure::NotReported => Departure::NotReported,
        Departure::ServiceAbsent => Departure::ServiceAbsent,
        Departure::ServiceRemoved => Departure::ServiceRemoved,
        Departure::Ending => Departure::Ending,
        Departure::NotSelected => Departure::NotSelected,
        Departure::Released => Departure::Released,
        Departure::TakenOver { .. } => Departure::TakenOver { from: service() },
        Departure::OtherShape => Departure::OtherShape,
        Departure::Moved => Departure::Moved,
        Departure::SameAddress { .. } => Departure::SameAddress { holder: Some(parsed("i-2")) },
        Departure::NoSlot => Departure::NoSlot,
    );
    has_rows("Why an instance lost its server", said);
}

#[test]
fn what_keeps_a_server() {
    let kept = said!(Kept,
        Kept::NotHeard { .. } => Kept::NotHeard { source: parsed("fleet") },
        Kept::SourceGone { .. } => Kept::SourceGone { source: parsed("fleet") },
        Kept::RuleGone { .. } => Kept::RuleGone { service: service() },
        Kept::NoName { .. } => Kept::NoName { service: service() },
        Kept::NotServedYet { .. } => Kept::NotServedYet { service: service(), by: parsed("web-9090") },
    );
    let guards = [Guard::Share, Guard::Minimum, Guard::Unread];
    let mut said: Vec<String> = guards.into_iter().map(|guard| hold(guard).to_string()).collect();
    said.extend(kept);
    let until = Timestamp::UNIX_EPOCH;
    let awaits = |servers| Note::ReplacementsAwaited { servers, until }.to_string();
    said.push(awaits(vec![parsed("srv1"), parsed("srv2")]));
    said.push(awaits(Vec::new()));
    has_rows("What keeps a server", said);
}

#[test]
fn why_something_is_done_to_a_server() {
    let id = || parsed("i-1");
    let said = said!(Reason,
        Reason::Appeared(_) => Reason::Appeared(id()),
        Reason::Moved { .. } => Reason::Moved { instance: id(), from: parsed("10.0.0.9:80") },
        Reason::Replaced { .. } => Reason::Replaced { instance: parsed("i-2"), before: id() },
        Reason::Returned(_) => Reason::Returned(id()),
        Reason::Left { .. } => Reason::Left {
            instance: Some(id()),
            endpoint: parsed("10.0.0.1:80"),
            why: Departure::NotReported,
        },
        Reason::Unhealthy(_) => Reason::Unhealthy(id()),
        Reason::ConnectionsEnded => Reason::ConnectionsEnded,
        Reason::DrainCap { .. } => Reason::DrainCap { connections: Some(3) },
        Reason::Spare => Reason::Spare,
        Reason::Growth => Reason::Growth,
        Reason::Compacted { .. } => Reason::Compacted { wanted: 10 },
        Reason::ProbePassed => Reason::ProbePassed,
        Reason::CheckPassed => Reason::CheckPassed,
        Reason::FirstServer => Reason::FirstServer,
        Reason::WeightWanted { .. } => Reason::WeightWanted { from: Weight::ONE },
        Reason::SlowStart { .. } => Reason::SlowStart { from: Weight::ONE },
        Reason::Restarted => Reason::Restarted,
        Reason::Drifted => Reason::Drifted,
        Reason::Unfinished => Reason::Unfinished,
    );
    has_rows("Why something is done to a server", said);
}

#[test]
fn where_a_server_stands() {
    let at = Timestamp::UNIX_EPOCH;
    let by_operator = OperatorHold { state: Some(State::Maint), weight: None, since: at };
    let said = said!(Status,
        Status::Active => Status::Active,
        Status::Down => Status::Down,
        Status::Inherited => Status::Inherited,
        Status::Agent => Status::Agent,
        Status::Rising(_) => Status::Rising(BringUp::Probe),
        Status::Leaving => Status::Leaving,
        Status::Draining { .. } => Status::Draining { connections: None, until: at },
        Status::Unhealthy => Status::Unhealthy,
        Status::Operator(_) => Status::Operator(by_operator),
        Status::Held => Status::Held,
        Status::Spare => Status::Spare,
        Status::Foreign => Status::Foreign,
        Status::Absent => Status::Absent,
    );
    has_rows("Where a server stands", said);
}

#[test]
fn why_a_service_is_left_out() {
    let no_value = || NoValue { place: Place::Port, pattern: "{service}-{port}".to_owned() };
    let name = || BackendName::new("a b").unwrap_err();
    let (service, backend) = (service(), parsed::<BackendName>("web"));
    let said = said!(Unexposed,
        Unexposed::NoValue { .. } => Unexposed::NoValue { service: service.clone(), why: no_value() },
        Unexposed::BackendName { .. } => Unexposed::BackendName { service: service.clone(), why: name() },
        Unexposed::SlotNames { .. } => Unexposed::SlotNames { service: service.clone(), why: NoName::Name(name()) },
        Unexposed::Route { .. } => Unexposed::Route { service: service.clone(), why: InvalidRoute::Empty },
        Unexposed::SameBackend { .. } => Unexposed::SameBackend {
            service: ServiceKey { source: parsed("fleet"), service: parsed("Web") },
            backend: backend.clone(),
            other: service.clone(),
        },
        Unexposed::RecordUnread { .. } => Unexposed::RecordUnread { service: service.clone(), backend: backend.clone() },
    );
    has_rows("Why a service is left out", said);
}

/// Whether a note says why an instance has no server, or why one is where it is.
fn is_about_instances(note: &Note) -> bool {
    match note {
        Note::Unplaced(_)
        | Note::Flapping { .. }
        | Note::ServiceAbsent { .. }
        | Note::NamedByRecord { .. }
        | Note::BelongsElsewhere { .. } => true,
        Note::WeightRefused { .. }
        | Note::NoName(_)
        | Note::Static { .. }
        | Note::NoCheck { .. }
        | Note::NoCookie { .. }
        | Note::NoTls
        | Note::FixedAddress { .. }
        | Note::ReplacementsAwaited { .. }
        | Note::NoSlots { .. } => false,
    }
}

#[test]
fn why_an_instance_has_no_server() {
    let unplaced =
        |why| Note::Unplaced(Unplaced { instance: parsed("i-1"), endpoint: parsed("10.0.0.1:80"), why });
    let no_slot = said!(NoSlot,
        NoSlot::Full { .. } => NoSlot::Full { shape: Shape::default() },
        NoSlot::SameAddress { .. } => NoSlot::SameAddress { holder: parsed("i-2") },
    );
    assert_eq!(no_slot.len(), 2);
    let no_value = NoValue { place: Place::Port, pattern: "{service}-{port}".to_owned() };
    let why = Unexposed::NoValue { service: service(), why: no_value }.cause();
    let notes = [
        unplaced(NoSlot::Full { shape: Shape::default() }),
        unplaced(NoSlot::SameAddress { holder: parsed("i-2") }),
        Note::Flapping { instances: vec![parsed("i-1"), parsed("i-2")] },
        Note::ServiceAbsent { service: service() },
        Note::NamedByRecord { why },
        Note::BelongsElsewhere { instances: 1, first: parsed("i-1"), belongs_to: parsed("web-9090") },
    ];
    assert!(notes.iter().all(is_about_instances));
    has_rows("Why an instance has no server", notes.iter().map(ToString::to_string).collect());
}
