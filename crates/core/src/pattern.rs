//! Patterns that make names: `aws-{service}-{port}`, `srv{slot}`.
//!
//! A pattern is text with a few placeholders, each with at most three filters (`{service|lower}`). It is read once,
//! from the configuration. What it makes is checked like any other name and never mangled into one: two services
//! must never meet in one backend because a character of theirs was dropped.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use roster_haproxy::address::Port;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How many filters one placeholder may carry.
const MAX_FILTERS: usize = 3;

/// A pattern, ready to be filled in.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: Box<str>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    Text(String),
    Place(Place, Vec<Filter>),
}

/// What a pattern can name.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// The service's name.
    Service,
    /// The source's name.
    Source,
    /// The slot's number.
    Slot,
    /// The instance's `ip:port`, IPv6 without brackets, as HAProxy takes it in a name.
    Address,
    /// The instance's port.
    Port,
    /// The region of the service's instances.
    Region,
    /// The instance's zone.
    Zone,
    /// The instance's group.
    Group,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Filter {
    Lower,
    Upper,
    Replace(String, String),
}

/// A text that is no pattern.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidPattern {
    /// A `{` without its `}`.
    #[error("{0:?} has a {{ without its }}; write for example srv{{slot}}")]
    Open(String),
    /// A placeholder that does not exist.
    #[error(
        "{{{0}}} is not a placeholder; there are {{service}} {{source}} {{slot}} {{address}} {{port}} {{region}} {{zone}} {{group}}"
    )]
    Place(String),
    /// A filter that does not exist.
    #[error("{0:?} is not a filter; there are lower, upper and replace:FROM:TO")]
    Filter(String),
    /// More than three filters.
    #[error("{{{0}}} has more than {MAX_FILTERS} filters; set the name in the source instead")]
    TooMany(String),
    /// A placeholder that cannot be used for this name.
    #[error("{{{0}}} cannot be used here; {1}")]
    Misplaced(Place, &'static str),
}

/// A placeholder for which there is no value.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "{{{place}}} in {pattern:?} has no value here; the source does not report it, or its instances differ in it"
)]
pub struct NoValue {
    /// The placeholder.
    pub place: Place,
    /// The whole pattern.
    pub pattern: String,
}

impl Place {
    const ALL: [Place; 8] = [
        Place::Service,
        Place::Source,
        Place::Slot,
        Place::Address,
        Place::Port,
        Place::Region,
        Place::Zone,
        Place::Group,
    ];

    fn word(self) -> &'static str {
        match self {
            Place::Service => "service",
            Place::Source => "source",
            Place::Slot => "slot",
            Place::Address => "address",
            Place::Port => "port",
            Place::Region => "region",
            Place::Zone => "zone",
            Place::Group => "group",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Filter {
    type Err = InvalidPattern;
    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let unknown = || InvalidPattern::Filter(text.to_owned());
        match text {
            "lower" => Ok(Filter::Lower),
            "upper" => Ok(Filter::Upper),
            other => {
                let (from, to) =
                    other.strip_prefix("replace:").and_then(|r| r.split_once(':')).ok_or_else(unknown)?;
                if from.is_empty() { Err(unknown()) } else { Ok(Filter::Replace(from.into(), to.into())) }
            }
        }
    }
}

impl Filter {
    fn apply(&self, value: &str) -> String {
        match self {
            Filter::Lower => value.to_lowercase(),
            Filter::Upper => value.to_uppercase(),
            Filter::Replace(from, to) => value.replace(from.as_str(), to),
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;
    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (inside, tail) =
                after.split_once('}').ok_or_else(|| InvalidPattern::Open(text.to_owned()))?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(placeholder(inside)?);
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { text: text.into(), parts })
    }
}

fn placeholder(inside: &str) -> Result<Part, InvalidPattern> {
    let mut words = inside.split('|');
    let word = words.next().unwrap_or_default().trim();
    let place = Place::ALL.into_iter().find(|p| p.word() == word);
    let place = place.ok_or_else(|| InvalidPattern::Place(word.to_owned()))?;
    let filters = words.map(|w| w.trim().parse()).collect::<Result<Vec<Filter>, _>>()?;
    if filters.len() > MAX_FILTERS {
        return Err(InvalidPattern::TooMany(word.to_owned()));
    }
    Ok(Part::Place(place, filters))
}

impl Pattern {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `PREFIX{slot}`, which needs no reading.
    pub(crate) fn slot(prefix: &str) -> Self {
        let parts = vec![Part::Text(prefix.to_owned()), Part::Place(Place::Slot, Vec::new())];
        Self { text: format!("{prefix}{{slot}}").into(), parts }
    }

    /// Whether it could make this name, as far as the text before its first placeholder and after its last one tells.
    pub fn could_make(&self, name: &str) -> bool {
        let fixed = |part: Option<&'_ Part>| match part {
            Some(Part::Text(text)) => text.clone(),
            _ => String::new(),
        };
        match self.parts.as_slice() {
            [Part::Text(whole)] => whole == name,
            parts => name.starts_with(&fixed(parts.first())) && name.ends_with(&fixed(parts.last())),
        }
    }

    /// What its placeholders may have stood for in a name: one way of several, or none. What a filter made cannot be read.
    pub fn read(&self, name: &str) -> Option<BTreeMap<Place, String>> {
        let mut read = BTreeMap::new();
        read_parts(&self.parts, name, &mut read).then_some(read)
    }

