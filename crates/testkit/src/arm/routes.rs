//! From a request to its reply, without sockets.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::fault::ArmFault;
use super::world::{ArmSet, ArmVm, ArmWorld};
use super::{ArmCall, State, tokens};

/// A request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) raw_query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) query: BTreeMap<String, String>,
}

/// A reply, and what happens to it on its way.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    pub(super) later: Duration,
    pub(super) cut: bool,
}

/// The parts of an ARM path below the subscription.
struct Place<'a> {
    group: Option<&'a str>,
    /// Such as `["virtualMachineScaleSets", "x", "virtualMachines"]`.
    below: Vec<&'a str>,
    provider: &'a str,
}

impl Asked {
    pub(super) fn new(method: &str, path: &str, query: &str, headers: HeaderMap, body: Bytes) -> Self {
        Self {
            method: method.to_owned(),
            path: percent_decode_str(path).decode_utf8_lossy().into_owned(),
            raw_query: query.to_owned(),
            headers,
            body,
            query: pairs(query.as_bytes()),
        }
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn form(&self) -> BTreeMap<String, String> {
        pairs(&self.body)
    }

    fn bearer(&self) -> Option<String> {
        self.header("authorization")?.strip_prefix("Bearer ").map(str::to_owned)
    }
}

impl Reply {
    pub(super) fn json(status: u16, value: &Value) -> Self {
        let headers = vec![("Content-Type", "application/json; charset=utf-8".to_owned())];
        Self { status, headers, body: value.to_string().into_bytes(), later: Duration::ZERO, cut: false }
    }

    fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "error": { "code": code, "message": message } }))
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl State {
    /// Answers, and notes the call. `url` is the stand-in's own address.
    pub(super) fn answer(&mut self, url: &str, asked: &Asked) -> Reply {
        let number = self.calls.len() + 1;
        let fault = match self.faults.take(&format!("{}?{}", asked.path, asked.raw_query)) {
            Some(ArmFault::Endless) => {
                Some(ArmFault::NextLink(format!("?api-version=1&$skiptoken=p{number}")))
            }
            fault => fault,
        };
        let reply = match &fault {
            Some(fault) => match instead(fault) {
                Some(reply) => reply,
                None => after(fault, self.route(url, asked)),
            },
            None => self.route(url, asked),
        };
        self.calls.push(ArmCall {
            method: asked.method.clone(),
            path: asked.path.clone(),
            query: asked.raw_query.clone(),
            token: asked.bearer(),
            status: reply.status,
        });
        reply.with("x-ms-request-id", format!("request-{number}"))
    }

    fn route(&mut self, url: &str, asked: &Asked) -> Reply {
        let path = asked.path.trim_matches('/').to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("POST", [tenant, "oauth2", "v2.0", "token"]) => tokens::entra(self, tenant, asked),
            ("GET", ["metadata", "identity", "oauth2", "token"]) => tokens::metadata(self, asked),
            ("GET", ["msi", "token"]) => tokens::app_service(self, asked),
            ("GET", ["subscriptions", subscription, rest @ ..]) => self.arm(url, subscription, rest, asked),
            _ => Reply::error(404, "NotFound", "There is nothing at this address."),
        }
    }

    fn arm(&mut self, url: &str, subscription: &str, rest: &[&str], asked: &Asked) -> Reply {
        let Some(token) = asked.bearer() else {
            let text = "Authentication failed. The 'Authorization' header is missing.";
            return Reply::error(401, "AuthenticationFailed", text).with(
                "WWW-Authenticate",
                "Bearer authorization_uri=\"https://login.microsoftonline.com/common\", error=\"invalid_token\", \
                 error_description=\"The authentication failed because of missing 'Authorization' header.\"",
            );
        };
        if !self.tokens.accepts(&token) {
            let text = "The access token expiry UTC time is earlier than current UTC time.";
            return Reply::error(401, "ExpiredAuthenticationToken", text)
                .with("WWW-Authenticate", "Bearer error=\"invalid_token\"");
        }
        if asked.query("api-version").is_none() {
            let text = "The api-version query parameter (?api-version=) is required for all requests.";
            return Reply::error(400, "MissingApiVersionParameter", text);
        }
        let world = &self.world;
        if !subscription.eq_ignore_ascii_case(&world.subscription) {
            let text = format!("The subscription '{subscription}' could not be found.");
            return Reply::error(404, "SubscriptionNotFound", &text);
        }
        let Some(place) = Place::new(rest) else {
            return Reply::error(404, "InvalidResourceType", "There is no such resource type.");
        };
        place.answer(world, url, asked)
    }
}

