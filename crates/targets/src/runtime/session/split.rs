//! Cuts what HAProxy sends into answers.
//!
//! After `prompt` each answer ends with a line break and `> ` (src/cli.c: "LF + '> ' in interactive mode"). Most
//! texts have a line break of their own before that one, some of 2.6 and 2.8 do not (`Server deleted.`), and an
//! answer without text is the line break and the prompt alone.

use std::mem;

use memchr::memmem::Finder;
use roster_haproxy::cli::Reply;

const PROMPT: &[u8] = b"\n> ";

/// Bytes that were received and not yet given out.
#[derive(Debug)]
pub(super) struct Splitter {
    buffer: Vec<u8>,
    /// Where the first answer that was not given out begins.
    start: usize,
    /// How far the buffer was searched in vain.
    searched: usize,
    prompt: Finder<'static>,
}

impl Default for Splitter {
    fn default() -> Self {
        Self { buffer: Vec::new(), start: 0, searched: 0, prompt: Finder::new(PROMPT) }
    }
}

impl Splitter {
    /// Where to append what was received.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
            self.searched = 0;
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.searched -= mem::take(&mut self.start);
        }
        &mut self.buffer
    }

    /// The next whole answer, in the order in which they came.
    pub(super) fn next_reply(&mut self) -> Option<Reply> {
        let unseen = self.buffer.get(self.searched..)?;
        // Most answers are the prompt alone.
        let found = if unseen.starts_with(PROMPT) { Some(0) } else { self.prompt.find(unseen) };
        let Some(found) = found else {
            // The prompt may have been cut: its last two bytes can be the first of what comes next.
            self.searched = self.buffer.len().saturating_sub(PROMPT.len() - 1).max(self.start);
            return None;
        };
        let end = self.searched + found;
        let text = String::from_utf8_lossy(self.buffer.get(self.start..end)?).into_owned();
        self.start = end + PROMPT.len();
        self.searched = self.start;
        Some(Reply::new(text))
    }

    /// The beginning of an answer whose end has not come.
    pub(super) fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(parts: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
        let mut splitter = Splitter::default();
        let mut texts = Vec::new();
        for part in parts {
            splitter.buffer().extend_from_slice(part);
            while let Some(reply) = splitter.next_reply() {
                texts.push(reply.text().to_owned());
            }
        }
        (texts, splitter.pending().to_vec())
    }

    #[test]
    fn empty_and_full_answers_and_those_without_a_line_break_are_told_apart() {
        let (texts, rest) = split(&[b"\n> \n> No such server.\n\n> Server deleted.\n> \n> "]);
        assert_eq!(texts, ["", "", "No such server.\n", "Server deleted.", ""]);
        assert!(rest.is_empty());
    }

    #[test]
    fn a_prompt_inside_a_line_ends_nothing() {
        let (texts, _) = split(&[b"a > b\n>c\n > d\n\n> "]);
        assert_eq!(texts, ["a > b\n>c\n > d\n"]);
    }

    #[test]
    fn what_comes_after_the_last_prompt_waits() {
        let (texts, rest) = split(&[b"\n> half an ans"]);
        assert_eq!((texts.len(), rest.as_slice()), (1, b"half an ans".as_slice()));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(
            answers in prop::collection::vec("[a-z> ]{0,9}\n?", 0..12),
            cuts in prop::collection::vec(0_usize..200, 0..20),
        ) {
            let whole = answers.iter().flat_map(|text| [text, "\n> "]).collect::<String>();
            let bytes = whole.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<_> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            prop_assert_eq!(split(&parts), split(&[bytes]));
        }

        #[test]
        fn any_bytes_are_split_without_a_panic_and_none_is_lost(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (texts, rest) = split(&[&bytes]);
            if bytes.is_ascii() {
                let sum = texts.iter().map(|text| text.len() + PROMPT.len()).sum::<usize>() + rest.len();
                prop_assert_eq!(sum, bytes.len());
            }
        }
    }
}
