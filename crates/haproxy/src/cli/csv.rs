//! The CSV of `show stat`: comma, double quotes around what holds a comma, quote or line break, a quote inside is
//! doubled (management manual 9.1).

use std::borrow::Cow;

use memchr::memchr2;

/// The fields of one record, one after the other.
#[derive(Debug)]
pub(super) struct Record<'t> {
    rest: &'t str,
    has_more: bool,
}

impl<'t> Record<'t> {
    /// The record at the front of `text`; none at the end.
    pub(super) fn at_front(text: &'t str) -> Option<Self> {
        (!text.is_empty()).then_some(Self { rest: text, has_more: true })
    }

    /// What comes after it. The fields that were not read yet are not looked at.
    pub(super) fn finish(mut self) -> &'t str {
        while self.has_more {
            let stop = memchr2(b'\n', b'"', self.rest.as_bytes()).unwrap_or(self.rest.len());
            let (plain, after) = self.rest.split_at(stop);
            if after.starts_with('"') {
                // It quotes a field if it is that one's first character.
                let begin = plain.rfind(',').map_or(0, |comma| comma + 1);
                self.rest = self.rest.split_at(begin).1;
                self.next();
            } else {
                self.rest = after.strip_prefix('\n').unwrap_or(after);
                self.has_more = false;
            }
        }
        self.rest
    }
}

impl<'t> Iterator for Record<'t> {
    type Item = Cow<'t, str>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.has_more {
            return None;
        }
        let (field, after) = next_field(self.rest);
        let mut following = after.chars();
        // Else a line break, or nothing more.
        self.has_more = following.next() == Some(',');
        self.rest = following.as_str();
        Some(field)
    }
}

/// Reads one record from the front of `text`; returns the rest. None at the end.
pub(super) fn next_record<'t>(text: &'t str, fields: &mut Vec<Cow<'t, str>>) -> Option<&'t str> {
    fields.clear();
    let mut record = Record::at_front(text)?;
    fields.extend(record.by_ref());
    Some(record.finish())
}

/// Most fields are empty or a digit, so that a search for their end would take longer than looking at each byte.
fn end_of_plain(text: &str) -> usize {
    text.bytes().position(|byte| byte == b',' || byte == b'\n').unwrap_or(text.len())
}

fn next_field(text: &str) -> (Cow<'_, str>, &str) {
    let Some(mut rest) = text.strip_prefix('"') else {
        let (field, after) = text.split_at(end_of_plain(text));
        return (Cow::Borrowed(field), after);
    };
    let mut field = Cow::Borrowed("");
    loop {
        let (part, after) = rest.split_once('"').unwrap_or((rest, ""));
        if field.is_empty() {
            field = Cow::Borrowed(part);
        } else {
            field.to_mut().push_str(part);
        }
        let Some(more) = after.strip_prefix('"') else {
            // Whatever stands between the closing quote and the comma is not CSV; it is left out.
            return (field, after.split_at(end_of_plain(after)).1);
        };
        field.to_mut().push('"');
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(text: &str) -> Vec<Vec<String>> {
        let mut fields = Vec::new();
        let mut rest = text;
        let mut all = Vec::new();
        while let Some(after) = next_record(rest, &mut fields) {
            all.push(fields.iter().map(ToString::to_string).collect());
            rest = after;
        }
        all
    }

    #[test]
    fn quoted_fields_keep_commas_quotes_and_line_breaks() {
        assert_eq!(records("a,\"b,c\",d\n"), [["a", "b,c", "d"]]);
        assert_eq!(records("\"say \"\"hi\"\"\",x\n"), [["say \"hi\"", "x"]]);
        assert_eq!(records("\"two\nlines\",x\ny,z\n"), [["two\nlines", "x"], ["y", "z"]]);
        assert_eq!(records("\"\",\"\"\"\"\n"), [["", "\""]]);
    }

    #[test]
    fn empty_fields_are_fields() {
        assert_eq!(records("a,,\n,b\n"), [vec!["a", "", ""], vec!["", "b"]]);
    }

    proptest! {
        #[test]
        fn any_text_ends_without_a_panic(text in "(?s)[a,\"\n]*|(?s).*") {
            records(&text);
        }

        #[test]
        fn skipping_fields_ends_where_reading_them_does(text in "[a,\"\n]*", read in 0_usize..6) {
            let Some(whole) = next_record(&text, &mut Vec::new()) else { return Ok(()) };
            let mut record = Record::at_front(&text).unwrap();
            let _read = record.by_ref().take(read).count();
            prop_assert_eq!(record.finish(), whole);
        }

        #[test]
        fn what_is_quoted_is_read_back(fields in prop::collection::vec("(?s).*", 1..5)) {
            let quoted: Vec<_> = fields.iter().map(|f| format!("\"{}\"", f.replace('"', "\"\""))).collect();
            prop_assert_eq!(records(&(quoted.join(",") + "\n")), vec![fields]);
        }
    }
}
