//! What is asked of AWS, as values and as the form of a Query API.
//!
//! Invariants:
//! - Only [`Question`]'s two actions are ever asked.
//! - A question by ids or names holds at least one: an empty list would mean everything.
//! - No filter goes beyond what the API allows. One that cannot be put is left out, and the same rule is applied later.

use std::collections::{BTreeMap, BTreeSet};

use crate::region::Service;

/// Instances on a page (5 to 1,000, API reference of `DescribeInstances`).
pub(crate) const INSTANCES_PER_PAGE: u16 = 1000;
/// Groups on a page (at most 100, API reference of `DescribeAutoScalingGroups`).
const GROUPS_PER_PAGE: u16 = 100;
/// Instances that are asked by id at once.
pub(crate) const IDS_AT_ONCE: usize = 200;
/// Groups that are asked by name at once; above 50 the API wants `MaxRecords` too.
pub(crate) const NAMES_AT_ONCE: usize = 50;
/// Of filters, and of values of one filter (EC2's user guide, "List and filter your resources").
const MOST_FILTERS: usize = 50;
const MOST_VALUES: usize = 200;
/// Of a tag's key and value, in characters (EC2's user guide, "Tag restrictions").
const LONGEST_KEY: usize = 127;
const LONGEST_VALUE: usize = 255;

/// At least one and at most `MOST` ids or names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Batch<const MOST: usize>(Vec<String>);

/// A filter of EC2's, whose values are alternatives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Filter {
    name: String,
    values: Vec<String>,
}

/// Names and the values that will do.
type Values = BTreeMap<String, BTreeSet<String>>;

/// The filters of one question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Filters(Vec<Filter>);

/// A question, without its page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Question {
    /// Instances that run and have the tag.
    Instances { filters: Filters, per_page: u16 },
    /// Instances by id.
    InstancesById { ids: Batch<IDS_AT_ONCE>, filters: Filters },
    /// Groups that have the tag.
    Groups { tag: String },
    /// Groups by name.
    GroupsByName(Batch<NAMES_AT_ONCE>),
}

impl<const MOST: usize> Batch<MOST> {
    /// All of them, in as few batches as there can be. No ids, no batch.
    pub(crate) fn of(all: impl IntoIterator<Item = String>) -> Vec<Self> {
        let all: Vec<String> = all.into_iter().collect();
        all.chunks(MOST.max(1)).map(|chunk| Self(chunk.to_vec())).collect()
    }

    /// The batch without some of them, if one is left.
    pub(crate) fn without(&self, gone: &BTreeSet<String>) -> Option<Self> {
        let left: Vec<String> = self.0.iter().filter(|id| !gone.contains(*id)).cloned().collect();
        if left.is_empty() { None } else { Some(Self(left)) }
    }

    /// Those of them that a text names, as the message of `InvalidInstanceID.NotFound` does.
    pub(crate) fn named_in(&self, text: &str) -> BTreeSet<String> {
        let words: BTreeSet<&str> =
            text.split(|char: char| !char.is_ascii_alphanumeric() && char != '-').collect();
        self.0.iter().filter(|id| words.contains(id.as_str())).cloned().collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl Filters {
    /// Instances that run, with the tag `key`, with the filters that are `given`, and with one of the values of each key of
    /// `allow` that a filter can say.
    pub(crate) fn new(key: &str, allow: &Values, given: &Values) -> Self {
        let always = [
            Filter { name: "instance-state-name".to_owned(), values: vec!["running".to_owned()] },
            Filter { name: "tag-key".to_owned(), values: vec![literal(key)] },
        ];
        let by_value = allow.iter().filter_map(|(key, values)| Filter::of_tag(key, values));
        let all = always.into_iter().chain(Self::given(given).0);
        Self(all.chain(by_value).take(MOST_FILTERS).collect())
    }

    /// Only those that are given, as they are.
    pub(crate) fn given(given: &Values) -> Self {
        let filter = |(name, values): (&String, &BTreeSet<String>)| Filter {
            name: name.clone(),
            values: values.iter().cloned().collect(),
        };
        Self(given.iter().map(filter).collect())
    }
}

impl Filter {
    /// None if EC2 would not take it, or would not take it literally.
    fn of_tag(key: &str, values: &BTreeSet<String>) -> Option<Self> {
        let plain = |text: &str| !text.contains(['*', '?', '\\']);
        let fits = (1..=MOST_VALUES).contains(&values.len())
            && (1..=LONGEST_KEY).contains(&key.chars().count())
            && values.iter().all(|value| plain(value) && value.chars().count() <= LONGEST_VALUE);
        fits.then(|| Self { name: format!("tag:{key}"), values: values.iter().cloned().collect() })
    }
}

/// `*` and `?` stand for anything in a filter's value unless a backslash is before them (EC2's user guide, as above).
fn literal(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, char| {
        if matches!(char, '*' | '?' | '\\') {
            out.push('\\');
        }
        out.push(char);
        out
    })
}

impl Question {
    pub(crate) fn service(&self) -> Service {
        match self {
            Self::Instances { .. } | Self::InstancesById { .. } => Service::Ec2,
            Self::Groups { .. } | Self::GroupsByName(_) => Service::AutoScaling,
        }
    }

