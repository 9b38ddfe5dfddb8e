//! The endpoints that give tokens, as azure-identity 1.27 asks them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::State;
use super::routes::{Asked, Reply};

/// Tokens that were handed out or seen.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    handed_out: Vec<String>,
    seen: BTreeSet<String>,
    revoked: BTreeSet<String>,
}

impl Tokens {
    fn next(&mut self, way: &str) -> String {
        let token = format!("stand-in-{way}-token-{}", self.handed_out.len() + 1);
        self.handed_out.push(token.clone());
        token
    }

    pub(super) fn last(&self) -> Option<String> {
        self.handed_out.last().cloned()
    }

    pub(super) fn revoke(&mut self) {
        let known = self.handed_out.iter().cloned().chain(std::mem::take(&mut self.seen));
        self.revoked.extend(known.collect::<Vec<_>>());
    }

    /// Whether ARM takes it. One that it has never seen may come from `az`.
    pub(super) fn accepts(&mut self, token: &str) -> bool {
        self.seen.insert(token.to_owned());
        !self.revoked.contains(token)
    }
}

/// Entra ID: `POST /TENANT/oauth2/v2.0/token`. `expires_in` is a number here.
pub(super) fn entra(state: &mut State, tenant: &str, asked: &Asked) -> Reply {
    let form: BTreeMap<String, String> = asked.form();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let world = &state.world;
    let way = if field("client_secret") == world.secret {
        "secret"
    } else if field("client_assertion") == world.assertion
        && field("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    {
        "assertion"
    } else {
        return trouble(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.", 7_000_215);
    };
    if tenant != world.tenant || field("client_id") != world.client {
        return trouble(
            400,
            "unauthorized_client",
            "AADSTS700016: Application was not found in the directory.",
            700_016,
        );
    }
    if field("grant_type") != "client_credentials" || !field("scope").ends_with("/.default") {
        return trouble(
            400,
            "invalid_scope",
            "AADSTS70011: The provided value for scope is not valid.",
            70_011,
        );
    }
    let life = world.token_life;
    let token = state.tokens.next(way);
    Reply::json(
        200,
        &json!({ "token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token }),
    )
}

/// The metadata service: `GET /metadata/identity/oauth2/token`. Numbers are text here.
pub(super) fn metadata(state: &mut State, asked: &Asked) -> Reply {
    if asked.header("metadata") != Some("true") {
        let text = "Required metadata header not specified or not correct";
        return Reply::json(400, &json!({ "error": "invalid_request", "error_description": text }));
    }
    if asked.query("api-version") != Some("2018-02-01") {
        return Reply::json(400, &json!({ "error": "invalid_request", "error_description": "api-version" }));
    }
    managed(state, asked, "imds")
}

/// App Service: `GET /msi/token`.
pub(super) fn app_service(state: &mut State, asked: &Asked) -> Reply {
    if asked.header("x-identity-header") != Some(state.world.identity_header.as_str()) {
        return Reply::json(401, &json!({ "statusCode": 401, "message": "wrong X-IDENTITY-HEADER" }));
    }
    managed(state, asked, "app")
}

fn managed(state: &mut State, asked: &Asked, way: &str) -> Reply {
    let world = &state.world;
    let client = asked.query("client_id").unwrap_or(&world.client).to_owned();
    let Some(resource) = asked.query("resource").map(str::to_owned) else {
        return Reply::json(400, &json!({ "error": "invalid_resource", "error_description": "no resource" }));
    };
    if !world.has_identity || client != world.client {
        return Reply::json(
            400,
            &json!({ "error": "invalid_request", "error_description": "Identity not found" }),
        );
    }
    let life = world.token_life;
    let now = roster_clock::wall().as_second();
    let token = state.tokens.next(way);
    let mut answer = json!({
        "access_token": token,
        "client_id": client,
        "expires_on": (now + life).to_string(),
        "resource": resource,
        "token_type": "Bearer",
    });
    // App Service says only when it ends.
    if way == "imds"
        && let Some(object) = answer.as_object_mut()
    {
        let more = [
            ("expires_in", life.to_string()),
            ("ext_expires_in", life.to_string()),
            ("not_before", now.to_string()),
        ];
        object.extend(more.map(|(key, value)| (key.to_owned(), Value::String(value))));
    }
    Reply::json(200, &answer)
}

fn trouble(status: u16, error: &str, text: &str, code: u32) -> Reply {
    let description = format!("{text} Trace ID: 11 Correlation ID: 22");
    Reply::json(
        status,
        &json!({
            "error": error, "error_description": description, "error_codes": [code],
            "trace_id": "11", "correlation_id": "22",
        }),
    )
}
