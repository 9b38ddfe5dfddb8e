//! Tokens of Entra ID for a client, by its secret or by a service account's token (OAuth 2.0 client credentials).

use std::path::Path;

use reqwest::Url;
use roster_files::{Kind, ReadError, apart, read_text};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use super::error::{Absent, CredentialError};
use super::token::{Granted, Token};
use crate::error::Refusal;
use crate::http::{Again, Http, Reply, Spent};

const WHO: &str = "Entra ID";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What proves that a client is itself.
pub(super) enum Proof {
    Secret(SecretString),
    /// A token of the cluster's.
    Account(SecretString),
}

/// An error of the token endpoints, also of those of managed identities.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Trouble {
    error: String,
    error_description: String,
    /// What App Service has in the place of the description.
    message: String,
    correlation_id: Option<String>,
}

impl Proof {
    /// The file is read each time: the cluster replaces the token in it.
    pub(super) async fn read(file: &Path) -> Result<Self, Absent> {
        let wrong = |why: String| Absent::Failed(CredentialError::TokenFile { path: file.to_owned(), why });
        let path = file.to_owned();
        let text = apart(move || read_text(&path, Kind::Secret)).await;
        let text = text.map_err(ReadError::Io).flatten().map_err(|error| wrong(error.to_string()))?;
        match text.trim() {
            "" => Err(wrong("it is empty".to_owned())),
            token if token.contains(char::is_whitespace) => {
                Err(wrong("it has a blank or a line break in its middle".to_owned()))
            }
            token => Ok(Self::Account(SecretString::from(token))),
        }
    }
}

pub(super) async fn token(
    http: &Http,
    spent: &Spent,
    authority: &Url,
    tenant: &str,
    client: &str,
    scope: &str,
    proof: Proof,
) -> Result<Token, Absent> {
    let mut url = authority.clone();
    // An address that holds a host, as all that are checked do, has a path to add to.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend([tenant, "oauth2", "v2.0", "token"]);
    }
    let common = [("grant_type", "client_credentials"), ("client_id", client)];
    let proof = match &proof {
        Proof::Secret(secret) => vec![("client_secret", secret.expose_secret())],
        Proof::Account(token) => {
            vec![("client_assertion_type", ASSERTION), ("client_assertion", token.expose_secret())]
        }
    };
    let form: Vec<(&str, &str)> = common.into_iter().chain(proof).chain([("scope", scope)]).collect();
    let asked = Instant::now();
    let request = http.post(url).form(&form);
    let reply = http.ask("token_entra", request, spent, Again::passing()).await;
    let reply = reply.map_err(|why| Absent::Failed(CredentialError::Broken { who: WHO, why }))?;
    if reply.status == 200 { granted(WHO, &reply, asked) } else { Err(Absent::Failed(refused(WHO, &reply))) }
}

/// The token in an answer. Its text is not quoted, whatever is wrong with it.
pub(super) fn granted(who: &'static str, reply: &Reply, asked: Instant) -> Result<Token, Absent> {
    let wrong = |why: String| Absent::Failed(CredentialError::NotAToken { who, why });
    let granted: Granted = serde_json::from_slice(&reply.body).map_err(|error| {
        wrong(format!("no JSON of a token (line {}, column {})", error.line(), error.column()))
    })?;
    granted.token(asked, roster_clock::wall()).map_err(|why| wrong(why.to_owned()))
}

pub(super) fn refused(who: &'static str, reply: &Reply) -> CredentialError {
    CredentialError::Refused { who, refusal: refusal(reply), retry_after: reply.retry_after }
}

pub(super) fn refusal(reply: &Reply) -> Refusal {
    match serde_json::from_slice::<Trouble>(&reply.body) {
        Ok(trouble) => {
            let said =
                [&trouble.error_description, &trouble.message].into_iter().find(|text| !text.is_empty());
            let message = said.map_or("", |text| without_trace(text));
            let refusal = reply.refusal(&trouble.error, message);
            Refusal { request_id: trouble.correlation_id.or(refusal.request_id), ..refusal }
        }
        Err(_) => reply.refusal("", &reply.begins()),
    }
}

/// Entra's words without what differs each time: ids and times follow in further lines, or in the same one. An error that
/// lasts is logged once, which it could not be with them.
pub(super) fn without_trace(text: &str) -> &str {
    let line = text.trim_start().lines().next().unwrap_or_default();
    let ends = ["Trace ID:", "Correlation ID:", "Timestamp:"].iter().filter_map(|word| line.find(word)).min();
    ends.and_then(|end| line.get(..end)).unwrap_or(line).trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_each_time_is_no_part_of_entras_words() {
        let words = "AADSTS7000215: Invalid client secret provided.";
        for text in [
            format!("{words} Trace ID: 1 Correlation ID: 2 Timestamp: 2026-11-21 05:00:00Z"),
            format!("{words}\r\nTrace ID: 1\r\nCorrelation ID: 2"),
            format!("{words} Timestamp: 3"),
            words.to_owned(),
        ] {
            assert_eq!(without_trace(&text), words, "{text}");
        }
    }
}
