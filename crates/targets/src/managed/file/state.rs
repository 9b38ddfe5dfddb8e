//! The servers' state, for HAProxy to read when it reloads.

use std::path::Path;

use super::FileError;
use super::beside::write_whole;

/// The only version of the format that there is, in the first line of it (management manual, `show servers state`).
const FORMAT: &str = "1";

/// Writes the answer to `show servers state` where `server-state-file` points, with mode 600, whole or not at all. A link
/// there is replaced.
///
/// # Errors
/// It is no such answer, or cannot be written. A former dump stays as it is then: to reload with one that is older than
/// the last change would undo that change, so decide whether to go on without.
pub fn dump_state(text: &str, path: &Path) -> Result<(), FileError> {
    let first = text.lines().next().unwrap_or_default();
    if first.trim() != FORMAT {
        return Err(FileError::NotState { said: first.chars().take(80).collect() });
    }
    write_whole(path, text.as_bytes(), None)
}
