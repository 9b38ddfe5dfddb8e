//! What is in the subscription.

use std::collections::{BTreeMap, BTreeSet};

/// A subscription, and who may ask about it.
#[derive(Clone, Debug)]
pub struct ArmWorld {
    /// Its id.
    pub subscription: String,
    /// The tenant of the identities.
    pub tenant: String,
    /// The client id of the service principal, and of the managed identity that the user assigned.
    pub client: String,
    /// Its secret.
    pub secret: String,
    /// The service account's token that stands for it.
    pub assertion: String,
    /// What `IDENTITY_HEADER` holds.
    pub identity_header: String,
    /// Whether the machine has a managed identity at all.
    pub has_identity: bool,
    /// How long a token lives, in seconds.
    pub token_life: i64,
    /// Groups that are there, also those without a machine. Their case does not count.
    pub groups: BTreeSet<String>,
    /// Groups in which nothing may be read; `*` for the subscription's own lists.
    pub denied: BTreeSet<String>,
    /// Machines outside of uniform scale sets.
    pub vms: Vec<ArmVm>,
    /// Scale sets.
    pub sets: Vec<ArmSet>,
    /// Interfaces of no machine, with their group.
    pub orphans: Vec<(String, ArmNic)>,
    /// Elements of a page.
    pub page_size: usize,
    /// What links to further pages begin with; none for the stand-in's own address.
    pub links: Option<String>,
    /// Whether the list of states has nothing else than states.
    pub bare_states: bool,
}

/// A virtual machine, or one of a uniform scale set.
#[derive(Clone, Debug)]
pub struct ArmVm {
    /// Its name; in a uniform scale set its number.
    pub name: String,
    /// Its group.
    pub group: String,
    /// The group that its interfaces are in; none for its own.
    pub nic_group: Option<String>,
    /// `vmId`.
    pub vm_id: String,
    /// Its location.
    pub location: String,
    /// Its zones.
    pub zones: Vec<String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its interfaces.
    pub nics: Vec<ArmNic>,
    /// The flexible scale set that it is in.
    pub set: Option<String>,
    /// What its instance view says.
    pub view: ArmView,
    /// What the health extension says, such as `healthy`.
    pub health: Option<String>,
    /// Whether it waits in a standby pool.
    pub standby: bool,
    /// `provisioningState`.
    pub provisioning: String,
}

/// A machine's instance view.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ArmView {
    /// `PowerState/…`.
    Power(String),
    /// There is none: it is being created.
    NoPower,
    /// An error instead of statuses.
    Error,
    /// No instance view, or not in the list of states at all.
    Missing,
}

/// A network interface.
#[derive(Clone, Debug)]
pub struct ArmNic {
    /// Its name.
    pub name: String,
    /// Whether it is the machine's first; none to leave it out.
    pub primary: Option<bool>,
    /// Its addresses.
    pub addresses: Vec<ArmAddress>,
}

/// A private address; none while there is none yet.
#[derive(Clone, Debug)]
pub struct ArmAddress {
    /// The address.
    pub address: Option<String>,
    /// Whether its configuration is the interface's first.
    pub primary: bool,
    /// Whether there is a public one beside it.
    pub public: bool,
}

/// A scale set.
#[derive(Clone, Debug)]
pub struct ArmSet {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Whether its machines are in a list of their own.
    pub uniform: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The machines of a uniform one. Those of a flexible one are among the subscription's.
    pub members: Vec<ArmVm>,
    /// How many it is to have.
    pub capacity: usize,
}

impl Default for ArmWorld {
    fn default() -> Self {
        Self {
            subscription: "00000000-1111-2222-3333-444444444444".to_owned(),
            tenant: "99999999-0000-0000-0000-000000000001".to_owned(),
            client: "11111111-0000-0000-0000-000000000001".to_owned(),
            secret: "SECRET".to_owned(),
            assertion: "JWT-OF-THE-POD".to_owned(),
            identity_header: "HEADER-OF-THE-APP".to_owned(),
            has_identity: true,
            token_life: 3599,
            groups: BTreeSet::from(["rg-edge".to_owned()]),
            denied: BTreeSet::new(),
            vms: Vec::new(),
            sets: Vec::new(),
            orphans: Vec::new(),
            page_size: 50,
            links: None,
            bare_states: false,
        }
    }
}

impl ArmWorld {
    /// Adds a running machine in `rg-edge` with these tags, and gives it to be changed.
    pub fn add_vm(&mut self, name: &str, address: &str, tags: &[(&str, &str)]) -> &mut ArmVm {
        let number = self.vms.len() + 1;
        let vm = ArmVm::running(name, &format!("aaaaaaaa-0000-0000-0000-{number:012}"), address, tags);
        self.vms.push_mut(vm)
    }

    /// Adds a scale set in `rg-edge`, and gives it to be changed.
    pub fn add_set(&mut self, name: &str, uniform: bool, tags: &[(&str, &str)]) -> &mut ArmSet {
        self.sets.push_mut(ArmSet {
            name: name.to_owned(),
            group: "rg-edge".to_owned(),
            uniform,
            tags: owned(tags),
            members: Vec::new(),
            capacity: 2,
        })
    }

    /// The machine of this name.
    pub fn vm(&mut self, name: &str) -> Option<&mut ArmVm> {
        self.vms.iter_mut().find(|vm| vm.name == name)
    }

    pub(super) fn has_group(&self, group: &str) -> bool {
        self.groups.iter().any(|known| known.eq_ignore_ascii_case(group))
    }

    pub(super) fn is_denied(&self, group: &str) -> bool {
        self.denied.iter().any(|known| known.eq_ignore_ascii_case(group))
    }
}

impl ArmVm {
    /// One that runs in `rg-edge`, zone 1 of West Europe, with one interface.
    pub fn running(name: &str, vm_id: &str, address: &str, tags: &[(&str, &str)]) -> Self {
        Self {
            name: name.to_owned(),
            group: "rg-edge".to_owned(),
            nic_group: None,
            vm_id: vm_id.to_owned(),
            location: "westeurope".to_owned(),
            zones: vec!["1".to_owned()],
            tags: owned(tags),
            nics: vec![ArmNic::new(&format!("{name}-nic"), address)],
            set: None,
            view: ArmView::Power("running".to_owned()),
            health: None,
            standby: false,
            provisioning: "Succeeded".to_owned(),
        }
    }

    /// Sets its power state.
    pub fn power(&mut self, state: &str) -> &mut Self {
        self.view = ArmView::Power(state.to_owned());
        self
    }
}

impl ArmNic {
    /// A machine's only interface, with one address.
    pub fn new(name: &str, address: &str) -> Self {
        let address = ArmAddress { address: Some(address.to_owned()), primary: true, public: false };
        Self { name: name.to_owned(), primary: Some(true), addresses: vec![address] }
    }
}

impl ArmSet {
    /// Adds a running machine to a uniform one, and gives it to be changed. Its tags are the set's.
    pub fn add_member(&mut self, number: u32, address: &str) -> &mut ArmVm {
        let mut vm = ArmVm::running(
            &number.to_string(),
            &format!("cccccccc-0000-0000-0000-{number:012}"),
            address,
            &[],
        );
        vm.group.clone_from(&self.group);
        vm.tags.clone_from(&self.tags);
        vm.nics = vec![ArmNic::new("nic0", address)];
        vm.health = Some("healthy".to_owned());
        self.members.push_mut(vm)
    }
}

fn owned(tags: &[(&str, &str)]) -> BTreeMap<String, String> {
    tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
