//! What a reload loses whatever is done: stick-tables that no peers section hands on.

use super::{Document, Section};

/// The names of the sections whose stick-tables start empty after a reload; `sections` stands for the operator's own.
///
/// A table goes over to the next process only through a `peers` section with a local peer (configuration manual 3.5).
pub(super) fn stick_tables(document: &Document) -> Vec<String> {
    let mut lost: Vec<String> = Vec::new();
    for section in &document.sections {
        let lines = match section {
            Section::Frontend(frontend) => &frontend.lines,
            Section::Backend(backend) => &backend.lines,
            Section::Listen(listen) => &listen.lines,
        };
        if lines.iter().any(|line| is_lost(line.as_str())) {
            lost.push(section.key().to_string());
        }
    }
    if document.user.sections.lines().any(is_lost) {
        lost.push("`sections`".to_owned());
    }
    lost
}

fn is_lost(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace().take_while(|word| !word.starts_with('#'));
    words.next() == Some("stick-table") && !words.any(|word| word == "peers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_table_without_peers_is_lost() {
        assert!(is_lost("  stick-table type ip size 1m expire 10m store http_req_rate(10s)"));
        assert!(!is_lost("stick-table type ip size 1m peers mine"));
        assert!(!is_lost("# stick-table type ip size 1m") && !is_lost("stick on src"));
    }
}
