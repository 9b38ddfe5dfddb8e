//! JSON by a way of its own. The reader of YAML takes it too, but is many times slower, and does not know that a
//! character beyond `\uffff` is escaped as two: and what machines write in bulk is JSON.
//!
//! What is not JSON to the letter (RFC 8259) is left to the reader of YAML, with its errors.

use saphyr_parser::ScalarStyle;

use super::{Builder, Fault, Frame, Map};
use crate::document::node::Position;

/// Why the reading ended early.
pub(super) enum Stop {
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
pub(super) fn may_be(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// Builds the tree of one JSON text.
pub(super) fn read<'t>(text: &'t str, builder: &mut Builder<'t>) -> Result<(), Stop> {
    let place = Position { line: 1, column: 1 };
    let mut json = Json { text, next: 0, counted: 0, place, builder };
    json.value()?;
    json.space();
    if json.peek().is_none() { Ok(()) } else { Err(Stop::NotJson) }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl<'t> Json<'t, '_> {
    /// The builder bounds how deep this goes.
    fn value(&mut self) -> Result<(), Stop> {
        self.space();
        match self.peek() {
            Some(b'{') => self.mapping(),
            Some(b'[') => self.list(),
            Some(b'"') => self.string(),
            _ => self.word(),
        }
    }

    fn mapping(&mut self) -> Result<(), Stop> {
        let at = self.at();
        self.builder.open(Ok(()), Frame::Map { at, anchor: 0, map: Map::default() })?;
        self.items(b'}', |json| {
            if json.peek() != Some(b'"') {
                return Err(Stop::NotJson);
            }
            json.string()?;
            json.space();
            json.expect(b':')?;
            json.value()
        })
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

    use super::super::{Built, yaml};
    use super::*;

    fn json(text: &str) -> Option<Built<'_>> {
        let mut builder = Builder::new(None);
        read(text, &mut builder).ok()?;
        builder.finish().ok()
    }

    fn as_yaml(text: &str) -> Option<Built<'_>> {
        yaml(text, None).ok()
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
    fn depth_is_bounded_as_in_yaml() {
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
        fn no_text_makes_it_panic(text in any::<String>()) {
            json(&text);
            json(&format!("[\"{text}"));
        }
    }
}
