//! `${NAME}`, `${NAME:-default}` and `$${` in one text. It works on a node's text after the YAML was read, so a
//! value can never add a key, a line or a quote.

use std::borrow::Cow;

use crate::document::node::{Origin, Scalar};
use crate::env::Env;

const OPEN: &str = "${";

/// Puts values for names.
pub(crate) fn substitute<'t>(text: Cow<'t, str>, plain: bool, env: &dyn Env) -> Scalar<'t> {
    if !text.contains(OPEN) {
        return Scalar { text, plain, origin: Origin::File };
    }
    let mut out = String::with_capacity(text.len());
    let mut origin = Origin::File;
    let mut rest = &*text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str(OPEN);
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some((inside, after)) = after.split_once('}') else {
            return Scalar { text, plain, origin: Origin::Malformed(unclosed()) };
        };
        match value(inside, env) {
            Ok((value, from)) => {
                out.push_str(&value);
                // A value from the environment hides the whole text, a default does not.
                if !matches!(origin, Origin::Env(_)) {
                    origin = from;
                }
            }
            Err(origin) => return Scalar { text, plain, origin },
        }
        rest = after;
    }
    out.push_str(rest);
    Scalar { text: Cow::Owned(out), plain, origin }
}

fn unclosed() -> String {
    "has a `${` without its `}`; write ${NAME}, ${NAME:-default}, or $${ for the characters themselves"
        .to_owned()
}

/// The value for what stands between the braces.
fn value(inside: &str, env: &dyn Env) -> Result<(String, Origin), Origin> {
    let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        let message = format!(
            "has ${{{}}}, which is not the name of a variable; names are letters, digits and _ \
             (write $${{ for the characters themselves)",
            shortened(inside)
        );
        return Err(Origin::Malformed(message));
    }
    let default = rest.strip_prefix(":-");
    if default.is_none() && !rest.is_empty() {
        let message = format!("has ${{{}}}; write ${{{name}}} or ${{{name}:-default}}", shortened(inside));
        return Err(Origin::Malformed(message));
    }
    match (env.get(name), default) {
        // As in a shell: with `:-` an empty variable is as good as none.
        (Some(value), Some(_)) if !value.is_empty() => Ok((value, Origin::Env(name.to_owned()))),
        (_, Some(default)) => Ok((default.to_owned(), Origin::Default)),
        (Some(value), None) => Ok((value, Origin::Env(name.to_owned()))),
        (None, None) => Err(Origin::Unset(name.to_owned())),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn env() -> BTreeMap<String, String> {
        [("A", "1"), ("EMPTY", ""), ("TRICK", "${A} }\n- x: y")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn text(given: &str) -> String {
        substitute(given.into(), true, &env()).text.into_owned()
    }

    #[test]
    fn names_become_values_and_the_rest_stays() {
        for (given, wanted) in [
            ("${A}", "1"),
            ("x-${A}-${A}y", "x-1-1y"),
            ("${NONE:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${NONE:-}", ""),
            ("${EMPTY}", ""),
            ("${A:-d}", "1"),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("$A $ $$ }", "$A $ $$ }"),
            ("${NONE:-a:-b c}", "a:-b c"),
        ] {
            assert_eq!(text(given), wanted, "{given}");
        }
    }

    #[test]
    fn a_value_is_not_read_again() {
        assert_eq!(text("${TRICK}"), "${A} }\n- x: y");
    }

    #[test]
    fn a_text_with_any_value_from_the_environment_is_hidden() {
        assert!(substitute("${NONE:-x}${A}${NONE:-x}".into(), true, &env()).hidden());
        assert!(!substitute("${NONE:-x}".into(), true, &env()).hidden());
    }

    #[test]
    fn what_cannot_be_read_is_a_fault() {
        for given in ["${", "${A", "${}", "${1A}", "${A B}", "${A-x}", "${A:?x}", "${é}", "ok ${A} ${"] {
            let origin = substitute(given.into(), true, &env()).origin;
            assert!(matches!(origin, Origin::Malformed(_)), "{given}: {origin:?}");
        }
        assert_eq!(substitute("${A}${NONE}".into(), true, &env()).origin, Origin::Unset("NONE".to_owned()));
    }
}
