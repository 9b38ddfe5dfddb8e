//! JSON by a way of its own. The reader of YAML takes it too, but is many times slower, and does not know that a
//! character beyond `\uffff` is escaped as two: and what machines write in bulk is JSON.
//!
//! What is not JSON to the letter (RFC 8259) is left to the reader of YAML, with its errors.

use std::collections::HashSet;

use saphyr_parser::ScalarStyle;

use super::{Builder, Fault, Frame, MAX_BYTES, Map};
use crate::document::node::Entry;
use crate::position::Position;

/// Why the reading ended early.
pub(crate) enum Stop {
    /// This is not JSON; it may be YAML.
    NotJson,
    /// It is, but goes beyond a bound.
    Fault(Fault),
}

struct Json<'t, 'b> {
    text: &'t str,
    /// The next byte.
    next: usize,
    /// The place of an earlier byte, from which later ones are counted on.
    counted: usize,
    place: Position,
    builder: &'b mut Builder<'t>,
}

/// Whether a text can be JSON with a list or a mapping at its top, so that it is worth a try.
pub(crate) fn may_be(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Builds the tree of one JSON text.
pub(super) fn read<'t>(text: &'t str, builder: &mut Builder<'t>) -> Result<(), Stop> {
    let mut json = Json::new(text, builder);
    json.value()?;
    json.end()
}

