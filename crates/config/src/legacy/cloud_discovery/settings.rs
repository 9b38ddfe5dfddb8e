//! What the original's file says: every key of its reference, its defaults, and what it must hold.

use std::collections::BTreeMap;

use roster_haproxy::render::Balance;
use serde_json::{Map, Value};

use super::azure::Azure;
use super::read::{Amount, Reader, Section, number};
use super::value::Words;
use crate::document::View;
use crate::native::{LogFormat, LogLevel};
use crate::position::Position;

/// The whole file.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Where its first value stands.
    pub(super) at: Position,
    pub(super) provider: Provider,
    pub(super) tags: Tags,
    pub(super) haproxy: Haproxy,
    pub(super) polling: Polling,
    pub(super) log_level: LogLevel,
    pub(super) log_format: LogFormat,
}

/// The one cloud.
#[derive(Clone, Debug)]
pub(super) enum Provider {
    Azure(Azure),
    Aws { region: Words, account: Words, profile: Words },
}

#[derive(Clone, Debug)]
pub(super) struct Tags {
    pub(super) name: Words,
    pub(super) port: Words,
    pub(super) instance_port: Words,
    pub(super) allow: Vec<(String, Words)>,
    pub(super) deny: Vec<(String, Words)>,
}

#[derive(Clone, Debug)]
pub(super) struct Haproxy {
    pub(super) url: Words,
    pub(super) version: Words,
    pub(super) username: Words,
    pub(super) password: Words,
    pub(super) timeout: Amount,
    pub(super) verify: bool,
    pub(super) prefix: Words,
    pub(super) separator: Words,
    pub(super) balance: Words,
    pub(super) mode: Words,
    pub(super) base: Amount,
    pub(super) factor: Amount,
    pub(super) exponential: bool,
    pub(super) zone: Option<Words>,
    pub(super) share_tag: Words,
    pub(super) options: Options,
}

/// More options of each service's backend, and where they stand.
pub(super) type Options = BTreeMap<String, (Position, Map<String, Value>)>;

#[derive(Clone, Debug)]
pub(super) struct Polling {
    pub(super) interval: Amount,
    pub(super) jitter: Amount,
    pub(super) backoff_max: Amount,
    pub(super) backoff_base: Amount,
}

const TOP: [&str; 6] = ["azure", "aws", "tags", "haproxy", "polling", "logging"];
const AWS: [&str; 3] = ["region", "account_id", "credential_profile"];
const TAGS: [&str; 5] =
    ["service_name_tag", "service_port_tag", "instance_port_tag", "allowlist", "denylist"];
const HAPROXY: [&str; 11] = [
    "base_url",
    "api_version",
    "username",
    "password",
    "timeout",
    "verify_ssl",
    "backend",
    "server_slots",
    "availability_zone",
    "az_weight_tag",
    "backend_options",
];
const BACKEND: [&str; 4] = ["name_prefix", "name_separator", "balance", "mode"];
const SLOTS: [&str; 3] = ["base", "growth_factor", "growth_type"];
const POLLING: [&str; 4] =
    ["interval_seconds", "jitter_seconds", "max_backoff_seconds", "backoff_base_seconds"];

impl Settings {
    pub(super) fn read(cx: &mut Reader<'_>, view: View<'_>) -> Option<Self> {
        let root = Section::root(cx, view, &TOP);
        let provider = Provider::read(cx, &root);
        let tags = Tags::read(cx, &root);
        let haproxy = Haproxy::read(cx, &root);
        let polling = Polling::read(cx, &root);
        let logging = root.section(cx, "logging", &["level", "format"]);
        let log_level = log_level(cx, &logging);
        let log_format = match logging.text(cx, "format", "json").value().as_str() {
            "json" => LogFormat::Json,
            _ => LogFormat::Text,
        };
        Some(Self { at: view.at(), provider: provider?, tags, haproxy, polling, log_level, log_format })
    }
}

fn log_level(cx: &mut Reader<'_>, logging: &Section<'_>) -> LogLevel {
    match logging.text(cx, "level", "INFO").value().to_uppercase().as_str() {
        "CRITICAL" | "FATAL" | "ERROR" => LogLevel::Error,
        "WARNING" | "WARN" => LogLevel::Warn,
        "INFO" => LogLevel::Info,
        "DEBUG" | "NOTSET" => LogLevel::Debug,
        _ => {
            let message =
                "`logging.level` is none of DEBUG, INFO, WARNING, ERROR and CRITICAL; INFO is taken";
            cx.warn(logging.at("level"), message);
            LogLevel::Info
        }
    }
}

