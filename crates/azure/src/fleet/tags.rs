//! Names of tags. To Azure two spellings are one tag ("Use tags to organize your Azure resources"), and a list shows the one
//! that was written last. Whoever looks a tag up by its name has one spelling, so tags get that one.

use std::collections::BTreeMap;

use crate::arm::wire::Tags;

/// The spellings that are looked up, by their small letters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spellings(BTreeMap<String, Vec<String>>);

impl Spellings {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut spellings = BTreeMap::<String, Vec<String>>::new();
        for name in names {
            let known = spellings.entry(name.to_lowercase()).or_default();
            if !known.contains(&name) {
                known.push(name);
            }
        }
        Self(spellings)
    }

    /// A machine's own tags over those of its scale set, as they are looked up. A tag that is not looked up keeps its
    /// spelling.
    pub(crate) fn join(&self, own: Tags, of_set: &Tags) -> Tags {
        let mut joined: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (name, value) in of_set.clone().into_iter().chain(own) {
            joined.insert(name.to_lowercase(), (name, value));
        }
        let spelled = |(small, (name, value)): (String, (String, String))| {
            let names = self.looked_up(&small).unwrap_or_else(|| vec![name]);
            names.into_iter().map(move |name| (name, value.clone())).collect::<Vec<_>>()
        };
        joined.into_iter().flat_map(spelled).collect()
    }

    /// How a tag of these small letters is looked up: by its name, or by its name with a number behind it, as in `NAME:2`.
    fn looked_up(&self, small: &str) -> Option<Vec<String>> {
        if let Some(spellings) = self.0.get(small) {
            return Some(spellings.clone());
        }
        let (base, number) = small.rsplit_once(':')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let spellings = self.0.get(base).filter(|_| is_number)?;
        Some(spellings.iter().map(|name| format!("{name}:{number}")).collect())
    }
}

/// Whether there is a tag of this name, in any spelling.
pub(super) fn has(tags: &Tags, name: &str) -> bool {
    tags.contains_key(name) || tags.keys().any(|known| known.to_lowercase() == name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(tags: &[(&str, &str)]) -> Tags {
        tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_machines_spelling_lies_over_that_of_its_scale_set_and_comes_as_it_is_looked_up() {
        let spellings = Spellings::new(["Svc:Port", "Env", "env"].map(str::to_owned));
        let set = tags(&[("Svc:Port", "80"), ("ENV", "prod"), ("Owner", "set")]);
        let joined = spellings.join(tags(&[("svc:PORT", "81"), ("OWNER", "me")]), &set);
        assert_eq!(joined, tags(&[("Svc:Port", "81"), ("Env", "prod"), ("env", "prod"), ("OWNER", "me")]));
    }

    #[test]
    fn a_tag_with_a_number_behind_its_name_is_spelled_like_the_one_without() {
        let spellings = Spellings::new(["Svc:Port".to_owned()]);
        let own = tags(&[("SVC:port:2", "81"), ("svc:port:x", "82"), ("svc:port:", "83")]);
        let joined = spellings.join(own, &Tags::new());
        assert_eq!(joined, tags(&[("Svc:Port:2", "81"), ("svc:port:x", "82"), ("svc:port:", "83")]));
    }

    #[test]
    fn a_tag_is_found_in_any_spelling_and_no_part_of_one_is() {
        let some = tags(&[("haproxy:service:NAME", "x"), ("\u{dc}ber", "y")]);
        assert!(has(&some, "HAProxy:Service:Name") && has(&some, "\u{fc}ber"));
        assert!(!has(&some, "HAProxy:Service") && !has(&some, ""));
    }
}
