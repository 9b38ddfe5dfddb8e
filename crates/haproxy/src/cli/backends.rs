//! `show backend`: the names of all backends, disabled ones included.

use super::error::ParseError;

const COMMAND: &str = "show backend";

/// Reads the answer to `show backend`.
pub fn parse(text: &str) -> Result<Vec<String>, ParseError> {
    let names = text.strip_prefix("# name\n").ok_or_else(|| ParseError::not_an_answer(COMMAND, text))?;
    Ok(names.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_backend_is_listed_on_2_6_and_3_0() {
        for text in [include_str!("fixtures/backends-2.6.txt"), include_str!("fixtures/backends-3.0.txt")] {
            let names = parse(text).unwrap();
            assert_eq!(names.first().map(String::as_str), Some("web"));
            assert!(names.contains(&"dead".to_owned()), "disabled backends are listed too");
        }
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        assert!(parse("").is_err());
        assert!(parse("Permission denied\n").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "(?s).*") {
            let _read = parse(&text);
        }
    }
}
