//! One instance of Roster's own form.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use roster_config::document::{Field, View};
use roster_config::nearest::hint;
use roster_config::position::Position;
use roster_core::instance::{Health, HealthAuthority, Instance, Lifecycle, Unread};
use roster_haproxy::address::{Endpoint, InvalidAddress, Port, parse_ip};
use roster_haproxy::name::{InstanceId, Label};
use roster_haproxy::weight::Weight;

use super::{Broken, Wrong, partly, short};

const KEYS: [&str; 10] =
    ["address", "port", "id", "weight", "zone", "region", "group", "health", "state", "metadata"];

const HEALTH: [(&str, Health); 3] =
    [("passing", Health::Passing), ("failing", Health::Failing), ("unknown", Health::Unknown)];

const STATE: [(&str, Lifecycle); 2] = [("in_service", Lifecycle::InService), ("leaving", Lifecycle::Leaving)];

/// The keys that were read so far.
#[derive(Default)]
struct Draft<'d> {
    address: Option<(Position, &'d str)>,
    port: Option<Port>,
    id: Option<InstanceId>,
    weight: Option<Weight>,
    zone: Option<Label>,
    region: Option<Label>,
    group: Option<Label>,
    health: Health,
    lifecycle: Lifecycle,
    metadata: BTreeMap<String, String>,
}

/// Reads one item of a service's list: an address, or a mapping. Everything that is wrong with it is told.
pub(super) fn read(item: View<'_>) -> Result<Instance, Broken> {
    if let Some(text) = item.text() {
        let draft = Draft { address: Some((item.at(), text)), ..Draft::default() };
        let endpoint =
            text.parse::<Endpoint>().map_err(|error| draft.broken(vec![(item.at(), error.to_string())]))?;
        return Ok(draft.at(endpoint, text));
    }
    let Some(fields) = item.fields() else {
        let message =
            format!("it wants an address such as 10.0.0.1:8080 or a mapping, found {}", item.shown());
        return Err(Broken::at(item.at(), message, None));
    };
    let mut draft = Draft::default();
    let wrong: Vec<Wrong> = fields.filter_map(|field| draft.set(&field).err()).collect();
    if wrong.is_empty() { draft.finish(item) } else { Err(draft.broken(wrong)) }
}

/// Reads a weight, 0 to 256.
pub(super) fn weight(text: &str) -> Result<Weight, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What is too long for a number is also too large for a weight.
    let number = if digits { Some(text.parse().unwrap_or(u32::MAX)) } else { None };
    match number.map(Weight::new) {
        Some(Ok(weight)) => Ok(weight),
        Some(Err(error)) => Err(error.to_string()),
        None => Err(format!("`{}` is not a weight; write a number from 0 to 256", short(text))),
    }
}

impl<'d> Draft<'d> {
    fn set(&mut self, field: &Field<'d>) -> Result<(), Wrong> {
        match field.key {
            "address" => self.address = Some((field.value.at(), text(field)?)),
            "port" => self.port = Some(parse(field)?),
            "id" => self.id = Some(parse(field)?),
            "weight" => {
                self.weight = Some(weight(text(field)?).map_err(|message| (field.value.at(), message))?);
            }
            "zone" => self.zone = Some(parse(field)?),
            "region" => self.region = Some(parse(field)?),
            "group" => self.group = Some(parse(field)?),
            "health" => self.health = word(field, &HEALTH)?,
            "state" => self.lifecycle = word(field, &STATE)?,
            "metadata" => self.metadata = metadata(field)?,
            unknown => {
                let message = format!("unknown key `{}`{}", short(unknown), hint(unknown, &KEYS));
                return Err((field.at, message));
            }
        }
        Ok(())
    }

    fn finish(self, item: View<'_>) -> Result<Instance, Broken> {
        let Some((at, address)) = self.address else {
            let message = "it has no `address`; write for example `address: 10.0.0.1:8080`";
            return Err(self.broken(vec![(item.at(), message.to_owned())]));
        };
        match endpoint(address, self.port) {
            Ok(endpoint) => Ok(self.at(endpoint, address)),
            Err(message) => Err(self.broken(vec![(at, message)])),
        }
    }

