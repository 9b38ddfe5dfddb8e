use std::collections::BTreeSet;

use proptest::prelude::*;

use super::map::{How, LARGE, ShownEntry, Swap, parse, plan};
use super::*;
use crate::cli::command::MapVersion;

const MAP: &str = "/etc/h.map";

/// A map as HAProxy keeps it: in the order in which entries came, of which several may have one key.
#[derive(Clone, Debug, Default)]
struct Map {
    entries: Vec<(u64, String, String)>,
    prepared: Vec<(String, String)>,
    next: u64,
}

impl Map {
    fn of(entries: &[(String, String)]) -> Self {
        let mut map = Self { next: 1, ..Self::default() };
        for (key, value) in entries {
            map.add(key, value);
        }
        map
    }

    fn add(&mut self, key: &str, value: &str) {
        self.entries.push((self.next, key.to_owned(), value.to_owned()));
        self.next += 1;
    }

    fn text(&self) -> String {
        let line = |(number, key, value): &(u64, String, String)| format!("{number:#x} {key} {value}");
        self.entries.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn keys(&self) -> BTreeSet<&str> {
        self.entries.iter().map(|(_, key, _)| key.as_str()).collect()
    }

    fn take(&mut self, command: &FileCommand) {
        let before = self.entries.len();
        match command {
            FileCommand::AddMap { version: None, key, value, .. } => self.add(key.as_str(), value.as_str()),
            FileCommand::AddMap { version: Some(_), key, value, .. } => {
                self.prepared.push((key.as_str().to_owned(), value.as_str().to_owned()));
            }
            FileCommand::SetMap { key, value, .. } => {
                let of_key = self.entries.iter_mut().filter(|(_, k, _)| k == key.as_str());
                assert!(of_key.map(|entry| entry.2 = value.as_str().to_owned()).count() > 0, "{command}");
            }
            FileCommand::DelMap { key, .. } => {
                self.entries.retain(|(_, k, _)| k != key.as_str());
                assert!(self.entries.len() < before, "{command}");
            }
            FileCommand::DelMapEntry { reference, .. } => {
                self.entries.retain(|(number, _, _)| number != reference);
                assert!(self.entries.len() < before, "{command}");
            }
            FileCommand::CommitMap { .. } => {
                let prepared = std::mem::take(&mut self.prepared);
                self.entries.clear();
                for (key, value) in &prepared {
                    self.add(key, value);
                }
            }
            other => panic!("{other}"),
        }
    }
}

fn commands(how: How) -> Vec<FileCommand> {
    match how {
        How::Commands(commands) => commands,
        How::Swap(swap) => {
            let version = Swap::version("New version created: 7\n\n").unwrap();
            let mut commands = swap.fill(version);
            commands.push(swap.commit(version));
            commands
        }
    }
}

fn planned(text: &str, shown: &str) -> MapPlan {
    plan(&path(MAP), text, &parse(shown).unwrap())
}

fn told(text: &str, shown: &str) -> Vec<String> {
    lines(&commands(planned(text, shown).how))
}

#[test]
fn a_map_that_is_as_its_file_says_gets_no_command() {
    let plan = planned("# routes\na.org/ web\n\n/api\tapi \n", "0x1 /api api\n0x2 a.org/ web\n\n");
    assert!(plan.is_done() && plan.left.is_empty());
    assert!(planned("", "\n").is_done());
}

#[test]
fn entries_come_and_change_before_others_go() {
    let told = told("a web\nb api\nc new\n", "0x1 a web\n0x2 gone x\n0x3 b web\n");
    assert_eq!(told, ["set map /etc/h.map b api", "add map /etc/h.map c new", "del map /etc/h.map gone"]);
}

#[test]
fn of_several_entries_for_a_key_the_right_one_stays() {
    assert_eq!(
        told("a web\n", "0x1 a old\n0x2 a web\n0x3 a web\n"),
        ["del map /etc/h.map #0x1", "del map /etc/h.map #0x3"]
    );
    assert_eq!(
        told("a web\n", "0x1 a x\n0x2 a y\n"),
        ["set map /etc/h.map a web", "del map /etc/h.map #0x2"]
    );
    assert_eq!(told("", "0x1 a x\n0x2 a y\n"), ["del map /etc/h.map #0x1", "del map /etc/h.map #0x2"]);
    assert_eq!(told("a first\na second\n", "0x1 a first\n0x2 a second\n"), ["del map /etc/h.map #0x2"]);
}

#[test]
fn what_somebody_smuggled_in_goes_by_its_reference() {
    let told = told("a web\n", "0x1 a b web\n0x2 ;x y\n0x3 #0x1 y\n0x4 <<\n0x5 k\\1 v\n");
    let gone = [2, 3, 4, 5, 1].map(|number| format!("del map /etc/h.map #{number:#x}"));
    assert_eq!(told[0], "add map /etc/h.map a web");
    assert_eq!(told[1..].iter().collect::<BTreeSet<_>>(), gone.iter().collect());
}

#[test]
fn what_the_socket_cannot_take_is_told_and_what_is_there_stays() {
    let text = "a web; shutdown\nb\\ c web\nd <<\n#e f\n;g h\nok web\n/x $HOME\n";
    let plan = planned(text, "0x1 a old\n0x2 ;g h\n");
    assert_eq!(lines(&commands(plan.how)), ["add map /etc/h.map ok web"]);
    assert_eq!(plan.left.len(), 4, "{:?}", plan.left);
}

#[test]
fn a_large_difference_is_swapped_at_once() {
    let text = |n: usize| (0..n).map(|i| format!("h{i}.org/ web{i}")).collect::<Vec<_>>().join("\n");
    let How::Swap(swap) = planned(&text(LARGE + 1), "").how else { panic!("not swapped") };
    assert_eq!(swap.prepare().to_string(), "prepare map /etc/h.map");
    let version = MapVersion(3);
    assert_eq!(lines(&swap.fill(version))[1], "add map @3 /etc/h.map h1.org/ web1");
    assert_eq!(swap.fill(version).len(), LARGE + 1);
    assert_eq!(swap.commit(version).to_string(), "commit map @3 /etc/h.map");
    assert_eq!(swap.abandon(version).to_string(), "clear map @3 /etc/h.map");
    assert!(matches!(planned(&text(LARGE), "").how, How::Commands(_)));
    // What cannot be said must not vanish by a swap.
    let with = format!("{}\n;x y\n", text(LARGE + 1));
    assert!(matches!(planned(&with, "0x1 ;x y\n").how, How::Commands(_)));
}

#[test]
fn answers_are_read_or_refused() {
    assert_eq!(parse("0x7f1 k v w\n\n"), Ok(vec![ShownEntry { reference: 0x7f1, key: "k", value: "v w" }]));
    assert_eq!(parse("Unknown map identifier. Please use #<id> or <file>.\n"), Err(Unread::Unknown));
    assert!(matches!(parse("Permission denied\n"), Err(Unread::Other(_))));
    assert_eq!(Swap::version("New version created: 12\n"), Some(MapVersion(12)));
    assert_eq!(Swap::version("Out of memory error.\n"), None);
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec(("[a-d]{1,2}", "[x-z]"), 0..24)
}

proptest! {
    #[test]
    fn the_commands_lead_to_the_file_and_no_key_is_ever_absent(
        shown in pairs(),
        wanted in pairs(),
        spaced in prop::collection::vec(("[a-d]", "[x-z] [x-z]"), 0..3),
    ) {
        let text = wanted.iter().map(|(key, value)| format!("{key} {value}")).collect::<Vec<_>>().join("\n");
        let mut map = Map::of(&[spaced, shown].concat());
        let (before, stay) = (map.clone(), wanted.iter().map(|(key, _)| key.as_str()).collect::<BTreeSet<_>>());
        let stay: BTreeSet<_> = stay.intersection(&before.keys()).copied().collect();
        let plan = planned(&text, &map.text());
        prop_assert!(plan.left.is_empty());
        for command in commands(plan.how) {
            map.take(&command);
            prop_assert!(stay.is_subset(&map.keys()), "{}", command);
        }
        let mut first = std::collections::BTreeMap::new();
        for (key, value) in &wanted {
            first.entry(key.clone()).or_insert(value.clone());
        }
        let mut found: Vec<_> = map.entries.iter().map(|(_, key, value)| (key.clone(), value.clone())).collect();
        found.sort();
        prop_assert_eq!(found, first.into_iter().collect::<Vec<_>>());
        prop_assert!(planned(&text, &map.text()).is_done());
    }

    #[test]
    fn any_file_and_any_answer_give_only_harmless_lines(text in "(?s).{0,80}", shown in "(0x[0-9a-f]{1,4} .{0,20}\n){0,4}") {
        let Ok(entries) = parse(&shown) else { return Ok(()) };
        for command in commands(plan(&path(MAP), &text, &entries).how) {
            let line = command.to_string();
            prop_assert!(!line.contains(['\n', '\r', '\0', ';', '\\', '"', '\'', '$', '<', '\t']), "{}", line);
            prop_assert!(line.is_ascii() && (4..=5).contains(&line.split(' ').count()), "{}", line);
        }
    }
}
