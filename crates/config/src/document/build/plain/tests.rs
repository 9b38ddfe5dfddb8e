//! That what is taken for plain YAML is what the reader of all of YAML makes of it, at the same places; and that it is
//! what people and machines write.

use proptest::prelude::*;

use super::super::{MAX_DEPTH, yaml};
use super::*;
use crate::document::node::Content;

/// Whether a text was taken; fails if it was taken for anything but what it is.
fn taken(text: &str) -> bool {
    let Ok(plain) = read(text) else {
        assert!(entries(text).is_none(), "entry by entry, but not as a whole: {text:?}");
        return false;
    };
    let Ok(whole) = yaml(text, None) else { panic!("this is not YAML: {text:?}") };
    assert_eq!(plain.root, whole.root, "{text:?}");
    assert!(plain.faults.is_empty() && whole.faults.is_empty(), "{text:?}");
    if let Some(entries) = entries(text) {
        let Content::Map(top) = &whole.root.content else { panic!("no mapping: {text:?}") };
        let [Entry { key, value, .. }] = top.as_slice() else { panic!("other keys: {text:?}") };
        assert_eq!((&**key, &value.content), ("a", &Content::Map(entries)), "{text:?}");
    }
    true
}

/// What stands under the key `a`, entry by entry.
fn entries(text: &str) -> Option<Vec<Entry<'static>>> {
    let mut found = Vec::new();
    let take = &mut |entry: &Entry<'_>| found.push(entry.clone().into_owned());
    let all = Entries::under("a", text).ok()?.read(take).ok()?;
    all.then_some(found)
}

#[test]
fn what_people_and_machines_write_is_taken() {
    for text in [
        "a: b",
        "a:\n  b:\n    - c\n    - d\n",
        "a:\n  b:\n  - c\n  - d\n  e:\n  - f: 1\n    g: 2\n  - f: 3\n",
        "a:\n- b\n-   c: d\n    e: f\n- g:\n  - h\nz: y\n",
        "- b: c\n  d:\n    e: f\n- 'x y'\n",
        "# a\n\na: # b\n  # c\n  b: c # d\n\n  e: \"f # g\" # h\n# i\n",
        "a: {}\nb: []\nc: [ ]\nd: { e: f, g: [ h, \"i, j\" ], 'k': {l: m} }\n",
        "a:\n  b:\n    - { address: 10.0.0.1:80, id: \"x y\" } # c\n    - {\"address\": \"10.0.0.2:80\"}\n    - \"[fd00::1]:80\"\n",
        "a: yes\nb: null\nc: ~\nd: 1e3\ne: 0x1f\nf: -1\ng: +.5\nh: True\ni: 2001-01-01\nj: 12:30\nk: NaN\n",
        "a: key:value\nb: x#y\nc: a - b ? c & d * e ! f | g > h ' i \" j % k @ l ` m [n] {o}, p\nd: c:\\x\n",
        "a: ${HOME}:80\nb: $HOME\nc: /x\nd: _x\n",
        "a:   b   \nc:  \n   d:  e\n  \n",
        "   a:\n     b: c\n   d: e",
        "ключ: é\nb: \u{85}\nc: [x]\nя: [\"é\", {b: \"日本\", c: d}]\n",
        "a: ''\nb: \"\"\nc: ' x '\nd: \"'\"\ne: '\"'\nf: '\\'\n",
        "null: a\n1: b\ntrue: c\n/x/y: d\na b: e\nx-y.z@w: f\n",
    ] {
        assert!(taken(text), "{text}");
    }
}

