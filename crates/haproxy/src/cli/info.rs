//! `show info`: which process answers, and whether it is on its way out (management manual 9.3).

use std::time::Duration;

use jiff::Timestamp;

use super::error::ParseError;
use crate::version::Version;

const COMMAND: &str = "show info";

/// What a process says of itself. It does not print its buffer size (`tune.bufsize`), so the longest line it takes
/// is not known from here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProcessInfo {
    /// Its version.
    pub version: Version,
    /// Its process number, in its own pid namespace: two containers may both say 8.
    pub pid: u32,
    /// True once a reload or `SIGUSR1` told it to finish. It still answers on connections it has, but what is set
    /// there is lost.
    pub stopping: bool,
    /// How long it has run, in whole seconds.
    pub uptime: Duration,
    /// When it started, in whole seconds by the clock of its machine.
    pub started: Option<Timestamp>,
}

/// Reads the answer to `show info`.
pub fn parse(text: &str) -> Result<ProcessInfo, ParseError> {
    // 2.6 and 3.0 begin so; anything else on the socket is not HAProxy's worker process.
    if !text.starts_with("Name: ") {
        return Err(ParseError::not_an_answer(COMMAND, text));
    }
    let keys = Keys { lines: text.lines().collect() };
    Ok(ProcessInfo {
        version: keys.required("Version", |value| value.parse().ok())?,
        pid: keys.required("Pid", |value| value.parse().ok())?,
        stopping: keys.required("Stopping", |value| value.parse::<u8>().ok())? != 0,
        uptime: keys.required("Uptime_sec", |value| value.parse().ok().map(Duration::from_secs))?,
        started: keys.optional("Start_time_sec", |value| {
            value.parse().ok().and_then(|second| Timestamp::from_second(second).ok())
        })?,
    })
}

struct Keys<'t> {
    lines: Vec<&'t str>,
}

impl<'t> Keys<'t> {
    fn find(&self, name: &str) -> Option<(usize, &'t str)> {
        // The value may be empty, then 2.6 to 3.2 leave the space out as well.
        let value = |line: &&'t str| line.strip_prefix(name)?.strip_prefix(':').map(str::trim);
        let mut values = (1..).zip(self.lines.iter().map(value));
        values.find_map(|(line, value)| Some((line, value?)))
    }

    fn required<T>(&self, name: &'static str, read: impl Fn(&str) -> Option<T>) -> Result<T, ParseError> {
        self.optional(name, read)?.ok_or(ParseError::Missing { command: COMMAND, name })
    }

    fn optional<T>(
        &self,
        name: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ParseError> {
        let Some((line, text)) = self.find(name) else { return Ok(None) };
        read(text).map(Some).ok_or_else(|| ParseError::value(COMMAND, line, name, text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_2_6_process_is_read() {
        let info = parse(include_str!("fixtures/info-2.6.txt")).unwrap();
        assert_eq!(info.version, Version::new(2, 6, 12));
        assert!(!info.stopping);
        assert!(info.pid > 1);
        assert!(info.started.is_some(), "2.6 prints Start_time_sec");
    }

    #[test]
    fn a_3_0_process_is_read() {
        let info = parse(include_str!("fixtures/info-3.0.txt")).unwrap();
        assert_eq!(info.version, Version::new(3, 0, 11));
        assert!(!info.stopping);
        assert!(info.started.is_some());
    }

    #[test]
    fn a_process_on_its_way_out_is_seen() {
        let text = include_str!("fixtures/info-3.0.txt").replace("Stopping: 0", "Stopping: 1");
        assert!(parse(&text).unwrap().stopping);
    }

    #[test]
    fn without_a_pid_or_stopping_nothing_is_believed() {
        for key in ["Pid: ", "Stopping: ", "Version: "] {
            let text = include_str!("fixtures/info-2.6.txt").replace(key, "X: ");
            assert!(matches!(parse(&text), Err(ParseError::Missing { .. })), "without {key}");
        }
        let text = include_str!("fixtures/info-2.6.txt").replace("Pid: ", "Pid: x");
        let error = parse(&text).unwrap_err();
        assert!(error.to_string().contains("as Pid, which cannot be read"), "{error}");
    }

    #[test]
    fn another_answer_is_not_a_process() {
        assert!(parse("").is_err());
        assert!(parse("<html>").is_err());
        assert!(parse("Permission denied\n").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "(?s).*") {
            let _read = parse(&text);
            let _read = parse(&format!("Name: HAProxy\n{text}"));
        }
    }
}
