//! Tags: which ones mean what, and what stands in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use roster_haproxy::address::Port;
use roster_haproxy::name::{BackendName, InstanceId, InvalidName, Label, MAX_NAME, ServiceName};
use roster_haproxy::weight::ZoneShare;

use super::Machine;

/// How much of a text of a cloud is shown.
const SHOWN: usize = 64;
/// How many ports of one machine count.
const MOST_PORTS: usize = 32;
/// The numbers of tags that stand beside those without one.
const NUMBERS: std::ops::RangeInclusive<u8> = 2..=16;

/// Which tags mean what, and which machines count.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TagRules {
    /// The tag with the service's name. A machine without it is nobody's business.
    pub name: String,
    /// The tag with the service's port, or with several, a comma between them. This tag, that of the name and that of the
    /// machine's own port may be there again with a number from 2 to 16 behind them, as in `HAProxy:Service:Port:2`.
    pub port: String,
    /// The tag with a machine's own port, where that is another; as many as the service has.
    pub instance_port: String,
    /// The tag with the share of traffic, in percent, that goes to another zone.
    pub share: Option<String>,
    /// Tags that a machine must have, all of them, each with one of these values.
    pub allow: BTreeMap<String, BTreeSet<String>>,
    /// Tags of which a machine may have none with one of these values.
    pub deny: BTreeMap<String, BTreeSet<String>>,
    /// Other tags, by which exposures select; none for all tags.
    pub kept: Option<BTreeSet<String>>,
}

/// One service that a machine is in, and where it listens for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Membership {
    pub(super) service: ServiceName,
    /// The service's port.
    pub(super) port: Port,
    /// The port that the machine itself listens on.
    pub(super) own: Port,
}

/// The services that a machine is in, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Memberships {
    pub(super) found: Vec<Membership>,
    /// Services that cannot be read.
    pub(super) unread: Vec<Wrong>,
    /// What can be done without.
    pub(super) asides: Vec<Wrong>,
}

/// The tags that belong together, with the same number or without one.
struct Numbered<'a> {
    machine: &'a Machine,
    name: String,
    port: String,
    own: String,
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
            kept: None,
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

    /// Whether a rule looks at the tag. What no rule looks at need not be kept: there are many machines.
    pub fn reads(&self, key: &str) -> bool {
        let base = key.rsplit_once(':').filter(|(_, number)| is_number(number)).map_or(key, |(base, _)| base);
        [&self.name, &self.port, &self.instance_port].into_iter().any(|tag| tag == key || tag == base)
            || self.share.as_deref() == Some(key)
            || self.allow.contains_key(key)
            || self.deny.contains_key(key)
            || self.is_kept(key)
    }

    /// Whether the tag is kept to select by.
    pub(super) fn is_kept(&self, key: &str) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.contains(key))
    }

    /// The services that the machine is in, at least one. `known_port` is the machine's own port in a service that it had before.
    pub(super) fn memberships(
        &self,
        machine: &Machine,
        known_port: impl Fn(&ServiceName, Port) -> Option<Port>,
    ) -> Result<Memberships, Wrong> {
        let mut all = Memberships::default();
        for tags in self.numbered(machine) {
            match self.service(&tags) {
                Ok(service) => all.add(&tags, &service, &known_port),
                Err(wrong) => all.unread.push(wrong),
            }
        }
        if all.found.is_empty() {
            return Err(all.unread.into_iter().next().unwrap_or_else(|| "it has no port".to_owned()));
        }
        let count = all.found.len();
        if count > MOST_PORTS {
            all.unread
                .push(format!("it has {count} ports, of which the first {MOST_PORTS} count; give it fewer"));
            all.found.truncate(MOST_PORTS);
        }
        Ok(all)
    }

    /// The tags without a number, and those of each number of which there is a name or a port.
    fn numbered<'m>(&self, machine: &'m Machine) -> impl Iterator<Item = Numbered<'m>> {
        let Self { name, port, instance_port: own, .. } = self;
        let more = NUMBERS.filter_map(move |number| {
            let with = |tag: &str| format!("{tag}:{number}");
            let tags = Numbered { machine, name: with(name), port: with(port), own: with(own) };
            (tags.get(&tags.name).is_some() || tags.get(&tags.port).is_some()).then_some(tags)
        });
        let first = Numbered { machine, name: name.clone(), port: port.clone(), own: own.clone() };
        std::iter::once(first).chain(more)
    }

    /// The service's name: of the characters of a backend's name, so that no two services have one key. A number without a
    /// name of its own has that of the tag without one.
    fn service(&self, tags: &Numbered<'_>) -> Result<ServiceName, Wrong> {
        let own = tags.get(&tags.name).map(|value| (tags.name.as_str(), value));
        let (tag, value) = own.unwrap_or((&self.name, tags.get(&self.name).unwrap_or_default()));
        let name = BackendName::new(value).ok().and_then(|_| ServiceName::new(value).ok());
        name.ok_or_else(|| {
            wrong(
                tag,
                value,
                &format!(
                    "no part of a backend's name; use letters, digits and _ . : -, {MAX_NAME} of them at most"
                ),
            )
        })
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

impl Numbered<'_> {
    fn get(&self, tag: &str) -> Option<&str> {
        self.machine.tags.get(tag).map(String::as_str)
    }
}

