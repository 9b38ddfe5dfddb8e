//! Roster's own log in the demo: JSON lines in, lines for people out, and the few facts that the story waits for.

use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

use crate::screen::{Kind, Screen};

/// What stands before each of Roster's lines.
const PREFIX: &str = "   roster | ";

/// What the log told so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Told {
    /// How often the source gave an answer.
    pub(crate) answered: u64,
    /// How many servers were made ready.
    pub(crate) ready: u64,
    /// How many servers were put in drain.
    pub(crate) drain: u64,
    /// How many servers were put in maintenance.
    pub(crate) maint: u64,
    /// How often a guard began to hold changes back.
    pub(crate) held: u64,
    /// How often that ended.
    pub(crate) released: u64,
    /// How many operations were told of whose pass is not over.
    pub(crate) pending: u64,
    /// How often HAProxy came to serve.
    pub(crate) served: u64,
    /// How often it ended though nobody asked it to.
    pub(crate) ended: u64,
    /// Why it was reloaded each time.
    pub(crate) reloads: Vec<String>,
    /// What went wrong last.
    pub(crate) trouble: Option<String>,
}

/// One line of the log.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Line {
    kind: Kind,
    fact: Fact,
    words: String,
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fact {
    Answered,
    Ready,
    Drain,
    Maint,
    Changed,
    Converged,
    Held,
    Released,
    Served,
    Ended,
    Reloaded,
    /// Something that an operator has to look after.
    Trouble,
    /// What Roster runs with, what is known of that, and what HAProxy writes itself.
    Background,
    Other,
}

impl Told {
    fn take(&mut self, line: Line) {
        self.pending += u64::from(line.fact.is_operation());
        match line.fact {
            Fact::Answered => self.answered += 1,
            Fact::Ready => self.ready += 1,
            Fact::Drain => self.drain += 1,
            Fact::Maint => self.maint += 1,
            Fact::Converged => self.pending = 0,
            Fact::Held => self.held += 1,
            Fact::Released => self.released += 1,
            Fact::Served => self.served += 1,
            Fact::Ended => self.ended += 1,
            Fact::Reloaded => self.reloads.push(line.reason.unwrap_or_default()),
            Fact::Trouble => self.trouble = Some(line.words),
            Fact::Changed | Fact::Background | Fact::Other => {}
        }
    }
}

impl Fact {
    fn of(fields: &Map<String, Value>, is_info: bool) -> Self {
        let has = |name| fields.contains_key(name);
        let begins = |text| field(fields, "message").is_some_and(|message| message.starts_with(text));
        match field(fields, "op") {
            Some("ready") => Self::Ready,
            Some("drain") => Self::Drain,
            Some("maint") => Self::Maint,
            Some(_) => Self::Changed,
            // A line of HAProxy's own.
            None if has("pid") => Self::Background,
            None if begins("HAProxy serves") => Self::Served,
            None if begins("HAProxy (master") => Self::Ended,
            None if has("operations") && has("reason") => Self::Reloaded,
            None if has("operations") => Self::Converged,
            None if has("guard") => Self::Held,
            None if is_info && has("instances") => Self::Answered,
            None if is_info && has("server") => Self::Other,
            None if is_info && has("backend") => Self::Released,
            // What Roster runs with; and lines that HAProxy writes without the form of a log.
            None if is_info && (has("version") || has("backends")) => Self::Background,
            None if is_info && !has("target") && !has("source") => Self::Background,
            None if field(fields, "level") == Some("ERROR") => Self::Trouble,
            None => Self::Other,
        }
    }

    fn is_operation(self) -> bool {
        matches!(self, Self::Ready | Self::Drain | Self::Maint | Self::Changed)
    }

    /// Whether a newcomer is helped by its line. The others say what the demo says in its own words, or are for
    /// operators.
    fn is_shown(self) -> bool {
        !matches!(self, Self::Answered | Self::Converged | Self::Background)
    }
}

/// Shows each line as it comes, until Roster ends.
pub(crate) async fn show(log: impl AsyncRead + Unpin, screen: Screen, told: watch::Sender<Told>) {
    let mut lines = BufReader::new(log).split(b'\n');
    while let Ok(Some(bytes)) = lines.next_segment().await {
        let line = read(&String::from_utf8_lossy(&bytes));
        // That it serves at all stands in the introduction.
        let is_first = line.fact == Fact::Served && told.borrow().served == 0;
        if line.fact.is_shown() && !is_first {
            screen.say(line.kind, &format!("{PREFIX}{}", line.words));
        }
        told.send_modify(|told| told.take(line));
    }
}

