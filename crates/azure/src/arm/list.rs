//! Which lists there are: their address, their name for a metric and the right that they need.
//!
//! Paths and parameters as azure-mgmt-compute 39 and azure-mgmt-network 33 use them. The versions are pinned: an answer
//! must not change its shape because Azure has a newer one.

use reqwest::Url;

use crate::error::Call;
use crate::settings::{ResourceGroup, Subscription};

const COMPUTE: &str = "2024-07-01";
const NETWORK: &str = "2024-05-01";
/// The only version that the list of a scale set's interfaces has ever had.
const SET_NETWORK: &str = "2018-10-01";

/// One list to ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum List {
    /// All machines of the subscription, without their state. No parameter of it gives both.
    Vms,
    /// The state of all machines of the subscription.
    States,
    /// The machines of a group, with their state.
    GroupVms(ResourceGroup),
    /// Scale sets, of the subscription or a group.
    Sets(Option<ResourceGroup>),
    /// Network interfaces, of the subscription or a group; without those of uniform scale sets.
    Interfaces(Option<ResourceGroup>),
    /// The machines of a uniform scale set (by its id), with their state.
    Members(String),
    /// The network interfaces of a uniform scale set.
    MemberInterfaces(String),
}

impl List {
    /// The name for a metric.
    pub(crate) fn api(&self) -> &'static str {
        match self {
            Self::Vms | Self::GroupVms(_) => "vm_list",
            Self::States => "vm_state_list",
            Self::Sets(_) => "vmss_list",
            Self::Interfaces(_) => "nic_list",
            Self::Members(_) => "vmss_vm_list",
            Self::MemberInterfaces(_) => "vmss_nic_list",
        }
    }

    pub(crate) fn url(&self, endpoint: &Url, subscription: &Subscription) -> Url {
        let mut url = endpoint.clone();
        let (version, extra) = match self {
            Self::Vms | Self::Sets(_) => (COMPUTE, None),
            Self::States => (COMPUTE, Some(("statusOnly", "true"))),
            Self::GroupVms(_) | Self::Members(_) => (COMPUTE, Some(("$expand", "instanceView"))),
            Self::Interfaces(_) => (NETWORK, None),
            Self::MemberInterfaces(_) => (SET_NETWORK, None),
        };
        // An address that holds a host, as all that are checked do, has a path to add to.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            path.extend(self.scope(subscription).split('/').filter(|part| !part.is_empty()));
            path.extend(self.below().split('/'));
        }
        url.query_pairs_mut().append_pair("api-version", version).extend_pairs(extra);
        url
    }

    pub(crate) fn call(&self, subscription: &Subscription) -> Call {
        let what = match self {
            Self::Vms | Self::GroupVms(_) => "list of virtual machines",
            Self::States => "list of the virtual machines' states",
            Self::Sets(_) => "list of scale sets",
            Self::Interfaces(_) => "list of network interfaces",
            Self::Members(_) => "list of the scale set's machines",
            Self::MemberInterfaces(_) => "list of the scale set's network interfaces",
        };
        Call { api: self.api(), what, scope: self.scope(subscription) }
    }

    /// The right that an identity needs for it. The role Reader has them all.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Self::Vms | Self::States | Self::GroupVms(_) => "Microsoft.Compute/virtualMachines/read",
            Self::Sets(_) => "Microsoft.Compute/virtualMachineScaleSets/read",
            Self::Interfaces(_) => "Microsoft.Network/networkInterfaces/read",
            Self::Members(_) => "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read",
            Self::MemberInterfaces(_) => "Microsoft.Compute/virtualMachineScaleSets/networkInterfaces/read",
        }
    }

    pub(crate) fn group(&self) -> Option<&ResourceGroup> {
        match self {
            Self::GroupVms(group) | Self::Sets(Some(group)) | Self::Interfaces(Some(group)) => Some(group),
            _ => None,
        }
    }

    /// The scale set whose own list it is.
    pub(crate) fn set(&self) -> Option<&str> {
        match self {
            Self::Members(set) | Self::MemberInterfaces(set) => Some(set),
            _ => None,
        }
    }

    pub(crate) fn scope(&self, subscription: &Subscription) -> String {
        let whole = || format!("/subscriptions/{}", subscription.as_str());
        match (self.set(), self.group()) {
            (Some(set), _) => set.to_owned(),
            (None, Some(group)) => group.scope(subscription),
            (None, None) => whole(),
        }
    }

    fn below(&self) -> &'static str {
        match self {
            Self::Vms | Self::States | Self::GroupVms(_) => "providers/Microsoft.Compute/virtualMachines",
            Self::Sets(_) => "providers/Microsoft.Compute/virtualMachineScaleSets",
            Self::Interfaces(_) => "providers/Microsoft.Network/networkInterfaces",
            Self::Members(_) => "virtualMachines",
            Self::MemberInterfaces(_) => "networkInterfaces",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_below_a_path_keeps_it() {
        let subscription = Subscription::new("00000000-1111-2222-3333-444444444444").unwrap();
        let endpoint = Url::parse("https://proxy.example/arm/").unwrap();
        let group = ResourceGroup::new("rg-edge").unwrap();
        assert_eq!(
            List::GroupVms(group).url(&endpoint, &subscription).as_str(),
            "https://proxy.example/arm/subscriptions/00000000-1111-2222-3333-444444444444/resourceGroups/rg-edge\
             /providers/Microsoft.Compute/virtualMachines?api-version=2024-07-01&%24expand=instanceView"
        );
    }
}
