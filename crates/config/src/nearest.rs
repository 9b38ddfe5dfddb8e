//! The word that was probably meant.

/// The nearest of `known` to `given`, if it is near enough for a slip of the hand: one change in three letters.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // An absurdly long key would cost the product of both lengths.
    if given.len() > 64 {
        return None;
    }
    let given = given.to_lowercase().replace('-', "_");
    let distance = |word: &str| strsim::damerau_levenshtein(&given, word);
    let (distance, word) = known.into_iter().map(|word| (distance(word), word)).min()?;
    let longest = word.chars().count().max(given.chars().count());
    (distance <= (longest / 3).max(1) && distance < longest).then_some(word)
}

/// `(did you mean …?)` where something is near, else the list of what there is.
pub fn hint(given: &str, known: &[&str]) -> String {
    match nearest(given, known.iter().copied()) {
        Some(near) => format!(" (did you mean `{near}`?)"),
        None if known.is_empty() => "; none are known here".to_owned(),
        None => format!("; known here: {}", list(known)),
    }
}

/// `` `a`, `b`, `c` ``
pub(crate) fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_finds_none() {
        let known = ["service", "each", "on", "backend", "slow_start", "min_servers"];
        for (given, wanted) in [
            ("serivce", Some("service")),
            ("backends", Some("backend")),
            ("Slow-Start", Some("slow_start")),
            ("min_server", Some("min_servers")),
            ("onn", Some("on")),
            ("targets", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, known), wanted, "{given}");
        }
        assert_eq!(nearest(&"x".repeat(1 << 20), known), None);
    }
}
