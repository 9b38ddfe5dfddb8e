//! What guards make of an answer, on tables made of values.

use std::time::Duration;

use roster_haproxy::name::ServiceName;

use super::*;
use crate::instance::Instance;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn instance(n: u32) -> Instance {
    Instance { id: format!("i-{n}").parse().unwrap(), ..Instance::at(endpoint(n)) }
}

fn endpoint(n: u32) -> Endpoint {
    format!("10.0.0.{n}:80").parse().unwrap()
}

/// A table whose slots hold these instances.
fn table(held: &[u32]) -> SlotTable {
    let row = |n: u32| Row::Held {
        shape: Shape::default(),
        instance: Some(instance(n).id),
        endpoint: endpoint(n),
        well: true,
    };
    SlotTable { rows: held.iter().map(|n| (SlotNo::new(*n).unwrap(), row(*n))).collect() }
}

/// A source's answer, and what was judged before.
struct Answer {
    grounds: Grounds,
    reported: Vec<u32>,
    unread: Vec<Unread>,
    current: bool,
    second: i64,
}

impl Answer {
    fn of(reported: &[u32]) -> Self {
        Self {
            grounds: Grounds::Answer,
            reported: reported.to_vec(),
            unread: Vec::new(),
            current: true,
            second: 0,
        }
    }

    fn unread(unread: &[Unread]) -> Self {
        Self { unread: unread.to_vec(), ..Self::of(&[]) }
    }

    fn at(self, second: i64) -> Self {
        Self { second, ..self }
    }

    /// The instances that are kept though they are not reported, and what is remembered.
    fn judge(&self, held: &[u32], record: &GuardRecord) -> (Vec<u32>, GuardRecord) {
        let instances: Vec<Instance> = self.reported.iter().map(|n| instance(*n)).collect();
        let reported: Vec<&Instance> = instances.iter().collect();
        let unread: Vec<&Unread> = self.unread.iter().collect();
        let wishes = reported.iter().map(|one| Wish::for_instance(one, Shape::default())).collect();
        let evidence = Evidence {
            grounds: &self.grounds,
            answer: at(self.second),
            current: self.current,
            reported: &reported,
            unread: &unread,
        };
        let guards = Guards::default();
        let judged = judge(&table(held), wishes, &evidence, record, &guards, at(self.second));
        let kept = judged.wishes.iter().filter_map(|wish| Some(wish.kept_in?.get())).collect();
        (kept, judged.record)
    }
}

fn guard(record: &GuardRecord) -> Option<&'static str> {
    record.hold.as_ref().map(|hold| hold.guard.word())
}

fn nothing_known() -> Grounds {
    Grounds::Nothing(Kept::SourceGone { source: "fleet".parse().unwrap() })
}

#[test]
fn where_no_answer_speaks_for_a_service_all_stay_for_ever_and_an_operator_ends_it() {
    let silent = |second| Answer { grounds: nothing_known(), ..Answer::of(&[]).at(second) };
    let (kept, mut record) = silent(0).judge(&[1, 2], &GuardRecord::default());
    assert_eq!((kept, guard(&record)), (vec![1, 2], Some("source_gone")));
    let (kept, later) = silent(1_000_000).judge(&[1, 2], &record);
    assert_eq!(kept, [1, 2]);
    assert_eq!(later.hold.unwrap().since, at(0), "it has held all the time");
    assert!(record.release().is_some());
    let (kept, record) = silent(1).judge(&[1, 2], &record);
    assert_eq!((kept, guard(&record)), (vec![], None));
}

#[test]
fn a_removal_is_held_by_no_guard_and_explained_by_no_entry() {
    let removed = Answer { grounds: Grounds::Removed, ..Answer::unread(&[Unread::default()]) };
    assert_eq!(removed.judge(&[1, 2], &GuardRecord::default()).0, [] as [u32; 0]);
}

#[test]
fn an_absent_service_is_judged_like_an_empty_one() {
    for grounds in [Grounds::Answer, Grounds::Absent] {
        let (kept, record) = Answer { grounds, ..Answer::of(&[]) }.judge(&[1, 2], &GuardRecord::default());
        assert_eq!((kept, guard(&record)), (vec![1, 2], Some("minimum")));
    }
}

