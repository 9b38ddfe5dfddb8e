use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::crt_list::{CrtListPlan, First, parse, plan, wanted};
use super::*;

const LIST: &str = "/etc/web.crt";

/// Certificates that HAProxy has, with the names in them.
fn certificates(of: &[(&str, &[&str])]) -> Held {
    let loaded = |names: &[&str]| ShownCertificate::Loaded {
        fingerprint: Fingerprint::from_hex(&"0".repeat(40)).unwrap(),
        chain: None,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    Held { shown: of.iter().map(|(at, names)| (path(at), loaded(names))).collect(), replaced: Vec::new() }
}

fn abc() -> Held {
    certificates(&[("/a", &["a.org"]), ("/b", &["b.org"]), ("/c", &["a.org"])])
}

fn planned(text: &str, shown: &str, first: First) -> CrtListPlan {
    plan(&path(LIST), &wanted(text), &parse(shown).unwrap(), first, &abc())
}

fn told(plan: &CrtListPlan) -> Vec<String> {
    let full = |command: &FileCommand| {
        let payload = command.payload().map(|text| format!(" {}", text.trim_end())).unwrap_or_default();
        format!("{command}{payload}").replace("ssl crt-list /etc/web.crt ", "")
    };
    plan.add.iter().chain(&plan.delete).map(full).collect()
}

#[test]
fn a_list_that_is_as_its_file_says_gets_no_command() {
    let plan = planned(
        "/a a.org *.a.org\n\n# x\n/b\n",
        "# /etc/web.crt\n/a:1 *.a.org a.org\n/b:4\n",
        First::Default,
    );
    assert!(plan.is_done() && plan.left.is_empty());
    let plan = planned("/a [alpn h2] a.org\n", "/a:1 [alpn h2 ] a.org\n", First::Default);
    assert!(plan.is_done() && plan.left.is_empty());
}

#[test]
fn lines_come_before_others_go_each_by_its_number() {
    let plan = planned("/a\n/c x.org !y.org\n", "/a:1\n/b:2\n/b:5 z.org\n", First::Default);
    assert_eq!(told(&plan), ["add << /c !y.org x.org", "del /b:2", "del /b:5"]);
    assert!(plan.left.is_empty());
}

#[test]
fn a_line_with_other_names_is_added_anew_and_the_old_one_goes() {
    let plan = planned("/a\n/b new.org\n", "/a:1\n/b:2 old.org\n", First::Default);
    assert_eq!(told(&plan), ["add << /b new.org", "del /b:2"]);
}

#[test]
fn the_default_certificate_neither_goes_nor_moves_without_a_reload() {
    for (text, commands) in
        [("/b\n", vec![]), ("/b\n/a\n", vec![]), ("/a other.org\n/b\n", vec!["add << /a other.org"])]
    {
        let plan = planned(text, "/a:1\n/b:2\n", First::Default);
        assert_eq!(told(&plan), commands, "{text}");
        assert!(matches!(plan.left.as_slice(), [NeedsReload::First { .. }]), "{text}");
    }
    let plan = planned("/b\n", "/a:1\n/b:2\n", First::Any);
    assert_eq!((told(&plan), plan.left.len()), (vec!["del /a:1".to_owned()], 0));
    let plan = planned("/b\n/a\n", "/a:1\n/b:2\n", First::Any);
    assert!(plan.is_done() && plan.left.is_empty(), "names apart need no order");
}

#[test]
fn of_two_lines_for_a_name_the_one_that_is_first_in_the_file_comes_first() {
    // /a and /c are both for a.org.
    let plan = planned("/b\n/c\n/a\n", "/b:1\n/a:2\n/c:3\n", First::Default);
    assert_eq!(told(&plan), ["add << /a", "del /a:2"]);
    let plan = planned("/b\n/c\n/a\n", "/b:1\n/a:2\n", First::Default);
    assert_eq!(told(&plan), ["add << /c", "add << /a", "del /a:2"]);
}

#[test]
fn what_stands_behind_a_replaced_certificate_of_the_same_name_is_added_anew() {
    let mut held = abc();
    held.replaced = vec![path("/a"), path("/b")];
    let (text, shown) = ("/b\n/a\n/c\n", "/b:1\n/a:2\n/c:3\n");
    let plan = plan(&path(LIST), &wanted(text), &parse(shown).unwrap(), First::Default, &held);
    assert_eq!(told(&plan), ["add << /c", "del /c:3"]);
}

#[test]
fn a_line_whose_certificate_is_not_there_waits_and_its_old_line_stays() {
    let plan = planned("/a\n/none x.org\n", "/a:1\n/none:2 y.org\n", First::Default);
    assert!(plan.is_done() && plan.left.is_empty());
}

#[test]
fn what_the_socket_cannot_take_is_told_and_what_stands_for_it_stays() {
    let plan = planned("/a\n/b [alpn h2] b.org\n/b x;quit\n../c\n", "/a:1\n/b:2 b.org\n", First::Default);
    assert!(plan.is_done());
    assert_eq!(plan.left.len(), 3);
}

#[test]
fn answers_are_read_or_refused() {
    assert_eq!(parse("didn't find the specified filename\n"), Err(Unread::Unknown));
    assert!(matches!(parse("Permission denied\n"), Err(Unread::Other(_))));
    assert_eq!(parse("# /etc/web.crt\n\n"), Ok(Vec::new()));
}

#[derive(Clone, Debug)]
struct List {
    lines: Vec<(u32, String)>,
    next: u32,
}

impl List {
    fn text(&self) -> String {
        let line = |(number, line): &(u32, String)| {
            let (certificate, names) = line.split_once(' ').unwrap_or((line, ""));
            format!("{certificate}:{number} {names}")
        };
        self.lines.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn take(&mut self, command: &FileCommand) {
        match command {
            FileCommand::AddCrtList { line, .. } => {
                self.lines.push((self.next, line.to_string()));
                self.next += 1;
            }
            FileCommand::DelCrtList { certificate, line, .. } => {
                let before = self.lines.len();
                let is_it = |(number, text): &(u32, String)| {
                    number == line && text.split(' ').next() == Some(certificate.as_str())
                };
                self.lines.retain(|one| !is_it(one));
                assert_eq!(self.lines.len() + 1, before, "{command}");
            }
            other => panic!("{other}"),
        }
    }

    /// Which line answers for each name.
    fn serves(&self) -> BTreeMap<String, String> {
        let mut serves = BTreeMap::new();
        for (_, line) in &self.lines {
            for name in line.split(' ').skip(1) {
                serves.entry(name.to_owned()).or_insert_with(|| line.clone());
            }
        }
        serves
    }
}

fn some_lines() -> impl Strategy<Value = Vec<String>> {
    let line = ("/[a-c]", prop::collection::btree_set("[xyz]", 1..3));
    let line =
        line.prop_map(|(at, names)| format!("{at} {}", names.into_iter().collect::<Vec<_>>().join(" ")));
    prop::collection::vec(line, 0..8)
}

proptest! {
    #[test]
    fn the_commands_lead_to_what_the_file_serves_and_no_name_is_ever_absent(
        shown in some_lines(),
        file in some_lines(),
        first in prop::sample::select(vec![First::Any, First::Default]),
    ) {
        let next = u32::try_from(shown.len()).unwrap() + 1;
        let mut list = List { lines: (1..).zip(shown).collect(), next };
        let text = file.join("\n");
        let plan = planned(&text, &list.text(), first);
        let target = List { lines: (1..).zip(file.clone()).collect(), next: 0 }.serves();
        let before = list.serves();
        let stay: BTreeSet<_> = before.keys().filter(|name| target.contains_key(*name)).collect();
        let now = list.lines.first().cloned();
        for command in plan.add.iter().chain(&plan.delete) {
            list.take(command);
            let serves = list.serves();
            prop_assert!(stay.iter().all(|name| serves.contains_key(*name)), "{}", command);
        }
        if first == First::Default {
            prop_assert_eq!(list.lines.first().map(|(_, line)| line), now.as_ref().or(list.lines.first()).map(|(_, line)| line));
        }
        if plan.left.is_empty() {
            prop_assert_eq!(list.serves(), target);
            let mut lines: Vec<_> = list.lines.iter().map(|(_, line)| line.clone()).collect();
            let mut file = file;
            lines.sort();
            file.sort();
            prop_assert_eq!(lines, file);
        }
        prop_assert!(planned(&text, &list.text(), first).is_done());
    }
}
