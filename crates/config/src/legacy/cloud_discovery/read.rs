//! The values of the original's file: what a key holds, what is wrong with it, what nobody knows.

use super::value::Words;
use crate::document::View;
use crate::env::Env;
use crate::nearest::hint;
use crate::position::Position;
use crate::problem::Problem;

/// Where what is found wrong is put down.
pub(super) struct Reader<'e> {
    file: String,
    env: &'e dyn Env,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

/// A mapping, by the path to it. One that is not there has only defaults.
#[derive(Clone)]
pub(super) struct Section<'d> {
    path: String,
    view: Option<View<'d>>,
}

/// A number, and what the native configuration is given for it.
#[derive(Clone, Debug)]
pub(super) struct Amount {
    pub(super) value: f64,
    pub(super) native: String,
    /// Where it stands in the file, unless it is a default.
    pub(super) at: Option<Position>,
}

impl Amount {
    pub(super) fn of(value: f64) -> Self {
        Self { value, native: value.to_string(), at: None }
    }
}

impl<'e> Reader<'e> {
    pub(super) fn new(file: &str, env: &'e dyn Env) -> Self {
        Self { file: file.to_owned(), env, problems: Vec::new(), warnings: Vec::new() }
    }

    pub(super) fn problem(&mut self, at: Position, message: impl Into<String>) {
        self.problems.push(Problem { file: self.file.clone(), at, message: message.into() });
    }

    pub(super) fn warn(&mut self, at: Position, message: impl std::fmt::Display) {
        self.warnings.push(format!("{}:{at}: {message}", self.file));
    }

    /// Every variable of the file must be set, wherever it stands.
    pub(super) fn variables(&mut self, view: View<'_>) {
        if let Some(items) = view.items() {
            items.for_each(|item| self.variables(item));
        } else if let Some(fields) = view.fields() {
            fields.for_each(|field| self.variables(field.value));
        } else if let Some(text) = view.text()
            && let Err(unset) = Words::of(text, self.env)
        {
            for name in unset {
                let name: String = name.chars().take(64).flat_map(char::escape_debug).collect();
                let message =
                    format!("environment variable '{name}' is not set; export it, set but empty is fine");
                self.problem(view.at(), message);
            }
        }
    }

    /// What a variable holds that the file does not name; an empty one counts as not set.
    pub(super) fn variable(&self, name: &str) -> Option<Words> {
        let words = Words::of(&format!("${{{name}}}"), self.env).ok()?;
        (!words.value().is_empty()).then_some(words)
    }

    fn words(&self, text: &str) -> Words {
        // What is not set has been told of.
        Words::of(text, self.env).unwrap_or_default()
    }

    /// A text. Numbers and truth values are taken as they are written.
    pub(super) fn text_of(&mut self, path: &str, view: View<'_>) -> Option<Words> {
        let Some(text) = view.text() else {
            self.wants(path, view, "a text");
            return None;
        };
        Some(self.words(text).placed(view.at()))
    }

    pub(super) fn wants(&mut self, path: &str, view: View<'_>, what: &str) {
        let from_env = view.text().is_some_and(|text| self.words(text).is_from_env());
        let found = if from_env { "something else in its variable".to_owned() } else { view.shown() };
        self.problem(view.at(), format!("`{path}` wants {what}, found {found}"));
    }

    /// A value as JSON has it, texts with their variables as the native configuration writes them.
    pub(super) fn json(&mut self, view: View<'_>) -> serde_json::Value {
        if let Some(items) = view.items() {
            return items.map(|item| self.json(item)).collect();
        }
        if let Some(fields) = view.fields() {
            let fields = fields.map(|field| (field.key.to_owned(), self.json(field.value)));
            return serde_json::Value::Object(fields.collect());
        }
        let Some(text) = view.text() else { return serde_json::Value::Null };
        if let Some(truth) = truth(view) {
            return truth.into();
        }
        match number(view) {
            Some(whole) if whole.fract() == 0.0 && text.parse::<i64>().is_ok() => {
                text.parse::<i64>().map_or(serde_json::Value::Null, Into::into)
            }
            Some(number) => number.into(),
            None => self.words(text).native().into(),
        }
    }
}

impl<'d> Section<'d> {
    /// The whole file, whose top must know these keys.
    pub(super) fn root(reader: &mut Reader<'_>, view: View<'d>, known: &[&str]) -> Self {
        Self::checked(reader, String::new(), Some(view), known)
    }

