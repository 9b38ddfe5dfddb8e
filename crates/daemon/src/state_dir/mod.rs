//! Which folder has the records of a configuration.
//!
//! `--state-dir` or `STATE_DIRECTORY`, which systemd sets, names it. Without either each configuration has a folder of its own
//! below `$XDG_STATE_HOME/roster`, or `~/.local/state/roster`. Invariants:
//! - A configuration is known by its file. The folder keeps the path by which the file was first named; every path that
//!   leads to the same file now finds the same folder. So neither a link, nor a file that is replaced behind a link (as a
//!   `ConfigMap` of Kubernetes does), makes another configuration of it.
//! - A command that is given no folder finds that of the Roster that runs by this configuration, wherever that keeps its
//!   records.
//! - Looking makes nothing.

mod kept;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use roster_config::env::ProcessEnv;
use roster_files::Kind;

use crate::folder;
use crate::store::{self, Store};

pub(crate) use kept::Kept;

/// In each folder: the configuration that the records are of.
const CONFIGURATION: &str = "configuration";
/// In a configuration's own folder: another one that its Roster was given.
const ELSEWHERE: &str = "elsewhere";
/// Where systemd has the folder of the unit `roster.service`.
const OF_THE_SYSTEM: &str = "/var/lib/roster";
/// The longest part of a configuration's name in that of its folder: the path of a socket in it has at most 107 bytes.
const STEM: usize = 16;

/// Where folders of records may be.
#[derive(Debug)]
pub(crate) struct Places {
    /// Where configurations have their own; none without a home.
    homes: Option<PathBuf>,
    /// Where a Roster may run that another user started.
    of_the_system: PathBuf,
}

/// The folder of one configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum StateDir {
    /// The one that was named.
    Given(PathBuf),
    /// The configuration's own, or the one of the Roster that runs by it.
    Own(PathBuf),
    /// There is no home to have it in.
    None,
}

impl Places {
    /// Those of this user.
    pub(crate) fn of_user() -> Self {
        let set = ProcessEnv.get_raw("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let home =
            || std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".local/state"));
        Self {
            homes: set.or_else(home).map(|state| state.join("roster")),
            of_the_system: OF_THE_SYSTEM.into(),
        }
    }

    /// The folder of a configuration.
    pub(crate) fn find(&self, given: Option<&Path>, config: &Path) -> StateDir {
        if let Some(given) = given {
            // systemd may name several folders; the first is ours.
            let first = given.as_os_str().as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
            return if first.is_empty() {
                StateDir::None
            } else {
                StateDir::Given(OsStr::from_bytes(first).into())
            };
        }
        let own = self.own(config);
        let elsewhere = own.as_deref().and_then(elsewhere).into_iter();
        let system = std::iter::once(&self.of_the_system).filter(|folder| is_of(folder, config)).cloned();
        let runs = elsewhere.chain(system).find(|folder| store::is_held(folder));
        runs.or(own).map_or(StateDir::None, StateDir::Own)
    }

    /// The configuration's own folder, be it there or not.
    fn own(&self, config: &Path) -> Option<PathBuf> {
        let homes = self.homes.as_ref()?;
        let named = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
        let known = fs::read_dir(homes).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut known: Vec<PathBuf> = known.filter(|folder| is_of(folder, config)).collect();
        // Where two names that were of two files lead to one by now, the one that is used has its folder.
        known.sort_by_key(|folder| (configuration(folder).as_ref() != Some(&named), folder.clone()));
        let first = known.into_iter().next();
        first.or_else(|| free(homes, &named))
    }

    /// Leaves word of the folder in that of the configuration, for commands that are given none. Answers where, if that
    /// was done.
    pub(crate) fn point(&self, to: &Path, config: &Path) -> Option<PathBuf> {
        let own = self.own(config).filter(|own| own != to)?;
        let to = std::path::absolute(to).ok()?;
        store::make_folder(&own).ok()?;
        claim(&own, config).ok()?;
        folder::check(&own).ok()?;
        folder::write(&own.join(ELSEWHERE), to.as_os_str().as_bytes()).ok()?;
        Some(own)
    }
}

