//! A text with variables, by the original's rules: `${NAME}` anywhere, no default, no escape, and no look at what a
//! variable brings in.

use crate::env::Env;
use crate::position::Position;

const OPEN: &str = "${";

/// A text as it stands in the file, with what its variables hold.
#[derive(Clone, Default)]
pub(super) struct Words {
    pieces: Vec<Piece>,
    at: Option<Position>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Text(String),
    Variable { name: String, value: String },
}

/// What the variables hold may be secret.
impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Words(hidden)")
    }
}

impl Words {
    /// Looks its variables up; else the names of those that are not set.
    pub(super) fn of(text: &str, env: &dyn Env) -> Result<Self, Vec<String>> {
        let (mut pieces, mut unset, mut rest) = (Vec::new(), Vec::new(), text);
        while let Some((before, inside, after)) = variable(rest) {
            pieces.push(Piece::Text(before.to_owned()));
            match env.get(inside) {
                Some(value) => pieces.push(Piece::Variable { name: inside.to_owned(), value }),
                None => unset.push(inside.to_owned()),
            }
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        if unset.is_empty() { Ok(Self { pieces, at: None }) } else { Err(unset) }
    }

    /// A text without variables.
    pub(super) fn plain(text: &str) -> Self {
        Self { pieces: vec![Piece::Text(text.to_owned())], at: None }
    }

    /// The same, which stands here in the file.
    pub(super) fn placed(self, at: Position) -> Self {
        Self { at: Some(at), ..self }
    }

    /// Where it stands in the file, unless it is a default.
    pub(super) fn at(&self) -> Option<Position> {
        self.at
    }

    /// The text with the values of its variables.
    pub(super) fn value(&self) -> String {
        let texts = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Variable { value, .. } => value.as_str(),
        });
        texts.collect()
    }

    /// Whether any of it comes from the environment.
    pub(super) fn is_from_env(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Variable { .. }))
    }

    /// Whether all of it does, by names that the native configuration takes.
    pub(super) fn is_only_env(&self) -> bool {
        let fits = |piece: &Piece| match piece {
            Piece::Text(text) => text.is_empty(),
            Piece::Variable { name, .. } => is_name(name),
        };
        self.is_from_env() && self.pieces.iter().all(fits)
    }

    /// The same for the native configuration, which knows defaults and escapes. What it cannot say by a variable is
    /// written out.
    pub(super) fn native(&self) -> String {
        let (mut out, mut open) = (String::new(), String::new());
        for piece in &self.pieces {
            match piece {
                Piece::Variable { name, .. } if is_name(name) && !open.ends_with('$') => {
                    out += &escaped(&std::mem::take(&mut open));
                    out.extend([OPEN, name, "}"]);
                }
                Piece::Variable { value: text, .. } | Piece::Text(text) => open += text,
            }
        }
        out + &escaped(&open)
    }
}

/// What stands before the first variable, its name, and what follows.
fn variable(text: &str) -> Option<(&str, &str, &str)> {
    let (mut from, mut rest) = (0, text);
    loop {
        let (before, after) = rest.split_once(OPEN)?;
        let (inside, after) = after.split_once('}')?;
        if !inside.is_empty() {
            let before = text.get(..from + before.len())?;
            return Some((before, inside, after));
        }
        from += before.len() + OPEN.len() + 1;
        rest = after;
    }
}

fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn escaped(text: &str) -> String {
    text.replace(OPEN, "$${")
}
