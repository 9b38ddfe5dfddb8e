//! Where the HAProxy binaries are, and what to run when one is missing.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::OrFail;

/// The versions that every test of HAProxy runs on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum HaproxyVersion {
    /// The oldest that Roster supports.
    V2_6,
    /// The long-term branch between them, the first that takes `cookie` for a server that is added live.
    V2_8,
    /// The first long-term branch that answers before an address is there.
    V3_0,
    /// The newest long-term branch of the four, the first that takes `init-state`.
    V3_2,
}

/// A real server that a test needs is not there.
#[derive(Debug, thiserror::Error)]
#[error("{what} is missing ({found}); run `make setup` in the repository, or set {variable} to a binary")]
pub struct MissingComponent {
    /// The server.
    pub what: String,
    /// What was found instead.
    pub found: String,
    /// The environment variable that names a binary of one's own.
    pub variable: &'static str,
}

/// There is no HAProxy 3.4, which `make setup` does not bring.
#[derive(Debug, thiserror::Error)]
#[error("wants HAProxy 3.4: HAPROXY_34_BIN=/path/to/haproxy ({0})")]
pub struct NoHaproxy34(String);

/// One HAProxy binary that runs here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HaproxyBin {
    path: PathBuf,
    version: String,
    branch: (u32, u32),
}

impl HaproxyVersion {
    /// All of them, the oldest first.
    pub const ALL: [Self; 4] = [Self::V2_6, Self::V2_8, Self::V3_0, Self::V3_2];

    fn variable(self) -> &'static str {
        match self {
            Self::V2_6 => "HAPROXY_2_6",
            Self::V2_8 => "HAPROXY_2_8",
            Self::V3_0 => "HAPROXY_3_0",
            Self::V3_2 => "HAPROXY_3_2",
        }
    }

    fn branch(self) -> (u32, u32) {
        match self {
            Self::V2_6 => (2, 6),
            Self::V2_8 => (2, 8),
            Self::V3_0 => (3, 0),
            Self::V3_2 => (3, 2),
        }
    }
}

impl fmt::Display for HaproxyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.branch();
        write!(f, "{major}.{minor}")
    }
}

impl HaproxyBin {
    /// The binary that the version's variable names (`HAPROXY_2_6` and so on), or the one that `make setup` put into the
    /// cache.
    pub fn find(version: HaproxyVersion) -> Result<Self, MissingComponent> {
        let variable = version.variable();
        let missing = |found| MissingComponent { what: format!("HAProxy {version}"), found, variable };
        let path = match env(variable) {
            Some(given) => PathBuf::from(given),
            None => cache()
                .ok_or_else(|| missing("neither ROSTER_CACHE nor HOME is set".to_owned()))?
                .join(format!("haproxy-{version}/bin/haproxy")),
        };
        let bin = Self::inspect(&path).map_err(missing)?;
        if bin.branch == version.branch() {
            Ok(bin)
        } else {
            Err(missing(format!("{} is version {}", path.display(), bin.version)))
        }
    }

    /// 2.6, 2.8, 3.0, 3.2 and what `HAPROXY_BINS` names (a colon between paths), for a test that runs on each of them. It
    /// runs on those that are there before a missing one fails it.
    pub fn each() -> impl Iterator<Item = Self> {
        Self::all().into_iter().map(OrFail::or_fail)
    }

    /// The same, the missing ones last.
    pub fn all() -> Vec<Result<Self, MissingComponent>> {
        let mut bins: Vec<_> =
            HaproxyVersion::ALL.into_iter().map(Self::find).chain(Self::further()).collect();
        bins.sort_by_key(Result::is_err);
        bins
    }

    /// What `HAPROXY_BINS` names.
    pub fn further() -> Vec<Result<Self, MissingComponent>> {
        let bins = env("HAPROXY_BINS").unwrap_or_default();
        let inspect = |path: PathBuf| {
            Self::inspect(&path).map_err(|found| MissingComponent {
                what: format!("the HAProxy in {}", path.display()),
                found,
                variable: "HAPROXY_BINS",
            })
        };
        std::env::split_paths(&bins).filter(|path| !path.as_os_str().is_empty()).map(inspect).collect()
    }

