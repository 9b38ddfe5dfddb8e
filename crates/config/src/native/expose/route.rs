//! Which requests the frontends of a managed target send to a backend.

use roster_core::exposure::RoutePattern;
use roster_haproxy::render::FrontendName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::Path;
use crate::format;
use crate::native::resolve::{Resolve, item_of};
use crate::value::OneOrMany;

/// Requests for a host, with such a path, or with both. Of two routes that fit a request the one with the host wins, then
/// the longer path. Both may have the placeholders of a backend's name.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The frontend: one of `frontends` of the target.
    #[schemars(with = "format::FrontendName")]
    pub frontend: FrontendName,
    /// The host that is asked for, whatever the case and the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::HostPattern>")]
    pub host: Option<String>,
    /// How the path begins. `/api` is also the beginning of `/apiary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::PathPattern>")]
    pub path: Option<String>,
}

/// What is wrong with one of them is put down with its place; there is then nothing.
pub(super) fn resolve(
    cx: &mut Resolve<'_>,
    at: &Path,
    routes: Option<&OneOrMany<Route>>,
) -> Option<Vec<RoutePattern>> {
    let routes = routes.into_iter().flat_map(OneOrMany::iter);
    let routes: Vec<Option<RoutePattern>> =
        routes.map(|(item, route)| route.resolve(cx, &item_of(at, item))).collect();
    routes.into_iter().collect()
}

impl Route {
    fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Option<RoutePattern> {
        if self.host.is_none() && self.path.is_none() {
            cx.key_problem(at, "this route is for no request; give it a `host`, a `path` or both");
        }
        let host = match &self.host {
            Some(host) => Some(cx.parse(&at.join("host"), host)?),
            None => None,
        };
        let path = match &self.path {
            Some(path) => Some(cx.parse(&at.join("path"), path)?),
            None => None,
        };
        Some(RoutePattern { frontend: self.frontend.clone(), host, path })
    }
}
