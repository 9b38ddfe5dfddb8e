//! From a request to its endpoint and back: paths, methods, credentials, the headers that every answer has.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, AUTHORIZATION};
use hyper::http::request::Parts;
use percent_encoding::percent_decode_str;

use super::Version;
use super::endpoints::{Handler, table};
use super::exchange::{Call, Refusal, Reply};
use super::faults::Fault;
use super::state::Api;
use crate::server::{Answers, Outcome, whole};

/// What the header block may have: the real one takes 1,000,000 bytes and a little, and answers 431 to more.
const HEADERS: usize = 1_004_096;

/// A path with `{names}`, and what answers to each method.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) path: String,
    pub(super) methods: Vec<(&'static str, Handler)>,
}

/// How often each kind of request came, such as `PUT ~/configuration/servers/{name}`.
pub(super) type Requests = Arc<Mutex<BTreeMap<String, u64>>>;

/// Answers requests.
#[derive(Debug)]
pub(super) struct Router {
    api: Arc<Api>,
    routes: Vec<Route>,
    requests: Requests,
}

impl Answers for Router {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Outcome> {
        let size: usize =
            request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if size > HEADERS {
            return Ok(too_large().sent(false));
        }
        let (head, body) = whole(request).await?;
        tokio::task::spawn_blocking(move || self.answer_to(&head, body)).await.map_err(io::Error::other)
    }
}

impl Router {
    pub(super) fn new(api: Arc<Api>, requests: Requests) -> Self {
        let routes = table(api.setup.version);
        Self { api, routes, requests }
    }

    fn answer_to(&self, head: &Parts, body: Bytes) -> Outcome {
        let began = Instant::now();
        if self.api.faults.strikes(&Fault::BadGateway) {
            return bad_gateway().sent(false);
        }
        let mut call = call(head, body);
        let (kind, mut reply) = self.dispatch(&mut call);
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner).entry(kind.clone()).or_default() += 1;
        if !reply.has("Configuration-Version") {
            reply = reply.with("Configuration-Version", self.api.version_for(&call).to_string());
        }
        self.linger(&kind, &call, began);
        reply.sent(self.api.faults.strikes(&Fault::HalfBody))
    }

    /// Waits until the call took as long as the real one would, and as a fault asks.
    fn linger(&self, kind: &str, call: &Call, began: Instant) {
        let floor = self.api.latency(kind, call);
        std::thread::sleep(floor.saturating_sub(began.elapsed()));
        let slow = self.api.faults.take(|fault| match fault {
            Fault::Slow(time) => Some(*time),
            _ => None,
        });
        std::thread::sleep(slow.unwrap_or_default());
    }

    /// The kind of the request for the counters, and its answer.
    fn dispatch(&self, call: &mut Call) -> (String, Reply) {
        let found = self.routes.iter().find_map(|route| Some((route, matches(&route.path, &call.path)?)));
        let Some((route, args)) = found else {
            let text = format!("path {} was not found", call.path);
            return (format!("{} {}", call.method, call.path), Refusal::new(404, text).reply());
        };
        call.args = args;
        let short = route.path.replace("services/haproxy", "~");
        let kind = format!("{} {}", call.method, short.get(4..).unwrap_or_default());
        let Some((_, handler)) = route.methods.iter().find(|(method, _)| *method == call.method) else {
            return (kind, not_allowed(call, route));
        };
        if let Err(refused) = self.allowed(call) {
            let reply = refused.reply().with("WWW-Authenticate", "Basic realm=\"API\"");
            return (kind, reply);
        }
        if let Some(reply) = not_acceptable(call, &route.path) {
            return (kind, reply);
        }
        self.api.notice_edits();
        if call.method != "GET" && route.path.contains("/haproxy/") && !route.path.contains("/runtime/") {
            self.api.let_another_writer_in();
        }
        let is_raw = route.path.ends_with("/raw") && self.api.setup.version != Version::V2;
        let reply = match handler(&self.api, call) {
            Ok(reply) => reply,
            // Only what the handler finds; the schema's errors are JSON here too.
            Err(refused) if is_raw && refused.status != 422 && refused.status != 415 => refused.plain_reply(),
            Err(refused) => refused.reply(),
        };
        (kind, reply)
    }

    fn allowed(&self, call: &Call) -> Result<(), Refusal> {
        if self.api.faults.strikes(&Fault::Unauthorized) {
            return Err(Refusal::new(401, "unauthorized"));
        }
        let given = call
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
            .and_then(|encoded| String::from_utf8(STANDARD.decode(encoded).ok()?).ok());
        let Some((user, password)) = given.as_deref().and_then(|pair| pair.split_once(':')) else {
            return Err(Refusal::new(401, "unauthenticated for invalid credentials"));
        };
        if user == self.api.setup.user && password == self.api.setup.password {
            return Ok(());
        }
        Err(Refusal::new(
            401,
            match self.api.setup.version {
                // The real one gives the password away too.
                Version::V2 if user == self.api.setup.user => format!("invalid password: {password}"),
                Version::V2 => format!("unknown user: {user}"),
                Version::V3 | Version::V3_3 => "unauthorized".to_owned(),
            },
        ))
    }
}

