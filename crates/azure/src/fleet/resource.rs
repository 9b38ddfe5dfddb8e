//! ARM's ids, which differ in case from list to list.

use std::fmt;

/// A resource's id in lower case, so that two spellings of one are equal.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct ResourceId(String);

impl ResourceId {
    pub(crate) fn new(given: &str) -> Self {
        Self(given.trim_end_matches('/').to_lowercase())
    }

    /// The last part: the resource's own name.
    pub(crate) fn last(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Its parent's path, and its own name.
    pub(crate) fn halves(&self) -> (&str, &str) {
        self.0.rsplit_once('/').unwrap_or(("", &self.0))
    }

    /// The resource of these halves.
    pub(crate) fn of(parent: &str, name: &str) -> Self {
        Self(format!("{parent}/{name}"))
    }

    /// Whether this path leads on below the resource.
    pub(crate) fn holds(&self, path: &str) -> bool {
        path.strip_prefix(self.0.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether it is a scale set itself.
    pub(crate) fn is_scale_set(&self) -> bool {
        self.halves().0.ends_with("/virtualmachinescalesets")
    }

    /// `GROUP/NAME`, or `GROUP/SET/NUMBER` for one of a uniform scale set: what is left of the id without what is always
    /// the same in it.
    pub(crate) fn short(&self) -> String {
        let parts: Vec<&str> = self.0.split('/').collect();
        let after = |word: &str| {
            parts.iter().position(|part| *part == word).and_then(|at| parts.get(at + 1)).copied()
        };
        let parts = ["resourcegroups", "virtualmachinescalesets", "virtualmachines"].map(after);
        parts.into_iter().flatten().collect::<Vec<_>>().join("/")
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
        assert!(group.holds(machine.halves().0));
        assert!(!group.holds("/subscriptions/s/resourcegroups/web-2/providers/x/virtualmachines"));
        assert_eq!(ResourceId::of(machine.halves().0, machine.halves().1), machine);
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