impl<'a> Place<'a> {
    fn new(rest: &[&'a str]) -> Option<Self> {
        let (group, rest) = match rest {
            [word, group, rest @ ..] if word.eq_ignore_ascii_case("resourceGroups") => (Some(*group), rest),
            rest => (None, rest),
        };
        match rest {
            [word, provider, below @ ..] if word.eq_ignore_ascii_case("providers") => {
                Some(Self { group, below: below.to_vec(), provider })
            }
            _ => None,
        }
    }

    fn answer(&self, world: &ArmWorld, url: &str, asked: &Asked) -> Reply {
        if world.is_denied(self.group.unwrap_or("*")) {
            return self.denied(asked);
        }
        if let Some(group) = self.group
            && !world.has_group(group)
        {
            let text = format!("Resource group '{group}' could not be found.");
            return Reply::error(404, "ResourceGroupNotFound", &text);
        }
        let below: Vec<String> = self.below.iter().map(|part| part.to_ascii_lowercase()).collect();
        let below: Vec<&str> = below.iter().map(String::as_str).collect();
        match (self.provider.to_ascii_lowercase().as_str(), below.as_slice()) {
            ("microsoft.compute", ["virtualmachines"]) => self.vms(world, url, asked),
            ("microsoft.compute", ["virtualmachines", name, "instanceview"]) => {
                let found = world.vms.iter().find(|vm| vm.name.eq_ignore_ascii_case(name));
                found.map_or_else(|| missing(name), |vm| Reply::json(200, &ArmWorld::instance_view(vm)))
            }
            ("microsoft.compute", ["virtualmachinescalesets"]) => {
                let sets = world.sets.iter().filter(|set| self.holds(&set.group)).map(|set| world.set(set));
                page(world, url, asked, sets.collect())
            }
            ("microsoft.compute", ["virtualmachinescalesets", name, what]) => match self.set(world, name) {
                Some(set) if *what == "virtualmachines" => {
                    let view = asked.query("$expand") == Some("instanceView");
                    page(
                        world,
                        url,
                        asked,
                        set.members.iter().map(|vm| world.member(set, vm, view)).collect(),
                    )
                }
                Some(set) if *what == "networkinterfaces" => page(world, url, asked, world.member_nics(set)),
                _ => missing(name),
            },
            ("microsoft.network", ["networkinterfaces"]) => page(world, url, asked, world.nics(self.group)),
            _ => Reply::error(404, "InvalidResourceType", "There is no such resource type."),
        }
    }

    fn vms(&self, world: &ArmWorld, url: &str, asked: &Asked) -> Reply {
        let states = asked.query("statusOnly") == Some("true");
        let view = asked.query("$expand") == Some("instanceView");
        let filter = asked.query("$filter");
        if self.group.is_none() && view && filter.is_none() {
            let text = "The expand option is for one group, or for a filter on a scale set.";
            return Reply::error(400, "BadRequest", text);
        }
        let wanted = |vm: &&ArmVm| {
            let set = vm.set.as_ref().map(|set| format!("/virtualmachinescalesets/{}'", set.to_lowercase()));
            let filtered = |filter: &str| set.is_some_and(|set| filter.to_lowercase().ends_with(&set));
            self.holds(&vm.group) && filter.is_none_or(filtered)
        };
        let vms = world.vms.iter().filter(wanted);
        let values = if states {
            vms.filter(|vm| vm.view != super::ArmView::Missing).map(|vm| world.state(vm)).collect()
        } else {
            vms.map(|vm| world.vm_value(vm, view)).collect()
        };
        page(world, url, asked, values)
    }

    fn set<'w>(&self, world: &'w ArmWorld, name: &str) -> Option<&'w ArmSet> {
        world.sets.iter().find(|set| self.holds(&set.group) && set.name.eq_ignore_ascii_case(name))
    }

    fn holds(&self, group: &str) -> bool {
        self.group.is_none_or(|wanted| wanted.eq_ignore_ascii_case(group))
    }

    fn denied(&self, asked: &Asked) -> Reply {
        let types: Vec<&str> = self.below.iter().step_by(2).copied().collect();
        let text = format!(
            "The client 'x' with object id 'x' does not have authorization to perform action '{}/{}/read' over scope \
             '{}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
            self.provider,
            types.join("/"),
            asked.path
        );
        Reply::error(403, "AuthorizationFailed", &text)
    }
}

