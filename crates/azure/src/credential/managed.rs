//! Tokens of the machine's or the app's own identity: the metadata service, and what App Service puts in its place.

use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::entra::{granted, refusal, refused};
use super::error::{Absent, CredentialError};
use super::token::Token;
use crate::http::{Http, Reply, Waited, passes};

/// The metadata service's address on every Azure machine. It is link-local: no packet to it leaves the host.
const METADATA: &str = "http://169.254.169.254";
/// Where there is none, it does not answer at all.
const PROBE: Duration = Duration::from_secs(2);
const WHO: &str = "the metadata service";
const APP: &str = "IDENTITY_ENDPOINT";

/// A token of the metadata service.
pub(super) async fn metadata(
    http: &Http,
    waited: &Waited,
    base: Option<&str>,
    audience: &str,
    client: Option<&str>,
) -> Result<Token, Absent> {
    let failed = |error: CredentialError| Absent::Failed(error);
    // Nothing secret is sent there, and it has no TLS.
    let base = base.unwrap_or(METADATA);
    let at = Url::parse(base).map_err(|error| failed(no_metadata(base, &error.to_string())))?;
    let url = with_query(&at, Some("metadata/identity/oauth2/token"), "2018-02-01", audience, client);
    // Without its header it refuses, but it answers: so it is known soon whether it is there.
    let probe = http.once("token_imds_probe", http.client().get(url.clone()), PROBE).await;
    let probe = probe.map_err(|why| Absent::NotThere(no_metadata(at.as_str(), &why.to_string())))?;
    // Other clouds have their metadata at the same address, and nothing at this path.
    if matches!(probe.status, 401 | 403 | 404) {
        let why = format!("what is there answers {}", probe.status);
        return Err(Absent::NotThere(no_metadata(at.as_str(), &why)));
    }
    let asked = Instant::now();
    let request = http.client().get(url).header("Metadata", "true");
    let reply = http
        .ask("token_imds", &request, waited, |status| passes(status) || status == 410)
        .await
        .map_err(|why| failed(CredentialError::Broken { who: WHO, why }))?;
    match reply.status {
        200 => granted(WHO, &reply, asked),
        400 => Err(Absent::NotThere(no_identity(&reply))),
        _ => Err(failed(refused(WHO, &reply))),
    }
}

/// A token of App Service, Functions or Container Apps.
pub(super) async fn app_service(
    http: &Http,
    waited: &Waited,
    endpoint: &str,
    header: &SecretString,
    audience: &str,
    client: Option<&str>,
) -> Result<Token, Absent> {
    // The sandbox has addresses of its own for this (169.254.…), so the header's secret may go there in the clear.
    let Ok(at) = Url::parse(endpoint) else {
        let why = "it is no URL".to_owned();
        return Err(Absent::Failed(CredentialError::NotAToken { who: APP, why }));
    };
    let url = with_query(&at, None, "2019-08-01", audience, client);
    let asked = Instant::now();
    let request = http.client().get(url).header("X-IDENTITY-HEADER", header.expose_secret());
    let reply = http
        .ask("token_app", &request, waited, passes)
        .await
        .map_err(|why| Absent::Failed(CredentialError::Broken { who: APP, why }))?;
    match reply.status {
        200 => granted(APP, &reply, asked),
        400 => Err(Absent::Failed(no_identity(&reply))),
        _ => Err(Absent::Failed(refused(APP, &reply))),
    }
}

fn with_query(at: &Url, path: Option<&str>, version: &str, audience: &str, client: Option<&str>) -> Url {
    let mut url = at.clone();
    if let (Some(path), Ok(mut segments)) = (path, url.path_segments_mut()) {
        segments.pop_if_empty().extend(path.split('/'));
    }
    url.query_pairs_mut()
        .append_pair("api-version", version)
        .append_pair("resource", audience)
        .extend_pairs(client.map(|client| ("client_id", client)));
    url
}

fn no_metadata(at: &str, why: &str) -> CredentialError {
    CredentialError::NoMetadata { at: at.to_owned(), why: why.to_owned() }
}

fn no_identity(reply: &Reply) -> CredentialError {
    CredentialError::NoIdentity(refusal(reply))
}