    /// What can be told of the instance though something is wrong.
    fn broken(&self, wrong: Vec<Wrong>) -> Broken {
        let address = self.address.map(|(_, address)| address);
        let whole = address.and_then(|address| address.parse::<Endpoint>().ok());
        let (ip, port) = match (whole, address) {
            (Some(whole), _) => (Some(whole.ip), Some(whole.port)),
            (None, Some(address)) => partly(address),
            (None, None) => (None, None),
        };
        // Where two ports contradict each other none is known.
        let port = match (port, self.port) {
            (Some(one), Some(other)) if one != other => None,
            (one, other) => one.or(other),
        };
        Broken { wrong, unread: Unread { service: None, instance: self.id.clone(), ip, port } }
    }

    fn at(self, endpoint: Endpoint, written: &str) -> Instance {
        Instance {
            id: self.id.unwrap_or_else(|| id_of(endpoint, written)),
            endpoint,
            zone: self.zone,
            region: self.region,
            group: self.group,
            weight: self.weight,
            zone_share: None,
            health: self.health,
            health_authority: if self.health == Health::Unknown {
                HealthAuthority::Checks
            } else {
                HealthAuthority::Source
            },
            lifecycle: self.lifecycle,
            metadata: self.metadata.into(),
        }
    }
}

/// The id of an instance that has none of its own: the endpoint as it is printed. That is mostly how it was written, and
/// to print ten thousand of them takes as long as all the rest.
fn id_of(endpoint: Endpoint, written: &str) -> InstanceId {
    // An IPv4 address without brackets has one form only, and so has a port without a zero before it.
    let bare = written.starts_with(|first: char| first.is_ascii_digit());
    let as_printed = written.rsplit_once(':').is_some_and(|(_, port)| bare && !port.starts_with('0'));
    let id = if as_printed { InstanceId::new(written).ok() } else { None };
    id.unwrap_or_else(|| InstanceId::from_address(endpoint))
}

/// An address with its port in it or beside it.
fn endpoint(address: &str, port: Option<Port>) -> Result<Endpoint, String> {
    match (address.parse::<Endpoint>(), port) {
        (Ok(whole), Some(port)) if whole.port != port => {
            Err(format!("`address` says port {} and `port` says {port}; give one of them", whole.port))
        }
        (Ok(whole), _) => Ok(whole),
        (Err(_), Some(port)) => match parse_ip(address) {
            Ok(ip) => Ok(Endpoint { ip, port }),
            Err(error) => Err(error.to_string()),
        },
        (Err(InvalidAddress::NoPort(_)), None) if parse_ip(address).is_ok() => {
            Err(format!("{address:?} has no port; add `port: 8080`, or write the port after the address"))
        }
        (Err(error), None) => Err(error.to_string()),
    }
}

fn text<'d>(field: &Field<'d>) -> Result<&'d str, Wrong> {
    let wanted = || format!("`{}` wants a text, found {}", short(field.key), field.value.shown());
    field.value.text().ok_or_else(|| (field.value.at(), wanted()))
}

fn parse<T: FromStr>(field: &Field<'_>) -> Result<T, Wrong>
where
    T::Err: Display,
{
    text(field)?.parse().map_err(|error: T::Err| (field.value.at(), format!("`{}`: {error}", field.key)))
}

fn word<T: Copy>(field: &Field<'_>, words: &[(&str, T)]) -> Result<T, Wrong> {
    let given = text(field)?;
    let found = words.iter().find(|(word, _)| *word == given);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let shown = field.value.shown();
        (field.value.at(), format!("unknown value {shown} for `{}`{}", field.key, hint(given, &known)))
    })
}

fn metadata(field: &Field<'_>) -> Result<BTreeMap<String, String>, Wrong> {
    let Some(entries) = field.value.fields() else {
        let message = format!("`metadata` wants a mapping from keys to texts, found {}", field.value.shown());
        return Err((field.value.at(), message));
    };
    entries.map(|entry| Ok((entry.key.to_owned(), text(&entry)?.to_owned()))).collect()
}
