//! The fields of the API's objects.
//!
//! Most names have a `_`, some a `-` (client-native's models, the same in both versions). A field that the API does not
//! know is dropped without a word, so each of these was looked up.

use serde_json::{Value, json};

use super::Fields;
use crate::dataplane::mark::Mark;
use crate::keywords::{CheckKeywords, ProxyProtocol, ServerKeywords, TlsKeywords, Verify};
use crate::render::{Backend, Balance, FieldName, HttpCheck, Mode, Pool, ServerLine};
use crate::version::Version;

/// Collects fields that are there.
#[derive(Default)]
struct Body(Fields);

impl Body {
    fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.0.insert(field.to_owned(), value.into());
    }

    fn some(&mut self, field: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(field, value);
        }
    }

    fn flag(&mut self, field: &str, on: bool) {
        self.some(field, on.then_some("enabled"));
    }
}

pub(super) fn server(line: &ServerLine, version: Version) -> Fields {
    let mut body = Body::default();
    body.set("name", line.name.as_str());
    body.set("address", line.at.ip.to_string());
    body.set("port", line.at.port.get());
    body.some("weight", line.weight.or(line.keywords.weight).map(crate::weight::Weight::get));
    body.flag("maintenance", line.disabled);
    keywords(&line.keywords, version, &mut body);
    body.0
}

fn keywords(keywords: &ServerKeywords, version: Version, body: &mut Body) {
    let ServerKeywords {
        id,
        weight: _,
        maxconn,
        backup,
        cookie,
        slowstart,
        init_state,
        check,
        tls,
        send_proxy,
    } = keywords;
    body.some("id", id.map(crate::weight::ServerId::get));
    body.some("maxconn", maxconn.map(std::num::NonZeroU32::get));
    body.flag("backup", *backup);
    body.some("cookie", cookie.as_ref().map(crate::name::CookieValue::as_str));
    body.some("slowstart", slowstart.map(crate::keywords::Millis::get));
    let init_state = init_state.filter(|_| version.takes_init_state_live());
    body.some("init-state", init_state.map(|state| state.to_string()));
    match send_proxy {
        Some(ProxyProtocol::V1) => body.flag("send-proxy", true),
        Some(ProxyProtocol::V2) => body.flag("send-proxy-v2", true),
        None => {}
    }
    if let Some(check) = check {
        check_keywords(check, body);
    }
    if let Some(tls) = tls {
        tls_keywords(tls, body);
    }
}

fn check_keywords(check: &CheckKeywords, body: &mut Body) {
    let CheckKeywords { inter, fastinter, downinter, rise, fall, port, addr, tls, sni, send_proxy } = check;
    body.flag("check", true);
    for (field, time) in [("inter", inter), ("fastinter", fastinter), ("downinter", downinter)] {
        body.some(field, time.map(crate::keywords::Millis::get));
    }
    body.some("rise", rise.map(std::num::NonZeroU16::get));
    body.some("fall", fall.map(std::num::NonZeroU16::get));
    body.some("health_check_port", port.map(crate::address::Port::get));
    body.some("health_check_address", addr.map(|addr| addr.to_string()));
    body.flag("check-ssl", *tls);
    body.some("check-sni", sni.as_ref().map(crate::keywords::HostName::as_str));
    body.flag("check-send-proxy", *send_proxy);
}

fn tls_keywords(tls: &TlsKeywords, body: &mut Body) {
    let TlsKeywords { verify, sni, alpn } = tls;
    body.flag("ssl", true);
    match verify {
        Verify::None => body.set("verify", "none"),
        Verify::Required { ca_file, host } => {
            body.set("verify", "required");
            body.set("ssl_cafile", ca_file.as_str());
            body.some("verifyhost", host.as_ref().map(crate::keywords::HostName::as_str));
        }
    }
    body.some("sni", sni.as_ref().map(|name| format!("str({})", name.as_str())));
    body.some("alpn", alpn.map(|alpn| alpn.to_string()));
}

pub(super) fn backend(mark: &Mark, backend: &Backend, options: &Fields) -> Fields {
    let Pool { balance, cookie, check, servers: _ } = &backend.pool;
    let mut body = Body::default();
    body.set("mode", backend.mode.word());
    body.set("balance", self::balance(balance));
    body.some("hash_type", balance.hashes().then(|| json!({ "method": "consistent" })));
    let cookie = cookie.as_ref().filter(|_| backend.mode == Mode::Http);
    let cookie = cookie
        .map(|name| json!({ "name": name.as_str(), "type": "insert", "indirect": true, "nocache": true }));
    body.some("cookie", cookie);
    // What it asks is said by lines of its own.
    body.some("adv_check", check.as_ref().map(|_| "httpchk"));
    body.set("metadata", json!({ "comment": mark.comment() }));
    let mut fields = body.0;
    fields.extend(options.iter().map(|(field, value)| (field.clone(), value.clone())));
    fields.insert("name".to_owned(), backend.name.as_str().into());
    fields
}

fn balance(balance: &Balance) -> Value {
    let named = |algorithm: &str, field: &str, name: &FieldName| {
        let mut fields = Fields::new();
        fields.insert("algorithm".to_owned(), algorithm.into());
        fields.insert(field.to_owned(), name.as_str().into());
        Value::Object(fields)
    };
    match balance {
        Balance::Header(name) => named("hdr", "hdr_name", name),
        Balance::UrlParam(name) => named("url_param", "url_param", name),
        Balance::RdpCookie(name) => named("rdp-cookie", "rdp_cookie_name", name),
        plain => json!({ "algorithm": plain.to_string() }),
    }
}

/// The `http-check` lines.
pub(super) fn check_lines(check: Option<&HttpCheck>) -> Vec<Fields> {
    let Some(HttpCheck { method, path, host, expect }) = check else { return Vec::new() };
    let mut send = Body::default();
    send.set("type", "send");
    send.set("method", method.word());
    send.set("uri", path.as_str());
    if let Some(host) = host {
        send.set("version", "HTTP/1.1");
        send.set("headers", json!([{ "name": "Host", "fmt": host.as_str() }]));
    }
    let mut passes = Body::default();
    passes.set("type", "expect");
    passes.set("match", "status");
    passes.set("pattern", expect.unwrap_or_default().to_string());
    vec![send.0, passes.0]
}
