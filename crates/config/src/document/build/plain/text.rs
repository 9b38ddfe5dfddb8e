//! Texts as they begin in a line of plain YAML: without quotes, in quotes, as words between brackets.

use saphyr_parser::ScalarStyle;

/// The longest key, in bytes. YAML looks for its colon within 1024 characters (section 7.4.2).
const MAX_KEY: usize = 1000;

/// What a text without quotes is, by what follows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// A colon follows.
    Key,
    /// The line ends there, or a comment follows.
    Value,
}

/// A text without quotes that ends with the line or at a colon.
pub(super) fn plain(rest: &str) -> Option<(&str, Role)> {
    let bytes = rest.as_bytes();
    if !begins(bytes) {
        return None;
    }
    let mut end = 0;
    loop {
        let ends = |byte: &u8| matches!(byte, b':' | b' ' | b'\n');
        end += bytes.get(end..)?.iter().position(ends).unwrap_or(bytes.len() - end);
        match bytes.get(end..)? {
            [] | [b'\n', ..] => return Some((rest.get(..end)?, Role::Value)),
            [b':'] | [b':', b' ' | b'\n', ..] if end > MAX_KEY => return None,
            [b':'] | [b':', b' ' | b'\n', ..] => return Some((rest.get(..end)?, Role::Key)),
            [b':', ..] => end += 1,
            spaces => {
                let next = end + spaces.iter().take_while(|byte| **byte == b' ').count();
                match bytes.get(next) {
                    None | Some(b'\n' | b'#') => return Some((rest.get(..end)?, Role::Value)),
                    // A colon here would end a key that has a space behind it.
                    Some(b':') => return None,
                    Some(_) => end = next,
                }
            }
        }
    }
}

/// What stands in quotes, without anything in it that means something else.
pub(super) fn quoted(rest: &str) -> Option<(&str, ScalarStyle)> {
    let (quote, style) = match rest.as_bytes() {
        [b'"', ..] => (b'"', ScalarStyle::DoubleQuoted),
        [b'\'', ..] => (b'\'', ScalarStyle::SingleQuoted),
        _ => return None,
    };
    let text = rest.get(1..)?;
    let ends = |byte: &u8| *byte == quote || *byte == b'\n' || *byte == b'\\' && quote == b'"';
    let end = text.as_bytes().iter().position(ends)?;
    // The quote of `'it''s'` is found here too, but nothing can follow it.
    if text.as_bytes().get(end) == Some(&quote) { Some((text.get(..end)?, style)) } else { None }
}

/// A word as it may stand between brackets.
pub(super) fn word(rest: &str) -> Option<&str> {
    let bytes = rest.as_bytes();
    let inside = |(at, byte): &(usize, &u8)| match byte {
        b':' => bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric),
        byte => byte.is_ascii_alphanumeric() || b"_-./@+=~".contains(byte),
    };
    let end = bytes.iter().enumerate().take_while(inside).count();
    rest.get(..end).filter(|_| end > 0 && begins(bytes))
}

/// Whether a text without quotes begins here, and can be nothing else.
fn begins(bytes: &[u8]) -> bool {
    match bytes {
        [b'-', next, ..] => next.is_ascii_alphanumeric(),
        [first, ..] => first.is_ascii_alphanumeric() || b"_/+~$".contains(first) || !first.is_ascii(),
        [] => false,
    }
}