/// Texts that are not plain, or are wrong, parted by `§`.
const LEFT: [&str; 11] = [
    "§\n§# a§a§'a'§a b§[]§{}§[a]§{\"a\": \"b\"}§---\na: b§...§a: b\n...§%YAML 1.2\n---\na: b§a:",
    "a:\nb: c§a: b\nc:§-§- §- a\n-§- - a§-\n  a: b§- # a\n  b: c§a: b: c§a: b:§a: - b§a: ? b",
    "? a\n: b§: a§a : b§a :b§a: &x b§a: *x§*x : b§a: !x b§!x a: b§<<: {a: b}§a: |\n  b§a: >\n  b",
    "a: @b§a: `b§a: %b§a: ,b§a: ]b§a: }b§a: .5§a: #b§a: b\n  c§a: 'b\n  c'§a: \"b\n  c\"§a: 'it''s'",
    "a: \"\\n\"§a: 'b'c§a: 'b' 'c'§a: 'b'#c§'a': b§\"a\": b§a: [b\n]§a: [b,]§a: [b c]§a: [b: c]",
    "a: {b}§a: {b:c}§a: {b: }§a: {b: c d}§a: {b: c}d§a: {b: c}#d§a: [b]: c§a: [*b]§a: [&b c]",
    "a: [!b c]§a: [é]§a: [b, c]]§a: {b: c}}§a: [${A}]§a: {? b: c}§a:\tb§a: b\t§\ta: b§a: b\r\n",
    "a: b\rc: d§a: \u{7}b§\u{feff}a: b§a: \u{feff}b§a: b\u{feff}§# \u{feff}\na: b§a: b\0",
    "a:\n  b: c\n d: e§a:\n  - b\n - c§a: b\n c: d§ a: b\nc: d§- a\n - b§ - a\n- b",
    "a:\n  - b\n  c: d§a:\n  b: c\n  - d§- a\nb: c§a: b\n- c§a: b\na: c§a:\n  b: c\n  b: d",
    "a: {b: c, b: d}§a:\n  b:\n    c: d\n    c: e",
];

#[test]
fn what_may_mean_something_else_is_left_to_the_reader_of_all_of_yaml() {
    for text in LEFT.iter().flat_map(|texts| texts.split('§')) {
        assert!(!taken(text), "{text}");
    }
}

#[test]
fn entries_are_given_only_of_a_text_that_has_nothing_else() {
    let keys = |text: &str| {
        entries(text).map(|found| found.into_iter().map(|entry| entry.key.into_owned()).collect::<Vec<_>>())
    };
    assert_eq!(
        keys("a:\n  b: 1\n  c:\n  - d\n  e:\n    f: {}\n"),
        Some(["b", "c", "e"].map(str::to_owned).to_vec())
    );
    for text in [
        "b:\n  c: d",
        "a:\n  b: c\nd: e",
        "x-d: e\na:\n  b: c",
        "a:\n  b: c\n  b: d",
        "a: {}",
        "a:",
        "a:\n  - b",
        "a:\n- b",
        "a: b",
        "- a:\n    b: c",
        "a:\n  b: c\n d: e",
        "a:\n  b: c\n\n    d",
    ] {
        assert_eq!(keys(text), None, "{text}");
    }
}

#[test]
fn a_key_may_be_as_long_as_yaml_lets_it() {
    for (length, is_taken) in [(1, true), (1000, true), (1001, false), (2000, false)] {
        let key = "k".repeat(length);
        assert_eq!(taken(&format!("a:\n  - {key}: b\n")), is_taken, "{length}");
        assert!(taken(&format!(
            "a: {key}\nb: [ {key}, {{ {key}: {key} }} ]\nc:\n  - {{ {key}: {key} }}\n  - '{key}'\n"
        )));
    }
}

#[test]
fn depth_is_bounded_as_in_yaml() {
    let nested = |depth: usize| {
        let line = |level: usize| format!("{}a:\n", " ".repeat(level));
        format!("{}{}a: b", (0..depth - 1).map(line).collect::<String>(), " ".repeat(depth - 1))
    };
    assert!(taken(&nested(MAX_DEPTH)));
    assert!(!taken(&nested(MAX_DEPTH + 1)) && yaml(&nested(MAX_DEPTH + 1), None).is_err());
    assert!(!taken(&nested(1000)));
    assert!(taken(&format!("a: {}{}", "[".repeat(MAX_DEPTH - 1), "]".repeat(MAX_DEPTH - 1))));
    assert!(!taken(&format!("a: {}", "[".repeat(100_000))));
    assert!(!taken(&format!("a: {}", "{a: ".repeat(100_000))));
    assert!(!taken(&"- ".repeat(100_000)));
}

/// All texts of these pieces up to a length, in front of which another text stands.
fn each_text(before: &str, pieces: &[&str], length: usize, taken: &mut impl FnMut(&str)) {
    taken(before);
    for piece in pieces.iter().filter(|_| length > 0) {
        each_text(&format!("{before}{piece}"), pieces, length - 1, taken);
    }
}

