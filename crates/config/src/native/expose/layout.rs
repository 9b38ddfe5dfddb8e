//! How a backend is written, where Roster writes HAProxy's file.

use roster_core::exposure::Layout;
use roster_haproxy::keywords::HostName;
use roster_haproxy::render::{self, Balance, Place, RawLine, RequestPath, StatusRange};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Backend, Server};
use crate::document::Path;
use crate::format;
use crate::native::resolve::{Resolve, item_of};
use crate::value::OneOrMany;

/// What a backend understands of its traffic.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Requests.
    Http,
    /// Connections.
    Tcp,
}

/// What HAProxy's checks ask.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    /// The method.
    #[serde(default)]
    pub method: CheckMethod,
    /// The path, with its query; `/` if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::RequestPath>")]
    pub path: Option<RequestPath>,
    /// The host that is asked for. With it HTTP/1.1 is spoken, else HTTP/1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::HostName>")]
    pub host: Option<HostName>,
    /// The status code that passes, or the first and the last of those that do: `[200, 299]`. 200 to 399 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OneOrMany<format::Status>>")]
    pub expect: Option<OneOrMany<u16>>,
}

/// A method that changes nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckMethod {
    /// The whole page.
    #[default]
    Get,
    /// Its headers alone.
    Head,
    /// What can be asked there.
    Options,
}

impl Backend {
    /// The keys in it that only a managed target writes.
    pub(super) fn for_managed(&self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("mode", self.mode.is_some()),
            ("balance", self.balance.is_some()),
            ("lines", self.lines.is_some()),
            ("http_check", self.http_check.is_some()),
            ("cookie", self.cookie.is_some()),
            ("bind", self.bind.is_some()),
            ("route", self.route.is_some()),
            ("options", self.options.is_some()),
            ("options_of", self.options_of.is_some()),
        ];
        keys.into_iter().filter(|(_, given)| *given).map(|(key, _)| key)
    }

    pub(super) fn layout(&self, cx: &mut Resolve<'_>, at: &Path, server: Option<&Server>) -> Option<Layout> {
        self.fits(cx, at, server);
        let lines = self.lines.iter().flat_map(OneOrMany::iter).map(|(item, line)| {
            cx.sound(&item_of(&at.join("lines"), item), RawLine::new(Place::Backend, line))
        });
        let lines: Option<Vec<RawLine>> = lines.collect();
        let check = match &self.http_check {
            Some(check) => Some(check.resolve(cx, &at.join("http_check"))?),
            None => None,
        };
        let binds = super::bind::resolve(cx, &at.join("bind"), self.bind.as_ref(), None);
        let routes = super::route::resolve(cx, &at.join("route"), self.route.as_ref());
        Some(Layout {
            mode: self.mode.map(Mode::keyword).unwrap_or_default(),
            balance: self.balance.clone().unwrap_or_default(),
            lines: lines?,
            check,
            cookie: self.cookie.clone(),
            binds: binds?,
            routes: routes?,
            options: self.options.clone().unwrap_or_default(),
            options_of: self.options_of.clone().unwrap_or_default(),
        })
    }

    /// What would do nothing as it is.
    fn fits(&self, cx: &mut Resolve<'_>, at: &Path, server: Option<&Server>) {
        if self.mode == Some(Mode::Tcp) {
            let by_request =
                matches!(self.balance, Some(Balance::Uri | Balance::Header(_) | Balance::UrlParam(_)));
            for (key, wants_http) in [("balance", by_request), ("cookie", self.cookie.is_some())] {
                if wants_http {
                    let message = format!(
                        "this `{key}` looks into requests, which `mode: tcp` does not see; change one of the two"
                    );
                    cx.problem(&at.join(key), message);
                }
            }
        }
        let wanted = [
            ("http_check", self.http_check.is_some(), "check", server.is_some_and(|server| server.check)),
            ("cookie", self.cookie.is_some(), "cookie", server.is_some_and(|server| server.cookie)),
        ];
        for (key, given, wants, has) in wanted {
            if given && !has {
                let message = format!(
                    "`{key}` does nothing without `{wants}: true` in `server` of this exposure; add that, or remove `{key}`"
                );
                cx.key_problem(&at.join(key), message);
            }
        }
    }
}

impl HttpCheck {
    fn resolve(&self, cx: &mut Resolve<'_>, at: &Path) -> Option<render::HttpCheck> {
        let root = || RequestPath::new("/");
        let path = cx.sound(at, self.path.clone().map_or_else(root, Ok));
        let expect = match &self.expect {
            Some(expect) => Some(range(cx, &at.join("expect"), expect)?),
            None => None,
        };
        Some(render::HttpCheck {
            method: self.method.keyword(),
            path: path?,
            host: self.host.clone(),
            expect,
        })
    }
}

fn range(cx: &mut Resolve<'_>, at: &Path, codes: &OneOrMany<u16>) -> Option<StatusRange> {
    let mut codes = codes.values().copied();
    match (codes.next(), codes.next(), codes.next()) {
        (Some(only), None, _) => cx.sound(at, StatusRange::new(only, only)),
        (Some(first), Some(last), None) => cx.sound(at, StatusRange::new(first, last)),
        _ => {
            cx.problem(
                at,
                "this is more than the first and the last of the codes; write for example [200, 299]",
            );
            None
        }
    }
}

impl Mode {
    pub(crate) fn keyword(self) -> render::Mode {
        match self {
            Mode::Http => render::Mode::Http,
            Mode::Tcp => render::Mode::Tcp,
        }
    }
}

impl CheckMethod {
    fn keyword(self) -> render::CheckMethod {
        match self {
            CheckMethod::Get => render::CheckMethod::Get,
            CheckMethod::Head => render::CheckMethod::Head,
            CheckMethod::Options => render::CheckMethod::Options,
        }
    }
}