    /// The binary that `HAPROXY_34_BIN` names, 3.4 or later; for tests that are run by hand.
    pub fn named_3_4() -> Result<Self, NoHaproxy34> {
        let path = env("HAPROXY_34_BIN").ok_or_else(|| NoHaproxy34("the variable is not set".to_owned()))?;
        let bin = Self::inspect(Path::new(&path)).map_err(NoHaproxy34)?;
        if bin.branch >= (3, 4) {
            Ok(bin)
        } else {
            Err(NoHaproxy34(format!("{} is version {}", bin.path.display(), bin.version)))
        }
    }

    /// The binary, or the launcher that `exec`s it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `haproxy -v` says, such as `2.6.12-1+deb12u4`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Major and minor number, to tell versions apart in a test.
    pub fn branch(&self) -> (u32, u32) {
        self.branch
    }

    fn inspect(path: &Path) -> Result<Self, String> {
        let output = Command::new(path)
            .arg("-v")
            .output()
            .map_err(|error| format!("{} does not run: {error}", path.display()))?;
        let banner = String::from_utf8_lossy(&output.stdout);
        parse_banner(&banner)
            .map(|(version, branch)| Self { path: path.to_owned(), version, branch })
            .ok_or_else(|| format!("{} does not answer -v as HAProxy does", path.display()))
    }
}

impl fmt::Display for HaproxyBin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HAProxy {}", self.version)
    }
}

/// The `moto_server` that `MOTO_SERVER` names, or the one that `make setup` put into the cache.
pub(crate) fn moto_server() -> Result<PathBuf, MissingComponent> {
    let missing = |found| MissingComponent {
        what: "moto, which stands for AWS".to_owned(),
        found,
        variable: "MOTO_SERVER",
    };
    let path = match env("MOTO_SERVER") {
        Some(given) => PathBuf::from(given),
        None => cache()
            .ok_or_else(|| missing("neither ROSTER_CACHE nor HOME is set".to_owned()))?
            .join("moto/bin/moto_server"),
    };
    if path.is_file() { Ok(path) } else { Err(missing(format!("{} is no file", path.display()))) }
}

/// The Python that `AZURE_PYTHON` names, or the one with Azure's clients that `make setup` put into the cache.
pub(crate) fn azure_python() -> Result<PathBuf, MissingComponent> {
    let missing = |found| MissingComponent {
        what: "a Python with Azure's clients".to_owned(),
        found,
        variable: "AZURE_PYTHON",
    };
    let path = match env("AZURE_PYTHON") {
        Some(given) => PathBuf::from(given),
        None => cache()
            .ok_or_else(|| missing("neither ROSTER_CACHE nor HOME is set".to_owned()))?
            .join("azure-clients/python/bin/python"),
    };
    if path.is_file() { Ok(path) } else { Err(missing(format!("{} is no file", path.display()))) }
}

fn parse_banner(banner: &str) -> Option<(String, (u32, u32))> {
    let rest =
        banner.strip_prefix("HAProxy version ").or_else(|| banner.strip_prefix("HA-Proxy version "))?;
    let version = rest.split_whitespace().next()?;
    let mut numbers = version.split(['.', '-']);
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((version.to_owned(), (major, minor)))
}

fn cache() -> Option<PathBuf> {
    env("ROSTER_CACHE").map(PathBuf::from).or_else(|| Some(Path::new(&env("HOME")?).join(".cache/roster")))
}

fn env(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_version_is_read_from_the_banner() {
        let banner = "HAProxy version 3.3-dev5-9e587df 2025/06/02 - https://haproxy.org/\nStatus: x\n";
        assert_eq!(parse_banner(banner).unwrap(), ("3.3-dev5-9e587df".to_owned(), (3, 3)));
        assert_eq!(parse_banner("GNU bash, version 5.2"), None);
    }

    #[test]
    fn a_missing_component_names_the_line_to_run() {
        let error = MissingComponent {
            what: "HAProxy 2.6".to_owned(),
            found: HaproxyBin::inspect(Path::new("/nowhere/haproxy")).unwrap_err(),
            variable: "HAPROXY_2_6",
        };
        let text = error.to_string();
        assert!(text.contains("make setup") && text.contains("/nowhere/haproxy"), "{text}");
    }
}