/// Reads a text that is an object with one key, and an object there, whose entries are handed on one by one. With an
/// error, what was handed on counts for nothing.
pub(crate) fn entries(text: &str, key: &str, each: &mut dyn FnMut(&Entry<'_>)) -> Result<(), Stop> {
    if text.len() > MAX_BYTES {
        return Err(Stop::NotJson);
    }
    let mut builder = Builder::new(None);
    let mut json = Json::new(text, &mut builder);
    let (mut there, mut seen) = (false, HashSet::new());
    json.object(|json| {
        there = true;
        let found = json.key()?;
        if found.strip_prefix('"').and_then(|found| found.strip_suffix('"')) != Some(key) {
            return Err(Stop::NotJson);
        }
        json.object(|json| {
            json.entry()?;
            let entry = json.builder.take_entry().ok_or(Stop::NotJson)?;
            each(&entry);
            if seen.insert(entry.key) { Ok(()) } else { Err(Stop::NotJson) }
        })
    })?;
    json.end()?;
    if there && builder.faults.is_empty() { Ok(()) } else { Err(Stop::NotJson) }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl<'t, 'b> Json<'t, 'b> {
    fn new(text: &'t str, builder: &'b mut Builder<'t>) -> Self {
        let mut json = Self { text, next: 0, counted: 0, place: Position { line: 1, column: 1 }, builder };
        json.space();
        json
    }

    fn end(&mut self) -> Result<(), Stop> {
        self.space();
        if self.peek().is_none() { Ok(()) } else { Err(Stop::NotJson) }
    }

    /// The builder bounds how deep this goes.
    fn value(&mut self) -> Result<(), Stop> {
        match self.peek() {
            Some(b'{') => self.object(Self::entry),
            Some(b'[') => self.list(),
            Some(b'"') => self.string(),
            _ => self.word(),
        }
    }

    fn object(&mut self, entry: impl FnMut(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        if self.peek() != Some(b'{') {
            return Err(Stop::NotJson);
        }
        let at = self.at();
        self.builder.open(Ok(()), Frame::Map { at, anchor: 0, map: Map::default() })?;
        self.items(b'}', entry)
    }

    fn entry(&mut self) -> Result<(), Stop> {
        self.key()?;
        self.value()
    }

    /// A key as it is written, in its quotes; and what stands before the value.
    fn key(&mut self) -> Result<&'t str, Stop> {
        if self.peek() != Some(b'"') {
            return Err(Stop::NotJson);
        }
        let start = self.next;
        self.string()?;
        let key = self.text.get(start..self.next).unwrap_or_default();
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(key)
    }

    fn list(&mut self) -> Result<(), Stop> {
        let at = self.at();
        self.builder.open(Ok(()), Frame::List { at, anchor: 0, items: Vec::new() })?;
        self.items(b']', Self::value)
    }

    /// What stands between brackets, and the closing one.
    fn items(&mut self, end: u8, mut item: impl FnMut(&mut Self) -> Result<(), Stop>) -> Result<(), Stop> {
        self.next += 1;
        self.space();
        if self.peek() != Some(end) {
            loop {
                item(self)?;
                self.space();
                if self.peek() == Some(end) {
                    break;
                }
                self.expect(b',')?;
                self.space();
            }
        }
        self.next += 1;
        self.builder.close()?;
        Ok(())
    }

    fn string(&mut self) -> Result<(), Stop> {
        let at = self.at();
        let start = self.next;
        let mut escapes = false;
        loop {
            self.next += 1;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escapes = true;
                    self.next += 1;
                }
                Some(0x20..) => {}
                _ => return Err(Stop::NotJson),
            }
        }
        self.next += 1;
        let quoted = self.text.get(start..self.next).ok_or(Stop::NotJson)?;
        if escapes {
            let text: String = serde_json::from_str(quoted).map_err(|_| Stop::NotJson)?;
            self.builder.scalar(text.into(), ScalarStyle::DoubleQuoted, 0, None, at)?;
        } else {
            let text = quoted.get(1..quoted.len() - 1).ok_or(Stop::NotJson)?;
            self.builder.scalar(text.into(), ScalarStyle::DoubleQuoted, 0, None, at)?;
        }
        Ok(())
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<(), Stop> {
        let at = self.at();
        let rest = self.text.get(self.next..).unwrap_or_default();
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
        let word: &'t str = rest.get(..end).unwrap_or_default();
        if serde_json::from_str::<serde_json::Value>(word).is_err() {
            return Err(Stop::NotJson);
        }
        self.next += end;
        self.builder.scalar(word.into(), ScalarStyle::Plain, 0, None, at)?;
        Ok(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.next += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.next).copied()
    }

    fn expect(&mut self, wanted: u8) -> Result<(), Stop> {
        if self.peek() != Some(wanted) {
            return Err(Stop::NotJson);
        }
        self.next += 1;
        Ok(())
    }

    /// The place of the next byte. Each byte is counted once, however long a line is.
    fn at(&mut self) -> Position {
        for byte in self.text.as_bytes().get(self.counted..self.next).unwrap_or_default() {
            match byte {
                b'\n' => self.place = Position { line: self.place.line + 1, column: 1 },
                // The later bytes of a character that has several.
                0x80..0xc0 => {}
                _ => self.place.column += 1,
            }
        }
        self.counted = self.next;
        self.place
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Built, MAX_DEPTH, yaml};
    use super::*;
    use crate::document::node::{Content, Node};

    fn json(text: &str) -> Option<Built<'_>> {
        let mut builder = Builder::new(None);
        read(text, &mut builder).ok()?;
        builder.finish().ok()
    }

    fn as_yaml(text: &str) -> Option<Built<'_>> {
        yaml(text, None).ok()
    }

    /// What stands under the key `a`, entry by entry.
    fn parts(text: &str) -> Option<Vec<Entry<'static>>> {
        let mut found = Vec::new();
        entries(text, "a", &mut |entry| found.push(entry.clone().into_owned())).ok()?;
        Some(found)
    }

    fn shown(built: Option<Built<'_>>) -> String {
        built.map_or_else(|| "not read".to_owned(), |built| format!("{:?} {:?}", built.root, built.faults))
    }

    #[test]
    fn json_is_the_same_tree_at_the_same_places_as_its_yaml() {
        for text in [
            "[]",
            "{}",
            " {\n  \"a\" : [1, -2.5e3,\ttrue , null],\r\n \"é\": {\"b\": \"x\\n\\\"\\u00e9\", \"b\": 2}\n}\n",
            "[\"é\", {\"ü\": \"日本\"}, 3]",
        ] {
            assert_ne!(shown(json(text)), "not read", "{text}");
            assert_eq!(shown(json(text)), shown(as_yaml(text)), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_to_the_letter_is_left_to_yaml() {
        for text in [
            "",
            "[",
            "]",
            "[1,]",
            "{\"a\":1,}",
            "{a: 1}",
            "[a]",
            "[01]",
            "[1 2]",
            "{\"a\" 1}",
            "[] # x",
            "[]\n- a",
            "['a']",
            "[\"a\nb\"]",
            "[\"\\x41\"]",
            "[\"\\ud83d\"]",
            "{\"a\"}",
            "[\"a",
            "[\"a\\",
            "[nul]",
            "[+1]",
            "[.5]",
            "\u{feff}[]",
        ] {
            assert!(json(text).is_none(), "{text}");
        }
    }

    #[test]
    fn entries_are_given_only_of_a_text_that_has_nothing_else() {
        let text = "{\"a\": {\"b\": 1, \"\\u00e9\": [{\"c\": null}], \"d\": {}} }\n";
        let Some(Built { root: Node { content: Content::Map(top), .. }, .. }) = json(text) else { panic!() };
        assert_eq!(top.first().map(|entry| &entry.value.content), parts(text).map(Content::Map).as_ref());
        assert_eq!(parts("{\"a\": {}}"), Some(Vec::new()));
        for text in [
            "{}",
            "{\"a\": []}",
            "{\"a\": 1}",
            "{\"b\": {}}",
            "[{\"a\": {}}]",
            "{\"a\": {}, \"b\": {}}",
            "{\"b\": {}, \"a\": {}}",
            "{\"a\": {\"b\": 1}, \"a\": {}}",
            "{\"a\": {\"b\": 1, \"b\": 2}}",
            "{\"a\": {\"b\": 1, \"\\u0062\": 2}}",
            "{\"a\": {\"b\": {\"c\": 1, \"c\": 2}}}",
            "{\"a\": {\"b\": 1}} x",
            "{\"a\": {\"b\": 1}",
            "{\"a\": {\"b\": 1,}}",
            "{\"a\": {\"b\": '1'}}",
            "{a: {\"b\": 1}}",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_as_in_yaml() {
        let nested = |depth: usize| {
            let inside = depth - 2;
            format!("{{\"a\": {{\"b\": {}{}}}}}", "[".repeat(inside), "]".repeat(inside))
        };
        assert!(parts(&nested(MAX_DEPTH)).is_some() && json(&nested(MAX_DEPTH)).is_some());
        assert!(parts(&nested(MAX_DEPTH + 1)).is_none() && json(&nested(MAX_DEPTH + 1)).is_none());

        let deep = "[".repeat(100_000);
        assert!(matches!(read(&deep, &mut Builder::new(None)), Err(Stop::Fault(_))));
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "[ -~é日]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::vec(("[ -~é]{0,8}", inner), 0..6)
                    .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_a_machine_writes_is_the_same_tree_both_ways(value in any_value(), pretty in any::<bool>()) {
            let value = serde_json::json!([value]);
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            prop_assert_ne!(shown(json(&text)), "not read");
            prop_assert_eq!(shown(json(&text)), shown(as_yaml(&text)), "{}", text);
        }

        #[test]
        fn entry_by_entry_it_is_what_it_is_as_a_whole(value in any_value(), pretty in any::<bool>()) {
            let value = serde_json::json!({ "a": value });
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            let whole = json(&text).unwrap();
            let Content::Map(top) = whole.root.content else { unreachable!() };
            let wanted = match &top.first().unwrap().value.content {
                Content::Map(entries) => Some(entries.clone()),
                _ => None,
            };
            prop_assert_eq!(parts(&text), wanted);
        }

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            json(&text);
            json(&format!("[\"{text}"));
        }
    }
}
