//! Keys that cannot be any.

use aws_credential_types::Credentials;

use crate::error::Why;

/// An error if a key holds what none has. A secret that was read from a file often ends with a line break; the signature is
/// then another one, and AWS says only that it does not match.
pub(super) fn checked(credentials: &Credentials, principal: &str) -> Result<(), Why> {
    let parts = [
        ("access key id", Some(credentials.access_key_id())),
        ("secret access key", Some(credentials.secret_access_key())),
        ("session token", credentials.session_token()),
    ];
    let odd = parts.into_iter().find_map(|(part, text)| Some((part, odd(text?)?)));
    let Some((part, how)) = odd else { return Ok(()) };
    // The key itself is what is odd, so it is not shown.
    let whose = principal.replace(credentials.access_key_id(), "").replace("access key ", "");
    Err(Why::OddKey { part, how, whose: whose.split_whitespace().collect::<Vec<_>>().join(" ") })
}

/// What is odd about it.
fn odd(text: &str) -> Option<&'static str> {
    let last = text.chars().next_back();
    match () {
        () if text.is_empty() => Some("is empty"),
        () if text.trim_end() != text && matches!(last, Some('\n' | '\r')) => Some("ends with a line break"),
        () if text.contains(['\n', '\r']) => Some("has a line break in it"),
        () if text.chars().any(char::is_whitespace) => Some("has a blank in it"),
        () if !text.chars().all(|char| char.is_ascii_graphic()) => Some("has a character that no key has"),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_cannot_be_one_is_named_and_not_shown() {
        for (id, secret, token, says) in [
            ("A\nB", "s", None, "access key id of the environment has a line break in it"),
            ("AKIA\n", "s", None, "access key id of the environment ends with a line break"),
            ("AKIA", "hush\r\n", None, "secret access key of the environment ends with a line break"),
            ("AKIA", "hu sh", None, "secret access key of the environment has a blank"),
            ("AKIA", "hush\u{e9}", None, "has a character that no key has"),
            ("AKIA", "", None, "is empty"),
            ("AKIA", "s", Some("hush\n"), "session token of the environment ends with a line break"),
        ] {
            let credentials = Credentials::new(id, secret, token.map(str::to_owned), None, "test");
            let principal = format!("access key {id} of the environment");
            let told = checked(&credentials, &principal).unwrap_err().to_string();
            assert!(told.contains(says) && !told.contains("hu") && !told.contains('\n'), "{told}");
        }
        let good = Credentials::new("AKIA", "a/b+c=", Some("t==".to_owned()), None, "test");
        assert!(checked(&good, "x").is_ok());
    }
}
