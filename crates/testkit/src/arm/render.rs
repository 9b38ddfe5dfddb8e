//! The world as ARM shows it.

use serde_json::{Map, Value, json};

use super::world::{ArmAddress, ArmNic, ArmSet, ArmView, ArmVm, ArmWorld};

const CREATED: &str = "2026-11-20T09:58:00.1234567+00:00";

impl ArmWorld {
    fn group_path(&self, group: &str) -> String {
        format!("/subscriptions/{}/resourceGroups/{group}", self.subscription)
    }

    /// A machine's own id: its group comes back in capitals.
    fn vm_id(&self, vm: &ArmVm) -> String {
        let group = self.group_path(&vm.group.to_uppercase());
        format!("{group}/providers/Microsoft.Compute/virtualMachines/{}", vm.name)
    }

    fn set_id(&self, group: &str, name: &str) -> String {
        format!("{}/providers/Microsoft.Compute/virtualMachineScaleSets/{name}", self.group_path(group))
    }

    fn member_id(&self, set: &ArmSet, member: &ArmVm) -> String {
        format!("{}/virtualMachines/{}", self.set_id(&set.group, &set.name), member.name)
    }

    fn nic_id(&self, vm: &ArmVm, nic: &ArmNic) -> String {
        self.nic_path(vm.nic_group.as_ref().unwrap_or(&vm.group), nic)
    }

    fn nic_path(&self, group: &str, nic: &ArmNic) -> String {
        format!("{}/providers/Microsoft.Network/networkInterfaces/{}", self.group_path(group), nic.name)
    }

    /// A machine in the list of machines, with its instance view if that was asked for.
    pub(super) fn vm_value(&self, vm: &ArmVm, with_view: bool) -> Value {
        let references: Vec<Value> =
            vm.nics.iter().map(|nic| reference(&self.nic_id(vm, nic), nic.primary)).collect();
        let mut properties = json!({
            "vmId": vm.vm_id,
            "hardwareProfile": { "vmSize": "Standard_B1s" },
            "provisioningState": vm.provisioning,
            "osProfile": { "computerName": vm.name },
            "networkProfile": { "networkInterfaces": references },
            "timeCreated": CREATED,
        });
        if let Some(set) = &vm.set {
            put(&mut properties, "virtualMachineScaleSet", json!({ "id": self.set_id(&vm.group, set) }));
            put(&mut properties, "platformFaultDomain", json!(0));
        }
        if with_view && let Some(mut view) = view(vm) {
            put(&mut view, "computerName", json!(vm.name));
            put(&mut view, "osName", json!("ubuntu"));
            put(&mut view, "hyperVGeneration", json!("V2"));
            put(&mut properties, "instanceView", view);
        }
        json!({
            "name": vm.name,
            "id": self.vm_id(vm),
            "type": "Microsoft.Compute/virtualMachines",
            "location": vm.location,
            "tags": vm.tags,
            "zones": vm.zones,
            "properties": properties,
            "etag": "\"1\"",
        })
    }

    /// A machine in the list of states.
    pub(super) fn state(&self, vm: &ArmVm) -> Value {
        let mut whole = self.vm_value(vm, true);
        if self.bare_states {
            if let Some(object) = whole.as_object_mut() {
                object.retain(|key, _| {
                    matches!(key.as_str(), "name" | "id" | "type" | "location" | "properties")
                });
            }
            if let Some(properties) = whole.get_mut("properties").and_then(Value::as_object_mut) {
                properties.retain(|key, _| key == "instanceView");
            }
        }
        whole
    }

    /// The answer of a machine's own `instanceView`.
    pub(super) fn instance_view(vm: &ArmVm) -> Value {
        let mut view = view(vm).unwrap_or_else(|| json!({}));
        put(&mut view, "computerName", json!(vm.name));
        put(&mut view, "osName", json!("ubuntu"));
        put(&mut view, "hyperVGeneration", json!("V2"));
        view
    }