impl Memberships {
    /// Adds each port of a service once, with the machine's own for it.
    fn add(
        &mut self,
        tags: &Numbered<'_>,
        service: &ServiceName,
        known_port: impl Fn(&ServiceName, Port) -> Option<Port>,
    ) {
        let Some(value) = tags.get(&tags.port) else {
            let (port, name) = (Shown(&tags.port), Shown(&tags.name));
            self.unread.push(format!(
                "it has a tag `{name}` and none `{port}`; give it `{port}` with the port that the service listens on"
            ));
            return;
        };
        let given: Vec<Option<Port>> = value.split(',').map(port).collect();
        let own = own_ports(tags, given.len());
        let mut known = false;
        for (at, given) in given.into_iter().enumerate() {
            let Some(port) = given else {
                self.unread.push(wrong(&tags.port, value, "no port; write a number from 1 to 65535"));
                continue;
            };
            if self.found.iter().any(|one| one.service == *service && one.port == port) {
                self.asides.push(wrong(&tags.port, value, "a port that it has already; remove it there"));
                continue;
            }
            let own = match &own {
                Ok(own) => own.get(at).copied(),
                Err(_) => known_port(service, port).inspect(|_| known = true),
            };
            self.found.push(Membership { service: service.clone(), port, own: own.unwrap_or(port) });
        }
        self.asides.extend(own.err().map(|wrong| stays(wrong, known)));
    }
}

/// The machine's own ports, in the order of the service's; none where it has no other.
fn own_ports(tags: &Numbered<'_>, count: usize) -> Result<Vec<Port>, Wrong> {
    let Some(value) = tags.get(&tags.own) else { return Ok(Vec::new()) };
    let own: Option<Vec<Port>> = value.split(',').map(port).collect();
    let wrong = |what| Err(wrong(&tags.own, value, what));
    match own {
        None => {
            wrong("no port, so the service's own is taken; write a number from 1 to 65535, or remove the tag")
        }
        Some(own) if own.len() != count => wrong(
            "not as many ports as the service has, so the service's own are taken; write one for each, or remove the tag",
        ),
        Some(own) => Ok(own),
    }
}

/// What is wrong, where what was known may stand for it.
pub(super) fn stays(wrong: Wrong, is_known: bool) -> Wrong {
    if is_known { format!("{wrong}; what was known stays") } else { wrong }
}

fn is_number(text: &str) -> bool {
    text.parse().is_ok_and(|number: u8| NUMBERS.contains(&number) && text == number.to_string())
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
