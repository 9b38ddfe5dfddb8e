//! `DescribeAutoScalingGroups`, version 2011-01-01.

use roxmltree::Node;

use super::{Page, Tags, Texts, WireError, child, document, list, required, tags, text_of};
use crate::settings::Query;

/// An Auto Scaling group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) tags: Tags,
    pub(crate) members: Vec<Member>,
}

/// What a group says of one of its instances.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Member {
    pub(crate) id: String,
    /// Such as `InService` or `Terminating:Wait`.
    pub(crate) state: String,
    /// `Healthy` or `Unhealthy`.
    pub(crate) health: Option<String>,
}

pub(crate) fn groups(text: &str, query: &Query) -> Result<Page<Group>, WireError> {
    const ROOT: &str = "DescribeAutoScalingGroupsResponse";
    const RESULT: &str = "DescribeAutoScalingGroupsResult";
    let document = document(text, ROOT)?;
    let missing = |wanted, within| WireError::Missing { wanted, within };
    let result = child(document.root_element(), RESULT).ok_or(missing(RESULT, ROOT))?;
    child(result, "AutoScalingGroups").ok_or(missing("AutoScalingGroups", RESULT))?;
    let mut texts = Texts::default();
    let items = list(result, "AutoScalingGroups").map(|node| group(node, query, &mut texts));
    let items = items.collect::<Result<_, _>>()?;
    Ok(Page { items, next: text_of(result, "NextToken").map(str::to_owned) })
}

fn group(node: Node<'_, '_>, query: &Query, texts: &mut Texts) -> Result<Group, WireError> {
    Ok(Group {
        name: required(node, "AutoScalingGroupName", "AutoScalingGroups/member")?.to_owned(),
        tags: tags(list(node, "Tags"), ["Key", "Value"], query, texts),
        members: list(node, "Instances").map(member).collect::<Result<_, _>>()?,
    })
}

fn member(node: Node<'_, '_>) -> Result<Member, WireError> {
    const WITHIN: &str = "Instances/member";
    Ok(Member {
        id: required(node, "InstanceId", WITHIN)?.to_owned(),
        state: required(node, "LifecycleState", WITHIN)?.to_owned(),
        health: text_of(node, "HealthStatus").map(str::to_owned),
    })
}
