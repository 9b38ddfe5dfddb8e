"""Lists running machines with Azure's own clients, one JSON object a line: name, id, address, group, tags, zone.

Arguments: the address of ARM, the subscription. The token comes from the metadata service that
AZURE_POD_IDENTITY_AUTHORITY_HOST names.
"""

import json
import sys

from azure.identity import ManagedIdentityCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient

arm, subscription = sys.argv[1:3]
scope = "https://management.azure.com/.default"
credential = ManagedIdentityCredential()
common = dict(
    subscription_id=subscription,
    credential=credential,
    base_url=arm,
    credential_scopes=[scope],
)
# The stand-in has no TLS.
call = dict(enforce_https=False)
compute = ComputeManagementClient(**common)
network = NetworkManagementClient(**common)


def key(resource_id):
    return resource_id.lower()


def group_of(resource_id):
    return resource_id.split("/")[4]


def runs(view):
    codes = [status.code.lower() for status in (view.statuses if view and view.statuses else [])]
    return "powerstate/running" in codes


def address(nics, references):
    found = [nics[key(reference.id)] for reference in references if key(reference.id) in nics]
    found.sort(key=lambda nic: not nic.primary)
    for nic in found:
        configurations = [one for one in nic.ip_configurations if one.private_ip_address]
        configurations.sort(key=lambda one: (one.private_ip_address_version != "IPv4", not one.primary))
        if configurations:
            return configurations[0].private_ip_address
    return None


def tell(vm, where, scale_set, tags):
    print(json.dumps({
        "id": vm.vm_id.lower(),
        "name": vm.name,
        "address": where,
        "group": scale_set,
        "tags": tags,
        "zone": vm.zones[0] if vm.zones else None,
        "region": vm.location,
    }, sort_keys=True))


nics = {key(nic.id): nic for nic in network.network_interfaces.list_all(**call)}
states = {key(vm.id): vm.instance_view for vm in compute.virtual_machines.list_all(status_only="true", **call)}
sets = {key(one.id): one for one in compute.virtual_machine_scale_sets.list_all(**call)}
for vm in compute.virtual_machines.list_all(**call):
    if runs(states.get(key(vm.id))):
        scale_set = sets[key(vm.virtual_machine_scale_set.id)] if vm.virtual_machine_scale_set else None
        tags = dict((scale_set.tags if scale_set else None) or {}, **(vm.tags or {}))
        name = scale_set.name if scale_set else None
        tell(vm, address(nics, vm.network_profile.network_interfaces), name, tags)
for scale_set in sets.values():
    if scale_set.orchestration_mode != "Uniform":
        continue
    group = group_of(scale_set.id)
    own = network.network_interfaces.list_virtual_machine_scale_set_network_interfaces(group, scale_set.name, **call)
    own = {key(nic.id): nic for nic in own}
    for vm in compute.virtual_machine_scale_set_vms.list(group, scale_set.name, expand="instanceView", **call):
        if runs(vm.instance_view):
            tags = dict(scale_set.tags or {}, **(vm.tags or {}))
            tell(vm, address(own, vm.network_profile.network_interfaces), scale_set.name, tags)
