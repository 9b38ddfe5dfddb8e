//! Which Roster and which HAProxy the demo runs.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use roster_config::env::Env;
use roster_haproxy::version::Version;
use tokio::process::Command;

use crate::error::DemoError;

/// Folders that an ordinary user's PATH lacks and that distributions put haproxy in.
const SYSTEM: [&str; 2] = ["/usr/local/sbin", "/usr/sbin"];
/// How long `haproxy -v` may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A HAProxy that would do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Found {
    /// The program.
    pub(crate) path: PathBuf,
    /// What it says it is.
    pub(crate) version: Version,
}

/// The Roster that was named; else the one that was built beside the demo.
pub(crate) fn roster(given: Option<&Path>) -> Result<PathBuf, DemoError> {
    let beside = || {
        let demo = std::env::current_exe()
            .map_err(|source| DemoError::Start { program: "roster".into(), source })?;
        Ok(demo.with_file_name("roster"))
    };
    let path = given.map_or_else(beside, |given| Ok(given.to_owned()))?;
    if path.is_file() { Ok(path) } else { Err(DemoError::NoRoster { path }) }
}

/// The HAProxy that was named; else the first that is new enough of those on PATH and in the cache of `tools/setup`.
pub(crate) async fn find(given: Option<&Path>, env: &impl Env) -> Result<Found, DemoError> {
    if let Some(path) = given {
        return inspect(path).await.map_err(DemoError::NotUsable);
    }
    let cache = cache(env);
    let mut why_not = Vec::new();
    for path in on_path(env).into_iter().chain(cache.iter().flat_map(|cache| in_cache(cache))) {
        if path.is_file() {
            match inspect(&path).await {
                Ok(found) => return Ok(found),
                Err(why) => why_not.push(why),
            }
        }
    }
    if why_not.is_empty() {
        let cache = cache.map(|cache| format!(" and not in {}", cache.display())).unwrap_or_default();
        why_not.push(format!("not on PATH{cache}"));
    }
    Err(DemoError::NoHaproxy(why_not.join("; ")))
}

fn on_path(env: &impl Env) -> Vec<PathBuf> {
    let path = env.get("PATH").unwrap_or_default();
    // An empty element stands for the current folder, from which nobody expects programs.
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    folders.chain(SYSTEM.map(PathBuf::from)).map(|folder| folder.join("haproxy")).collect()
}

fn cache(env: &impl Env) -> Option<PathBuf> {
    let set = |name| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("ROSTER_CACHE").or_else(|| set("HOME").map(|home| home.join(".cache/roster")))
}

/// The oldest first, which is the one that `make run` fetches.
fn in_cache(cache: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("haproxy-"));
    let mut paths: Vec<PathBuf> = ours.map(|entry| entry.path().join("bin/haproxy")).collect();
    paths.sort();
    paths
}

/// What a program says of itself; else in what way it does not do.
async fn inspect(path: &Path) -> Result<Found, String> {
    let shown = path.display();
    let mut command = Command::new(path);
    command.arg("-v").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = output.map_err(|_| format!("`{shown} -v` does not end"))?;
    let output = output.map_err(|error| format!("{shown} does not run: {error}"))?;
    let banner = String::from_utf8_lossy(&output.stdout);
    let version = banner.parse().map_err(|_| format!("{shown} does not answer -v as HAProxy does"))?;
    judge(path, version)
}

fn judge(path: &Path, version: Version) -> Result<Found, String> {
    if version < Version::OLDEST {
        return Err(format!("{} is HAProxy {version}, which is older than 2.6", path.display()));
    }
    Ok(Found { path: path.to_owned(), version })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that answers -v so.
    fn fake(folder: &Path, version: &str) -> PathBuf {
        let path = folder.join("haproxy");
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\necho 'HAProxy version {version} 2022/01/01 - x'\n"))
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn env(path: &Path, cache: &Path) -> BTreeMap<String, String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        [("PATH".to_owned(), text(path)), ("ROSTER_CACHE".to_owned(), text(cache))].into()
    }

    #[tokio::test]
    async fn an_old_one_on_the_path_gives_way_to_one_in_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let (path, cache) = (folder.path().join("bin"), folder.path().join("cache"));
        fake(&path, "2.4.22-1");
        let new = fake(&cache.join("haproxy-2.6/bin"), "2.6.12-1+deb12u4");
        fake(&cache.join("haproxy-3.0/bin"), "3.0.11");
        assert_eq!(in_cache(&cache).len(), 2);
        // A machine with a HAProxy of its own in /usr/sbin finds that one; either is new enough.
        let found = find(None, &env(&path, &cache)).await.unwrap();
        assert!(found.version >= Version::OLDEST && (found.path == new || found.path.starts_with("/usr")));
    }

    #[tokio::test]
    async fn the_one_that_is_named_is_taken_or_refused_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let old = fake(folder.path(), "2.4.22-1");
        let error = find(Some(&old), &BTreeMap::new()).await.unwrap_err().to_string();
        assert!(error.contains("is HAProxy 2.4.22, which is older than 2.6; `make run`"), "{error}");
        let error =
            find(Some(Path::new("/nowhere/haproxy")), &BTreeMap::new()).await.unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/haproxy does not run: "), "{error}");
        let error = find(Some(Path::new("/bin/true")), &BTreeMap::new()).await.unwrap_err().to_string();
        assert!(error.starts_with("/bin/true does not answer -v as HAProxy does; `make run`"), "{error}");
    }

    #[test]
    fn without_any_the_error_says_what_to_do() {
        insta::assert_snapshot!(DemoError::NoHaproxy("not on PATH and not in /c".to_owned()), @"no HAProxy was found (not on PATH and not in /c); `make run` in Roster's repository fetches one; or install the package haproxy (2.6 or later), or name one with --haproxy");
    }

    #[test]
    fn where_to_look_follows_the_environment() {
        let env = [("PATH".to_owned(), "/a::b:/c".to_owned()), ("HOME".to_owned(), "/h".to_owned())];
        let env = BTreeMap::from(env);
        let places =
            ["/a", "/c", "/usr/local/sbin", "/usr/sbin"].map(|folder| Path::new(folder).join("haproxy"));
        assert_eq!(on_path(&env), places);
        assert_eq!(cache(&env), Some("/h/.cache/roster".into()));
    }
}