impl Provider {
    fn read(cx: &mut Reader<'_>, root: &Section<'_>) -> Option<Self> {
        let azure = Azure::read(cx, root);
        let aws = root.section(cx, "aws", &AWS);
        let region = aws.text(cx, "region", "");
        let account = aws.text(cx, "account_id", "");
        let profile = aws.text(cx, "credential_profile", "");
        match (azure.subscription.value().is_empty(), region.value().is_empty()) {
            (false, true) => Some(Self::Azure(azure)),
            (true, false) => Some(Self::Aws { region, account, profile }),
            (true, true) => {
                let message = "no cloud provider is configured; give exactly one: `azure` with `subscription_id`, or \
                               `aws` with `region`";
                cx.problem(root.at("haproxy"), message);
                None
            }
            (false, false) => {
                let message =
                    "both `azure` and `aws` are configured; give exactly one provider and remove the other";
                cx.problem(root.at("aws"), message);
                None
            }
        }
    }
}

impl Tags {
    fn read(cx: &mut Reader<'_>, root: &Section<'_>) -> Self {
        let tags = root.section(cx, "tags", &TAGS);
        Self {
            name: tags.text(cx, "service_name_tag", "HAProxy:Service:Name"),
            port: tags.text(cx, "service_port_tag", "HAProxy:Service:Port"),
            instance_port: tags.text(cx, "instance_port_tag", "HAProxy:Instance:Port"),
            allow: pairs(cx, &tags, "allowlist"),
            deny: pairs(cx, &tags, "denylist"),
        }
    }
}

fn pairs(cx: &mut Reader<'_>, tags: &Section<'_>, key: &str) -> Vec<(String, Words)> {
    let path = tags.path(key);
    let fields = tags.map(cx, key).into_iter();
    fields
        .filter_map(|(tag, value)| cx.text_of(&format!("{path}.{tag}"), value).map(|value| (tag, value)))
        .collect()
}

impl Haproxy {
    fn read(cx: &mut Reader<'_>, root: &Section<'_>) -> Self {
        let haproxy = root.section(cx, "haproxy", &HAPROXY);
        let backend = haproxy.section(cx, "backend", &BACKEND);
        let slots = haproxy.section(cx, "server_slots", &SLOTS);
        let version = word(cx, &haproxy, "api_version", "v2", &["v2", "v3"]);
        let exponential =
            word(cx, &slots, "growth_type", "linear", &["linear", "exponential"]).value() == "exponential";
        let timeout = haproxy.number(cx, "timeout", 10.0);
        if timeout.value <= 0.0 {
            cx.problem(haproxy.at("timeout"), "`haproxy.timeout` must be above 0; write for example 10");
        }
        Self {
            url: haproxy.text(cx, "base_url", "http://localhost:5555"),
            version,
            username: haproxy.text(cx, "username", "admin"),
            password: password(cx, &haproxy),
            timeout,
            verify: haproxy.truth(cx, "verify_ssl", true),
            prefix: name_part(cx, &backend, "name_prefix", "azure"),
            separator: name_part(cx, &backend, "name_separator", "-"),
            balance: balance(cx, &backend),
            mode: word(cx, &backend, "mode", "http", &["http", "tcp"]),
            base: base(cx, &slots),
            factor: factor(cx, &slots, exponential),
            exponential,
            zone: zone(cx, &haproxy),
            share_tag: haproxy.text(cx, "az_weight_tag", "HAProxy:Instance:AZperc"),
            options: options(cx, &haproxy),
        }
    }
}

fn word(cx: &mut Reader<'_>, section: &Section<'_>, key: &str, default: &str, known: &[&str]) -> Words {
    let given = section.text(cx, key, default);
    if !known.contains(&given.value().as_str()) {
        let found =
            if given.is_from_env() { "something else".to_owned() } else { format!("`{}`", given.value()) };
        let message = format!("`{}` must be {}, found {found}", section.path(key), known.join(" or "));
        cx.problem(section.at(key), message);
    }
    given
}

fn password(cx: &mut Reader<'_>, haproxy: &Section<'_>) -> Words {
    let password = haproxy.text(cx, "password", "");
    if password.value().is_empty() {
        let message = "`haproxy.password` is empty; the Data Plane API refuses every call, unless its user's is empty \
                       too: set it";
        cx.warn(haproxy.at("password"), message);
    }
    password
}

