//! `roster check`: is the configuration right, and what does it come to?

use std::fmt::Write;

use roster_config::native::Config;
use roster_core::exposure::{Rule, Services};
use roster_core::name::{SourceName, TargetName};

use super::print;
use crate::cli::CheckArgs;
use crate::exit::{Exit, Failure};
use crate::wiring;

/// Reads the configuration and says what it comes to.
pub(crate) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let config = wiring::load(&args.common.config)?;
    let text = print::text(|text| {
        writeln!(text, "{}: the configuration is right", args.common.config.display())?;
        describe(text, &config)
    });
    print::out(&text).map_err(anyhow::Error::from)?;
    Ok(Exit::Done)
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
