//! Frontends that several services share.

use std::path::{self, PathBuf};

use roster_haproxy::name::BackendName;
use roster_haproxy::render::{self, FilePath, FrontendName, Place, RawLine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ManagedTarget;
use crate::document::Path;
use crate::format;
use crate::native::expose::{BindRule, Mode, binds};
use crate::native::resolve::{Resolve, item_of};
use crate::value::OneOrMany;

/// A frontend that several services share: exposures send requests to their backends by `route`.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
#[schemars(title = "frontend")]
pub struct Frontend {
    /// Where to listen.
    pub bind: OneOrMany<BindRule>,
    /// What it understands of its traffic; routes want `http`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// More lines of the section, such as `option httplog`. They come before the routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<OneOrMany<format::FrontendLine>>")]
    pub lines: Option<OneOrMany<String>>,
    /// The backend for all requests without a route; without it they get a 503. It must be there when HAProxy starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<format::BackendName>")]
    pub default_backend: Option<BackendName>,
}

/// A frontend made complete.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManagedFrontend {
    /// All of it but its routes.
    pub section: render::Frontend,
    /// The map of its routes with a host, and of those without; beside HAProxy's file.
    pub maps: [FilePath; 2],
    /// The lists of certificates that Roster keeps for its binds.
    pub certificates: Vec<CertificateList>,
}

/// A list of certificates that Roster writes and keeps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateList {
    /// The list; beside HAProxy's file.
    pub list: FilePath,
    /// PEM files, and folders whose `*.pem` are meant, the one for clients that ask for no known name first.
    pub from: Vec<FilePath>,
}

impl Frontend {
    pub(super) fn resolve(
        &self,
        cx: &mut Resolve<'_>,
        at: &Path,
        name: &FrontendName,
        config: &path::Path,
    ) -> Option<ManagedFrontend> {
        let beside = |what: &str| {
            let mut file = config.as_os_str().to_owned();
            file.push(format!(".{name}.{what}"));
            PathBuf::from(file)
        };
        let mut certificates = Vec::new();
        let binds = binds(cx, &at.join("bind"), Some(&self.bind), Some((&beside, &mut certificates)));
        let lines = self.lines.iter().flat_map(OneOrMany::iter).map(|(item, line)| {
            cx.sound(&item_of(&at.join("lines"), item), RawLine::new(Place::Frontend, line))
        });
        let lines: Vec<Option<RawLine>> = lines.collect();
        let map = |cx: &mut Resolve<'_>, what| cx.file_path(&Path::root(), &beside(what));
        let section = render::Frontend {
            name: name.clone(),
            mode: self.mode.map(Mode::keyword).unwrap_or_default(),
            binds: binds?,
            lines: lines.into_iter().collect::<Option<_>>()?,
            routing: None,
            default_backend: self.default_backend.clone(),
        };
        Some(ManagedFrontend { section, maps: [map(cx, "hosts.map")?, map(cx, "paths.map")?], certificates })
    }
}

impl ManagedTarget {
    pub(super) fn frontends(
        &self,
        cx: &mut Resolve<'_>,
        at: &Path,
        config: &path::Path,
    ) -> Option<Vec<ManagedFrontend>> {
        if !self.frontends.is_empty() {
            // The maps' names begin with it.
            cx.file_path(&at.join("config"), config)?;
        }
        let at = at.join("frontends");
        let each = self.frontends.iter();
        let all: Vec<_> = each
            .map(|(name, frontend)| frontend.resolve(cx, &at.join(name.as_str()), name, config))
            .collect();
        all.into_iter().collect()
    }
}
