//! The native configuration that does what the original's file says.

use serde_json::Value;

use crate::legacy::translation::Translation;
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

/// The configuration, line by line.
pub(super) fn write(settings: &Settings, secrets: Secrets) -> Translation {
    let mut out = Translation::default();
    out.fixed("# Made from a configuration of haproxy-cloud-discovery.");
    source(&mut out, settings);
    target(&mut out, &settings.haproxy, secrets);
    expose(&mut out, settings);
    out.fixed("admin: \"off\"");
    let level = match settings.log_level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let format = if settings.log_format == LogFormat::Json { "json" } else { "text" };
    out.fixed(format_args!("log: {{ level: {level}, format: {format} }}"));
    out
}

impl Provider {
    fn name(&self) -> &'static str {
        match self {
            Self::Azure(_) => "azure",
            Self::Aws { .. } => "aws",
        }
    }
}

/// A key with a text.
fn text(out: &mut Translation, key: &str, words: &Words) {
    out.line(words.at(), format_args!("{key}: {}", quoted(words)));
}

fn source(out: &mut Translation, settings: &Settings) {
    let name = settings.provider.name();
    out.fixed(format_args!("sources:\n  {name}:\n    {name}:"));
    match &settings.provider {
        Provider::Azure(azure) => self::azure(out, azure),
        Provider::Aws { region, account, profile } => {
            text(out, "      region", region);
            for (key, value) in [("      account", account), ("      profile", profile)] {
                if !value.value().is_empty() {
                    text(out, key, value);
                }
            }
        }
    }
    tags(out, &settings.tags, &settings.haproxy.share_tag);
    poll(out, &settings.polling);
}

fn azure(out: &mut Translation, azure: &Azure) {
    text(out, "      subscription", &azure.subscription);
    if let Some(first) = azure.resource_groups.first() {
        let groups: Vec<String> = azure.resource_groups.iter().map(quoted).collect();
        out.line(first.at(), format_args!("      resource_groups: [{}]", groups.join(", ")));
    }
    if azure.credential != AzureCredential::Default {
        out.fixed(format_args!("      credential: {}", serde_json::json!(azure.credential)));
    }
    if let Some(endpoint) = &azure.endpoint {
        text(out, "      endpoint", endpoint);
    }
}

fn tags(out: &mut Translation, tags: &Tags, share: &Words) {
    out.fixed("      discover:\n        tags:");
    text(out, "          name", &tags.name);
    text(out, "          port", &tags.port);
    text(out, "          instance_port", &tags.instance_port);
    text(out, "          share", share);
    for (key, pairs) in [("allow", &tags.allow), ("deny", &tags.deny)] {
        if !pairs.is_empty() {
            out.fixed(format_args!("      {key}:"));
        }
        for (tag, value) in pairs {
            text(out, &format!("        {}", json(tag)), value);
        }
    }
}

fn poll(out: &mut Translation, polling: &Polling) {
    let Polling { interval, jitter, backoff_max, backoff_base } = polling;
    out.fixed("      poll:");
    out.line(interval.at, format_args!("        every: \"{}s\"", interval.native));
    out.line(jitter.at, format_args!("        jitter: \"{}s\"", jitter.native));
    out.line(
        backoff_max.at.or(backoff_base.at),
        format_args!(
            "        backoff: {{ base: \"{}s\", max: \"{}s\" }}",
            backoff_base.native, backoff_max.native
        ),
    );
}

fn target(out: &mut Translation, haproxy: &Haproxy, secrets: Secrets) {
    out.fixed("targets:\n  haproxy:\n    dataplane:");
    text(out, "      url", &haproxy.url);
    text(out, "      version", &haproxy.version);
    text(out, "      username", &haproxy.username);
    let (password, note) = password(&haproxy.password, secrets);
    out.line(haproxy.password.at(), format_args!("      password: {password}{note}"));
    if !haproxy.verify && haproxy.url.value().starts_with("https:") {
        out.fixed("      tls: { verify: false }");
    }
    // The original uses a backend that is there as it is.
    out.fixed("      strategy: take_over");
    out.line(haproxy.timeout.at, format_args!("      timeout: \"{}s\"", haproxy.timeout.native));
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

fn expose(out: &mut Translation, settings: &Settings) {
    let haproxy = &settings.haproxy;
    out.fixed(format_args!("expose:\n  - each: {}\n    backend:", settings.provider.name()));
    let (prefix, sep) = (haproxy.prefix.native(), haproxy.separator.native());
    let name = format!("{prefix}{sep}{{service}}{sep}{{port}}{sep}{{region}}");
    out.line(haproxy.prefix.at().or(haproxy.separator.at()), format_args!("      name: {}", json(&name)));
    // A name that begins with anything is nobody's own.
    if !(haproxy.prefix.value().is_empty() && haproxy.separator.value().is_empty()) {
        out.fixed("      claim: named");
    }
    text(out, "      mode", &haproxy.mode);
    text(out, "      balance", &haproxy.balance);
    if !haproxy.options.is_empty() {
        out.fixed("      options_of:");
    }
    for (service, (at, fields)) in &haproxy.options {
        out.line(Some(*at), format_args!("        {}: {}", json(service), Value::Object(fields.clone())));
    }
    let kind = if haproxy.exponential { "exponential" } else { "linear" };
    out.fixed("    slots:\n      names: \"srv{slot}\"");
    out.line(haproxy.base.at, format_args!("      base: {}", amount(&haproxy.base.native)));
    out.line(
        haproxy.factor.at,
        format_args!("      growth: {{ {kind}: {} }}", amount(&haproxy.factor.native)),
    );
    out.fixed("      parking: 127.0.0.1:80");
    if let Some(zone) = &haproxy.zone {
        out.line(zone.at(), format_args!("    zone: {{ local: {}, others: backup }}", quoted(zone)));
    }
    out.fixed("    server: { check: true, cookie: true }");
    out.fixed("    bring_up: registry\n    drain: { cap: 0s }\n    guard: { hold_passes: 2 }");
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
