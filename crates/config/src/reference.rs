//! `docs/config.md`, made from the schema: what the page says is what the checks hold a file against.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::document::{branches, tag, wants, words};
use crate::native::schema;

/// A configuration that shows most of what there is.
pub const EXAMPLE: &str = include_str!("reference/example.yaml");

const INTRODUCTION: &str = include_str!("reference/introduction.md");

/// The whole page, in Markdown.
pub fn page() -> String {
    let root = schema();
    let introduction = INTRODUCTION.replace("{{EXAMPLE}}", EXAMPLE.trim_end());
    let mut page =
        Page { root: &root, sections: vec![introduction.trim_end().to_owned()], told: BTreeMap::new() };
    page.section("The file", &root, "");
    page.sections.join("\n\n") + "\n"
}

struct Page<'s> {
    root: &'s Value,
    sections: Vec<String>,
    /// Where each mapping is told of. One that is used twice is told of once.
    told: BTreeMap<*const Value, String>,
}

/// Mappings that stand below the one that is being told of, each with its path.
type Below<'s> = Vec<(String, &'s Value)>;

impl<'s> Page<'s> {
    /// A mapping: its keys in a table, then the mappings below it.
    fn section(&mut self, title: &str, schema: &'s Value, path: &str) {
        let mut below = Vec::new();
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let mut lines =
            vec!["| key | value | default | meaning |".to_owned(), "|---|---|---|---|".to_owned()];
        for (key, schema, required) in keys(schema) {
            let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            let value = self.value(schema, &path, &mut below);
            lines.push(row([&format!("`{key}`"), &value, &default(schema, required), &self.meaning(schema)]));
        }
        self.sections.push(format!("## {title}\n\n{description}\n\n{}", lines.join("\n")));
        for (path, schema) in below {
            self.section(&format!("`{path}`"), schema, &path);
        }
    }

    /// What can stand there, with a link for each mapping that has a section of its own.
    fn value(&mut self, schema: &'s Value, path: &str, below: &mut Below<'s>) -> String {
        let mut phrases: Vec<String> = Vec::new();
        for branch in branches(self.root, schema) {
            if let Some(words) = words(branch) {
                phrases.extend(words.iter().map(|word| format!("`{word}`")));
                continue;
            }
            let phrase = self.phrase(branch, path, below);
            let of_known =
                phrase.strip_prefix("a list: ").is_some_and(|item| phrases.iter().any(|one| one == item));
            phrases.push(if of_known { "a list of them".to_owned() } else { phrase });
        }
        match phrases.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, [first])) => format!("{first} or {last}"),
            Some((last, others)) => format!("{}, or {last}", others.join(", ")),
            None => String::new(),
        }
    }

    fn phrase(&mut self, branch: &'s Value, path: &str, below: &mut Below<'s>) -> String {
        let values = branch.get("additionalProperties").filter(|values| values.is_object());
        if let Some(item) = branch.get("items") {
            format!("a list: {}", self.value(item, &format!("{path}[]"), below))
        } else if let Some(values) = values {
            format!("names, each with {}", self.value(values, &format!("{path}.NAME"), below))
        } else if let Some((tag, inner)) = tagged(branch) {
            format!("`{tag}:` {}", self.value(inner, &format!("{path}.{tag}"), below))
        } else if branch.get("properties").is_some() {
            let told = self.told.entry(std::ptr::from_ref(branch)).or_insert_with(|| {
                below.push((path.to_owned(), branch));
                anchor(path)
            });
            format!("[a mapping](#{told})")
        } else {
            wants(branch)
        }
    }

    /// The description, and that of each word or kind that can be given.
    fn meaning(&self, schema: &Value) -> String {
        let text = |schema: &Value| schema.get("description").and_then(Value::as_str).map(str::to_owned);
        let mut meaning = text(schema).unwrap_or_default();
        for branch in branches(self.root, schema) {
            let word = words(branch).and_then(|words| words.first().copied()).or_else(|| tag(branch));
            let (Some(word), Some(description)) = (word, text(branch)) else { continue };
            if description != format!("`{word}`.") {
                meaning.push_str(&["<br>`", word, "`: ", &description].concat());
            }
        }
        meaning
    }
}

/// The variant of an enum: its key, and what stands there.
fn tagged(branch: &Value) -> Option<(&str, &Value)> {
    let tag = tag(branch)?;
    Some((tag, branch.get("properties")?.get(tag)?))
}

fn default(schema: &Value, required: bool) -> String {
    match schema.get("default") {
        _ if required => "required".to_owned(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(Value::Object(_)) | None => "–".to_owned(),
        Some(other) => format!("`{other}`"),
    }
}

/// The keys of a mapping: those that must be there first.
fn keys(schema: &Value) -> Vec<(&str, &Value, bool)> {
    let required = schema.get("required").and_then(Value::as_array);
    let must = |key: &str| required.is_some_and(|keys| keys.iter().any(|name| name == key));
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter);
    let mut keys: Vec<_> = properties.map(|(key, schema)| (key.as_str(), schema, must(key))).collect();
    keys.sort_by_key(|(_, _, required)| !required);
    keys
}

fn row(cells: [&str; 4]) -> String {
    let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
    format!("| {} |", cells.join(" | "))
}

/// The name that a heading of this text gets: lower case, letters, digits, `-` and `_` alone.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