/// A page of a list. Its number is in `$skiptoken`.
fn page(world: &ArmWorld, url: &str, asked: &Asked, all: Vec<Value>) -> Reply {
    let size = world.page_size.max(1);
    let number: usize = asked
        .query("$skiptoken")
        .and_then(|token| token.strip_prefix('p'))
        .and_then(|number| number.parse().ok())
        .unwrap_or(1);
    let begin = size * (number - 1);
    let mut answer = json!({});
    if all.len() > begin + size {
        let query: Vec<&str> =
            asked.raw_query.split('&').filter(|pair| !pair.contains("skiptoken=")).collect();
        let host = world.links.as_deref().unwrap_or(url);
        let link = format!("{host}{}?{}&$skiptoken=p{}", asked.path, query.join("&"), number + 1);
        put(&mut answer, "nextLink", Value::String(link));
    }
    put(&mut answer, "value", all.into_iter().skip(begin).take(size).collect());
    Reply::json(200, &answer)
}

fn missing(name: &str) -> Reply {
    let text = format!("The Resource '{name}' was not found.");
    Reply::error(404, "ResourceNotFound", &text)
}

/// Faults that come in the place of the answer.
fn instead(fault: &ArmFault) -> Option<Reply> {
    match fault {
        ArmFault::Throttled(seconds) => Some(throttled(*seconds)),
        ArmFault::Unavailable(seconds) => {
            let reply = Reply::error(503, "ServiceUnavailable", "The service is unavailable.");
            Some(seconds.iter().fold(reply, |reply, seconds| reply.with("Retry-After", seconds.to_string())))
        }
        ArmFault::Error(status, code) => Some(Reply::error(*status, code, "It was made to fail.")),
        ArmFault::Json(status, body) => Some(Reply::json(*status, body)),
        ArmFault::Html(status) => Some(Reply {
            status: *status,
            headers: vec![("Content-Type", "text/html".to_owned())],
            body: b"<html><head><title>Bad Gateway</title></head><body>proxy</body></html>".to_vec(),
            later: Duration::ZERO,
            cut: false,
        }),
        ArmFault::HalfBody
        | ArmFault::Slow(_)
        | ArmFault::NextLink(_)
        | ArmFault::Endless
        | ArmFault::Field { .. } => None,
    }
}

/// Faults that happen to the answer.
fn after(fault: &ArmFault, mut reply: Reply) -> Reply {
    match fault {
        ArmFault::HalfBody => reply.cut = true,
        ArmFault::Slow(later) => reply.later = *later,
        ArmFault::NextLink(link) => change(&mut reply, |answer| put(answer, "nextLink", json!(link))),
        ArmFault::Field { name, pointer, value } => change(&mut reply, |answer| {
            let elements = answer.get_mut("value").and_then(Value::as_array_mut).into_iter().flatten();
            for element in
                elements.filter(|element| element.get("name").and_then(Value::as_str) == Some(name))
            {
                if let Some(place) = element.pointer_mut(pointer) {
                    place.clone_from(value);
                }
            }
        }),
        _ => {}
    }
    reply
}

fn change(reply: &mut Reply, act: impl FnOnce(&mut Value)) {
    if let Ok(mut answer) = serde_json::from_slice(&reply.body) {
        act(&mut answer);
        reply.body = answer.to_string().into_bytes();
    }
}

fn throttled(seconds: u32) -> Reply {
    // JSON within JSON, in ARM's own order.
    let detail = concat!(
        r#"{"operationGroup":"HighCostGet30Min","startTime":"2026-11-20T10:00:00+00:00","#,
        r#""endTime":"2026-11-20T10:30:00+00:00","allowedRequestCount":900,"measuredRequestCount":1202}"#
    );
    let text =
        "The server rejected the request because too many requests have been received for this subscription.";
    let details = json!([{ "code": "TooManyRequests", "target": "HighCostGet30Min", "message": detail }]);
    let error = json!({ "code": "OperationNotAllowed", "message": text, "details": details });
    let left = "Microsoft.Compute/HighCostGet3Min;107,Microsoft.Compute/HighCostGet30Min;0";
    Reply::json(429, &json!({ "error": error }))
        .with("Retry-After", seconds.to_string())
        .with("x-ms-ratelimit-remaining-resource", left)
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn pairs(text: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}