fn call(head: &Parts, body: Bytes) -> Call {
    Call {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
        headers: head.headers.clone(),
        body,
        args: BTreeMap::new(),
    }
}

/// The `{name}` parts, if the path fits.
fn matches(pattern: &str, path: &str) -> Option<BTreeMap<&'static str, String>> {
    const NAMES: [&str; 4] = ["{name}", "{parent}", "{index}", "{id}"];
    let (wanted, given): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    if wanted.len() != given.len() {
        return None;
    }
    let mut args = BTreeMap::new();
    for (wanted, given) in wanted.into_iter().zip(given) {
        match NAMES.iter().find(|name| **name == wanted) {
            Some(_) if given.is_empty() => return None,
            Some(name) => {
                let value = percent_decode_str(given).decode_utf8_lossy().into_owned();
                args.insert(name.trim_matches(['{', '}']), value);
            }
            None if wanted == given => {}
            None => return None,
        }
    }
    Some(args)
}

fn not_allowed(call: &Call, route: &Route) -> Reply {
    let known: Vec<&str> = route.methods.iter().map(|(method, _)| *method).collect();
    let known = known.join(",");
    let text = format!("method {} is not allowed, but [{known}] are", call.method);
    Refusal::new(405, text).reply().with("Allow", known)
}

fn not_acceptable(call: &Call, path: &str) -> Option<Reply> {
    let accept = call.headers.get(ACCEPT)?.to_str().ok()?;
    let offers: &[&str] = if path.ends_with("/raw") {
        &["application/json", "text/plain"]
    } else if path.contains("/storage/") {
        &["application/json", "application/octet-stream"]
    } else {
        &["application/json"]
    };
    let fits = accept.split(',').map(|one| one.split(';').next().unwrap_or_default().trim()).any(|one| {
        one == "*/*" || offers.iter().any(|offer| *offer == one || one == format!("{}/*", half(offer)))
    });
    if fits {
        return None;
    }
    let offers = offers.join(" ");
    Some(
        Refusal::new(406, format!("unsupported media type requested, only [{offers}] are available")).reply(),
    )
}

fn half(media: &str) -> &str {
    media.split('/').next().unwrap_or_default()
}

fn too_large() -> Reply {
    Reply {
        headers: vec![("Content-Type", "text/plain; charset=utf-8".to_owned())],
        ..Reply::text(431, "431 Request Header Fields Too Large")
    }
    .with("Connection", "close")
}

fn bad_gateway() -> Reply {
    let body =
        "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n";
    Reply { status: 502, headers: vec![("Content-Type", "text/html".to_owned())], body: body.into() }
        .with("Configuration-Version", "")
}
