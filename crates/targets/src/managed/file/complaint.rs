//! What HAProxy says about a file that it refuses.

use std::collections::BTreeSet;

use crate::managed::process::{Level, Line};

/// So many alerts are told: those after the first few mostly follow from them.
const MOST_LINES: usize = 20;
/// Characters of one line.
const LONGEST_LINE: usize = 500;
/// What it ends with, which says nothing when anything else was said.
const SUMMARIES: &[&str] = &["Fatal errors found in configuration", "Error(s) found in configuration file"];

/// Its alerts.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Complaint {
    /// One a line.
    pub(super) text: String,
    /// The lines of the file that they name.
    pub(super) lines: Vec<usize>,
}

/// Reads what HAProxy wrote about the file `checked`. In the text each first name is replaced by its second.
pub(super) fn read(output: &str, checked: &str, names: &[(String, String)]) -> Complaint {
    let all: Vec<Line> = output.lines().map(Line::parse).filter(|line| !line.text.is_empty()).collect();
    let alerts = || all.iter().filter(|line| line.level == Level::Alert);
    let is_summary = |line: &Line| SUMMARIES.iter().any(|summary| line.text.contains(summary));
    let mut chosen: Vec<&Line> = alerts().filter(|line| !is_summary(line)).collect();
    if chosen.is_empty() {
        chosen = alerts().collect();
    }
    if chosen.is_empty() {
        // Not HAProxy's way, but the binary may be a script that starts it.
        chosen = all.iter().collect();
    }
    let lines: BTreeSet<usize> = chosen.iter().flat_map(|line| numbers(&line.text, checked)).collect();
    let mut told: Vec<String> = chosen.iter().take(MOST_LINES).map(|line| shown(&line.text, names)).collect();
    if let Some(more) = chosen.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
        told.push(format!("and {more} more"));
    }
    Complaint { text: told.join("\n"), lines: lines.into_iter().collect() }
}

/// All numbers behind `FILE:`.
fn numbers(text: &str, file: &str) -> impl Iterator<Item = usize> {
    text.split(file).skip(1).filter_map(|rest| {
        let rest = rest.strip_prefix(':')?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    })
}

fn shown(text: &str, names: &[(String, String)]) -> String {
    let text = names.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    match text.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "/etc/haproxy/.haproxy.cfg.new.7";

    fn names() -> Vec<(String, String)> {
        vec![(FILE.to_owned(), "/etc/haproxy/haproxy.cfg.refused".to_owned())]
    }

    #[test]
    fn alerts_are_told_with_the_name_of_the_kept_file_and_lead_to_their_lines() {
        let output = format!(
            "[NOTICE]   (9) : haproxy version is 2.6.12\n\
             [WARNING]  (9) : config : parsing [{FILE}:3] : 'nbproc' is deprecated\n\
             [ALERT]    (9) : config : parsing [{FILE}:12] : unknown keyword 'x' in 'backend' section\n\
             [ALERT]    (9) : config : parsing [{FILE}:7] : 'y' has the same name as 'y' at {FILE}:12\n\
             [ALERT]    (9) : config : Error(s) found in configuration file : {FILE}\n\
             [ALERT]    (9) : config : Fatal errors found in configuration.\n"
        );
        let complaint = read(&output, FILE, &names());
        assert_eq!(complaint.lines, [7, 12]);
        let expected = "\
config : parsing [/etc/haproxy/haproxy.cfg.refused:12] : unknown keyword 'x' in 'backend' section
config : parsing [/etc/haproxy/haproxy.cfg.refused:7] : 'y' has the same name as 'y' at /etc/haproxy/haproxy.cfg.refused:12";
        assert_eq!(complaint.text, expected);
    }

    #[test]
    fn a_flood_of_alerts_is_cut_but_all_lines_are_known() {
        let output =
            (1..=100).map(|n| format!("[ALERT]    (9) : parsing [{FILE}:{n}] : {}\n", "é".repeat(900)));
        let complaint = read(&output.collect::<String>(), FILE, &names());
        assert_eq!(complaint.lines.len(), 100);
        assert_eq!(complaint.text.lines().count(), 21);
        assert!(complaint.text.ends_with("and 80 more"), "{}", complaint.text);
        assert!(complaint.text.lines().all(|line| line.chars().count() <= 501));
    }

    #[test]
    fn what_is_said_without_an_alert_is_told_too() {
        let said = |output: &str| read(output, FILE, &names()).text;
        assert_eq!(said("launcher: no such container\n"), "launcher: no such container");
        assert_eq!(
            said("[ALERT]    (9) : config : Fatal errors found in configuration.\n"),
            "config : Fatal errors found in configuration."
        );
        assert_eq!(said(""), "");
    }
}
