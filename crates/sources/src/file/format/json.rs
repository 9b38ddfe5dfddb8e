//! The one thing in which JSON is not YAML: a character beyond `\uffff` escaped as two surrogates, as Python writes it.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// JSON with such pairs made into the characters themselves. Any other text stays as it is.
pub(super) fn without_surrogates(text: &str) -> Cow<'_, str> {
    let first = |lead: &str| text.contains(lead);
    let any = [r"\ud8", r"\ud9", r"\uda", r"\udb", r"\uD8", r"\uD9", r"\uDA", r"\uDB"].into_iter().any(first);
    if !any || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        rest = match pair(after) {
            Some((character, after)) => {
                out.push(character);
                after
            }
            None => {
                // The next character is escaped; it begins nothing.
                let mut characters = after.chars();
                out.push('\\');
                out.extend(characters.next());
                characters.as_str()
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character of two escapes, the first of which has lost its backslash.
fn pair(text: &str) -> Option<(char, &str)> {
    let (high, rest) = unit(text)?;
    let (low, rest) = unit(rest.strip_prefix('\\')?)?;
    let character = char::decode_utf16([high, low]).next()?.ok()?;
    // Two characters of their own are left to the reader of YAML.
    (u32::from(character) > 0xffff).then_some((character, rest))
}

fn unit(text: &str) -> Option<(u16, &str)> {
    let (digits, rest) = text.strip_prefix('u')?.split_at_checked(4)?;
    Some((u16::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_characters_and_nothing_else_changes() {
        for (given, wanted) in [
            (r#"["\ud83d\ude00 \u00e9"]"#, r#"["😀 \u00e9"]"#),
            (r#"["\\ud83d\\ude00"]"#, r#"["\\ud83d\\ude00"]"#),
            (r#"["\"\ud83d\ude00\\"]"#, r#"["\"😀\\"]"#),
            (r"'\ud83d\ude00'", r"'\ud83d\ude00'"),
            (r#"["\u00e9"]"#, r#"["\u00e9"]"#),
        ] {
            assert_eq!(without_surrogates(given), wanted);
        }
    }
}
