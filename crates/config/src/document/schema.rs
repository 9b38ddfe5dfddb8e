//! The JSON Schema of a type, made stricter than schemars leaves it: a key without a value is not the same as no
//! key, so `null` is nowhere allowed.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// Keywords that say something about a value without restricting it.
const ANNOTATIONS: [&str; 4] = ["default", "description", "examples", "title"];

/// The schema (draft 2020-12) that [`crate::document::Document::decode`] holds a file against.
pub fn schema_of<T: JsonSchema>() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    without_null(&mut schema);
    schema
}

fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(without_null),
        Value::Object(keywords) => {
            keywords.values_mut().for_each(without_null);
            tidy(keywords);
        }
        _ => {}
    }
}

fn tidy(keywords: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = keywords.get_mut("description") {
        // The line breaks of a comment in the source mean nothing.
        *text = text.split("\n\n").map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
    }
    if keywords.get("default").is_some_and(Value::is_null) {
        keywords.remove("default");
    }
    if let Some(words) = keywords.get_mut("enum").and_then(Value::as_array_mut) {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(types)) = keywords.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            keywords.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(branches)) = keywords.get_mut("anyOf") else { return };
    let before = branches.len();
    branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
    if let (true, [Value::Object(only)]) = (branches.len() < before, branches.as_slice()) {
        let only = only.clone();
        keywords.remove("anyOf");
        for (name, value) in only {
            if !(ANNOTATIONS.contains(&name.as_str()) && keywords.contains_key(&name)) {
                keywords.insert(name, value);
            }
        }
    }
}

/// What a `$ref` points to, or the schema itself.
pub(crate) fn follow<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    // Types cannot refer to themselves without a value between, so this ends; the bound is for a broken schema.
    for _ in 0..32 {
        let Some(target) = schema.get("$ref").and_then(Value::as_str) else { break };
        let Some(found) = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) else { break };
        schema = found;
    }
    schema
}

/// The alternatives of a schema, nested ones flattened; the schema itself if it has none.
pub(crate) fn branches<'s>(root: &'s Value, schema: &'s Value) -> Vec<&'s Value> {
    let schema = follow(root, schema);
    let nested = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
    match nested {
        Some(nested) => nested.iter().flat_map(|branch| branches(root, branch)).collect(),
        None => vec![schema],
    }
}

/// The words of a schema that allows nothing else.
pub(crate) fn words(schema: &Value) -> Option<Vec<&str>> {
    match (schema.get("const"), schema.get("enum").and_then(Value::as_array)) {
        (Some(word), _) => Some(vec![word.as_str()?]),
        (None, Some(words)) => words.iter().map(Value::as_str).collect(),
        (None, None) => None,
    }
}

/// The key of a mapping that holds this one key and nothing else: a variant of an enum with a value.
pub(crate) fn tag(schema: &Value) -> Option<&str> {
    let [only] = schema.get("required")?.as_array()?.as_slice() else { return None };
    let properties = schema.get("properties")?.as_object()?;
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    only.as_str().filter(|tag| closed && properties.len() == 1 && properties.contains_key(*tag))
}
