//! What the level `trace` writes: each command to HAProxy and its answer.
//!
//! Invariant: no secret is among it. A payload, which may be a private key, is left out; so is every body and header of a
//! call to a Data Plane API.

use std::fmt::Display;

use tracing::{Level, enabled, trace};

/// The most characters of an answer.
const MOST: usize = 4096;

/// Writes commands with their answers. Those at the end may have none.
pub(crate) fn exchanged<'a>(
    socket: &dyn Display,
    commands: &[&[u8]],
    mut answers: impl Iterator<Item = &'a str>,
) {
    if !enabled!(Level::TRACE) {
        return;
    }
    for command in commands {
        let command = shown(command);
        let answer = answers.next().map(|answer| begin(answer.trim_end()));
        let what = if answer.is_some() { "HAProxy answered" } else { "HAProxy did not answer" };
        trace!(%socket, command, answer, "{what}");
    }
}

/// A command without its payload.
fn shown(command: &[u8]) -> String {
    let text = String::from_utf8_lossy(command);
    match text.trim_end().split_once('\n') {
        Some((line, payload)) => format!("{line} ({} bytes of payload)", payload.len()),
        None => text.trim_end().to_owned(),
    }
}

/// An answer, without what is too long of it.
fn begin(answer: &str) -> String {
    match answer.char_indices().nth(MOST) {
        Some((at, _)) => {
            format!("{}… ({} bytes)", answer.get(..at).unwrap_or_default(), answer.len())
        }
        None => answer.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_in_no_trace() {
        let command = b"set ssl cert /a.pem <<\n-----BEGIN PRIVATE KEY-----\nSECRET\n\n";
        assert_eq!(shown(command), "set ssl cert /a.pem << (34 bytes of payload)");
        assert_eq!(shown(b"show info\n"), "show info");
    }

    #[test]
    fn a_long_answer_is_cut_and_its_length_told() {
        assert_eq!(begin("short"), "short");
        let long = begin(&"ä".repeat(MOST + 1));
        assert!(long.ends_with("… (8194 bytes)"), "{}", long.get(long.len() - 40..).unwrap_or_default());
    }
}
