//! What a list that failed means for the others: one bad part does not stop the rest. Pure.

use crate::arm::List;
use crate::error::Why;

/// What becomes of a listing one of whose lists has failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// There is no listing.
    Fails,
    /// The group or the scale set is gone, and its machines with it.
    Gone,
    /// Nothing was heard of the group or the scale set.
    Hole,
}

/// Codes with which a scale set that is not there answers. Lists show what is deleted for a while (Azure/ARO-RP 1398).
const NOT_FOUND: [&str; 4] =
    ["ResourceNotFound", "NotFound", "ParentResourceNotFound", "ResourceGroupNotFound"];

/// `several` says whether further groups are asked besides this list's own.
pub(crate) fn fate(list: &List, why: &Why, several: bool) -> Fate {
    let is_not_there = match why {
        // The token is no good anywhere, or there is nothing to list at all.
        Why::Unauthorized(_) | Why::NoSubscription(_) => return Fate::Fails,
        // ARM counts the calls of a whole subscription, and wants to be left alone with all of them.
        Why::Throttled { .. } if list.set().is_none() => return Fate::Fails,
        Why::NotFound(refusal) => list.set().is_some() && NOT_FOUND.contains(&refusal.code.as_str()),
        Why::NoGroup { .. } => true,
        _ => false,
    };
    let is_part = list.set().is_some() || (several && list.group().is_some());
    match is_part {
        false => Fate::Fails,
        true if is_not_there => Fate::Gone,
        true => Fate::Hole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;
    use crate::settings::ResourceGroup;

    fn refusal(status: u16, code: &str) -> Refusal {
        Refusal { status, code: code.to_owned(), message: String::new(), request_id: None }
    }

    fn not_found(code: &str) -> Why {
        Why::NotFound(refusal(404, code))
    }

    fn throttled() -> Why {
        Why::Throttled { retry_after: None, refusal: refusal(429, "OperationNotAllowed") }
    }

    #[test]
    fn a_scale_set_stops_nothing_else_and_is_gone_only_if_azure_says_so() {
        for list in [List::Members("/set".to_owned()), List::MemberInterfaces("/set".to_owned())] {
            for code in NOT_FOUND {
                assert_eq!(fate(&list, &not_found(code), false), Fate::Gone, "{code}");
            }
            let conflict = Why::Refused(refusal(409, "OperationNotAllowed"));
            let server = Why::Server { retry_after: None, refusal: refusal(500, "") };
            let endless = Why::Endless { pages: 3 };
            for why in
                [not_found(""), not_found("InvalidResourceType"), conflict, server, endless, throttled()]
            {
                assert_eq!(fate(&list, &why, false), Fate::Hole, "{why}");
            }
            assert_eq!(fate(&list, &Why::Unauthorized(refusal(401, "")), false), Fate::Fails);
            assert_eq!(fate(&list, &Why::NoSubscription(refusal(404, "")), false), Fate::Fails);
        }
    }

    #[test]
    fn one_of_several_groups_stops_nothing_else_but_a_wait_that_is_for_all() {
        let group = ResourceGroup::new("g").unwrap();
        let no_group =
            || Why::NoGroup { group: "g".to_owned(), refusal: refusal(404, "ResourceGroupNotFound") };
        for list in
            [List::GroupVms(group.clone()), List::Sets(Some(group.clone())), List::Interfaces(Some(group))]
        {
            assert_eq!(fate(&list, &no_group(), true), Fate::Gone);
            assert_eq!(fate(&list, &Why::Refused(refusal(409, "")), true), Fate::Hole);
            assert_eq!(fate(&list, &throttled(), true), Fate::Fails);
            assert_eq!(fate(&list, &no_group(), false), Fate::Fails);
        }
        for list in [List::Vms, List::States, List::Sets(None), List::Interfaces(None)] {
            assert_eq!(fate(&list, &Why::Refused(refusal(409, "")), true), Fate::Fails);
        }
    }
}