    /// The mapping at a key; nothing there is the same as no key.
    pub(super) fn section(&self, reader: &mut Reader<'_>, key: &str, known: &[&str]) -> Self {
        Self::checked(reader, self.path(key), self.get(key), known)
    }

    fn checked(reader: &mut Reader<'_>, path: String, view: Option<View<'d>>, known: &[&str]) -> Self {
        if let Some(view) = view {
            if let Some(fields) = view.fields() {
                fields.filter(|field| !known.contains(&field.key)).for_each(|field| {
                    let shown: String = field.key.chars().take(64).flat_map(char::escape_debug).collect();
                    let whole = if path.is_empty() { shown } else { format!("{path}.{shown}") };
                    let hint = hint(field.key, known);
                    reader.warn(field.at, format!("unknown key `{whole}` is ignored{hint}"));
                });
            } else {
                let shown = if path.is_empty() { "the file" } else { &path };
                reader.wants(shown, view, "a mapping");
            }
        }
        Self { path, view }
    }

    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// What stands at a key.
    pub(super) fn get(&self, key: &str) -> Option<View<'d>> {
        let field = self.view?.fields()?.find(|field| field.key == key)?;
        (!field.value.is_nothing()).then_some(field.value)
    }

    /// Where something about a key is best told.
    pub(super) fn at(&self, key: &str) -> Position {
        let whole = self.view.map_or(Position { line: 1, column: 1 }, View::at);
        self.get(key).map_or(whole, View::at)
    }

    /// A text.
    pub(super) fn text(&self, reader: &mut Reader<'_>, key: &str, default: &str) -> Words {
        let given = self.get(key).and_then(|view| reader.text_of(&self.path(key), view));
        given.unwrap_or_else(|| Words::plain(default))
    }

    /// A number, or a variable that holds one.
    pub(super) fn number(&self, reader: &mut Reader<'_>, key: &str, default: f64) -> Amount {
        let Some(view) = self.get(key) else { return Amount::of(default) };
        if let Some(value) = number(view) {
            return Amount { at: Some(view.at()), ..Amount::of(value) };
        }
        let words = view.text().map(|text| reader.words(text)).filter(Words::is_from_env);
        let value = words.as_ref().and_then(|words| plain_number(&words.value()));
        if let (Some(words), Some(value)) = (words, value) {
            return Amount { value, native: words.native(), at: Some(view.at()) };
        }
        let quoted = view.is_quoted() && view.text().is_some_and(|text| plain_number(text).is_some());
        let what = if quoted { "a number without quotes" } else { "a number" };
        reader.wants(&self.path(key), view, what);
        Amount::of(default)
    }

    /// A truth value by YAML 1.1, which the original speaks: `yes` and `off` are some too.
    pub(super) fn truth(&self, reader: &mut Reader<'_>, key: &str, default: bool) -> bool {
        let Some(view) = self.get(key) else { return default };
        truth(view).unwrap_or_else(|| {
            reader.wants(&self.path(key), view, "true or false");
            default
        })
    }

    /// A list of texts.
    pub(super) fn texts(&self, reader: &mut Reader<'_>, key: &str) -> Vec<Words> {
        let Some(view) = self.get(key) else { return Vec::new() };
        let Some(items) = view.items() else {
            reader.wants(&self.path(key), view, "a list");
            return Vec::new();
        };
        items.filter_map(|item| reader.text_of(&self.path(key), item)).collect()
    }

    /// A mapping with keys of the operator's choice.
    pub(super) fn map(&self, reader: &mut Reader<'_>, key: &str) -> Vec<(String, View<'d>)> {
        let Some(view) = self.get(key) else { return Vec::new() };
        let Some(fields) = view.fields() else {
            reader.wants(&self.path(key), view, "a mapping");
            return Vec::new();
        };
        fields.map(|field| (field.key.to_owned(), field.value)).collect()
    }
}

/// The number that stands there without quotes.
pub(super) fn number(view: View<'_>) -> Option<f64> {
    view.text().filter(|_| !view.is_quoted()).and_then(plain_number)
}

/// `inf` and `nan` are numbers to Rust and words to YAML.
fn plain_number(text: &str) -> Option<f64> {
    let shape = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    let is_number = text.bytes().all(shape) && text.bytes().any(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number: &f64| is_number && number.is_finite())
}

fn truth(view: View<'_>) -> Option<bool> {
    let text = view.text().filter(|_| !view.is_quoted())?;
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}