    pub(super) fn set(&self, set: &ArmSet) -> Value {
        json!({
            "name": set.name,
            "id": self.set_id(&set.group, &set.name),
            "type": "Microsoft.Compute/virtualMachineScaleSets",
            "location": "westeurope",
            "tags": set.tags,
            "sku": { "name": "Standard_B1s", "tier": "Standard", "capacity": set.capacity },
            "zones": ["1", "2"],
            "properties": {
                "orchestrationMode": if set.uniform { "Uniform" } else { "Flexible" },
                "provisioningState": "Succeeded",
                "uniqueId": "bbbbbbbb-0000-0000-0000-000000000001",
                "singlePlacementGroup": false,
                "platformFaultDomainCount": 1,
                "upgradePolicy": { "mode": "Manual" },
                "virtualMachineProfile": { "networkProfile": { "networkInterfaceConfigurations": [] } },
            },
        })
    }

    /// A machine of a uniform scale set.
    pub(super) fn member(&self, set: &ArmSet, member: &ArmVm, with_view: bool) -> Value {
        let id = self.member_id(set, member);
        // Which interface is the first stands in the configuration, not in the reference.
        let references: Vec<Value> = member
            .nics
            .iter()
            .map(|nic| json!({ "id": format!("{id}/networkInterfaces/{}", nic.name) }))
            .collect();
        let configurations: Vec<Value> = member.nics.iter().map(configuration).collect();
        let mut properties = json!({
            "latestModelApplied": true,
            "modelDefinitionApplied": "VirtualMachineScaleSet",
            "vmId": member.vm_id,
            "provisioningState": member.provisioning,
            "osProfile": { "computerName": format!("{}{:0>6}", set.name, member.name) },
            "networkProfile": { "networkInterfaces": references },
            "networkProfileConfiguration": { "networkInterfaceConfigurations": configurations },
        });
        if with_view && let Some(mut view) = view(member) {
            put(&mut view, "platformUpdateDomain", json!(0));
            put(&mut view, "platformFaultDomain", json!(0));
            put(&mut properties, "instanceView", view);
        }
        json!({
            "name": format!("{}_{}", set.name, member.name),
            "id": id,
            "type": "Microsoft.Compute/virtualMachineScaleSets/virtualMachines",
            "location": member.location,
            "tags": member.tags,
            "instanceId": member.name,
            "sku": { "name": "Standard_B1s", "tier": "Standard" },
            "zones": member.zones,
            "properties": properties,
        })
    }

    /// Interfaces of a group, or of all, without those of uniform scale sets.
    pub(super) fn nics(&self, group: Option<&str>) -> Vec<Value> {
        let wanted = |of: &str| group.is_none_or(|group| group.eq_ignore_ascii_case(of));
        let attached = self.vms.iter().flat_map(|vm| vm.nics.iter().map(move |nic| (vm, nic)));
        let attached =
            attached.filter(|(vm, _)| wanted(vm.nic_group.as_ref().unwrap_or(&vm.group))).map(|(vm, nic)| {
                nic_value(&self.nic_id(vm, nic), nic, Some(&self.vm_id(vm)), &self.subscription)
            });
        let orphans = self
            .orphans
            .iter()
            .filter(|(group, _)| wanted(group))
            .map(|(group, nic)| nic_value(&self.nic_path(group, nic), nic, None, &self.subscription));
        attached.chain(orphans).collect()
    }

