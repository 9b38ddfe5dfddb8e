//! Cutting the file into lines and words, each with its place, so that all that stands between them can stay.
//!
//! Lines and words end where HAProxy ends them (`readcfgfile`, `parse_line` in its `src/`): words at blanks that are not
//! quoted, the line at a `#` that is not.

use std::borrow::Cow;
use std::ops::Range;

use crate::render::line::words;

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Line<'t> {
    /// Where it stands, its line break included.
    pub(super) range: Range<usize>,
    /// Its words.
    pub(super) words: Vec<Word<'t>>,
    /// The comment at its end, from the `#`.
    pub(super) comment: Option<&'t str>,
}

/// One word.
#[derive(Clone, Debug)]
pub(super) struct Word<'t> {
    /// Where it stands, with its quotes.
    pub(super) range: Range<usize>,
    /// What HAProxy makes of it; none where only HAProxy can tell (`"${HOME}"`).
    pub(super) text: Option<Cow<'t, str>>,
}

impl Line<'_> {
    /// The word at a place, where it can be told.
    pub(super) fn word(&self, at: usize) -> Option<&str> {
        self.words.get(at)?.text.as_deref()
    }

    /// True if there is nothing on it but a comment.
    pub(super) fn is_comment(&self) -> bool {
        self.words.is_empty() && self.comment.is_some()
    }

    /// True if there is nothing on it.
    pub(super) fn is_blank(&self) -> bool {
        self.words.is_empty() && self.comment.is_none()
    }

    /// Where its last word ends.
    pub(super) fn words_end(&self) -> usize {
        self.words.last().map_or(self.range.start, |word| word.range.end)
    }
}

/// Cuts a text into lines. Their ranges follow each other without a gap.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let range = start..start + line.len();
        start = range.end;
        cut(line, range)
    })
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Quote {
    None,
    Weak,
    Strong,
}

fn cut(line: &str, range: Range<usize>) -> Line<'_> {
    let (mut words, mut comment, mut quote) = (Vec::new(), None, Quote::None);
    let mut begin: Option<usize> = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match (c, quote) {
            ('#', Quote::None) => {
                words.extend(begin.take().and_then(|begin| word(line, begin..at, range.start)));
                comment = line.get(at..).map(|rest| rest.trim_end_matches(['\n', '\r']));
                break;
            }
            (c, Quote::None) if is_blank(c) => {
                words.extend(begin.take().and_then(|begin| word(line, begin..at, range.start)));
                continue;
            }
            ('"', Quote::None) => quote = Quote::Weak,
            ('"', Quote::Weak) | ('\'', Quote::Strong) => quote = Quote::None,
            ('\'', Quote::None) => quote = Quote::Strong,
            ('\\', Quote::None | Quote::Weak) => {
                _ = chars.next_if(|(_, next)| matches!(next, ' ' | '\\' | '#' | '\'' | '"'));
            }
            _ => {}
        }
        begin.get_or_insert(at);
    }
    let end = line.trim_end_matches('\n').len();
    words.extend(begin.and_then(|begin| word(line, begin..end, range.start)));
    Line { range, words, comment }
}

fn word(line: &str, at: Range<usize>, offset: usize) -> Option<Word<'_>> {
    let raw = line.get(at.clone())?;
    let text = if raw.contains(['"', '\'', '\\']) {
        words::split(raw).ok().and_then(|words| <[String; 1]>::try_from(words).ok()).map(|[word]| word.into())
    } else {
        Some(Cow::Borrowed(raw))
    };
    Some(Word { range: at.start + offset..at.end + offset, text })
}

/// As `isspace` of C.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}