impl StateDir {
    /// What is kept there, to be read: nothing is made.
    pub(crate) fn read(&self) -> Store {
        match self {
            Self::Given(folder) | Self::Own(folder) if folder.is_dir() => Store::at(folder),
            Self::Given(_) | Self::Own(_) | Self::None => Store::by_haproxy(),
        }
    }
}

/// Takes back what [`Places::point`] left, and the folder if there is nothing else in it.
pub(crate) fn unpoint(own: &Path) {
    fs::remove_file(own.join(ELSEWHERE)).ok();
    let others = fs::read_dir(own).into_iter().flatten().flatten();
    if others.into_iter().all(|entry| entry.file_name() == CONFIGURATION) {
        fs::remove_file(own.join(CONFIGURATION)).ok();
        fs::remove_dir(own).ok();
    }
}

/// Says of a folder that its records are of this configuration.
pub(crate) fn claim(folder: &Path, config: &Path) -> io::Result<()> {
    if is_of(folder, config) {
        return Ok(());
    }
    let named = std::path::absolute(config)?;
    folder::write(&folder.join(CONFIGURATION), named.as_os_str().as_bytes())
}

/// The configuration that a folder's records are of, by the path that it was first named by.
fn configuration(folder: &Path) -> Option<PathBuf> {
    read(&folder.join(CONFIGURATION))
}

fn elsewhere(own: &Path) -> Option<PathBuf> {
    read(&own.join(ELSEWHERE))
}

fn read(file: &Path) -> Option<PathBuf> {
    let path = PathBuf::from(std::ffi::OsString::from_vec(roster_files::read(file, Kind::Mark).ok()?.bytes));
    path.is_absolute().then_some(path)
}

/// Whether a folder's records are of this configuration: both names lead to one file, or are the same.
fn is_of(folder: &Path, config: &Path) -> bool {
    let Some(known) = configuration(folder) else { return false };
    match (fs::canonicalize(&known), fs::canonicalize(config)) {
        (Ok(known), Ok(config)) => known == config,
        _ => std::path::absolute(config).is_ok_and(|config| config == known),
    }
}

