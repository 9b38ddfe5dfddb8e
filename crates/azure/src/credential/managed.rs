//! Tokens of the machine's or the app's own identity: the metadata service, and what App Service puts in its place.

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::choose::ClientId;
use super::entra::{granted, refusal, refused};
use super::error::{Absent, CredentialError};
use super::token::Token;
use crate::broken::Broken;
use crate::error::Refusal;
use crate::http::{Again, Http, Reply, Spent, passes};

/// The metadata service's address on every Azure machine. It is link-local: no packet to it leaves the host.
pub(super) const METADATA: &str = "http://169.254.169.254";
const WHO: &str = "the metadata service";
const APP: &str = "IDENTITY_ENDPOINT";

/// A token of the metadata service. `passing_over` says whether there is another way if there is no such service: then a
/// connection that cannot be made is not tried again.
///
/// Azure's guide says to repeat 404, 410, 429 and 5xx (How managed identities for Azure resources work, "Retry guidance").
pub(super) async fn metadata(
    http: &Http,
    spent: &Spent,
    base: Option<&str>,
    audience: &str,
    client: Option<&ClientId>,
    passing_over: bool,
) -> Result<Token, Absent> {
    let base = base.unwrap_or(METADATA);
    let no_metadata = |why: String| CredentialError::NoMetadata { at: base.to_owned(), why };
    // Nothing secret is sent there, and it has no TLS.
    let at = Url::parse(base).map_err(|error| Absent::Failed(no_metadata(error.to_string())))?;
    let url = with_query(&at, Some("metadata/identity/oauth2/token"), "2018-02-01", audience, client);
    let asked = Instant::now();
    let request = http.get(url).header("Metadata", "true");
    let again =
        Again { status: |status| passes(status) || matches!(status, 404 | 410), unreached: !passing_over };
    let reply = match http.ask("token_imds", request, spent, again).await {
        Ok(reply) => reply,
        Err(why) if why.is_unreached() => return Err(Absent::NotThere(no_metadata(why.to_string()))),
        // A server is there, and may be the metadata service.
        Err(why) => return Err(Absent::Failed(broken(WHO, why))),
    };
    match reply.status {
        200 => granted(WHO, &reply, asked),
        400 if !refusal(&reply).code.is_empty() => Err(no_identity(&reply, client)),
        // Other clouds have their metadata at the same address, and nothing at this path; Docker Desktop answers 403 for
        // addresses that it cannot reach.
        400 | 401 | 403 | 404 | 405 => {
            let why = format!("the server at that address answers {}", refusal(&reply));
            Err(Absent::NotThere(no_metadata(why)))
        }
        _ => Err(Absent::Failed(refused(WHO, &reply))),
    }
}

/// A token of App Service, Functions or Container Apps.
pub(super) async fn app_service(
    http: &Http,
    spent: &Spent,
    endpoint: &str,
    header: &SecretString,
    audience: &str,
    client: Option<&ClientId>,
) -> Result<Token, Absent> {
    // The sandbox has addresses of its own for this (169.254.…), so the header's secret may go there in the clear.
    let Ok(at) = Url::parse(endpoint) else {
        let why = "it is not a URL".to_owned();
        return Err(Absent::Failed(CredentialError::NotAToken { who: APP, why }));
    };
    let url = with_query(&at, None, "2019-08-01", audience, client);
    let asked = Instant::now();
    let request = http.get(url).header("X-IDENTITY-HEADER", header.expose_secret());
    let reply = http.ask("token_app", request, spent, Again::passing()).await;
    let reply = reply.map_err(|why| Absent::Failed(broken(APP, why)))?;
    match reply.status {
        200 => granted(APP, &reply, asked),
        400 => Err(Absent::Failed(not_assigned(refusal(&reply), client))),
        _ => Err(Absent::Failed(refused(APP, &reply))),
    }
}

fn with_query(at: &Url, path: Option<&str>, version: &str, audience: &str, client: Option<&ClientId>) -> Url {
    let mut url = at.clone();
    if let (Some(path), Ok(mut segments)) = (path, url.path_segments_mut()) {
        segments.pop_if_empty().extend(path.split('/'));
    }
    url.query_pairs_mut()
        .append_pair("api-version", version)
        .append_pair("resource", audience)
        .extend_pairs(client.map(|client| ("client_id", client.id.as_str())));
    url
}

fn broken(who: &'static str, why: Broken) -> CredentialError {
    CredentialError::Broken { who, why }
}

/// What 400 of the metadata service means. Only a machine without any identity, where the configuration names none, has no
/// such way.
fn no_identity(reply: &Reply, client: Option<&ClientId>) -> Absent {
    let refusal = refusal(reply);
    let words = refusal.message.to_ascii_lowercase();
    match () {
        () if words.contains("multiple user assigned identities") => {
            Absent::Failed(CredentialError::Ambiguous(refusal))
        }
        () if !words.contains("identity not found") => Absent::Failed(refused(WHO, reply)),
        () if client.is_some() => Absent::Failed(not_assigned(refusal, client)),
        () => Absent::NotThere(not_assigned(refusal, client)),
    }
}

fn not_assigned(refusal: Refusal, client: Option<&ClientId>) -> CredentialError {
    match client {
        Some(ClientId { id, named_by }) => {
            CredentialError::NoIdentity { client: id.clone(), named_by, refusal }
        }
        None => CredentialError::Unassigned(refusal),
    }
}