    /// The action, which is also the permission that it needs.
    pub(crate) fn api(&self) -> &'static str {
        match self.service() {
            Service::Ec2 => "DescribeInstances",
            Service::AutoScaling => "DescribeAutoScalingGroups",
        }
    }

    /// The body that asks for the page that begins at `page`.
    pub(crate) fn form(&self, page: Option<&str>) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", self.api());
        form.append_pair(
            "Version",
            match self.service() {
                Service::Ec2 => "2016-11-15",
                Service::AutoScaling => "2011-01-01",
            },
        );
        match self {
            Self::Instances { filters, per_page } => {
                form.append_pair("MaxResults", &per_page.to_string());
                append_filters(&mut form, filters);
            }
            Self::InstancesById { ids, filters } => {
                append_list(&mut form, "InstanceId", ids.iter());
                append_filters(&mut form, filters);
            }
            Self::Groups { tag } => {
                form.append_pair("MaxRecords", &GROUPS_PER_PAGE.to_string());
                form.append_pair("Filters.member.1.Name", "tag-key");
                form.append_pair("Filters.member.1.Values.member.1", tag);
            }
            Self::GroupsByName(names) => append_list(&mut form, "AutoScalingGroupNames.member", names.iter()),
        }
        if let Some(page) = page {
            form.append_pair("NextToken", page);
        }
        form.finish()
    }
}

type Form = form_urlencoded::Serializer<'static, String>;

fn append_list<'a>(form: &mut Form, name: &str, values: impl Iterator<Item = &'a str>) {
    for (value, number) in values.zip(1..) {
        form.append_pair(&format!("{name}.{number}"), value);
    }
}

