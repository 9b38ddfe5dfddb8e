//! Ends a test with the whole story of an error.

use std::error::Error;

/// For test code outside `#[test]` functions, where a `Result` cannot be returned.
pub trait OrFail<T> {
    /// The value, or a panic at the caller's line that tells the error and its causes.
    fn or_fail(self) -> T;
}

impl<T, E: Error> OrFail<T> for Result<T, E> {
    #[track_caller]
    fn or_fail(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => fail(&story(&error)),
        }
    }
}

#[track_caller]
#[allow(clippy::panic, reason = "a test helper: the panic is the test's failure")]
pub(crate) fn fail(text: &str) -> ! {
    panic!("{text}")
}

fn story(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str("\n  because: ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
