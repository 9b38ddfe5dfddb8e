//! What is taken out of a text and what is put there.

use std::ops::Range;

/// Replacements that do not overlap, by the same reading of a text.
#[derive(Debug, Default)]
pub(super) struct Patches(Vec<(Range<usize>, String)>);

impl Patches {
    /// Puts a text in the place of a range. At one place what comes first stands first.
    pub(super) fn replace(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.0.push((range, text.into()));
    }

    /// Puts whole lines at a place.
    pub(super) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at..at, text);
    }

    /// Whether anything is put at a place.
    pub(super) fn has_at(&self, at: usize) -> bool {
        self.0.iter().any(|(range, _)| *range == (at..at))
    }

    /// Takes a range out.
    pub(super) fn remove(&mut self, range: Range<usize>) {
        self.replace(range, "");
    }

    /// The new text; none if there is nothing to change.
    pub(super) fn apply(mut self, text: &str) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        self.0.sort_by_key(|(range, _)| range.start);
        let more: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        let (mut patched, mut done) = (String::with_capacity(text.len() + more), 0);
        for (range, new) in &self.0 {
            patched.push_str(text.get(done..range.start).unwrap_or_default());
            // A line is put after the last one, whose line break may be missing.
            if range.is_empty() && new.ends_with('\n') && !patched.is_empty() && !patched.ends_with('\n') {
                patched.push('\n');
            }
            patched.push_str(new);
            done = done.max(range.end);
        }
        patched.push_str(text.get(done..).unwrap_or_default());
        Some(patched)
    }
}

/// The blanks that a line begins with.
pub(super) fn indentation<'t>(text: &'t str, line: &Range<usize>) -> &'t str {
    let line = text.get(line.clone()).unwrap_or_default();
    let end = line.find(|c| c != ' ' && c != '\t').unwrap_or(0);
    line.get(..end).unwrap_or_default()
}
