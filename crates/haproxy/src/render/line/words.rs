//! Cutting a line into words as HAProxy does, and writing words so that HAProxy reads exactly them again.
//!
//! What is judged are the words, not the text: `e"nv"(HOME)` and `e\x6ev(HOME)` are the word `env(HOME)` to HAProxy
//! (configuration manual 2.2; `parse_line` in its `src/tools.c`). Because the words are written anew, a line that is cut
//! otherwise than HAProxy would cut it still holds only what was judged.

use super::Malformed;

/// One line of HAProxy has room for 64 words.
const MAX_WORDS: usize = 60;

#[derive(Clone, Copy, Eq, PartialEq)]
enum Quote {
    None,
    Weak,
    Strong,
}

/// The words of a line, without a comment at its end.
pub(crate) fn split(line: &str) -> Result<Vec<String>, Malformed> {
    if let Some(found) = line.chars().find(|c| c.is_control() && *c != '\t') {
        return Err(Malformed::Control(found));
    }
    let (mut words, mut quote) = (Vec::new(), Quote::None);
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('#', Quote::None) => break,
            (' ' | '\t', Quote::None) => words.extend(word.take()),
            ('"', Quote::None) => quote = Quote::Weak,
            ('"', Quote::Weak) | ('\'', Quote::Strong) => quote = Quote::None,
            ('\'', Quote::None) => quote = Quote::Strong,
            ('$', Quote::Weak) => return Err(Malformed::Variable),
            ('\\', Quote::None | Quote::Weak) => {
                escape(&mut rest, quote, word.get_or_insert_default())?;
                continue;
            }
            (c, _) => word.get_or_insert_default().push(c),
        }
        if quote != Quote::None {
            word.get_or_insert_default();
        }
    }
    words.extend(word);
    match quote {
        Quote::None if words.len() > MAX_WORDS => Err(Malformed::TooManyWords(words.len())),
        Quote::None => Ok(words),
        Quote::Weak | Quote::Strong => Err(Malformed::Quote),
    }
}

/// What follows a backslash. Where it means nothing the backslash itself stays, as in `\1`.
fn escape(rest: &mut std::str::Chars<'_>, quote: Quote, word: &mut String) -> Result<(), Malformed> {
    let mut ahead = rest.clone();
    let (taken, skip) = match ahead.next() {
        None => return Err(Malformed::Backslash),
        Some(c @ (' ' | '\\' | '#' | '\'' | '"')) => (c, 1),
        Some('$') if quote == Quote::Weak => ('$', 1),
        Some('t') => ('\t', 1),
        Some('n') => ('\n', 1),
        Some('r') => ('\r', 1),
        Some('x') => (hex(&mut ahead)?, 3),
        Some(_) => ('\\', 0),
    };
    word.push(taken);
    for _ in 0..skip {
        rest.next();
    }
    Ok(())
}

/// The ASCII character of two hexadecimal digits. Others are taken as themselves only, NUL not at all.
fn hex(digits: &mut std::str::Chars<'_>) -> Result<char, Malformed> {
    let mut digit = || digits.next().and_then(|c| c.to_digit(16)).ok_or(Malformed::Hex);
    let code = digit()? * 16 + digit()?;
    char::from_u32(code).filter(|c| c.is_ascii() && *c != '\0').ok_or(Malformed::Hex)
}

/// Writes the words with one space between, each quoted or escaped if it has to be.
pub(super) fn join(words: &[String]) -> String {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() {
            line.push(' ');
        }
        write(word, &mut line);
    }
    line
}

fn write(word: &str, line: &mut String) {
    let special = |c: char| matches!(c, ' ' | '"' | '\'' | '#' | '\\') || c.is_ascii_control();
    if word.is_empty() {
        line.push_str("''");
    } else if !word.contains(special) {
        line.push_str(word);
    } else if !word.contains(|c: char| c == '\'' || c.is_ascii_control()) {
        // Nothing means anything between single quotes.
        line.extend(["'", word, "'"]);
    } else {
        word.chars().for_each(|c| write_escaped(c, line));
    }
}

fn write_escaped(c: char, line: &mut String) {
    match c {
        ' ' | '"' | '\'' | '#' | '\\' => line.extend(['\\', c]),
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\t' => line.push_str("\\t"),
        c if c.is_ascii_control() => {
            let digit = |n: u32| char::from_digit(n, 16).unwrap_or('0');
            line.extend(['\\', 'x', digit(u32::from(c) / 16), digit(u32::from(c) % 16)]);
        }
        c => line.push(c),
    }
}
