//! Files beside the configuration: maps and certificates.

use std::fs;
use std::path::PathBuf;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::route;
use crate::dataplane::Version;
use crate::dataplane::exchange::{Answer, Call, Refusal, Reply};
use crate::dataplane::routes::Route;
use crate::dataplane::state::Api;

pub(super) fn routes(routes: &mut Vec<Route>) {
    for path in ["~/storage/maps", "~/storage/ssl_certificates"] {
        routes.extend([
            route(path, &[("GET", list), ("POST", create)]),
            route(&format!("{path}/{{name}}"), &[("GET", get), ("PUT", replace), ("DELETE", delete)]),
        ]);
    }
}

/// What kind of file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Map,
    Certificate,
}

fn kind(call: &Call) -> Kind {
    if call.path.contains("/maps") { Kind::Map } else { Kind::Certificate }
}

fn folder(api: &Api, kind: Kind) -> PathBuf {
    api.setup.storage.join(match kind {
        Kind::Map => "maps",
        Kind::Certificate => "ssl",
    })
}

/// The file of a name; a name that leads elsewhere has none.
fn path(api: &Api, call: &Call) -> Result<PathBuf, Refusal> {
    let name = call.arg("name");
    let path = folder(api, kind(call)).join(name);
    if name.contains('/') || !path.is_file() {
        let folder = folder(api, kind(call)).display().to_string();
        return Err(Refusal::missing(&format!("file {name} doesn't exist in dir: {folder}")));
    }
    Ok(path)
}

fn io_error(error: &std::io::Error) -> Refusal {
    Refusal::new(500, error.to_string())
}

#[allow(clippy::unnecessary_wraps, reason = "a handler's signature")]
fn list(api: &Api, call: &Call) -> Answer {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder(api, kind(call))).into_iter().flatten().flatten() {
        let description = if kind(call) == Kind::Map { "managed map file" } else { "managed SSL file" };
        all.push(json!({
            "description": description, "file": entry.path().display().to_string(),
            "storage_name": entry.file_name().to_string_lossy(),
        }));
    }
    Ok(Reply::json(200, &Value::Array(all)))
}

fn get(api: &Api, call: &Call) -> Answer {
    let path = path(api, call)?;
    if kind(call) == Kind::Certificate {
        return Ok(Reply::json(200, &describe(api, &path)?));
    }
    let body = fs::read(path).map_err(|error| io_error(&error))?;
    let headers = vec![("Content-Type", "application/octet-stream".to_owned())];
    Ok(Reply { status: 200, headers, body })
}

fn create(api: &Api, call: &Call) -> Answer {
    let kind = kind(call);
    let (mut name, content) =
        upload(call).ok_or_else(|| Refusal::schema(602, "file_upload in formData is required"))?;
    if kind == Kind::Map && !name.to_ascii_lowercase().ends_with(".map") {
        name.push_str(".map");
    }
    if kind == Kind::Certificate {
        certificate(&content)?;
    }
    let folder = folder(api, kind);
    let path = folder.join(name.replace('/', "_"));
    if path.exists() {
        return Err(Refusal::new(409, format!("file {name} already exists")));
    }
    let written = fs::create_dir_all(&folder).and_then(|()| fs::write(&path, content));
    written.map_err(|error| io_error(&error))?;
    let object = describe(api, &path)?;
    // A reload, also for a certificate that nothing uses yet.
    if kind == Kind::Certificate && !call.flag("skip_reload") {
        return Ok(Reply::json(202, &object).with("Reload-ID", api.reloads.schedule()));
    }
    Ok(Reply::json(201, &object))
}

fn replace(api: &Api, call: &Call) -> Answer {
    let kind = kind(call);
    let path = path(api, call)?;
    if kind == Kind::Certificate {
        certificate(&call.body)?;
    }
    fs::write(&path, &call.body).map_err(|error| io_error(&error))?;
    let object = (kind == Kind::Certificate).then(|| describe(api, &path)).transpose()?;
    let reply =
        |status| object.as_ref().map_or_else(|| Reply::empty(status), |value| Reply::json(status, value));
    if call.flag("skip_reload") {
        return Ok(reply(if object.is_some() { 200 } else { 204 }));
    }
    if call.flag("force_reload") {
        api.reloads.force(api.injected_reload_failure()).map_err(|why| Refusal::new(400, why))?;
        return Ok(reply(if object.is_some() { 200 } else { 204 }));
    }
    Ok(reply(202).with("Reload-ID", api.reloads.schedule()))
}

