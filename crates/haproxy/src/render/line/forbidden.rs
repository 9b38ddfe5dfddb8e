//! What may stand nowhere in a line: words and names of HAProxy's that read files, run programs, reach other addresses,
//! or show what is not the service's own.
//!
//! The tables hold what HAProxy 2.6 to 3.5 have; a test asks each HAProxy for its list. First words, actions and options
//! need no entry: `allowed` has a closed list of those.

/// Where a word or a name counts.
enum At {
    /// The whole word, anywhere in the line.
    Word,
    /// The whole word, in a line of `http-check connect` or `tcp-check connect`.
    Connect,
    /// A name of a sample expression with arguments: HAProxy reads such a name up to the `(`, with nothing between.
    Call,
    /// A name anywhere within a word.
    Name,
    /// A name of a sample expression, with arguments or without, but no level of `set-log-level`.
    Sample,
}

/// One word or name; a `*` stands for any begin or end.
type Entry = (At, &'static str, &'static str);

const FILE: &str = "reads a file";
const KEYS: &str = "shows the keys of a TLS session";

const TABLE: &[Entry] = &[
    // Flags of ACLs: patterns and maps from a file.
    (At::Word, "-f", FILE),
    (At::Word, "-M", FILE),
    // Arguments of `return`, `deny` and `tarpit`.
    (At::Word, "file", FILE),
    (At::Word, "lf-file", FILE),
    (At::Word, "errorfile", FILE),
    (At::Word, "errorfiles", FILE),
    // The address may also be that of a socket, such as HAProxy's own, to which `send` then writes.
    (At::Connect, "addr", "sends checks to another address than the server's"),
    (At::Connect, "via-socks4", "sends checks to another address than the server's"),
    // Converters and fetches.
    (At::Call, "map", FILE),
    (At::Call, "map_*", FILE),
    (At::Call, "jwt_verify*", FILE),
    (At::Call, "jwt_decrypt*", FILE),
    (At::Call, "env", "shows HAProxy's environment"),
    (At::Sample, "debug", "writes to HAProxy's standard output or a log"),
    (At::Name, "lua.*", "runs a program"),
    (At::Name, "proc.*", "touches what belongs to the whole process"),
    (At::Name, "last_rule_file", "shows where HAProxy's files are"),
    (At::Name, "ssl_*_session_key", KEYS),
    (At::Name, "ssl_*_secret", KEYS),
    (At::Name, "ssl_*_secret_0", KEYS),
];

/// The first word of a line that may not stand in it, with what the word does.
pub(super) fn forbidden(words: &[String]) -> Option<(&str, &'static str)> {
    let is_connect = matches!(words, [first, second, ..] if first.ends_with("-check") && second == "connect");
    let mut before = "";
    for word in words {
        let is_level = before == "set-log-level";
        let found = TABLE.iter().find(|(at, name, _)| match at {
            At::Word => word == name,
            At::Connect => is_connect && word == name,
            At::Call => names(word).any(|(found, call)| call && is_like(found, name)),
            At::Name => names(word).any(|(found, _)| is_like(found, name)),
            At::Sample => !is_level && is_sample(word, name),
        });
        if let Some((_, _, why)) = found {
            return Some((word, why));
        }
        before = word;
    }
    None
}

/// Each name within a word, and whether a `(` follows it.
fn names(word: &str) -> impl Iterator<Item = (&str, bool)> {
    let separates = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    let mut rest = word;
    std::iter::from_fn(move || {
        let from = rest.trim_start_matches(separates);
        let (name, after) = from.split_at_checked(from.find(separates).unwrap_or(from.len()))?;
        rest = after;
        (!name.is_empty()).then(|| (name, after.starts_with('(')))
    })
}

/// Whether a converter without arguments is called: as a word of its own, or among the converters of an expression.
fn is_sample(word: &str, name: &str) -> bool {
    let called = names(word).any(|(found, call)| call && found == name);
    let among = word.split([',', '[', ']', ')']).any(|part| part == name);
    called || among
}

fn is_like(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        Some((begin, end)) => name.strip_prefix(begin).is_some_and(|rest| rest.ends_with(end)),
        None => name == pattern,
    }
}
