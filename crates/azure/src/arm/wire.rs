//! What ARM's elements look like. Everything that a list may leave out is optional; `null` counts as left out.
//!
//! Each element is read on its own as it comes: an odd one must not hide the others, and what is not needed is not kept.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::one_line;
use crate::fleet::Keeper;

/// An element that has an id.
pub(crate) trait Element: DeserializeOwned + Send {
    /// What is kept of it.
    type Kept: Send;

    fn id(&self) -> &str;

    fn keep(self, keeper: &mut Keeper<'_>) -> Self::Kept;
}

/// An element, or as much of it as says which one it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Read<T> {
    Whole(T),
    Odd(Odd),
}

/// An element that cannot be read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Odd {
    pub(crate) id: Option<String>,
    pub(crate) vm_id: Option<String>,
    pub(crate) why: String,
}

/// A machine in the list of states.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct VmState {
    pub(crate) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) properties: StateProperties,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct StateProperties {
    pub(crate) instance_view: View,
}

/// Tags by their names, as they were written.
pub(crate) type Tags = BTreeMap<String, String>;

/// A virtual machine, or one of a uniform scale set.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Vm {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) location: String,
    #[serde(deserialize_with = "tags")]
    pub(crate) tags: Tags,
    #[serde(deserialize_with = "or_default")]
    pub(crate) zones: Vec<String>,
    pub(crate) extended_location: Option<ExtendedLocation>,
    pub(crate) properties: VmProperties,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct VmProperties {
    pub(crate) vm_id: Option<String>,
    pub(crate) provisioning_state: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) network_profile: NetworkProfile,
    pub(crate) virtual_machine_scale_set: Option<Reference>,
    pub(crate) time_created: Option<String>,
    pub(crate) instance_view: View,
}

/// Where a machine is that is in none of the region's zones.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct ExtendedLocation {
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) r#type: String,
}

/// `instanceView`, read apart: an odd one must not hide the machine.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum View {
    #[default]
    Missing,
    Odd(String),
    Whole(InstanceView),
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct NetworkProfile {
    #[serde(deserialize_with = "or_default")]
    pub(crate) network_interfaces: Vec<InterfaceReference>,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct InterfaceReference {
    pub(crate) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) properties: ReferenceProperties,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct ReferenceProperties {
    pub(crate) primary: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct Reference {
    pub(crate) id: String,
}

/// `instanceView`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct InstanceView {
    pub(crate) statuses: Option<Vec<Status>>,
    pub(crate) vm_health: Option<VmHealth>,
    #[serde(rename = "isVMInStandbyPool")]
    pub(crate) in_standby_pool: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct VmHealth {
    pub(crate) status: Option<Status>,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct Status {
    #[serde(deserialize_with = "or_default")]
    pub(crate) code: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) level: String,
}

/// A scale set.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct ScaleSet {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(deserialize_with = "tags")]
    pub(crate) tags: Tags,
    #[serde(deserialize_with = "or_default")]
    pub(crate) properties: ScaleSetProperties,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ScaleSetProperties {
    pub(crate) orchestration_mode: Option<String>,
    pub(crate) provisioning_state: Option<String>,
}

/// A network interface.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct Interface {
    pub(crate) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) properties: InterfaceProperties,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct InterfaceProperties {
    pub(crate) primary: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) ip_configurations: Vec<IpConfiguration>,
    pub(crate) virtual_machine: Option<Reference>,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct IpConfiguration {
    #[serde(deserialize_with = "or_default")]
    pub(crate) properties: IpProperties,
}

#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub(crate) struct IpProperties {
    #[serde(rename = "privateIPAddress")]
    pub(crate) private: Option<String>,
    #[serde(rename = "privateIPAddressVersion")]
    pub(crate) version: Option<String>,
    pub(crate) primary: Option<bool>,
}

impl ScaleSet {
    /// Its machines are in a list of their own. Sets from before there were two kinds do not say, and are uniform.
    pub(crate) fn is_uniform(&self) -> bool {
        !self.properties.orchestration_mode.as_ref().is_some_and(|mode| mode.eq_ignore_ascii_case("flexible"))
    }
}

impl<T: Element> Read<T> {
    /// What is kept of the element.
    pub(crate) fn keep(self, keeper: &mut Keeper<'_>) -> Read<T::Kept> {
        match self {
            Self::Whole(element) => Read::Whole(element.keep(keeper)),
            Self::Odd(odd) => Read::Odd(odd),
        }
    }
}

impl<'de, T: Element> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        Ok(match T::deserialize(&value) {
            Ok(element) if !element.id().is_empty() => Self::Whole(element),
            Ok(_) => Self::Odd(Odd::new(&value, "it has no id")),
            Err(error) => Self::Odd(Odd::new(&value, &error.to_string())),
        })
    }
}

impl Odd {
    fn new(value: &Value, why: &str) -> Self {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let full = |text: &String| !text.is_empty();
        Self {
            id: text("/id").filter(full),
            vm_id: text("/properties/vmId").filter(full),
            why: one_line(why),
        }
    }
}

impl<'de> Deserialize<'de> for View {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Option::<Value>::deserialize(from)? {
            None => Self::Missing,
            Some(value) => {
                InstanceView::deserialize(value).map_or_else(|why| Self::Odd(why.to_string()), Self::Whole)
            }
        })
    }
}

/// Tags, of which one without a value counts as empty.
fn tags<'de, D: Deserializer<'de>>(from: D) -> Result<Tags, D::Error> {
    let tags = Option::<BTreeMap<String, Option<String>>>::deserialize(from)?.unwrap_or_default();
    Ok(tags.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect())
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
