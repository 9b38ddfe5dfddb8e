//! The native configuration that does what the original's file says.

use std::fmt::{self, Write};

use serde_json::Value;

use crate::native::{AzureCredential, LogFormat, LogLevel};

use super::azure::Azure;
use super::settings::{Haproxy, Polling, Provider, Settings, Tags};
use super::value::Words;

/// The variable for a password that stood in the file itself.
const PASSWORD: &str = "HAPROXY_DATAPLANE_PASSWORD";

/// What becomes of secrets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Secrets {
    /// They are named by their variables.
    Named,
    /// They stand there.
    Written,
}

/// The text, which [`crate::native::Config::parse`] reads.
pub(super) fn write(settings: &Settings, secrets: Secrets) -> String {
    let mut text = String::new();
    // Writing to memory cannot fail.
    whole(&mut text, settings, secrets).ok();
    text
}

fn whole(out: &mut String, settings: &Settings, secrets: Secrets) -> fmt::Result {
    writeln!(out, "# Made from a configuration of haproxy-cloud-discovery.")?;
    source(out, settings)?;
    target(out, &settings.haproxy, secrets)?;
    expose(out, settings)?;
    writeln!(out, "admin: \"off\"")?;
    let level = match settings.log_level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let format = if settings.log_format == LogFormat::Json { "json" } else { "text" };
    writeln!(out, "log: {{ level: {level}, format: {format} }}")
}

impl Provider {
    fn name(&self) -> &'static str {
        match self {
            Self::Azure(_) => "azure",
            Self::Aws { .. } => "aws",
        }
    }
}

fn source(out: &mut String, settings: &Settings) -> fmt::Result {
    let name = settings.provider.name();
    writeln!(out, "sources:\n  {name}:\n    {name}:")?;
    match &settings.provider {
        Provider::Azure(azure) => self::azure(out, azure)?,
        Provider::Aws { region, account, profile } => {
            writeln!(out, "      region: {}", quoted(region))?;
            for (key, value) in [("account", account), ("profile", profile)] {
                if !value.value().is_empty() {
                    writeln!(out, "      {key}: {}", quoted(value))?;
                }
            }
        }
    }
    tags(out, &settings.tags, &settings.haproxy.share_tag)?;
    poll(out, &settings.polling)
}

fn azure(out: &mut String, azure: &Azure) -> fmt::Result {
    writeln!(out, "      subscription: {}", quoted(&azure.subscription))?;
    if !azure.resource_groups.is_empty() {
        let groups: Vec<String> = azure.resource_groups.iter().map(quoted).collect();
        writeln!(out, "      resource_groups: [{}]", groups.join(", "))?;
    }
    if azure.credential != AzureCredential::Default {
        writeln!(out, "      credential: {}", serde_json::json!(azure.credential))?;
    }
    if let Some(endpoint) = &azure.endpoint {
        writeln!(out, "      endpoint: {}", quoted(endpoint))?;
    }
    Ok(())
}

fn tags(out: &mut String, tags: &Tags, share: &Words) -> fmt::Result {
    writeln!(out, "      discover:\n        tags:")?;
    let keys = [
        ("name", &tags.name),
        ("port", &tags.port),
        ("instance_port", &tags.instance_port),
        ("share", share),
    ];
    for (key, tag) in keys {
        writeln!(out, "          {key}: {}", quoted(tag))?;
    }
    for (key, pairs) in [("allow", &tags.allow), ("deny", &tags.deny)] {
        if !pairs.is_empty() {
            writeln!(out, "      {key}:")?;
        }
        for (tag, value) in pairs {
            writeln!(out, "        {}: {}", json(tag), quoted(value))?;
        }
    }
    Ok(())
}

fn poll(out: &mut String, polling: &Polling) -> fmt::Result {
    let Polling { interval, jitter, backoff_max, backoff_base } = polling;
    writeln!(out, "      poll:")?;
    writeln!(out, "        every: \"{}s\"\n        jitter: \"{}s\"", interval.native, jitter.native)?;
    writeln!(
        out,
        "        backoff: {{ base: \"{}s\", max: \"{}s\" }}",
        backoff_base.native, backoff_max.native
    )
}

fn target(out: &mut String, haproxy: &Haproxy, secrets: Secrets) -> fmt::Result {
    writeln!(out, "targets:\n  haproxy:\n    dataplane:")?;
    writeln!(out, "      url: {}\n      version: {}", quoted(&haproxy.url), quoted(&haproxy.version))?;
    writeln!(out, "      username: {}", quoted(&haproxy.username))?;
    let (password, note) = password(&haproxy.password, secrets);
    writeln!(out, "      password: {password}{note}")?;
    if !haproxy.verify && haproxy.url.value().starts_with("https:") {
        writeln!(out, "      tls: {{ verify: false }}")?;
    }
    // The original uses a backend that is there as it is.
    writeln!(out, "      strategy: take_over")?;
    writeln!(out, "      timeout: \"{}s\"", haproxy.timeout.native)
}

fn password(password: &Words, secrets: Secrets) -> (String, &'static str) {
    match secrets {
        Secrets::Named if password.is_only_env() => (quoted(password), ""),
        // It is sent as it is, as the original does; there is nothing to hide.
        _ if password.value().is_empty() => (json(""), ""),
        Secrets::Named => (format!("\"${{{PASSWORD}}}\""), "  # export it, or name a file: { file: path }"),
        Secrets::Written => (quoted(password), ""),
    }
}

fn expose(out: &mut String, settings: &Settings) -> fmt::Result {
    let haproxy = &settings.haproxy;
    writeln!(out, "expose:\n  - each: {}\n    backend:", settings.provider.name())?;
    let (prefix, sep) = (haproxy.prefix.native(), haproxy.separator.native());
    let name = format!("{prefix}{sep}{{service}}{sep}{{port}}{sep}{{region}}");
    writeln!(out, "      name: {}", json(&name))?;
    // A name that begins with anything is nobody's own.
    if !(haproxy.prefix.value().is_empty() && haproxy.separator.value().is_empty()) {
        writeln!(out, "      claim: named")?;
    }
    writeln!(out, "      mode: {}\n      balance: {}", quoted(&haproxy.mode), quoted(&haproxy.balance))?;
    if !haproxy.options.is_empty() {
        writeln!(out, "      options_of:")?;
    }
    for (service, fields) in &haproxy.options {
        writeln!(out, "        {}: {}", json(service), Value::Object(fields.clone()))?;
    }
    let kind = if haproxy.exponential { "exponential" } else { "linear" };
    writeln!(out, "    slots:\n      names: \"srv{{slot}}\"\n      base: {}", amount(&haproxy.base.native))?;
    writeln!(
        out,
        "      growth: {{ {kind}: {} }}\n      parking: 127.0.0.1:80",
        amount(&haproxy.factor.native)
    )?;
    if let Some(zone) = &haproxy.zone {
        writeln!(out, "    zone: {{ local: {}, others: backup }}", quoted(zone))?;
    }
    writeln!(out, "    server: {{ check: true, cookie: true }}")?;
    writeln!(out, "    bring_up: registry\n    drain: {{ cap: 0s }}\n    guard: {{ hold_passes: 2 }}")
}

fn amount(native: &str) -> String {
    if native.contains('$') { json(native) } else { native.to_owned() }
}

fn quoted(words: &Words) -> String {
    json(&words.native())
}

/// A text in quotes: JSON's are YAML's too.
fn json(text: &str) -> String {
    Value::from(text).to_string()
}
