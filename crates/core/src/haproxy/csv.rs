//! The CSV of `show stat`: comma, double quotes around what holds a comma, quote or line break, a quote inside is
//! doubled (management manual 9.1).

use std::borrow::Cow;

/// Reads one record from the front of `text`; returns the rest. None at the end.
pub(super) fn next_record<'t>(text: &'t str, fields: &mut Vec<Cow<'t, str>>) -> Option<&'t str> {
    fields.clear();
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    loop {
        let (field, after) = next_field(rest);
        fields.push(field);
        let mut following = after.chars();
        match following.next() {
            Some(',') => rest = following.as_str(),
            // A line break, or nothing more.
            _ => return Some(following.as_str()),
        }
    }
}

fn next_field(text: &str) -> (Cow<'_, str>, &str) {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        let (field, after) = text.split_at(end);
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
            let end = after.find([',', '\n']).unwrap_or(after.len());
            return (field, after.split_at(end).1);
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
        fn what_is_quoted_is_read_back(fields in prop::collection::vec("(?s).*", 1..5)) {
            let quoted: Vec<_> = fields.iter().map(|f| format!("\"{}\"", f.replace('"', "\"\""))).collect();
            prop_assert_eq!(records(&(quoted.join(",") + "\n")), vec![fields]);
        }
    }
}