/// A folder that no other configuration has.
fn free(homes: &Path, named: &Path) -> Option<PathBuf> {
    let stem: String =
        named.file_stem()?.to_string_lossy().chars().filter(char::is_ascii_alphanumeric).take(STEM).collect();
    let sum = crc32fast::hash(named.as_os_str().as_bytes());
    let names = (0_u32..).map(|number| format!("{stem}-{:08x}", sum.wrapping_add(number)));
    names.map(|name| homes.join(name)).find(|folder| configuration(folder).is_none())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Home {
        folder: tempfile::TempDir,
        places: Places,
    }

    impl Home {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (homes, system) = (folder.path().join("state/roster"), folder.path().join("system"));
            Self { places: Places { homes: Some(homes), of_the_system: system }, folder }
        }

        fn file(&self, name: &str) -> PathBuf {
            let path = self.folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        }

        /// The folder that a Roster takes for this configuration.
        fn taken(&self, config: &Path) -> PathBuf {
            let StateDir::Own(folder) = self.places.find(None, config) else { panic!("no folder") };
            store::make_folder(&folder).unwrap();
            claim(&folder, config).unwrap();
            folder
        }
    }

    #[test]
    fn each_configuration_has_a_folder_of_its_own_and_finds_it_again() {
        let home = Home::new();
        let (one, other) = (home.file("a/roster.yaml"), home.file("b/roster.yaml"));
        let (of_one, of_other) = (home.taken(&one), home.taken(&other));
        assert_ne!(of_one, of_other);
        assert_eq!((home.taken(&one), home.taken(&other)), (of_one, of_other));
    }

    #[test]
    fn looking_for_a_folder_makes_none() {
        let home = Home::new();
        let config = home.file("roster.yaml");
        assert!(matches!(home.places.find(None, &config), StateDir::Own(_)));
        assert!(!home.folder.path().join("state").exists());
    }

    #[test]
    fn every_path_to_one_file_leads_to_one_folder() {
        let home = Home::new();
        let config = home.file("etc/roster.yaml");
        let folder = home.taken(&config);
        let link = home.folder.path().join("link.yaml");
        symlink(&config, &link).unwrap();
        let linked = home.folder.path().join("linked");
        symlink(config.parent().unwrap(), &linked).unwrap();
        for name in [link, linked.join("roster.yaml"), config.parent().unwrap().join("../etc/roster.yaml")] {
            assert_eq!(home.taken(&name), folder, "{}", name.display());
        }
    }

    #[test]
    fn a_file_that_is_replaced_behind_its_link_keeps_its_folder() {
        let home = Home::new();
        let (old, new) = (home.file("v1/roster.yaml"), home.file("v2/roster.yaml"));
        let data = home.folder.path().join("data");
        symlink(old.parent().unwrap(), &data).unwrap();
        let config = home.folder.path().join("roster.yaml");
        symlink(data.join("roster.yaml"), &config).unwrap();
        let folder = home.taken(&config);
        fs::remove_file(&data).unwrap();
        symlink(new.parent().unwrap(), &data).unwrap();
        assert_eq!(home.taken(&config), folder);
        assert_ne!(home.taken(&old), folder, "the file of before is another configuration by now");
    }

    #[test]
    fn a_configuration_that_is_gone_still_has_its_folder() {
        let home = Home::new();
        let config = home.file("roster.yaml");
        let folder = home.taken(&config);
        fs::remove_file(&config).unwrap();
        assert_eq!(home.taken(&config), folder);
    }

    #[test]
    fn the_folder_that_was_named_is_taken_and_systemds_first_one_of_several() {
        let home = Home::new();
        let config = home.file("roster.yaml");
        let find = |given: &str| home.places.find(Some(Path::new(given)), &config);
        assert_eq!(find("/a"), StateDir::Given("/a".into()));
        assert_eq!(find("/a:/b"), StateDir::Given("/a".into()));
        assert_eq!(find(""), StateDir::None);
        let nowhere = Places { homes: None, of_the_system: home.places.of_the_system.clone() };
        assert_eq!(nowhere.find(None, &config), StateDir::None);
    }

    #[test]
    fn the_folder_of_a_roster_that_runs_is_found_without_being_named() {
        let home = Home::new();
        let config = home.file("roster.yaml");
        let elsewhere = home.folder.path().join("elsewhere");
        let held = Store::open(&elsewhere).unwrap().hold(&config).unwrap();
        let own = home.places.point(&elsewhere, &config).unwrap();
        assert_eq!(home.places.find(None, &config), StateDir::Own(elsewhere.clone()));
        drop(held);
        assert_eq!(home.places.find(None, &config), StateDir::Own(own.clone()), "it does not run any more");
        unpoint(&own);
        assert!(!own.exists() && elsewhere.exists());
    }

    #[test]
    fn the_folder_of_the_systems_service_is_found_while_it_runs_by_this_configuration() {
        let home = Home::new();
        let (config, other) = (home.file("roster.yaml"), home.file("other.yaml"));
        let system = home.places.of_the_system.clone();
        let held = Store::open(&system).unwrap().hold(&config).unwrap();
        claim(&system, &config).unwrap();
        assert_eq!(home.places.find(None, &config), StateDir::Own(system.clone()));
        assert_ne!(home.places.find(None, &other), StateDir::Own(system.clone()));
        drop(held);
        assert_ne!(home.places.find(None, &config), StateDir::Own(system));
    }

    #[test]
    fn what_a_roster_keeps_of_its_own_stays_where_it_pointed_elsewhere_once() {
        let home = Home::new();
        let config = home.file("roster.yaml");
        let own = home.taken(&config);
        fs::write(own.join("lock"), "").unwrap();
        assert_eq!(home.places.point(&home.folder.path().join("x"), &config), Some(own.clone()));
        unpoint(&own);
        assert!(own.join("lock").exists() && own.join(CONFIGURATION).exists());
    }
}
