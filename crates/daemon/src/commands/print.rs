//! Writing to the terminal.

use std::fmt;
use std::io::{self, Write};

/// A text that is made by writing to it.
pub(crate) fn text(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut text = String::new();
    // Writing to memory cannot fail.
    write(&mut text).ok();
    text
}

/// Writes a text to standard output. A reader that went away ends nothing but the writing.
pub(crate) fn out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes a text to standard error.
pub(crate) fn err(text: &str) {
    // Where even that fails there is nobody left to tell.
    writeln!(io::stderr().lock(), "{text}").ok();
}
