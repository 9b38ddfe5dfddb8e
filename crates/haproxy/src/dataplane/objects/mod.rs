//! A new backend as objects of the API, for what only the API knows the text of; and the object of a server that is added live.

mod fields;

use serde_json::{Map, Value};
use thiserror::Error;

use super::mark::Mark;
use crate::name::BackendName;
use crate::render::{Backend, ServerLine};
use crate::version::Version;

/// The fields of an object, by the names of the API's specification.
pub type Fields = Map<String, Value>;

/// The objects of a new backend. They are made in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendObjects {
    /// The backend itself.
    pub backend: Fields,
    /// Its `http-check` lines.
    pub checks: Vec<Fields>,
    /// Its servers.
    pub servers: Vec<Fields>,
}

/// A backend that no objects can say: it has lines that no field stands for.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "backend {0} has option lines or takes a prefix off the path beside `options`, and no field of the API says those; leave \
     them out, or say all by `options`"
)]
pub struct NotObjects(pub BackendName);

/// The object of a server that is to be added live. It has no number: the API reads one as a text there, fails, and reloads
/// HAProxy instead (measured on 3.2 and 3.3).
pub fn server_object(server: &ServerLine, version: Version) -> Fields {
    let mut object = fields::server(server, version);
    object.remove("id");
    object
}

/// The objects of a new backend. `options` are fields beside those that Roster gives it; its name is none of them.
pub fn backend_objects(
    mark: &Mark,
    backend: &Backend,
    options: &Fields,
    version: Version,
) -> Result<BackendObjects, NotObjects> {
    if !backend.lines.is_empty() || backend.strip_prefix.is_some() {
        return Err(NotObjects(backend.name.clone()));
    }
    Ok(BackendObjects {
        backend: fields::backend(mark, backend, options),
        checks: fields::check_lines(backend.pool.check.as_ref()),
        servers: backend.pool.servers.iter().map(|server| fields::server(server, version)).collect(),
    })
}
