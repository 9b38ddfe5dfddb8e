//! The whole file at once, and the runtime commands that may come with it.
//!
//! Order of a write: HAProxy checks the text, the file is written, then the actions run until the first that fails.

use std::fs;

use serde_json::{Value, json};

use super::route;
use crate::dataplane::Version;
use crate::dataplane::config::{checksum, is_own};
use crate::dataplane::exchange::{Answer, Call, Refusal, Reply};
use crate::dataplane::faults::Fault;
use crate::dataplane::routes::Route;
use crate::dataplane::state::{Api, no_version};

pub(super) fn routes(routes: &mut Vec<Route>) {
    routes.push(route("~/configuration/raw", &[("GET", read), ("POST", write)]));
}

fn read(api: &Api, call: &Call) -> Answer {
    let id = call.query("transaction_id");
    let text = match id {
        Some(id) => {
            let text = format!("transaction does not exist: transaction file {id} does not exist");
            api.transaction_text(id).ok_or_else(|| Refusal::new(400, text))?
        }
        None => file(api)?,
    };
    let version = if id.is_some() { None } else { super::super::config::version_line(&text) };
    let json = match api.setup.version {
        Version::V2 => Some(match version {
            Some(version) => json!({ "_version": version, "data": text }),
            None => json!({ "data": text }),
        }),
        Version::V3 | Version::V3_3 if wants_json(call) => Some(json!(text)),
        Version::V3 | Version::V3_3 => None,
    };
    let reply = json.map_or_else(|| Reply::text(200, &text), |value| Reply::json(200, &value));
    Ok(with_checksum(reply, &text))
}

fn write(api: &Api, call: &Call) -> Answer {
    let text = text_of(call)?;
    let version = call.version()?.filter(|version| *version != 0);
    let (skip_version, only_validate) = (call.flag("skip_version"), call.flag("only_validate"));
    let (skip_reload, force_reload) = (call.flag("skip_reload"), call.flag("force_reload"));
    if !text.contains('\n') {
        return Err(Refusal::new(400, "invalid configuration: no newline character found"));
    }
    if only_validate {
        api.validate_only(&text)?;
        return written(api, call, 202);
    }
    if skip_version {
        api.replace(&text, None)?;
    } else {
        api.replace(&text, Some(version.ok_or_else(no_version)?))?;
    }
    if skip_reload {
        if let Some(actions) = call.header("X-Runtime-Actions") {
            run_actions(api, actions)?;
        }
        return written(api, call, 201);
    }
    if force_reload {
        let reply = written(api, call, 201)?;
        api.reloads.force(api.injected_reload_failure()).map_err(|why| Refusal::new(400, why))?;
        return Ok(reply);
    }
    Ok(written(api, call, 202)?.with("Reload-ID", api.reloads.schedule()))
}

/// The body: plain text, or a JSON string.
fn text_of(call: &Call) -> Result<String, Refusal> {
    if call.body.is_empty() {
        return Err(Refusal::schema(602, "data in body is required"));
    }
    match call.content_type().as_str() {
        "text/plain" | "" => Ok(call.text()),
        "application/json" => match call.json()? {
            Value::String(text) => Ok(text),
            _ => Err(Refusal::unparsable("json: cannot unmarshal into Go value of type string")),
        },
        other => Err(Refusal::media(other, "text/plain application/json")),
    }
}

fn written(api: &Api, call: &Call, status: u16) -> Answer {
    let text = file(api)?;
    let reply = match api.setup.version {
        Version::V3 | Version::V3_3 if !wants_json(call) => Reply::text(status, &text),
        _ => Reply::json(status, &json!(text)),
    };
    Ok(with_checksum(reply, &text))
}

fn with_checksum(reply: Reply, text: &str) -> Reply {
    match text.split_once('\n') {
        Some((_, rest)) if is_own(text) => reply.with("Configuration-Checksum", checksum(rest)),
        _ => reply,
    }
}

fn wants_json(call: &Call) -> bool {
    call.header("Accept").is_some_and(|accept| accept.starts_with("application/json"))
}

/// What is read is the file, also where the memory differs from it.
fn file(api: &Api) -> Result<String, Refusal> {
    fs::read_to_string(&api.setup.config)
        .map_err(|error| Refusal::new(500, format!("cannot read the configuration: {error}")))
}

/// `;` separates actions, one blank their parameters. Names that are not known are passed over without a word.
fn run_actions(api: &Api, actions: &str) -> Result<(), Refusal> {
    let fails = api.faults.take(|fault| match fault {
        Fault::ActionFails(at) => Some(*at),
        _ => None,
    });
    for (at, action) in actions.split(';').enumerate() {
        let words: Vec<&str> = action.split(' ').collect();
        let name = words.first().copied().unwrap_or_default();
        let outcome = if fails == Some(at + 1) {
            Err("failed on purpose".to_owned())
        } else {
            run_action(api, name, words.get(1..).unwrap_or_default())
        };
        outcome.map_err(|why| Refusal::new(500, format!("cannot execute {name}: {why}")))?;
    }
    Ok(())
}

fn run_action(api: &Api, name: &str, given: &[&str]) -> Result<(), String> {
    let least = match name {
        "SetServerAddr" => 4,
        "SetServerWeight" | "SetServerCheckPort" | "SetServerState" | "SetServerAgentAddr"
        | "SetServerAgentSend" => 3,
        "SetFrontendMaxConn" | "EnableAgentCheck" | "DisableAgentCheck" => 2,
        _ => return Ok(()),
    };
    if given.len() < least {
        return Err("not enough parameters".to_owned());
    }
    let word = |at: usize| given.get(at).copied().unwrap_or_default();
    let number = |at: usize| {
        word(at)
            .parse::<i64>()
            .map_err(|_| format!("strconv.ParseInt: parsing \"{}\": invalid syntax", word(at)))
    };
    let at = format!("{}/{}", word(0), word(1));
    match name {
        "SetFrontendMaxConn" => {
            api.runtime.execute(&format!("set maxconn frontend {} {}", word(0), number(1)?))
        }
        "SetServerWeight" => api.runtime.set_weight(&at, word(2)),
        "SetServerCheckPort" => api.runtime.set_check_port(&at, number(2)?),
        "SetServerAddr" => api.runtime.set_addr(&at, word(2), Some(number(3)?)),
        "SetServerState" => api.runtime.set_state(&at, word(2)),
        "EnableAgentCheck" => api.runtime.execute(&format!("enable agent {at}")),
        "DisableAgentCheck" => api.runtime.execute(&format!("disable agent {at}")),
        "SetServerAgentAddr" => api.runtime.execute(&format!("set server {at} agent-addr {}", word(2))),
        _ => api.runtime.execute(&format!("set server {at} agent-send {}", word(2))),
    }
}
