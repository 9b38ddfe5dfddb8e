//! The words of an error and of what caused it.

use std::error::Error;

/// An error and its causes in one line, outermost first. A cause whose words the line has already is not repeated.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("{words}")]
    struct Link {
        words: &'static str,
        source: Option<Box<Link>>,
    }

    fn line(words: &[&'static str]) -> String {
        let links = words.iter().rev().fold(None, |source, words| Some(Box::new(Link { words, source })));
        chain(links.unwrap().as_ref())
    }

    #[test]
    fn an_error_is_followed_by_its_causes() {
        assert_eq!(line(&["cannot read"]), "cannot read");
        assert_eq!(line(&["cannot read", "no answer", "timed out"]), "cannot read: no answer: timed out");
    }

    #[test]
    fn a_cause_that_the_message_contains_is_not_repeated() {
        assert_eq!(line(&["/tmp: disk full; set TMPDIR", "disk full"]), "/tmp: disk full; set TMPDIR");
        assert_eq!(line(&["a: b", "b", "c", "c"]), "a: b: c");
        assert_eq!(line(&["a", ""]), "a");
    }
}
