//! Whether two texts say the same to HAProxy though the Data Plane API has written one of them anew.
//!
//! It sorts the lines of a section by their keywords, keeps the order of those of one keyword, moves keywords within some
//! lines and gives times a unit (2.9 and 3.2, measured and from its source). Without leaving that aside a backend of
//! ours would never be what was wanted, and HAProxy be reloaded for ever.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::scan::{Line, lines};

/// A line as a set of words.
type Said<'l> = Vec<Cow<'l, str>>;

/// Whether a line says the same as a text of one line.
pub(super) fn is_line(line: &Line<'_>, text: &str) -> bool {
    lines(text).find(|line| !line.words.is_empty()).is_some_and(|other| said(line) == said(&other))
}

/// Whether these lines say the same as those.
pub(super) fn are<'l, 't: 'l>(
    one: impl Iterator<Item = &'l Line<'t>>,
    other: impl Iterator<Item = &'l Line<'t>>,
) -> bool {
    group(one) == group(other)
}

fn group<'l, 't: 'l>(lines: impl Iterator<Item = &'l Line<'t>>) -> BTreeMap<String, Vec<Said<'l>>> {
    let mut groups: BTreeMap<String, Vec<Said<'l>>> = BTreeMap::new();
    for line in lines {
        let first = line.word(0).unwrap_or_default();
        let key = match first {
            "option" | "timeout" | "no" => format!("{first} {}", line.word(1).unwrap_or_default()),
            first => first.to_owned(),
        };
        groups.entry(key).or_default().push(said(line));
    }
    groups
}

fn said<'l>(line: &'l Line<'_>) -> Said<'l> {
    // A word that only HAProxy can tell is like no other.
    let words = line.words.iter().map(|word| word.text.as_deref().map_or(Cow::Borrowed("\n"), time));
    let mut words: Said<'l> = words.collect();
    words.sort_unstable();
    words
}

/// A time in milliseconds, without its unit; anything else as it is.
fn time(word: &str) -> Cow<'_, str> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = word.get(digits.len()..).unwrap_or_default();
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Cow::Borrowed(word),
    };
    let number = if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse::<u64>().ok() } else { None };
    number
        .and_then(|number| number.checked_mul(factor))
        .map_or(Cow::Borrowed(word), |ms| ms.to_string().into())
}