fn read(text: &str) -> Line {
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        // No log line: an error of the command line, or worse.
        return Line { kind: Kind::Warning, fact: Fact::Other, words: text.to_owned(), reason: None };
    };
    let is_info = field(&fields, "level") == Some("INFO");
    let kind = if is_info { Kind::Roster } else { Kind::Warning };
    let reason = field(&fields, "reason").map(ToOwned::to_owned);
    Line { kind, fact: Fact::of(&fields, is_info), words: words(&fields), reason }
}

fn words(fields: &Map<String, Value>) -> String {
    let message = field(fields, "message").unwrap_or_default();
    match field(fields, "reason") {
        Some(reason) => format!("{message} ({reason})"),
        None => message.to_owned(),
    }
}

fn field<'f>(fields: &'f Map<String, Value>, name: &str) -> Option<&'f str> {
    fields.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = r#"
{"level":"INFO","message":"running","sources":1,"targets":1,"version":"0.1.0"}
{"level":"INFO","message":"known: no `add backend`","target":"local","version":"2.6.12"}
{"level":"INFO","message":"answered","source":"demo","services":1,"instances":2}
{"level":"INFO","message":"srv1: address 127.0.0.1:4001","backend":"web","server":"srv1","op":"address","reason":"127.0.0.1:4001 appeared"}
{"level":"INFO","message":"srv1: state ready","backend":"web","server":"srv1","op":"ready","reason":"it was reached"}
{"level":"INFO","message":"HAProxy shows what is wanted","operations":2,"backends":1}
{"level":"INFO","message":"srv2: state drain","backend":"web","server":"srv2","op":"drain","reason":"it left"}
{"level":"WARN","message":"held back: 4 of 4 servers would leave","backend":"web","guard":"minimum","leaving":4,"of":4}
{"level":"INFO","message":"nothing is held back any more","target":"local","backend":"web"}
{"level":"INFO","message":"HAProxy serves: master 7, worker 8","target":"local"}
{"level":"ERROR","message":"backend 'shop' has no server available!","pid":8}
{"level":"INFO","message":"HAProxy version 3.0.11 - https://haproxy.org/"}
{"level":"INFO","message":"stopping"}
{"level":"INFO","message":"HAProxy was reloaded; old processes that finish: 0","target":"local","reason":"backend shop is new","operations":1,"dur_ms":92}
{"level":"ERROR","message":"HAProxy (master 7) ended: exit code 137 (signal 9) after 1.0 s; it is started again","target":"local","again_ms":0}
{"level":"ERROR","message":"HAProxy refuses the file: x","target":"local"}
roster.yaml:1:1: unknown key `x`
"#;

    #[test]
    fn lines_are_rendered_for_people() {
        let lines = LOG.lines().skip(1).map(read).filter(|line| line.fact.is_shown());
        let shown: Vec<String> = lines.map(|line| format!("{:?} {}", line.kind, line.words)).collect();
        insta::assert_snapshot!(shown.join("\n"), @r"
        Roster srv1: address 127.0.0.1:4001 (127.0.0.1:4001 appeared)
        Roster srv1: state ready (it was reached)
        Roster srv2: state drain (it left)
        Warning held back: 4 of 4 servers would leave
        Roster nothing is held back any more
        Roster HAProxy serves: master 7, worker 8
        Roster HAProxy was reloaded; old processes that finish: 0 (backend shop is new)
        Warning HAProxy (master 7) ended: exit code 137 (signal 9) after 1.0 s; it is started again
        Warning HAProxy refuses the file: x
        Warning roster.yaml:1:1: unknown key `x`
        ");
    }

    #[test]
    fn the_story_learns_what_it_waits_for() {
        let mut told = Told::default();
        LOG.lines().skip(1).for_each(|line| told.take(read(line)));
        let expected = Told {
            answered: 1,
            ready: 1,
            drain: 1,
            maint: 0,
            held: 1,
            released: 1,
            pending: 1,
            served: 1,
            ended: 1,
            reloads: vec!["backend shop is new".to_owned()],
            trouble: Some("HAProxy refuses the file: x".to_owned()),
        };
        assert_eq!(told, expected);
    }
}