fn delete(api: &Api, call: &Call) -> Answer {
    let path = path(api, call)?;
    let name = path.display().to_string();
    let text = fs::read_to_string(&api.setup.config).map_err(|error| io_error(&error))?;
    // The checksum line is not counted.
    let mut lines = text.lines().map(str::trim).enumerate();
    if let Some((number, line)) = lines.find(|(_, line)| !line.starts_with('#') && line.contains(&name)) {
        let number = number.saturating_sub(1);
        let text = format!(
            "rejecting attempt to delete file {name} referenced in haproxy conf at line {number}: {line}"
        );
        return Err(Refusal::new(409, text));
    }
    fs::remove_file(&path).map_err(|error| io_error(&error))?;
    if kind(call) == Kind::Map || call.flag("skip_reload") {
        return Ok(Reply::empty(204));
    }
    Ok(Reply::empty(202).with("Reload-ID", api.reloads.schedule()))
}

fn describe(api: &Api, path: &std::path::Path) -> Result<Value, Refusal> {
    let content = fs::read(path).map_err(|error| io_error(&error))?;
    let mut object = json!({
        "description": "managed but not loaded map file (no runtime ID)",
        "file": path.display().to_string(), "size": content.len(),
        "storage_name": path.file_name().map(|name| name.to_string_lossy()),
    });
    if path.parent() == Some(&folder(api, Kind::Certificate))
        && let (Some(object), Value::Object(more)) = (object.as_object_mut(), certificate(&content)?)
    {
        object.extend(more);
        object.insert("description".to_owned(), json!("managed SSL file"));
        object.retain(|_, value| !value.is_null());
        if api.setup.version == Version::V2 {
            object.remove("serial");
            object.remove("subject");
        }
    }
    Ok(object)
}

/// What the API tells of a certificate.
fn certificate(pem: &[u8]) -> Result<Value, Refusal> {
    let unparsable = |()| Refusal::new(500, "failed to parse certificate");
    let first = CertificateDer::pem_slice_iter(pem)
        .next()
        .transpose()
        .map_err(|_| ())
        .and_then(|found| found.ok_or(()));
    let der = first.map_err(unparsable)?;
    let (_, parsed) =
        parse_x509_certificate(&der).map_err(|_| Refusal::new(500, "failed to parse certificate"))?;
    let name = |name: &x509_parser::x509::X509Name<'_>| {
        name.iter_common_name().filter_map(|part| part.as_str().ok()).collect::<Vec<_>>().join(",")
    };
    let time = |time: x509_parser::time::ASN1Time| {
        let time = jiff::Timestamp::from_second(time.timestamp()).unwrap_or_default();
        time.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
    };
    Ok(json!({
        "issuers": name(parsed.issuer()), "subject": name(parsed.subject()), "serial": parsed.raw_serial_as_string(),
        "domains": domains(&parsed), "not_before": time(parsed.validity().not_before), "not_after": time(parsed.validity().not_after),
    }))
}

/// The alternative names; `null` when there is none.
fn domains(parsed: &X509Certificate<'_>) -> Value {
    let names = parsed.subject_alternative_name().ok().flatten().map(|names| &names.value.general_names);
    let names: Vec<&str> = names
        .into_iter()
        .flatten()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        })
        .collect();
    if names.is_empty() { Value::Null } else { json!(names.join(",")) }
}

/// The part `file_upload` of a multipart body (RFC 7578): its file name and its content.
fn upload(call: &Call) -> Option<(String, Vec<u8>)> {
    let boundary = call.header("Content-Type")?.split("boundary=").nth(1)?.trim_matches('"');
    let delimiter = format!("--{boundary}");
    let body = String::from_utf8_lossy(&call.body).into_owned();
    let part = body.split(delimiter.as_str()).find(|part| part.contains("name=\"file_upload\""))?;
    let (head, content) = part.split_once("\r\n\r\n")?;
    let name = head.split("filename=\"").nth(1)?.split('"').next()?;
    Some((name.to_owned(), content.strip_suffix("\r\n")?.as_bytes().to_vec()))
}