#[test]
fn a_hold_does_not_end_by_time_while_the_source_does_not_answer() {
    let (_, record) = Answer::of(&[]).judge(&[1, 2], &GuardRecord::default());
    let lost = Answer { current: false, ..Answer::of(&[]).at(10_000) };
    let (kept, record) = lost.judge(&[1, 2], &record);
    assert_eq!(kept, [1, 2], "one answer, and silence since");
    let (kept, _) = Answer::of(&[]).at(10_001).judge(&[1, 2], &record);
    assert_eq!(kept, [] as [u32; 0], "the source has said so again");
}

#[test]
fn a_hold_goes_on_over_a_restart_and_does_not_end_before_the_source_has_answered() {
    let (_, record) = Answer::of(&[]).judge(&[1, 2], &GuardRecord::default());
    let unheard = Grounds::Nothing(Kept::NotHeard { source: "fleet".parse().unwrap() });
    let (kept, record) = Answer { grounds: unheard, ..Answer::of(&[]).at(10_000) }.judge(&[1, 2], &record);
    assert_eq!((kept, guard(&record)), (vec![1, 2], Some("minimum")));
    assert_eq!(Answer::of(&[]).at(10_001).judge(&[1, 2], &record).0, [] as [u32; 0]);
}

#[test]
fn a_loss_that_grows_has_to_last_anew() {
    let all = [1, 2, 3, 4, 5, 6];
    let (_, record) = Answer::of(&[1, 2]).judge(&all, &GuardRecord::default());
    assert_eq!(guard(&record), Some("share"));
    let (kept, record) = Answer::of(&[]).at(299).judge(&all, &record);
    assert_eq!(kept.len(), 6);
    let (kept, record) = Answer::of(&[]).at(301).judge(&all, &record);
    assert_eq!(kept.len(), 6, "the empty answer is two seconds old");
    let (kept, record) = Answer::of(&[1]).at(302).judge(&all, &record);
    assert_eq!(kept.len(), 5, "a smaller loss is part of it");
    assert_eq!(Answer::of(&[1]).at(599).judge(&all, &record).0, [] as [u32; 0]);
}

fn by_id(n: u32) -> Unread {
    Unread::of_instance(instance(n).id)
}

fn by_address(n: u32) -> Unread {
    let Endpoint { ip, port } = endpoint(n);
    Unread { ip: Some(ip), port: Some(port), ..Unread::default() }
}

#[test]
fn an_entry_that_says_which_instance_it_is_keeps_that_one_for_as_long_as_it_is_there() {
    for entry in [by_id(1), by_address(1), Unread { port: None, ..by_address(1) }] {
        let answer = |second| Answer {
            reported: vec![3, 4],
            ..Answer::unread(std::slice::from_ref(&entry)).at(second)
        };
        let (kept, record) = answer(0).judge(&[1, 2, 3, 4], &GuardRecord::default());
        assert_eq!((kept, guard(&record)), (vec![1], Some("unread")), "{entry:?}");
        assert_eq!(answer(1_000_000).judge(&[1, 3, 4], &record).0, [1], "{entry:?}");
        let corrected = Answer::of(&[3, 4]).at(2);
        assert_eq!(corrected.judge(&[1, 3, 4], &record).0, [] as [u32; 0], "{entry:?}");
    }
}

#[test]
fn an_entry_of_another_instance_keeps_none() {
    let other_port = Unread { port: endpoint(1).port.into(), ip: Some(endpoint(9).ip), ..Unread::default() };
    for entry in [by_id(9), by_address(9), other_port] {
        let answer = Answer { reported: vec![2, 3, 4], ..Answer::unread(std::slice::from_ref(&entry)) };
        assert_eq!(answer.judge(&[1, 2, 3, 4], &GuardRecord::default()).0, [] as [u32; 0], "{entry:?}");
    }
}