    /// How often the placeholder stands in it.
    pub fn count(&self, place: Place) -> usize {
        self.parts.iter().filter(|part| matches!(part, Part::Place(p, _) if *p == place)).count()
    }

    /// Whether the placeholder stands in it.
    pub fn uses(&self, place: Place) -> bool {
        self.count(place) > 0
    }

    /// Refuses the placeholders that are not in `allowed`; `why` tells the operator what to do instead.
    pub fn only(self, allowed: &[Place], why: &'static str) -> Result<Self, InvalidPattern> {
        match Place::ALL.into_iter().find(|p| self.uses(*p) && !allowed.contains(p)) {
            Some(place) => Err(InvalidPattern::Misplaced(place, why)),
            None => Ok(self),
        }
    }

    /// Fills the placeholders in; `value` gives each one's text.
    pub fn fill(&self, value: impl Fn(Place) -> Option<String>) -> Result<String, NoValue> {
        let mut made = String::with_capacity(self.text.len() + 16);
        for part in &self.parts {
            match part {
                Part::Text(text) => made.push_str(text),
                Part::Place(place, filters) => {
                    let given = value(*place)
                        .ok_or_else(|| NoValue { place: *place, pattern: self.text.to_string() })?;
                    made.push_str(&filters.iter().fold(given, |text, filter| filter.apply(&text)));
                }
            }
        }
        Ok(made)
    }
}

fn read_parts(parts: &[Part], name: &str, read: &mut BTreeMap<Place, String>) -> bool {
    match parts {
        [] => name.is_empty(),
        [Part::Text(text), rest @ ..] => {
            name.strip_prefix(text.as_str()).is_some_and(|name| read_parts(rest, name, read))
        }
        [Part::Place(place, filters), rest @ ..] if filters.is_empty() && !read.contains_key(place) => {
            let mut ends = name.char_indices().map(|(at, char)| at + char.len_utf8());
            ends.any(|end| {
                let Some((value, name)) = name.split_at_checked(end) else { return false };
                if *place == Place::Port && value.parse::<Port>().is_err() {
                    return false;
                }
                read.insert(*place, value.to_owned());
                read_parts(rest, name, read) || read.remove(place).is_none()
            })
        }
        [Part::Place(..), ..] => false,
    }
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;
    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.text.into()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(pattern: &str) -> Result<String, NoValue> {
        let pattern: Pattern = pattern.parse().unwrap();
        pattern.fill(|place| match place {
            Place::Service => Some("Web_API".into()),
            Place::Slot => Some("3".into()),
            _ => None,
        })
    }

    #[test]
    fn what_it_made_can_be_read_back() {
        let pattern: Pattern = "aws-{service}-{port}-{region}".parse().unwrap();
        let read = |name: &str| {
            let read = pattern.read(name)?;
            let made = pattern.fill(|place| read.get(&place).cloned()).unwrap();
            assert_eq!(made, name);
            Some([Place::Service, Place::Port, Place::Region].map(|place| read[&place].clone()))
        };
        assert_eq!(read("aws-my-app-8080-us-east-2").unwrap(), ["my-app", "8080", "us-east-2"]);
        assert_eq!(
            read("aws-v2-9-8080-eu"),
            Some(["v2", "9", "8080-eu"].map(str::to_owned)),
            "one way of several"
        );
        for other in
            ["aws-web-us-east-2", "azure-web-80-eu", "aws--80-eu", "aws-web-0-eu", "aws-web-80-", "web"]
        {
            assert_eq!(read(other), None, "{other}");
        }
        assert!("{service|lower}".parse::<Pattern>().unwrap().read("web").is_none());
    }

    #[test]
    fn a_name_that_it_cannot_make_is_told_by_its_ends() {
        let pattern: Pattern = "aws-{service}-v2".parse().unwrap();
        assert!(pattern.could_make("aws-web-v2"));
        assert!(!pattern.could_make("web-v2") && !pattern.could_make("aws-web"));
        let (all, one): (Pattern, Pattern) = ("{service}".parse().unwrap(), "web".parse().unwrap());
        assert!(all.could_make("anything"));
        assert!(one.could_make("web") && !one.could_make("web2"));
    }

    #[test]
    fn placeholders_are_filled_in_and_filters_run_in_order() {
        assert_eq!(fill("srv{slot}").unwrap(), "srv3");
        assert_eq!(fill("x-{service|lower|replace:_:-}-{slot}").unwrap(), "x-web-api-3");
        assert_eq!(fill("plain").unwrap(), "plain");
    }

    #[test]
    fn a_placeholder_without_a_value_is_an_error_and_not_an_empty_text() {
        assert_eq!(fill("{region}").unwrap_err().place, Place::Region);
    }

    #[test]
    fn a_wrong_pattern_says_what_there_is() {
        for (wrong, says) in [
            ("srv{slot", "has a { without its }"),
            ("{sloth}", "{sloth} is not a placeholder"),
            ("{slot|upcase}", "\"upcase\" is not a filter"),
            ("{slot|lower|lower|lower|lower}", "more than 3 filters"),
            ("{service|replace::x}", "is not a filter"),
        ] {
            let error = wrong.parse::<Pattern>().unwrap_err().to_string();
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }
}
