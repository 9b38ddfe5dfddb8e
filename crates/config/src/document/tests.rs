//! What a file's errors look like, and that nothing in a file can do harm.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::format;
use crate::value::{Duration, Percent};

#[derive(Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[schemars(title = "house")]
struct House {
    name: String,
    #[serde(default)]
    rooms: Vec<Room>,
    #[serde(default)]
    #[schemars(with = "Option<format::Named<format::Label, Room>>")]
    named: BTreeMap<String, Room>,
    #[serde(default)]
    doors: Option<u16>,
    #[schemars(range(min = 1, max = 9))]
    floors: Option<u32>,
    height: Option<f64>,
    lit: Option<bool>,
    every: Option<Duration>,
    share: Option<Percent>,
    heat: Option<Heat>,
    guard: Option<OffOr<Guard>>,
    #[serde(default)]
    any: serde_json::Value,
}

#[derive(Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[schemars(title = "room")]
struct Room {
    wide: u32,
    colour: Option<Colour>,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Colour {
    Red,
    /// With a comment, so that the schema is a list of alternatives.
    DarkGreen,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Heat {
    Gas(Guard),
    Wood(Guard),
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
struct Guard {
    least: u32,
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(untagged)]
enum OffOr<T> {
    Off(Off),
    On(T),
}

#[derive(Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Off {
    Off,
}

fn env() -> BTreeMap<String, String> {
    [("NUMBER", "7"), ("WORD", "hunter2"), ("TRICK", "x\nfloors: 3"), ("EMPTY", ""), ("TRUE", "true")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn read(text: &str) -> Result<House, Problems> {
    Document::parse("house.yaml", text, &env())?.decode()
}

fn errors(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

fn loose(text: &str) -> serde_json::Value {
    Document::parse("any.yaml", text, &env()).unwrap().decode().unwrap()
}

#[test]
fn every_error_of_a_file_is_reported_at_once_with_its_place() {
    assert_snapshot!(errors(include_str!("wrong.yaml")));
}

#[test]
fn what_stops_the_reading_is_one_error_with_its_place() {
    let cases = [
        "name: [a",
        "name: {x: ${NUMBER}}",
        "name: a\n\trooms: []",
        "name: a\n---\nname: b",
        "name: !secret a",
        "? [a, b]\n: c",
        "name: *nobody",
        "name: a\0b",
        "a: 'é' b: c",
        "x: &x [*x]",
        "'unclosed",
        "",
        "# only a comment\n",
        "%YAML 3.0\n--- a",
    ];
    let all: Vec<String> = cases.iter().map(|text| format!("{text:?}\n{}\n", errors(text))).collect();
    assert_snapshot!(all.join("\n"));
}

#[test]
fn a_text_is_taken_as_what_the_schema_wants() {
    let house = read(
        "name: 12\nfloors: 0x3\nheight: 3\nlit: true\nevery: 90s\nshare: 30%\nguard: off\n\
         rooms: [{wide: 1, colour: dark_green}]\nnamed: {a: {wide: 2}}\nheat: {gas: {least: 1}}\n\
         any: [1, yes, ~, 1.5, 'true']",
    )
    .unwrap();
    assert_eq!(house.name, "12");
    assert_eq!(house.floors, Some(3));
    assert_eq!(house.every, Some("90s".parse().unwrap()));
    assert_eq!(house.guard, Some(OffOr::Off(Off::Off)));
    assert_eq!(house.rooms, [Room { wide: 1, colour: Some(Colour::DarkGreen) }]);
    assert_eq!(house.heat, Some(Heat::Gas(Guard { least: 1 })));
    assert_eq!(house.any, serde_json::json!([1, "yes", null, 1.5, "true"]));
}

#[test]
fn json_is_yaml() {
    let house =
        read(r#"{"name": "a\u00e9\n", "floors": 3, "rooms": [{"wide": 1}], "guard": {"least": 2}}"#).unwrap();
    assert_eq!((house.name.as_str(), house.floors), ("aé\n", Some(3)));
    assert_eq!(house.guard, Some(OffOr::On(Guard { least: 2 })));
}

#[test]
fn the_environment_reaches_every_kind_of_text_and_takes_the_type_that_is_wanted() {
    let house = read("name: |\n  x ${WORD}\nfloors: \"${NUMBER}\"\nlit: ${TRUE}\ndoors: ${NONE:-4}").unwrap();
    assert_eq!(house.name, "x hunter2\n");
    assert_eq!((house.floors, house.lit, house.doors), (Some(7), Some(true), Some(4)));
}

#[test]
fn a_value_from_the_environment_adds_no_structure() {
    let house = read("name: ${TRICK}").unwrap();
    assert_eq!(house, House { name: "x\nfloors: 3".to_owned(), ..House::default() });
    assert_eq!(read("name: ${EMPTY}").unwrap().name, "");
}

#[test]
fn a_value_from_the_environment_stands_in_no_error_and_no_debug_output() {
    let text = "name: {a: ' ${WORD}'}\nfloors: ${WORD}\nlit: ${WORD}\nevery: ${WORD}\nshare: ${WORD}\n\
                guard: ${WORD}\nheat: ${WORD}\nrooms: [{wide: 1, colour: '${WORD}'}, '${WORD}']\nnamed: ${WORD}";
    let document = Document::parse("house.yaml", text, &env()).unwrap();
    let errors = document.decode::<House>().unwrap_err();
    assert_snapshot!(errors);
    for shown in [errors.to_string(), format!("{errors:?}"), format!("{document:?}")] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

/// The schema of a `u8` key is a word list; the type then refuses one of the words.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Picky;

impl TryFrom<String> for Picky {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Err(format!("{text:?} is not picked"))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Picks {
    #[serde(rename = "list")]
    #[schemars(with = "Vec<String>")]
    _list: Vec<Picky>,
}

#[test]
fn what_only_the_type_refuses_has_its_place_too() {
    let pick = |text: &str| {
        let document = Document::parse("picks.yaml", text, &env()).unwrap();
        document.decode::<Picks>().unwrap_err().to_string()
    };
    assert_snapshot!(pick("list:\n  - é"), @r#"
    picks.yaml:2:5: "é" is not picked
    1 error; nothing was applied
    "#);
    assert_snapshot!(pick("list:\n  - ${WORD}"), @r"
    picks.yaml:2:5: the value of ${WORD} cannot be used here (values from the environment are not shown)
    1 error; nothing was applied
    ");
}

#[test]
fn aliases_and_merge_keys_stand_for_what_they_name() {
    let text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\none: *base\n\
                two: {<<: *base, b: 9}\nthree:\n  <<: [*base, *more]\n  '<<': x";
    let value = loose(text);
    assert_eq!(value["one"], serde_json::json!({"a": 1, "b": 2}));
    assert_eq!(value["two"], serde_json::json!({"a": 1, "b": 9}));
    assert_eq!(value["three"], serde_json::json!({"a": 1, "b": 2, "c": 4, "<<": "x"}));
}

#[test]
fn a_small_text_cannot_become_a_huge_tree() {
    let level = |n: u32| format!("a{n}: &a{n} [{}]", vec![format!("*a{}", n - 1); 10].join(","));
    let levels: Vec<String> = (1..12).map(level).collect();
    let text = format!("a0: &a0 [x]\n{}", levels.join("\n"));
    assert!(errors(&text).contains("aliases written out"), "{}", errors(&text));

    let long = format!("a: &a '{}'\nb: [{}]", "x".repeat(1 << 20), vec!["*a"; 100].join(","));
    assert!(errors(&long).contains("aliases written out"));
}

#[test]
fn depth_is_bounded_whatever_makes_it() {
    for text in ["[".repeat(100_000), "{a: ".repeat(10_000), "- ".repeat(10_000)] {
        assert!(Document::parse("deep.yaml", &text, &env()).is_err());
    }
    let nested: Vec<String> = (0..1000).map(|depth| format!("{}a:", " ".repeat(depth))).collect();
    assert!(errors(&nested.join("\n")).contains("nest more than"));
    let aliases: Vec<String> = (1..40).map(|n| format!("a{n}: &a{n} [[*a{}]]", n - 1)).collect();
    assert!(errors(&format!("a0: &a0 x\n{}", aliases.join("\n"))).contains("nest more than"));
}

#[test]
fn a_place_is_found_by_its_path_and_counts_characters() {
    let document = Document::parse("é.yaml", "ключ: [é, 'ü', {ß: x}]\nb: 1", &env()).unwrap();
    let at = |path: &Path| document.position(path).to_string();
    assert_eq!(at(&Path::from(["ключ", "1"])), "1:11");
    assert_eq!(at(&Path::from(["ключ", "2", "ß"])), "1:20");
    assert_eq!(document.key_position(&Path::from(["ключ", "2", "ß"])).to_string(), "1:17");
    assert_eq!(at(&Path::from(["b"])), "2:4");
    assert_eq!(document.key_position(&Path::from(["b"])).to_string(), "2:1");
    // What is not there stands for what is above it.
    assert_eq!(at(&Path::from(["b", "none", "0"])), "2:4");
    assert_eq!(at(&Path::root()), "1:1");
    let problem = document.problem(&Path::from(["b"]), "no");
    assert_eq!(problem.to_string(), "é.yaml:2:4: no");
}

#[test]
fn the_habits_of_other_systems_change_no_place() {
    let document =
        Document::parse("x.yaml", "\u{feff}a: 1\r\nb:\r\n  - |\r\n    x\r\n  - y\r\n", &env()).unwrap();
    let at = |path: &Path| document.position(path).to_string();
    // A block begins where its text does.
    assert_eq!(at(&Path::from(["b", "0"])), "4:5");
    assert_eq!(at(&Path::from(["b", "1"])), "5:5");
    assert_eq!(
        document.decode::<serde_json::Value>().unwrap(),
        serde_json::json!({"a": 1, "b": ["x\n", "y"]})
    );
    assert_eq!(document.key_position(&Path::from(["a"])).line, 1);
}

/// Pieces of YAML, parted by `§`: text that is nearly YAML finds more than bytes do.
const PIECES: &str = "a§b: §: §- §\n§\n  §\n    § §\t§[§]§{§}§,§'§\"§|\n§>-\n§&a §*a§<<: §!!str §!x §? §#§%§---\n§...\n§${§}§${A}§$${§~§1§1.5§-§\\§\u{feff}§é§\r§name: x\n§rooms:\n- §wide: 1§\u{85}§@§`§0x§|2\n§\\u00§\0";

fn yamlish() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES.split('§').collect::<Vec<_>>());
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(read(&String::from_utf8_lossy(&bytes)));
    }

    #[test]
    fn nothing_that_looks_like_yaml_makes_it_panic(text in yamlish()) {
        if let Err(problems) = read(&text) {
            let lines = text.split(['\n', '\r']).count();
            prop_assert!(problems.iter().all(|problem| problem.at.line <= lines + 1 && problem.at.column >= 1));
        }
    }

    #[test]
    fn what_json_says_is_what_is_read(text in "\\PC{0,40}", number in any::<i64>(), truth in any::<bool>()) {
        prop_assume!(!text.contains("${"));
        let given = serde_json::json!({ "any": { "text": text, "number": number, "list": [truth, null] } });
        let read = Document::parse("x.json", &given.to_string(), &env()).unwrap().decode::<serde_json::Value>().unwrap();
        prop_assert_eq!(read, given);
    }
}

#[test]
fn a_key_that_is_there_twice_is_found_among_few_and_among_many() {
    for count in [1, 15, 16, 17, 40] {
        let keys: Vec<String> = (0..count).map(|number| format!("k{number}: 1\n")).collect();
        let keys = keys.concat();
        assert!(Text::new(&keys).parse("few.yaml").is_ok(), "{count}");
        for again in [0, count / 2, count - 1] {
            let error =
                Text::new(&format!("{keys}k{again}: 2\n")).parse("few.yaml").err().unwrap().to_string();
            let wanted = format!(
                "few.yaml:{}:1: the key `k{again}` is here a second time; the first is at {}:1",
                count + 1,
                again + 1
            );
            assert!(error.starts_with(&wanted), "{error}");
        }
    }
}