#[test]
fn every_short_text_is_left_or_is_what_it_is() {
    let pieces = ["a", ":", " ", "\n", "-", "#", "[", "]", "{", "}", ",", "'"];
    let mut counts = (0, 0);
    for before in ["", "a: ", "a:\n  ", "a:\n- ", "a: [", "- {"] {
        each_text(before, &pieces, 4, &mut |text| {
            counts.0 += usize::from(taken(text));
            counts.1 += 1;
        });
    }
    assert!(counts.0 > 1_000, "{counts:?}");
}

/// Scalars as they come, most of them nasty.
const VALUES: &str = "b§10.0.0.1:80§x y§'q r'§\"s: t\"§yes§null§~§1e3§0x1f§-1§.5§- a§- - a§a: b: c§key:value§key: value§#§a #b§a#b§:§::§a:§?§? a§-§--§---§...§'§\"§''§'a''b'§\"a\\n\"§&x y§*x§!x y§!!str 1§|§>-§@§`§%§<<: {}§[]§{}§[a]§[a, b]§{a: b}§{ a: \"b\", c: [d] }§[a,]§{a}§[a§a]§{a: b} c§{a: b}: c§[a]: b§${A}§${A:-b: c}§é§\u{85}§\u{2028}§\u{feff}§\ta§a\tb§a\r§a \r§=§<§$§^§~a§/§\\§,§a,b§a, b§ a§a ";

fn value() -> impl Strategy<Value = String> {
    let sound = prop::sample::select(vec![
        "b",
        "10.0.0.1:80",
        "x y",
        "'q r'",
        "\"s: t\"",
        "null",
        "-1",
        "[a, b]",
        "{a: b}",
    ]);
    let any = prop::sample::select(VALUES.split('§').collect::<Vec<_>>());
    prop_oneof![4 => sound, 1 => any].prop_map(str::to_owned)
}

/// A line of a block: how much deeper than the one before, and what stands there.
fn line() -> impl Strategy<Value = (i8, String)> {
    let key = prop::sample::select(vec![
        "a", "b", "c", "d e", "é", "null", "1", "'a'", "\"a\"", "a:b", "-a", "<<", "?",
    ]);
    let deeper =
        prop_oneof![6 => Just(0_i8), 3 => Just(2), 2 => Just(-2), 1 => Just(4), 1 => Just(-4), 1 => -3_i8..4];
    let content = prop_oneof![
        4 => (key.clone(), value()).prop_map(|(key, value)| format!("{key}: {value}")),
        3 => key.clone().prop_map(|key| format!("{key}:")),
        4 => value().prop_map(|value| format!("- {value}")),
        3 => (key, value()).prop_map(|(key, value)| format!("- {key}: {value}")),
        1 => value(),
        1 => prop::sample::select(vec!["", " ", "# a", "#", "-", "- ", "---", "\t", "\r", "a: # b", "- # b", "a:  ", "-   a: b"]).prop_map(str::to_owned),
    ];
    (deeper, content)
}

fn block() -> impl Strategy<Value = String> {
    (prop::collection::vec(line(), 0..12), any::<bool>()).prop_map(|(lines, end)| {
        let mut column = 0_i8;
        let lines = lines.into_iter().map(|(deeper, content)| {
            column = (column + deeper).max(0);
            format!("{}{content}", " ".repeat(usize::try_from(column).unwrap()))
        });
        lines.collect::<Vec<_>>().join("\n") + if end { "\n" } else { "" }
    })
}

/// A sound text with a few characters put in or taken away.
fn bent() -> impl Strategy<Value = String> {
    let sound = "a:\n  b:\n    - 10.0.0.1:80\n    - c: d\n      e: \"f g\" # h\n      m:\n        n: o\n  i:\n  - { j: k, l: [m] }\n";
    let change = (
        0..sound.len(),
        prop::sample::select(
            " \n:-#[]{},'\"&*!|>%@`?\ta0~é\r\u{feff}".chars().map(Some).chain([None; 12]).collect::<Vec<_>>(),
        ),
    );
    prop::collection::vec(change, 1..4).prop_map(move |changes| {
        let mut text: Vec<char> = sound.chars().collect();
        for (at, character) in changes {
            match character {
                Some(character) => text.insert(at.min(text.len()), character),
                None => drop(text.remove(at.min(text.len() - 1))),
            }
        }
        text.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(4_000), ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_taken_is_what_it_is(text in prop_oneof![block(), bent(), any::<String>()]) {
        taken(&text);
    }
}