    pub(super) fn member_nics(&self, set: &ArmSet) -> Vec<Value> {
        let of = |member: &ArmVm| {
            let id = self.member_id(set, member);
            let nics = member.nics.iter();
            let values = nics.map(|nic| {
                nic_value(&format!("{id}/networkInterfaces/{}", nic.name), nic, Some(&id), &self.subscription)
            });
            values.collect::<Vec<_>>()
        };
        set.members.iter().flat_map(of).collect()
    }
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn reference(id: &str, primary: Option<bool>) -> Value {
    match primary {
        Some(primary) => json!({ "id": id, "properties": { "primary": primary } }),
        None => json!({ "id": id }),
    }
}

fn configuration(nic: &ArmNic) -> Value {
    let addresses: Vec<Value> =
        (0..nic.addresses.len()).map(|number| json!({ "name": format!("ip{number}") })).collect();
    let primary = nic.primary.unwrap_or_default();
    json!({ "name": nic.name, "properties": { "primary": primary, "ipConfigurations": addresses } })
}

fn view(vm: &ArmVm) -> Option<Value> {
    let provisioned = json!({
        "code": "ProvisioningState/succeeded",
        "level": "Info",
        "displayStatus": "Provisioning succeeded",
        "time": "2026-11-20T10:00:00.0000000+00:00",
    });
    let statuses = match &vm.view {
        ArmView::Missing => return None,
        ArmView::Power(state) => {
            let power = format!("PowerState/{state}");
            vec![
                provisioned,
                json!({ "code": power, "level": "Info", "displayStatus": format!("VM {state}") }),
            ]
        }
        ArmView::NoPower => {
            vec![
                json!({ "code": "ProvisioningState/creating", "level": "Info", "displayStatus": "Creating" }),
            ]
        }
        ArmView::Error => vec![json!({
            "code": "InternalOperationError", "level": "Error", "displayStatus": "An internal error has occurred.",
        })],
    };
    let mut view = json!({ "statuses": statuses });
    if vm.standby {
        put(&mut view, "isVMInStandbyPool", json!(true));
    }
    if let Some(health) = &vm.health {
        let text = format!("The VM is reporting itself as {health}");
        let status =
            json!({ "code": format!("HealthState/{health}"), "level": "Info", "displayStatus": text });
        put(&mut view, "vmHealth", json!({ "status": status }));
    }
    Some(view)
}

fn nic_value(id: &str, nic: &ArmNic, vm: Option<&str>, subscription: &str) -> Value {
    let addresses: Vec<Value> = nic
        .addresses
        .iter()
        .enumerate()
        .map(|(number, one)| {
            json!({
                "name": format!("ip{number}"),
                "id": format!("{id}/ipConfigurations/ip{number}"),
                "type": "Microsoft.Network/networkInterfaces/ipConfigurations",
                "properties": address_value(one, subscription),
            })
        })
        .collect();
    let mut properties = Map::from_iter([
        ("provisioningState".to_owned(), json!("Succeeded")),
        ("resourceGuid".to_owned(), json!("dddddddd-0000-0000-0000-000000000001")),
        ("ipConfigurations".to_owned(), Value::Array(addresses)),
        ("macAddress".to_owned(), json!("00-0D-3A-00-00-01")),
        ("dnsSettings".to_owned(), json!({ "dnsServers": [], "appliedDnsServers": [] })),
        ("enableIPForwarding".to_owned(), json!(false)),
    ]);
    properties.extend(nic.primary.map(|primary| ("primary".to_owned(), json!(primary))));
    properties.extend(vm.map(|vm| ("virtualMachine".to_owned(), json!({ "id": vm }))));
    json!({
        "name": nic.name,
        "id": id,
        "type": "Microsoft.Network/networkInterfaces",
        "location": "westeurope",
        "tags": {},
        "etag": "W/\"1\"",
        "properties": properties,
    })
}

fn address_value(one: &ArmAddress, subscription: &str) -> Value {
    let network = format!("/subscriptions/{subscription}/resourceGroups/rg-edge/providers/Microsoft.Network");
    let version = if one.address.as_ref().is_some_and(|text| text.contains(':')) { "IPv6" } else { "IPv4" };
    let mut properties = json!({
        "provisioningState": "Succeeded",
        "privateIPAllocationMethod": "Dynamic",
        "privateIPAddressVersion": version,
        "primary": one.primary,
        "subnet": { "id": format!("{network}/virtualNetworks/v/subnets/s") },
    });
    if let Some(address) = &one.address {
        put(&mut properties, "privateIPAddress", json!(address));
    }
    if one.public {
        let public = json!({ "id": format!("{network}/publicIPAddresses/pip1") });
        put(&mut properties, "publicIPAddress", public);
    }
    properties
}
