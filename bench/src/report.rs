//! The table.

use std::fmt;

use crate::sample::Sample;

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    what: String,
    floor: Option<Sample>,
    roster: String,
    ratio: Option<f64>,
    target: Option<Target>,
}

/// What must be reached, and whether it was.
#[derive(Clone, Debug)]
struct Target {
    text: String,
    reached: bool,
}

/// All that was measured on one HAProxy.
#[derive(Debug)]
pub(crate) struct Report {
    heading: String,
    rows: Vec<Row>,
    /// What has to be known of them, a paragraph each.
    notes: Vec<String>,
}

impl Row {
    /// A line without anything to compare with.
    pub(crate) fn new(what: impl Into<String>, roster: impl fmt::Display) -> Self {
        Self { what: what.into(), floor: None, roster: roster.to_string(), ratio: None, target: None }
    }

    /// A line that compares medians.
    pub(crate) fn beside(what: impl Into<String>, floor: Sample, roster: &Sample) -> Self {
        let ratio = Some(roster.median() / floor.median());
        Self { what: what.into(), floor: Some(floor), roster: roster.to_string(), ratio, target: None }
    }

    /// Shows what else was measured beside it, without comparing the two.
    #[must_use]
    pub(crate) fn with_floor(self, floor: Sample) -> Self {
        Self { floor: Some(floor), ..self }
    }

    /// What must be reached. Something that is no number is never reached.
    #[must_use]
    pub(crate) fn against(self, text: impl Into<String>, reached: bool) -> Self {
        Self { target: Some(Target { text: text.into(), reached }), ..self }
    }

    /// How many times as much as the floor; no number without one.
    pub(crate) fn ratio(&self) -> f64 {
        self.ratio.unwrap_or(f64::NAN)
    }
}

impl Report {
    /// A report with no line yet.
    pub(crate) fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds lines.
    pub(crate) fn add(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows);
    }

    /// Says something below the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nothing = || "–".to_owned();
        let (target, reached) = match &self.target {
            Some(Target { text, reached: true }) => (text.clone(), "yes".to_owned()),
            Some(Target { text, reached: false }) => (text.clone(), "**NO**".to_owned()),
            None => (nothing(), nothing()),
        };
        let floor = self.floor.as_ref().map_or_else(nothing, Sample::to_string);
        let ratio = self.ratio.map_or_else(nothing, |ratio| format!("{ratio:.2}"));
        write!(f, "| {} | {floor} | {} | {ratio} | {target} | {reached} |", self.what, self.roster)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### {}\n", self.heading)?;
        writeln!(f, "| measured | floor | Roster | Roster ÷ floor | to reach | reached |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        for note in &self.notes {
            writeln!(f, "\n{note}")?;
        }
        let targets = || self.rows.iter().filter_map(|row| row.target.as_ref());
        let missed = targets().filter(|target| !target.reached).count();
        match missed {
            0 => writeln!(f, "\nAll {} targets were reached.", targets().count()),
            n => writeln!(f, "\n**{n} of {} targets were missed.**", targets().count()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_is_told_in_its_line_and_in_the_sum() {
        let floor = Sample::times([std::time::Duration::from_millis(100)]);
        let roster = Sample::times([std::time::Duration::from_millis(160)]);
        let row = Row::beside("bulk", floor, &roster);
        let reached = row.ratio() <= 1.5;
        let mut report = Report::new("x");
        report.add([row.against("≤ 1.5 × the floor", reached), Row::new("other", 3)]);
        let text = report.to_string();
        assert!(text.contains("| bulk | 100 ms | 160 ms | 1.60 | ≤ 1.5 × the floor | **NO** |"), "{text}");
        assert!(text.contains("1 of 1 targets were missed"), "{text}");
    }

    #[test]
    fn what_could_not_be_measured_is_not_reached() {
        let row = Row::new("x", "");
        let reached = row.ratio() <= 1.5;
        assert!(!reached);
    }
}
