//! Tags: which ones mean what, and what stands in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use super::Machine;
use crate::address::Port;
use crate::name::{BackendName, InstanceId, InvalidName, Label, MAX_NAME, ServiceName};
use crate::weight::ZoneShare;

/// How much of a text of a cloud is shown.
const SHOWN: usize = 64;

/// Which tags mean what, and which machines count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TagRules {
    /// The tag with the service's name. A machine without it is nobody's business.
    pub name: String,
    /// The tag with the service's port.
    pub port: String,
    /// The tag with a machine's own port, where that is another.
    pub instance_port: String,
    /// The tag with the share of traffic, in percent, that goes to another zone.
    pub share: Option<String>,
    /// Tags that a machine must have, all of them, each with one of these values.
    pub allow: BTreeMap<String, BTreeSet<String>>,
    /// Tags of which a machine may have none with one of these values.
    pub deny: BTreeMap<String, BTreeSet<String>>,
}

/// A text of a cloud, made fit for a line of a log: shortened, control characters escaped.
pub(super) struct Shown<'a>(pub(super) &'a str);

/// What is wrong with a machine, and what to do.
pub(super) type Wrong = String;

impl Default for TagRules {
    fn default() -> Self {
        Self {
            name: "HAProxy:Service:Name".to_owned(),
            port: "HAProxy:Service:Port".to_owned(),
            instance_port: "HAProxy:Instance:Port".to_owned(),
            share: Some("HAProxy:Instance:AZperc".to_owned()),
            allow: BTreeMap::new(),
            deny: BTreeMap::new(),
        }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().take(SHOWN).try_for_each(|char| write!(f, "{}", char.escape_debug()))?;
        if self.0.chars().nth(SHOWN).is_some() { f.write_str("…") } else { Ok(()) }
    }
}

impl TagRules {
    /// Whether the machine is to be looked at.
    pub(super) fn concerns(&self, machine: &Machine) -> bool {
        let has = |(key, values): (&String, &BTreeSet<String>)| {
            machine.tags.get(key).is_some_and(|value| values.contains(value))
        };
        machine.tags.contains_key(&self.name) && self.allow.iter().all(has) && !self.deny.iter().any(has)
    }

    /// The service's name: of the characters of a backend's name, so that no two services have one key.
    pub(super) fn service(&self, machine: &Machine) -> Result<ServiceName, Wrong> {
        let value = machine.tags.get(&self.name).map_or("", String::as_str);
        let name = BackendName::new(value).ok().and_then(|_| ServiceName::new(value).ok());
        name.ok_or_else(|| {
            wrong(
                &self.name,
                value,
                &format!(
                    "no part of a backend's name; use letters, digits and _ . : -, {MAX_NAME} of them at most"
                ),
            )
        })
    }

    /// The service's port.
    pub(super) fn service_port(&self, machine: &Machine) -> Result<Port, Wrong> {
        let Some(value) = machine.tags.get(&self.port) else {
            let (port, name) = (Shown(&self.port), Shown(&self.name));
            return Err(format!(
                "it has a tag `{name}` and none `{port}`; give it `{port}` with the port that the service listens on"
            ));
        };
        port(value).ok_or_else(|| wrong(&self.port, value, "no port; write a number from 1 to 65535"))
    }

    /// The machine's own port, if it has one.
    pub(super) fn own_port(&self, machine: &Machine) -> Result<Option<Port>, Wrong> {
        let Some(value) = machine.tags.get(&self.instance_port) else { return Ok(None) };
        let what =
            "no port, so the service's own is taken; write a number from 1 to 65535, or remove the tag";
        port(value).map(Some).ok_or_else(|| wrong(&self.instance_port, value, what))
    }

    /// The machine's share between zones, if it has one.
    pub(super) fn zone_share(&self, machine: &Machine) -> Result<Option<ZoneShare>, Wrong> {
        let Some(tag) = &self.share else { return Ok(None) };
        let Some(value) = machine.tags.get(tag) else { return Ok(None) };
        let share = whole(value).and_then(|number| ZoneShare::new(number).ok());
        let what =
            "no share between zones and counts as none; write a whole number from 1 to 99, or remove the tag";
        share.map(Some).ok_or_else(|| wrong(tag, value, what))
    }
}

fn wrong(tag: &str, value: &str, what: &str) -> Wrong {
    format!("its tag `{}` is \"{}\", which is {what}", Shown(tag), Shown(value))
}

/// A plain whole number. Blanks around it are no part of it.
fn whole(value: &str) -> Option<u32> {
    let digits = value.trim();
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

fn port(value: &str) -> Option<Port> {
    whole(value).and_then(|number| Port::try_from(number).ok())
}

/// The machine's region, of the characters of a backend's name: it stands in one.
pub(super) fn region(machine: &Machine) -> Result<Label, Wrong> {
    let region = BackendName::new(&machine.region).ok().and_then(|_| Label::new(&machine.region).ok());
    region.ok_or_else(|| {
        let shown = Shown(&machine.region);
        format!("its region is \"{shown}\", which is no part of a backend's name; check the region in the configuration of this source")
    })
}

/// The machine's zone, if it has one.
pub(super) fn zone(machine: &Machine) -> Result<Option<Label>, Wrong> {
    let zone = machine.zone.as_deref().map(Label::new).transpose();
    zone.map_err(|_| {
        let shown = Shown(machine.zone.as_deref().unwrap_or_default());
        format!("its zone is \"{shown}\", which is none; it has letters, digits and _ . : - / @ +")
    })
}

/// The machine's group, if it has one.
pub(super) fn group(machine: &Machine) -> Result<Option<Label>, Wrong> {
    let group = machine.group.as_deref().map(Label::new).transpose();
    group.map_err(|_| {
        let shown = Shown(machine.group.as_deref().unwrap_or_default());
        format!(
            "its group is \"{shown}\", which `select` cannot name, so it counts as in none; use letters, digits and \
             _ . : - / @ + in the group's name"
        )
    })
}

/// A machine's id. Characters that an id cannot have, as in the name of a resource group of Azure, are written as `~` and
/// two digits for each byte, and so is `~`: no two ids become one.
pub(super) fn id(given: &str) -> Result<InstanceId, Wrong> {
    let fine = |char: char| char.is_ascii_alphanumeric() || "_.:-/@+=[]".contains(char);
    if given.chars().all(fine) {
        return InstanceId::new(given).map_err(|error| no_id(&error));
    }
    let mut written = String::with_capacity(given.len() + 8);
    for char in given.chars() {
        if fine(char) {
            written.push(char);
        } else {
            let mut bytes = [0; 4];
            for byte in char.encode_utf8(&mut bytes).bytes() {
                write!(written, "~{byte:02x}").map_err(|error| error.to_string())?;
            }
        }
    }
    InstanceId::new(&written).map_err(|error| no_id(&error))
}

fn no_id(error: &InvalidName) -> Wrong {
    format!("{error}; the cloud gave it this id, please report it")
}
