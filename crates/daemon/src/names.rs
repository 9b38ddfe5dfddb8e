//! The name that was probably meant.

/// ` (did you mean …?)` where one of the known names is near enough for a slip of the hand: one change in three
/// letters. Nothing where none is.
pub(crate) fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    // An absurdly long name would cost the product of both lengths.
    if given.len() > 256 {
        return String::new();
    }
    let nearest = known.into_iter().map(|name| (strsim::damerau_levenshtein(given, name), name)).min();
    let length = given.chars().count();
    match nearest {
        Some((distance, name)) if distance <= (length / 3).max(1) => format!(" (did you mean {name}?)"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_another_name_finds_none() {
        let known = ["web", "api", "web-eu"];
        assert_eq!(did_you_mean("wbe", known), " (did you mean web?)");
        assert_eq!(did_you_mean("web-eus", known), " (did you mean web-eu?)");
        assert_eq!(did_you_mean("database", known), "");
        assert_eq!(did_you_mean(&"w".repeat(1 << 20), known), "");
    }
}
