//! Texts that cannot be what they are given as. Pure.

use secrecy::{ExposeSecret, SecretString};

use super::CredentialError;

/// An error names only the place of the text, because a secret may have been put into the wrong variable.
pub(super) fn fit(
    what: &'static str,
    text: &str,
    fits: impl Fn(char) -> bool,
) -> Result<(), CredentialError> {
    let why = match () {
        () if text.contains(['\n', '\r']) => "has a line break in it",
        () if text.trim() != text => "has a blank before or after it",
        () if text.chars().all(fits) => return Ok(()),
        () => "has a character in it that it cannot have",
    };
    Err(CredentialError::Text { what, why })
}

/// A header with a control character could not even be sent.
pub(super) fn fit_secret(what: &'static str, secret: &SecretString) -> Result<(), CredentialError> {
    fit(what, secret.expose_secret(), |char| !char.is_control())
}