fn append_filters(form: &mut Form, filters: &Filters) {
    for (filter, number) in filters.0.iter().zip(1..) {
        form.append_pair(&format!("Filter.{number}.Name"), &filter.name);
        append_list(form, &format!("Filter.{number}.Value"), filter.values.iter().map(String::as_str));
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    type Ids = Batch<IDS_AT_ONCE>;

    fn pairs(body: &str) -> BTreeMap<String, String> {
        form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn no_ids_ask_nothing() {
        assert_eq!(Ids::of([]), []);
        let one = Ids::of(texts(&["i-1"])).remove(0);
        assert_eq!(one.without(&BTreeSet::from(["i-1".to_owned()])), None);
    }

    #[test]
    fn instances_are_asked_by_state_tag_and_what_is_allowed() {
        let allow = BTreeMap::from([
            ("environment".to_owned(), BTreeSet::from(["production".to_owned(), "a&b".to_owned()])),
            ("pattern".to_owned(), BTreeSet::from(["web*".to_owned()])),
        ]);
        let given = BTreeMap::from([("vpc-id".to_owned(), BTreeSet::from(["vpc-*".to_owned()]))]);
        let filters = Filters::new("HAProxy:Service:Name", &allow, &given);
        let by_id = Question::InstancesById {
            ids: Ids::of(texts(&["i-1"])).remove(0),
            filters: Filters::given(&given),
        };
        let form = pairs(&by_id.form(None));
        assert_eq!((form["Filter.1.Name"].as_str(), form["Filter.1.Value.1"].as_str()), ("vpc-id", "vpc-*"));
        let form = pairs(&Question::Instances { filters, per_page: 1000 }.form(Some("t=+/")));
        let expected = [
            ("Action", "DescribeInstances"),
            ("Filter.1.Name", "instance-state-name"),
            ("Filter.1.Value.1", "running"),
            ("Filter.2.Name", "tag-key"),
            ("Filter.2.Value.1", "HAProxy:Service:Name"),
            ("Filter.3.Name", "vpc-id"),
            ("Filter.3.Value.1", "vpc-*"),
            ("Filter.4.Name", "tag:environment"),
            ("Filter.4.Value.1", "a&b"),
            ("Filter.4.Value.2", "production"),
            ("MaxResults", "1000"),
            ("NextToken", "t=+/"),
            ("Version", "2016-11-15"),
        ];
        assert_eq!(form, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn a_question_by_id_has_no_page_size() {
        let form = pairs(
            &Question::InstancesById {
                ids: Ids::of(texts(&["i-1", "i-2"])).remove(0),
                filters: Filters::given(&BTreeMap::new()),
            }
            .form(None),
        );
        assert_eq!(form["InstanceId.2"], "i-2");
        assert!(!form.contains_key("MaxResults"), "{form:?}");
    }

    #[test]
    fn groups_are_asked_by_tag_or_by_name() {
        let form = pairs(&Question::Groups { tag: "HAProxy:Service:Name".to_owned() }.form(None));
        assert_eq!(form["Filters.member.1.Name"], "tag-key");
        assert_eq!(form["Filters.member.1.Values.member.1"], "HAProxy:Service:Name");
        let names = Batch::of(texts(&["web & api"])).remove(0);
        let form = pairs(&Question::GroupsByName(names).form(None));
        assert_eq!(form["AutoScalingGroupNames.member.1"], "web & api");
    }

    #[test]
    fn ids_that_are_gone_are_told_from_those_that_only_begin_alike() {
        let batch = Ids::of(texts(&["i-1", "i-12", "i-3"])).remove(0);
        let named = batch.named_in("The instance IDs 'i-12, i-9' do not exist");
        assert_eq!(named, BTreeSet::from(["i-12".to_owned()]));
    }

    #[test]
    fn a_tag_with_a_wildcard_is_asked_literally() {
        assert_eq!(literal(r"a*b?c\d"), r"a\*b\?c\\d");
    }

    proptest! {
        #[test]
        fn batches_hold_every_id_once_and_in_order(all in vec("i-[0-9a-f]{4}", 0..700)) {
            let batches = Ids::of(all.clone());
            prop_assert!(batches.iter().all(|batch| (1..=IDS_AT_ONCE).contains(&batch.0.len())));
            prop_assert_eq!(batches.len(), all.len().div_ceil(IDS_AT_ONCE));
            let joined: Vec<String> = batches.into_iter().flat_map(|batch| batch.0).collect();
            prop_assert_eq!(joined, all);
        }

        #[test]
        fn what_is_left_of_a_batch_is_smaller_and_never_empty(
            all in btree_set("i-[0-3]{2}", 1..16), gone in btree_set("i-[0-3]{2}", 0..16),
        ) {
            let batch = Ids::of(all.iter().cloned()).remove(0);
            let left = batch.without(&gone);
            let expected: Vec<String> = all.difference(&gone).cloned().collect();
            prop_assert_eq!(left.as_ref().map(|left| left.0.len()), (!expected.is_empty()).then_some(expected.len()));
            prop_assert_eq!(left.map(|left| left.0).unwrap_or_default(), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn filters_keep_within_the_limits(
            key in ".{1,60}",
            allow in btree_map(".{0,140}", btree_set(".{0,8}", 0..4), 0..60),
            many in btree_set("[a-z]{3}", 199..203),
        ) {
            let mut allow = allow;
            let count = many.len();
            allow.insert("many".to_owned(), many);
            let filters = Filters::new(&key, &allow, &BTreeMap::new()).0;
            prop_assert!(filters.len() <= MOST_FILTERS);
            for filter in &filters {
                prop_assert!((1..=MOST_VALUES).contains(&filter.values.len()));
                prop_assert!(filter.name.chars().count() <= LONGEST_KEY + "tag:".len());
            }
            if allow.len() < 40 {
                prop_assert_eq!(filters.iter().any(|filter| filter.name == "tag:many"), count <= MOST_VALUES);
            }
        }
    }
}