/// A part of a backend's name.
fn name_part(cx: &mut Reader<'_>, backend: &Section<'_>, key: &str, default: &str) -> Words {
    let part = backend.text(cx, key, default);
    if part.value().chars().any(|c| !(c.is_ascii_alphanumeric() || "-_.:".contains(c))) {
        let message = format!(
            "`{}` may hold only letters, digits and - _ . : because HAProxy takes no other names",
            backend.path(key)
        );
        cx.problem(backend.at(key), message);
    }
    part
}

fn balance(cx: &mut Reader<'_>, backend: &Section<'_>) -> Words {
    let given = backend.text(cx, "balance", "roundrobin");
    if let Err(error) = given.value().parse::<Balance>() {
        let why = if given.is_from_env() { "its variable holds none".to_owned() } else { error.to_string() };
        cx.problem(
            backend.at("balance"),
            format!("`haproxy.backend.balance` wants an algorithm of HAProxy: {why}"),
        );
    }
    given
}

fn base(cx: &mut Reader<'_>, slots: &Section<'_>) -> Amount {
    let base = slots.number(cx, "base", 10.0);
    if base.value < 10.0 || base.value > 10_000.0 || base.value.fract() != 0.0 {
        cx.problem(slots.at("base"), "`haproxy.server_slots.base` must be a whole number from 10 to 10000");
    }
    base
}

fn factor(cx: &mut Reader<'_>, slots: &Section<'_>, exponential: bool) -> Amount {
    let factor = slots.number(cx, "growth_factor", 1.5);
    let least = if exponential { 1.0 } else { 0.0 };
    if factor.value <= least || factor.value > 100.0 {
        let kind = if exponential { "exponential" } else { "linear" };
        let message = format!(
            "`haproxy.server_slots.growth_factor` must be above {least} and at most 100 for {kind} growth"
        );
        cx.problem(slots.at("growth_factor"), message);
    }
    factor
}

fn zone(cx: &mut Reader<'_>, haproxy: &Section<'_>) -> Option<Words> {
    let view = haproxy.get("availability_zone")?;
    if let (Some(_), Some(text)) = (number(view), view.text()) {
        let message = format!("`haproxy.availability_zone` must be a text; put quotes around it: \"{text}\"");
        cx.problem(view.at(), message);
        return None;
    }
    // An empty text is no zone, as in the original.
    cx.text_of("haproxy.availability_zone", view).filter(|zone| !zone.value().is_empty())
}

fn options(cx: &mut Reader<'_>, haproxy: &Section<'_>) -> Options {
    let mut options = BTreeMap::new();
    for (service, view) in haproxy.map(cx, "backend_options") {
        match cx.json(view) {
            Value::Object(fields) => {
                options.insert(service, (view.at(), fields));
            }
            Value::Null => {}
            _ => cx.wants(&format!("haproxy.backend_options.{service}"), view, "a mapping"),
        }
    }
    options
}

impl Polling {
    fn read(cx: &mut Reader<'_>, root: &Section<'_>) -> Self {
        let polling = root.section(cx, "polling", &POLLING);
        let interval = polling.number(cx, "interval_seconds", 30.0);
        if interval.value < 5.0 {
            cx.problem(polling.at("interval_seconds"), "`polling.interval_seconds` must be 5 or more");
        }
        let jitter = polling.number(cx, "jitter_seconds", 5.0);
        let mut backoff_max = polling.number(cx, "max_backoff_seconds", 300.0);
        let mut backoff_base = polling.number(cx, "backoff_base_seconds", 5.0);
        for (key, amount) in [
            ("jitter_seconds", &jitter),
            ("max_backoff_seconds", &backoff_max),
            ("backoff_base_seconds", &backoff_base),
        ] {
            if amount.value < 0.0 {
                cx.problem(polling.at(key), format!("`polling.{key}` must be 0 or more"));
            }
        }
        if backoff_base.value < 1.0 {
            cx.warn(
                polling.at("backoff_base_seconds"),
                "`polling.backoff_base_seconds` below 1 is taken for 1",
            );
            backoff_base = Amount::of(1.0);
        }
        if backoff_max.value < backoff_base.value {
            // The original's cap holds from the first failure on.
            backoff_max = Amount::of(backoff_max.value.max(1.0));
            backoff_base = backoff_max.clone();
        }
        Self { interval, jitter, backoff_max, backoff_base }
    }
}
