//! ARM's ids, which differ in case from list to list.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use compact_str::CompactString;

/// A resource's id in lower case, so that two spellings of one are equal.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ResourceId {
    /// The path that it stands below, with the slash at its end. All machines of a group have the same.
    home: Arc<str>,
    name: CompactString,
}

/// Makes ids. Those of one home share it.
#[derive(Debug, Default)]
pub(crate) struct Homes(HashSet<Arc<str>>);

impl Homes {
    pub(crate) fn id(&mut self, given: &str) -> ResourceId {
        let small = given.trim_end_matches('/').to_lowercase();
        let (home, name) = small.split_at(small.rfind('/').map_or(0, |slash| slash + 1));
        let home = self.0.get(home).cloned().unwrap_or_else(|| {
            let home = Arc::<str>::from(home);
            self.0.insert(Arc::clone(&home));
            home
        });
        ResourceId { home, name: name.into() }
    }
}

impl ResourceId {
    pub(crate) fn new(given: &str) -> Self {
        Homes::default().id(given)
    }

    /// The last part: the resource's own name.
    pub(crate) fn last(&self) -> &str {
        &self.name
    }

    /// The path that it stands below.
    pub(crate) fn home(&self) -> &Arc<str> {
        &self.home
    }

    /// The resource of this name there.
    pub(crate) fn of(home: &Arc<str>, name: &CompactString) -> Self {
        Self { home: Arc::clone(home), name: name.clone() }
    }

    /// Whether this path leads on below the resource.
    pub(crate) fn holds(&self, path: &str) -> bool {
        let rest = path.strip_prefix(&*self.home).and_then(|rest| rest.strip_prefix(self.name.as_str()));
        rest.is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether it is a scale set itself.
    pub(crate) fn is_scale_set(&self) -> bool {
        self.home.ends_with("/virtualmachinescalesets/")
    }

    /// `GROUP/NAME`, or `GROUP/SET/NUMBER` for one of a uniform scale set: what is left of the id without what is always
    /// the same in it.
    pub(crate) fn short(&self) -> String {
        let whole = self.to_string();
        let parts: Vec<&str> = whole.split('/').collect();
        let after = |word: &str| {
            parts.iter().position(|part| *part == word).and_then(|at| parts.get(at + 1)).copied()
        };
        let parts = ["resourcegroups", "virtualmachinescalesets", "virtualmachines"].map(after);
        parts.into_iter().flatten().collect::<Vec<_>>().join("/")
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.home, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_are_one_resource() {
        let id = "/subscriptions/S/resourceGroups/RG-EDGE/providers/Microsoft.Compute/virtualMachines/Web-1";
        assert_eq!(ResourceId::new(id), ResourceId::new(&id.to_uppercase()));
        assert_eq!(ResourceId::new(id).last(), "web-1");
    }

    #[test]
    fn a_scope_holds_what_is_below_it_and_no_neighbour() {
        let group = ResourceId::new("/subscriptions/s/resourceGroups/web");
        let machine = ResourceId::new("/subscriptions/S/resourceGroups/WEB/providers/x/virtualMachines/a");
        assert!(group.holds(machine.home()));
        assert!(!group.holds("/subscriptions/s/resourcegroups/web-2/providers/x/virtualmachines/"));
        assert_eq!(ResourceId::of(machine.home(), &"a".into()), machine);
        assert!(ResourceId::new("/x/virtualMachineScaleSets/a").is_scale_set() && !machine.is_scale_set());
    }

    #[test]
    fn the_short_form_keeps_what_tells_machines_apart() {
        let of = |end: &str| {
            ResourceId::new(&format!("/subscriptions/s/resourceGroups/G/providers/M.C/{end}")).short()
        };
        assert_eq!(of("virtualMachines/a"), "g/a");
        assert_eq!(of("virtualMachineScaleSets/set/virtualMachines/7"), "g/set/7");
    }
}
