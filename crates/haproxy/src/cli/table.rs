//! Tables whose first line begins with `#` and names the columns: `show servers state`, `show servers conn`.

use std::str::FromStr;

use super::error::ParseError;

/// The place of a column in this answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    at: usize,
    name: &'static str,
}

/// The names in the header line.
#[derive(Debug)]
pub(super) struct Header<'t> {
    command: &'static str,
    names: Vec<&'t str>,
}

/// One line under the header.
#[derive(Debug)]
pub(super) struct Row<'r, 't> {
    command: &'static str,
    line: usize,
    fields: &'r [&'t str],
}

impl Column {
    /// How many columns come before it.
    pub(super) fn place(self) -> usize {
        self.at
    }

    /// Its name in the header.
    pub(super) fn name(self) -> &'static str {
        self.name
    }
}

impl<'t> Header<'t> {
    pub(super) fn new(command: &'static str, names: Vec<&'t str>) -> Self {
        Self { command, names }
    }

    /// Finds a column that the caller cannot do without.
    pub(super) fn column(&self, name: &'static str) -> Result<Column, ParseError> {
        self.optional(name).ok_or(ParseError::Missing { command: self.command, name })
    }

    /// Finds a column that some versions do not print.
    pub(super) fn optional(&self, name: &'static str) -> Option<Column> {
        self.names.iter().position(|n| *n == name).map(|at| Column { at, name })
    }
}

impl<'r, 't> Row<'r, 't> {
    pub(super) fn new(command: &'static str, line: usize, fields: &'r [&'t str]) -> Self {
        Self { command, line, fields }
    }

    /// The text in a column; an error if the line is shorter than that.
    pub(super) fn text(&self, column: Column) -> Result<&'t str, ParseError> {
        self.fields.get(column.at).copied().ok_or_else(|| self.wrong(column, "no value at all"))
    }

    /// The value in a column.
    pub(super) fn value<T: FromStr>(&self, column: Column) -> Result<T, ParseError> {
        let text = self.text(column)?;
        text.parse().map_err(|_| self.wrong(column, text))
    }

    /// The value in a column, where `absent` stands for none.
    pub(super) fn option<T: FromStr>(&self, column: Column, absent: &str) -> Result<Option<T>, ParseError> {
        let text = self.text(column)?;
        if text == absent {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| self.wrong(column, text))
    }

    pub(super) fn wrong(&self, column: Column, text: &str) -> ParseError {
        ParseError::value(self.command, self.line, column.name, text)
    }
}

/// Reads a table whose columns are separated by single spaces. `prepare` looks up the columns once, `read` makes
/// one value of each row. Lines before the header have been taken off by the caller.
pub(super) fn read_table<C, T>(
    command: &'static str,
    text: &str,
    first_line: usize,
    prepare: impl FnOnce(&Header<'_>) -> Result<C, ParseError>,
    read: impl Fn(&C, &Row<'_, '_>) -> Result<T, ParseError>,
) -> Result<Vec<T>, ParseError> {
    let mut values = Vec::new();
    visit_table(command, text, first_line, prepare, |columns, row| {
        values.push(read(columns, row)?);
        Ok(())
    })?;
    Ok(values)
}

/// The same, but each row is only shown to `visit`.
pub(super) fn visit_table<'t, C>(
    command: &'static str,
    text: &'t str,
    first_line: usize,
    prepare: impl FnOnce(&Header<'_>) -> Result<C, ParseError>,
    mut visit: impl FnMut(&C, &Row<'_, 't>) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let mut lines = text.lines().zip(first_line..);
    let names = lines.next().and_then(|(header, _)| header.strip_prefix('#'));
    let names = names.ok_or_else(|| ParseError::not_an_answer(command, text))?;
    let columns = prepare(&Header::new(command, names.split_ascii_whitespace().collect()))?;
    let mut fields = Vec::new();
    for (text, line) in lines.filter(|(text, _)| !text.is_empty()) {
        fields.clear();
        // Fields are so short that looking at each character takes a third of the time that a search for the next space
        // takes each time.
        #[expect(clippy::manual_pattern_char_comparison, reason = "a `char` pattern would search")]
        fields.extend(text.split(|c| c == ' '));
        visit(&columns, &Row::new(command, line, &fields))?;
    }
    Ok(())
}
