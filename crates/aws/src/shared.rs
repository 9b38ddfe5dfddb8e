//! The shared files, `~/.aws/config` and `~/.aws/credentials`, and whether they have changed since they were read.

use std::borrow::Cow;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use aws_config::profile::{self, ProfileSet};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_runtime::env_config::property::PropertiesKey;
use aws_types::os_shim_internal::{Env, Fs};
use roster_files::{Kind, ReadError, apart};
use roster_http::causes;

use crate::environment::Environment;
use crate::error::SettingsError;
use crate::region::Service;
use crate::settings::{self, Settings};

/// The files as they were read.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// The profiles, or why the files cannot be read.
    pub(crate) profiles: Result<ProfileSet, String>,
    /// The profile that was asked for by name; without it `default` is tried.
    pub(crate) named: Option<String>,
}

/// What shows that files have changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Stamp(Vec<(PathBuf, Option<State>)>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct State {
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

impl Stamp {
    /// The files as they are now. One that is not there is a state too.
    pub(crate) fn of(files: Vec<PathBuf>) -> Self {
        let state = |path: &PathBuf| {
            let data = std::fs::metadata(path).ok()?;
            Some(State { modified: (data.mtime(), data.mtime_nsec()), size: data.size(), inode: data.ino() })
        };
        Self(
            files
                .into_iter()
                .map(|path| {
                    let state = state(&path);
                    (path, state)
                })
                .collect(),
        )
    }

    /// Whether a file has changed since.
    pub(crate) fn is_old(&self) -> bool {
        *self != Self::of(self.0.iter().map(|(path, _)| path.clone()).collect())
    }
}

/// Refuses what AWS's library would read without end or wait for, such as a pipe: the library reads these files by itself, each
/// time that credentials are wanted.
pub(crate) async fn check(environment: &Environment) -> Result<(), SettingsError> {
    let [config, credentials] = paths(environment);
    let token = environment.text("AWS_WEB_IDENTITY_TOKEN_FILE").map(PathBuf::from);
    let files = [("AWS_CONFIG_FILE", config), ("AWS_SHARED_CREDENTIALS_FILE", credentials)];
    let files: Vec<_> =
        files.into_iter().chain(token.map(|token| ("AWS_WEB_IDENTITY_TOKEN_FILE", token))).collect();
    let checked = apart(move || {
        files.into_iter().try_for_each(|(variable, path)| {
            let refused = |error: ReadError| error.to_string();
            let checked = roster_files::check(&path, Kind::CloudSettings).map_err(refused);
            checked.map_err(|why| SettingsError::File { path, why, variable })
        })
    });
    checked.await.unwrap_or(Ok(()))
}

/// Where the two files are.
pub(crate) fn paths(environment: &Environment) -> [PathBuf; 2] {
    [
        environment.file("AWS_CONFIG_FILE", ".aws/config"),
        environment.file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
    ]
}

impl Shared {
    pub(crate) async fn read(settings: &Settings) -> Self {
        let named = match &settings.credentials {
            settings::Credentials::Profile(name) => Some(name.clone()),
            settings::Credentials::Chain | settings::Credentials::Keys { .. } => {
                settings.environment.text("AWS_PROFILE").map(str::to_owned)
            }
        };
        let selected = named.clone().map_or(Cow::Borrowed("default"), Cow::Owned);
        let files = EnvConfigFiles::default();
        let loaded = profile::load(&Fs::real(), &Env::real(), &files, Some(selected)).await;
        Self { profiles: loaded.map_err(|error| causes(&error)), named }
    }

    /// A key of the profile.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.profiles.as_ref().ok()?.get(key)
    }

    /// Where a service answers, by the profile: by its section of services first.
    pub(crate) fn endpoint(&self, service: Service) -> Option<&str> {
        self.endpoint_of_service(service).or_else(|| self.get("endpoint_url"))
    }

    fn endpoint_of_service(&self, service: Service) -> Option<&str> {
        let profiles = self.profiles.as_ref().ok()?;
        let section = profiles.get("services")?;
        service.keys().iter().find_map(|key| {
            let key = PropertiesKey::builder()
                .section_key("services")
                .section_name(section)
                .property_name(*key)
                .sub_property_name("endpoint_url")
                .build();
            profiles.other_sections().get(&key.ok()?).map(String::as_str)
        })
    }
}
