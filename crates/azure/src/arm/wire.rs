//! What ARM's elements look like. Everything that a list may leave out is optional; `null` counts as left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A virtual machine, or one of a uniform scale set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Vm {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) location: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) zones: Vec<String>,
    pub(crate) properties: VmProperties,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct VmProperties {
    pub(crate) vm_id: Option<String>,
    pub(crate) provisioning_state: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) network_profile: NetworkProfile,
    pub(crate) virtual_machine_scale_set: Option<Reference>,
    pub(crate) time_created: Option<String>,
    /// Read apart: an odd one must not hide the machine.
    pub(crate) instance_view: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct NetworkProfile {
    #[serde(deserialize_with = "or_default")]
    pub(crate) network_interfaces: Vec<InterfaceReference>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct InterfaceReference {
    pub(crate) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) properties: ReferenceProperties,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ReferenceProperties {
    pub(crate) primary: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Reference {
    pub(crate) id: String,
}

/// `instanceView`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct InstanceView {
    pub(crate) statuses: Option<Vec<Status>>,
    pub(crate) vm_health: Option<VmHealth>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct VmHealth {
    pub(crate) status: Option<Status>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    #[serde(deserialize_with = "or_default")]
    pub(crate) code: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) level: String,
}

/// A scale set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ScaleSet {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) properties: ScaleSetProperties,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ScaleSetProperties {
    pub(crate) orchestration_mode: Option<String>,
}

/// A network interface.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Interface {
    pub(crate) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(crate) properties: InterfaceProperties,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct InterfaceProperties {
    pub(crate) primary: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    pub(crate) ip_configurations: Vec<IpConfiguration>,
    pub(crate) virtual_machine: Option<Reference>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct IpConfiguration {
    #[serde(deserialize_with = "or_default")]
    pub(crate) properties: IpProperties,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct IpProperties {
    #[serde(rename = "privateIPAddress")]
    pub(crate) private: Option<String>,
    pub(crate) primary: Option<bool>,
}

impl ScaleSet {
    /// Its machines are in a list of their own. Sets from before there were two kinds do not say, and are uniform.
    pub(crate) fn is_uniform(&self) -> bool {
        !self.properties.orchestration_mode.as_ref().is_some_and(|mode| mode.eq_ignore_ascii_case("flexible"))
    }
}

fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
