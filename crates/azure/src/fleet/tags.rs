//! Names of tags. To Azure two spellings are one tag ("Use tags to organize your Azure resources"), and a list shows the one
//! that was written last. A rule names a tag in one spelling, so tags get that one.

use std::collections::BTreeMap;

use roster_core::instance::Metadata;

use crate::arm::wire::Tags;

/// The spellings that are looked up, by their small letters; none where all tags are kept as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spellings(Option<BTreeMap<String, Vec<String>>>);

impl Spellings {
    pub(crate) fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut spellings = BTreeMap::<String, Vec<String>>::new();
        for name in names {
            let known = spellings.entry(name.to_lowercase()).or_default();
            if !known.contains(&name) {
                known.push(name);
            }
        }
        Self(Some(spellings))
    }

    /// Whether a tag is looked up. Others need not be kept: a machine may have fifty.
    pub(crate) fn reads(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|spellings| !looked_up(spellings, &name.to_lowercase()).is_empty())
    }

    /// A machine's own tags over those of its scale set, as they are looked up.
    pub(crate) fn join(&self, own: &Tags, of_set: Option<&Tags>) -> Metadata {
        let mut joined: BTreeMap<String, (&String, &String)> = BTreeMap::new();
        for (name, value) in of_set.into_iter().flatten().chain(own) {
            joined.insert(name.to_lowercase(), (name, value));
        }
        let Some(spellings) = &self.0 else {
            return joined.into_values().map(|(name, value)| (name.clone(), value.clone())).collect();
        };
        let spelled = |(small, (_, value)): (String, (&String, &String))| {
            let names = looked_up(spellings, &small).into_iter();
            names.map(|name| (name, value.clone())).collect::<Vec<_>>()
        };
        joined.into_iter().flat_map(spelled).collect()
    }
}

/// How a tag of these small letters is looked up: by its name, or by its name with a number behind it, as in `NAME:2`.
fn looked_up(spellings: &BTreeMap<String, Vec<String>>, small: &str) -> Vec<String> {
    if let Some(names) = spellings.get(small) {
        return names.clone();
    }
    let Some((base, number)) = small.rsplit_once(':') else { return Vec::new() };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let names = spellings.get(base).filter(|_| is_number).into_iter().flatten();
    names.map(|name| format!("{name}:{number}")).collect()
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
        let own = tags(&[("svc:PORT", "81"), ("OWNER", "me")]);
        let joined = spellings.join(&own, Some(&set));
        assert_eq!(*joined, tags(&[("Svc:Port", "81"), ("Env", "prod"), ("env", "prod")]));
        assert!(spellings.reads("ENV") && !spellings.reads("owner"));
        let all = Spellings::default();
        let expected = tags(&[("svc:PORT", "81"), ("ENV", "prod"), ("OWNER", "me")]);
        assert_eq!(*all.join(&own, Some(&set)), expected, "where no tag is looked up, all are kept");
        assert!(all.reads("owner"));
    }

    #[test]
    fn a_tag_with_a_number_behind_its_name_is_spelled_like_the_one_without() {
        let spellings = Spellings::new(["Svc:Port".to_owned()]);
        let own = tags(&[("SVC:port:2", "81"), ("svc:port:x", "82"), ("svc:port:", "83")]);
        assert_eq!(*spellings.join(&own, None), tags(&[("Svc:Port:2", "81")]));
    }

    #[test]
    fn a_tag_is_found_in_any_spelling_and_no_part_of_one_is() {
        let some = tags(&[("haproxy:service:NAME", "x"), ("\u{dc}ber", "y")]);
        assert!(has(&some, "HAProxy:Service:Name") && has(&some, "\u{fc}ber"));
        assert!(!has(&some, "HAProxy:Service") && !has(&some, ""));
    }
}
