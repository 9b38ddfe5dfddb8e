//! `roster check`: is the configuration right, what does it come to, and are the sockets fit that it names?

use std::fmt::Write;

use roster_config::native::{Config, Reach};
use roster_core::exposure::{Rule, Services};
use roster_haproxy::cli::known::OLDEST;
use roster_haproxy::name::{SourceName, TargetName};

use super::print;
use crate::cli::CheckArgs;
use crate::events::chain;
use crate::exit::{Exit, Failure};
use crate::planned::too_old;
use crate::wiring;

/// Reads the configuration and says what it comes to. Exit code 1 if a HAProxy that answers cannot be kept.
pub(crate) async fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let config = wiring::load(&args.common.config)?;
    let text = print::text(|text| {
        writeln!(text, "{}: the configuration is right", args.common.config.display())?;
        describe(text, &config)
    });
    print::out(&text).map_err(anyhow::Error::from)?;
    let mut exit = Exit::Done;
    for (name, reach) in &config.targets {
        match examine(&config, name, reach).await {
            Ok(said) => print::out(&format!("target {name}: {said}\n")).map_err(anyhow::Error::from)?,
            Err(unfit) => {
                print::err(&format!("target {name}: {}", chain(unfit.as_ref())));
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

/// What can be said of a target without changing anything; an error if it answers and cannot be kept so.
async fn examine(config: &Config, name: &TargetName, reach: &Reach) -> Result<String, anyhow::Error> {
    if matches!(reach, Reach::Managed(_)) {
        return Ok("Roster's own HAProxy".to_owned());
    }
    match wiring::target(config, name, reach).await?.target.examine().await {
        Ok(Some(version)) if version < OLDEST => Ok(too_old(version)),
        Ok(Some(version)) => Ok(format!("HAProxy {version}")),
        Ok(None) => Ok("behind a Data Plane API, which is not asked".to_owned()),
        Err(error) if error.is_unreachable() => {
            Ok(format!("no HAProxy answers there now ({})", chain(&error)))
        }
        Err(error) => Err(error.into()),
    }
}

fn describe(text: &mut String, config: &Config) -> std::fmt::Result {
    let names = |names: Vec<&str>| names.join(", ");
    writeln!(text, "sources: {}", names(config.sources.keys().map(SourceName::as_str).collect()))?;
    writeln!(text, "targets: {}", names(config.targets.keys().map(TargetName::as_str).collect()))?;
    for rule in &config.rules {
        let on = names(rule.targets.iter().map(TargetName::as_str).collect());
        writeln!(text, "{} -> backend {} on {on}", services(rule), rule.backend)?;
    }
    Ok(())
}

fn services(rule: &Rule) -> String {
    match &rule.services {
        Services::All => "every service".into(),
        Services::Each(source) => format!("every service of {source}"),
        Services::Listed(keys) => {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            format!("service {}", keys.join(", "))
        }
    }
}
