//! A line that HAProxy writes to its standard error, with its level (`[ALERT]    (123) : config : …`).

use std::fmt;

use tracing::{debug, error, info, warn};

/// How HAProxy rates a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Level {
    /// `[ALERT]` and `[EMERG]`: something does not work.
    Alert,
    /// `[WARNING]`.
    Warning,
    /// `[NOTICE]`.
    Notice,
    /// `[DIAG]`: advice on the configuration, with `-dD`.
    Diagnostic,
    /// None: what `log stdout` writes, and the lines after the first of a message.
    Plain,
}

/// One line of HAProxy's output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Its level.
    pub level: Level,
    /// Which process wrote it, where it says so.
    pub pid: Option<u32>,
    /// What stands behind level and process.
    pub text: String,
}

impl Line {
    /// Reads a line. Everything is one; what does not begin as HAProxy's own messages do is [`Level::Plain`].
    pub fn parse(line: &str) -> Self {
        Self::message(line).unwrap_or_else(|| Self {
            level: Level::Plain,
            pid: None,
            text: line.trim_end().to_owned(),
        })
    }

    fn message(line: &str) -> Option<Self> {
        let (word, rest) = line.strip_prefix('[')?.split_once(']')?;
        let level = match word {
            "ALERT" | "EMERG" => Level::Alert,
            "WARNING" => Level::Warning,
            "NOTICE" => Level::Notice,
            "DIAG" => Level::Diagnostic,
            _ => return None,
        };
        let (pid, text) = rest.trim_start().strip_prefix('(')?.split_once(") : ")?;
        Some(Self { level, pid: Some(pid.parse().ok()?), text: text.trim_end().to_owned() })
    }

    /// Writes it to Roster's own log, marked as HAProxy's, under the target `haproxy` and with its level.
    pub(super) fn log(&self) {
        let (text, pid) = (&self.text, self.pid);
        match self.level {
            _ if self.is_routine() => debug!(target: "haproxy", pid, "HAProxy: {text}"),
            Level::Alert => error!(target: "haproxy", pid, "HAProxy: {text}"),
            Level::Warning => warn!(target: "haproxy", pid, "HAProxy: {text}"),
            Level::Notice | Level::Plain => info!(target: "haproxy", pid, "HAProxy: {text}"),
            Level::Diagnostic => debug!(target: "haproxy", pid, "HAProxy: {text}"),
        }
    }

    /// Whether HAProxy writes it of what Roster does all the time: at every reload, for each proxy or process, that proxies
    /// of the old worker stop and that this worker ended well; and of each server that a command changes.
    fn is_routine(&self) -> bool {
        let text = self.text.as_str();
        let commanded = [
            " (leaving forced maintenance)",
            " (leaving forced drain)",
            " enters drain state",
            " for maintenance",
        ];
        if text.starts_with("Server ") && commanded.iter().any(|end| text.contains(end)) {
            return true;
        }
        let stops = text.starts_with("Proxy ") && text.contains(" stopped (");
        let ended = text.starts_with("Former worker ") && text.contains(" exited with code 0 ");
        matches!(self.level, Level::Warning | Level::Notice)
            && (stops || ended || text.starts_with("Stopping "))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What an operator has to read of what HAProxy wrote: its alerts, or without any its warnings, or else everything.
/// Without process numbers, so that the same trouble reads the same.
pub(super) fn gist(lines: &[Line]) -> String {
    let of = |level| lines.iter().filter(|line| line.level == level).map(Line::to_string).collect::<Vec<_>>();
    let chosen = [of(Level::Alert), of(Level::Warning)].into_iter().find(|some| !some.is_empty());
    chosen.unwrap_or_else(|| lines.iter().map(Line::to_string).collect()).join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "\
[NOTICE]   (22361) : haproxy version is 2.6.12-1+deb12u4
[ALERT]    (22361) : config : parsing [/etc/haproxy.cfg:12] : unknown keyword 'nonsense' in 'frontend' section
[ALERT]    (22361) : config : Fatal errors found in configuration.
[WARNING]  (22361) : Loading failure!
";

    fn lines(text: &str) -> Vec<Line> {
        text.lines().map(Line::parse).collect()
    }

    #[test]
    fn level_and_process_are_told_from_the_text() {
        let line = Line::parse("[WARNING]  (22361) : Former worker (22363) exited with code 0 (Exit)\n");
        assert_eq!((line.level, line.pid), (Level::Warning, Some(22361)));
        assert_eq!(line.text, "Former worker (22363) exited with code 0 (Exit)");
    }

    #[test]
    fn what_every_reload_writes_is_routine_and_a_worker_that_died_is_not() {
        for text in [
            "[WARNING]  (7) : Proxy web stopped (cumulated conns: FE: 0, BE: 3).",
            "[NOTICE]   (7) : Former worker (8) exited with code 0 (Exit)",
            "[WARNING]  (7) : Stopping backend web in 0 ms.",
            "[WARNING]  (7) : Server web/srv1 is UP/READY (leaving forced maintenance).",
            "[WARNING]  (7) : Server web/srv1 enters drain state. 1 active and 0 backup servers online.",
            "[WARNING]  (7) : Server web/srv1 is going DOWN for maintenance. 1 active and 0 backup servers left.",
        ] {
            assert!(Line::parse(text).is_routine(), "{text}");
        }
        for text in [
            "[WARNING]  (7) : Former worker (8) exited with code 137 (Killed)",
            "[WARNING]  (7) : Proxy web hard-stopped (2 remaining conns will be closed).",
            "[WARNING]  (7) : Server web/srv1 is DOWN, reason: Layer4 connection problem.",
            "[ALERT]    (7) : Proxy web stopped (cumulated conns: FE: 0, BE: 3).",
            "Stopping anyway",
        ] {
            assert!(!Line::parse(text).is_routine(), "{text}");
        }
    }

    #[test]
    fn what_is_no_message_of_haproxy_stays_whole() {
        for text in
            ["HAProxy version 3.0.11", "[21/Nov/2026] GET /", "[ALERT] no number", "[NOTICE] (x) : y", ""]
        {
            let line = Line::parse(text);
            assert_eq!((line.level, line.pid, line.text.as_str()), (Level::Plain, None, text));
        }
    }

    #[test]
    fn the_gist_is_the_alerts_and_does_not_change_with_the_process() {
        let gist_of = |text: &str| gist(&lines(text));
        let told = gist_of(REFUSED);
        assert!(
            told.starts_with("config : parsing [/etc/haproxy.cfg:12]") && !told.contains("Loading"),
            "{told}"
        );
        assert_eq!(told, gist_of(&REFUSED.replace("22361", "9")));
        assert_eq!(gist_of("[NOTICE]   (1) : a\nb"), "a; b");
    }
}
