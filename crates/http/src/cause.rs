//! The words of an error and of all that caused it.

use std::error::Error;

/// An error's causes in one line, outermost first, each once. The last one is the true one, so none is left out.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut told: Vec<String> = Vec::new();
    for cause in std::iter::successors(Some(error), |&error| error.source()) {
        let text: String = cause.to_string();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // Many errors repeat the words of their cause.
        if let Some(last) = told.last_mut().filter(|last| last.ends_with(&text)) {
            let kept = last.len() - text.len();
            last.truncate(kept);
            while last.ends_with([' ', ':']) {
                last.pop();
            }
            if last.is_empty() {
                told.pop();
            }
        }
        if !text.is_empty() {
            told.push(text);
        }
    }
    told.join(": ")
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

    fn chain(words: &[&'static str]) -> Link {
        let links = words.iter().rev().fold(None, |source, words| Some(Box::new(Link { words, source })));
        *links.unwrap()
    }

    #[test]
    fn every_cause_is_named_once_and_the_true_one_comes_last() {
        assert_eq!(
            causes(&chain(&["cannot ask", "no connection", "timed out"])),
            "cannot ask: no connection: timed out"
        );
        assert_eq!(
            causes(&chain(&["cannot ask: no connection", "no connection", "refused"])),
            "cannot ask: no connection: refused"
        );
        assert_eq!(causes(&chain(&["refused", "refused"])), "refused");
        assert_eq!(causes(&chain(&["two\n lines", ""])), "two lines");
    }
}
