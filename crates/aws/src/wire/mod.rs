//! AWS's XML answers as values.
//!
//! Invariant: an answer that lacks what it must have is an error, never a shorter answer. Names are compared without
//! their namespace, which differs by service, version and emulator.

mod groups;
mod instances;
mod tags;
#[cfg(test)]
mod tests;

use roxmltree::{Document, Node};
use thiserror::Error;

use crate::settings::Query;

pub(crate) use groups::{Group, Member, groups};
pub(crate) use instances::{Ec2Instance, instances};
pub(crate) use tags::{Tags, Texts};

/// The tag that Auto Scaling gives to each of its instances.
pub(crate) const GROUP_TAG: &str = "aws:autoscaling:groupName";

/// One page of an answer.
#[derive(Debug)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Where the next one begins.
    pub(crate) next: Option<String>,
}

/// Why an answer cannot be read.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum WireError {
    #[error("it breaks off")]
    Cut,
    #[error("it is no XML: {0}")]
    NotXml(String),
    #[error("it is <{found}> where <{wanted}> is due")]
    Other { found: String, wanted: &'static str },
    #[error("<{within}> has no <{wanted}>")]
    Missing { wanted: &'static str, within: &'static str },
}

/// What an answer of a status other than 200 says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// EC2 wraps it as `Response/Errors/Error`, Auto Scaling as `ErrorResponse/Error`.
pub(crate) fn refusal(text: &str) -> Option<Refusal> {
    let document = Document::parse(text).ok()?;
    let error = document.descendants().find(|node| node.tag_name().name() == "Error")?;
    let code = text_of(error, "Code")?.to_owned();
    Some(Refusal { code, message: text_of(error, "Message").unwrap_or_default().to_owned() })
}

fn document<'a>(text: &'a str, root: &'static str) -> Result<Document<'a>, WireError> {
    let document = Document::parse(text).map_err(|error| match error {
        roxmltree::Error::UnexpectedEndOfStream | roxmltree::Error::UnclosedRootNode => WireError::Cut,
        other => WireError::NotXml(other.to_string()),
    })?;
    let found = document.root_element().tag_name().name();
    if found == root {
        Ok(document)
    } else {
        Err(WireError::Other { found: found.chars().take(60).collect(), wanted: root })
    }
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

/// The elements of a list within a node: `item` for EC2, `member` for Auto Scaling. No list is an empty one.
fn list<'a, 'i>(node: Node<'a, 'i>, name: &str) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i> {
    let elements = child(node, name).into_iter().flat_map(|list| list.children());
    elements.filter(|child| matches!(child.tag_name().name(), "item" | "member"))
}

/// The text of a child; none if it is missing or empty.
fn text_of<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text().map(str::trim).filter(|text| !text.is_empty())
}

fn required<'a>(
    node: Node<'a, '_>,
    wanted: &'static str,
    within: &'static str,
) -> Result<&'a str, WireError> {
    text_of(node, wanted).ok_or(WireError::Missing { wanted, within })
}

/// The tags that a rule looks at. A value may be empty, and white space in it counts.
fn tags<'a>(
    tags: impl Iterator<Item = Node<'a, 'a>>,
    [key, value]: [&str; 2],
    query: &Query,
    texts: &mut Texts,
) -> Tags {
    let text = |node, name| child(node, name).and_then(|child| child.text());
    let wanted = |key: &str| matches!(key, "Name" | GROUP_TAG) || query.rules.reads(key);
    let read = tags.filter_map(|tag| {
        let key = text(tag, key).filter(|key| wanted(key))?;
        Some((key, text(tag, value).unwrap_or_default()))
    });
    Tags::new(read, texts)
}
