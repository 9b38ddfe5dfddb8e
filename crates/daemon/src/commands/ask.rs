//! Asking the Roster that runs by a configuration: it knows since when, what is held and what is waited for, and it is the
//! one that acts. Its control socket is found by the configuration's path alone, so that a file which is broken by now is no
//! hindrance; its admin address stands in the file.

use std::path::Path;

use jiff::Timestamp;
use roster_config::native::Config;
use serde::de::DeserializeOwned;

use super::{look_at, print};
use crate::admin::client::{self, AskError, Door};
use crate::cli::Common;
use crate::clock;
use crate::events::{Reporter, chain};
use crate::exit::Failure;
use crate::keeper::TargetStatus;
use crate::overview::{Overview, Running};
use crate::store::{Store, is_held};
use crate::wiring;

/// What came of asking.
pub(crate) enum Asked<T> {
    /// The running Roster answered.
    Running(T),
    /// None answered; the configuration, for a look of one's own.
    Nobody {
        config: Box<Config>,
        /// Why one that runs did not.
        silent: Option<String>,
    },
}

/// An answer that says which Roster gave it.
pub(crate) trait Answer: DeserializeOwned {
    fn roster(&self) -> Option<&Running>;
}

impl Answer for Overview {
    fn roster(&self) -> Option<&Running> {
        self.roster.as_ref()
    }
}

/// Asks the Roster that runs by this configuration.
pub(crate) async fn running<T: Answer>(
    common: &Common,
    store: &Store,
    path: &str,
) -> Result<Asked<T>, Failure> {
    let mut silent = None;
    if let Some(door) = client::control(store) {
        match get::<T>(&door, path).await {
            Ok(answer) => return Ok(said(answer, &common.config)),
            Err(AskError::NobodyThere) => {}
            Err(error) => silent = Some(chain(&error)),
        }
    }
    let config = wiring::load(&common.config)?;
    if let Some(door) = client::open(config.admin)
        // At the usual address another roster may listen, or another program.
        && get::<Overview>(&door, "/api/v1/status").await.is_ok_and(|overview| overview.is_about(&config))
        && let Ok(answer) = get::<T>(&door, path).await
    {
        return Ok(said(answer, &common.config));
    }
    let held = store.folder().filter(|folder| is_held(folder));
    let silent = silent.or_else(|| {
        held.map(|folder| {
            format!("a roster has {} and does not answer; it may be starting or ending", folder.display())
        })
    });
    Ok(Asked::Nobody { config: Box::new(config), silent })
}

async fn get<T: DeserializeOwned>(door: &Door, path: &str) -> Result<T, AskError> {
    let answer = door.get(path).await?;
    serde_json::from_slice(&answer.body).map_err(|_| {
        AskError::Words(String::from_utf8_lossy(&answer.body).lines().next().unwrap_or_default().to_owned())
    })
}

/// Takes an answer, and says where the file says something else by now than what the Roster goes by.
fn said<T: Answer>(answer: T, config: &Path) -> Asked<T> {
    if let Some(old) = answer.roster().and_then(|roster| outdated(roster, changed(&roster.config), config)) {
        print::err(&old);
    }
    Asked::Running(answer)
}

/// When a file was last written.
fn changed(file: &Path) -> Option<Timestamp> {
    Timestamp::try_from(std::fs::metadata(file).ok()?.modified().ok()?).ok()
}

fn outdated(roster: &Running, changed: Option<Timestamp>, config: &Path) -> Option<String> {
    let (pid, file) = (roster.pid, config.display());
    let again = if roster.rereads {
        format!("`kill -HUP {pid}` has it read")
    } else {
        "a restart has it read".into()
    };
    if let Some(refused) = &roster.refused {
        let (read, at) = (roster.read, refused.at);
        return Some(format!(
            "the running roster (process {pid}) goes by {file} as it was at {read:.0}: what it was given at {at:.0} is \
             wrong:\n{}\n{again} again",
            refused.why
        ));
    }
    let newer = changed.is_some_and(|changed| changed > roster.read);
    newer.then(|| format!("{file} was changed after the running roster (process {pid}) read it; {again}"))
}

/// How everything is doing: by the running Roster, or else by a look of one's own.
pub(crate) async fn overview(common: &Common, store: &Store) -> Result<Overview, Failure> {
    Ok(match running(common, store, "/api/v1/status?look").await? {
        Asked::Running(overview) => overview,
        Asked::Nobody { config, silent } => {
            print::err(&format!(
                "{}; this is a fresh look",
                silent.as_deref().unwrap_or("no running roster found")
            ));
            look(&config, store).await
        }
    })
}

async fn look(config: &Config, store: &Store) -> Overview {
    let to = Reporter::default();
    let (catalog, _) = wiring::ask_all(config, store, &to).await;
    let mut targets = Vec::new();
    for name in config.targets.keys() {
        let status = match look_at(name, config, store, &catalog, &to).await {
            Ok(looked) => TargetStatus::looked(&looked.agenda, &looked.passed, clock::now()),
            Err(error) => TargetStatus { trouble: Some(chain(error.as_ref())), ..TargetStatus::default() },
        };
        targets.push((name.clone(), status));
    }
    Overview::new(&catalog, targets.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overview::RefusedConfig;

    #[test]
    fn who_asks_a_roster_that_goes_by_an_older_file_is_told_so() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut roster =
            Running { pid: 7, config: "/etc/r.yaml".into(), read: at(100), rereads: true, refused: None };
        let told = |roster: &Running, changed| outdated(roster, changed, Path::new("r.yaml"));
        assert_eq!(told(&roster, Some(at(99))), None);
        assert_eq!(told(&roster, None), None, "the file is gone, or cannot be read by this user");
        let newer = told(&roster, Some(at(101))).unwrap();
        assert_eq!(
            newer,
            "r.yaml was changed after the running roster (process 7) read it; `kill -HUP 7` has it read"
        );
        roster.refused = Some(RefusedConfig { at: at(200), why: "r.yaml:1:1: no".into() });
        let refused = told(&roster, Some(at(101))).unwrap();
        assert!(
            refused.contains("as it was at 1970-01-01T00:01:40Z") && refused.contains("r.yaml:1:1: no"),
            "{refused}"
        );
    }
}