#[test]
fn an_entry_that_says_nothing_of_itself_explains_a_loss_that_came_with_it_and_no_later_one() {
    let entry = Unread::of_service(ServiceName::new("web").unwrap());
    let answer = |reported: &[u32]| Answer {
        reported: reported.to_vec(),
        ..Answer::unread(std::slice::from_ref(&entry))
    };
    let (kept, record) = answer(&[2, 3, 4]).judge(&[1, 2, 3, 4], &GuardRecord::default());
    assert_eq!((kept, guard(&record)), (vec![1], Some("unread")));
    let (_, record) = answer(&[1, 2, 3, 4]).judge(&[1, 2, 3, 4], &record);
    let (kept, _) = answer(&[2, 3, 4]).judge(&[1, 2, 3, 4], &record);
    assert_eq!(kept, [] as [u32; 0], "the entry was there while all were");
    let two = Answer { unread: vec![entry.clone(), entry.clone()], ..answer(&[2, 3, 4]) };
    assert_eq!(two.judge(&[1, 2, 3, 4], &record).0, [1], "another one came with the loss");
}

#[test]
fn what_is_left_of_a_loss_is_judged_by_itself() {
    let all = [1, 2, 3, 4, 5, 6, 7, 8];
    let unread: Vec<Unread> = (1..=4).map(by_id).collect();
    let answer = |reported: &[u32]| Answer { reported: reported.to_vec(), ..Answer::unread(&unread) };
    let (kept, record) = answer(&[5, 6, 7]).judge(&all, &GuardRecord::default());
    assert_eq!((kept, guard(&record)), (vec![1, 2, 3, 4], Some("unread")), "one of eight is lost");
    let (kept, record) = answer(&[]).judge(&[1, 2, 5, 6, 7, 8], &GuardRecord::default());
    assert_eq!((kept.len(), guard(&record)), (6, Some("share")), "four of six are lost");
}

#[test]
fn a_release_lets_an_unread_entry_explain_nothing_more() {
    let answer = |second| Answer { reported: vec![2], ..Answer::unread(&[Unread::default()]).at(second) };
    let (_, mut record) = answer(0).judge(&[1, 2], &GuardRecord::default());
    record.release();
    let (kept, record) = answer(1).judge(&[1, 2], &record);
    assert_eq!(kept, [] as [u32; 0]);
    assert_eq!(answer(2).judge(&[2], &record).1.hold, None);
}

#[test]
fn damping_keeps_out_no_more_than_the_guards_allow() {
    let flapped = |ids: std::ops::RangeInclusive<u32>| GuardRecord {
        left: ids.map(|n| (instance(n).id, vec![at(n.into()); 5])).collect(),
        ..GuardRecord::default()
    };
    let out = |reported: &[u32], held: &[u32], record: &GuardRecord| -> Vec<String> {
        let (_, record) = Answer::of(reported).at(20).judge(held, record);
        record.flapping.iter().map(ToString::to_string).collect()
    };
    let all = [1, 2, 3, 4];
    assert_eq!(out(&all, &[4], &flapped(1..=1)), ["i-1"]);
    assert_eq!(
        out(&all, &[4], &flapped(1..=3)),
        ["i-2", "i-3"],
        "half of them at most, and the one that is calm first comes in"
    );
    assert_eq!(out(&all, &[1, 4], &flapped(1..=2)), ["i-2"], "one that has a slot keeps it");
    assert_eq!(out(&[1], &[], &flapped(1..=1)), [] as [&str; 0], "the only one");
    let mut record = Answer::of(&all).at(20).judge(&[4], &flapped(1..=3)).1;
    assert_eq!(record.release().map(|released| released.flapping), Some(2));
    assert_eq!(out(&all, &[4], &record), [] as [&str; 0]);
}

#[test]
fn what_flapped_comes_in_once_it_is_calm() {
    let record = GuardRecord { left: [(instance(1).id, vec![at(0); 5])].into(), ..GuardRecord::default() };
    let flapping = |second| Answer::of(&[1, 2]).at(second).judge(&[2], &record).1.flapping.len();
    let window = i64::try_from(FLAP_WINDOW.as_secs()).unwrap();
    assert_eq!((flapping(window - 1), flapping(window)), (1, 0));
    assert!(Duration::from_secs(600) == FLAP_WINDOW);
}
