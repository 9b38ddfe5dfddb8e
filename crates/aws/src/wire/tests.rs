use roster_core::fleet::TagRules;

use super::*;
use crate::settings::{Address, Family, ZoneName};

const PAGE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
    <requestId>8f7724cf-496f-496e-8fe3-example</requestId>
    <reservationSet>
        <item>
            <reservationId>r-1234567890abcdef0</reservationId><ownerId>123456789012</ownerId><groupSet/>
            <instancesSet>
                <item>
                    <instanceId>i-1234567890abcdef0</instanceId>
                    <instanceState><code>16</code><name>running</name></instanceState>
                    <privateIpAddress>10.0.0.12</privateIpAddress>
                    <launchTime>2026-01-02T03:04:05.000Z</launchTime>
                    <placement><availabilityZone>us-east-1-bos-1a</availabilityZone><tenancy>default</tenancy></placement>
                    <tagSet>
                        <item><key>Name</key><value>R&amp;D &lt;web&gt; &#x1F980;</value></item>
                        <item><key>empty</key><value/></item>
                        <item><key>spaced</key><value> a </value></item>
                    </tagSet>
                    <networkInterfaceSet><item><ipv6AddressesSet/></item></networkInterfaceSet>
                </item>
                <item>
                    <instanceId>i-6</instanceId>
                    <instanceState><code>16</code><name>running</name></instanceState>
                    <networkInterfaceSet>
                        <item><ipv6AddressesSet><item><ipv6Address>2001:db8::6</ipv6Address></item></ipv6AddressesSet></item>
                    </networkInterfaceSet>
                </item>
                <item>
                    <instanceId>i-7</instanceId><instanceState><name>running</name></instanceState><tagSet/>
                </item>
            </instancesSet>
        </item>
    </reservationSet>
    <nextToken>eyJ2IjoiMiJ9==</nextToken>
</DescribeInstancesResponse>"#;

const GROUPS: &str = r#"<DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
  <DescribeAutoScalingGroupsResult>
    <AutoScalingGroups>
      <member>
        <AutoScalingGroupName>web &amp; api</AutoScalingGroupName>
        <Instances>
          <member><InstanceId>i-1</InstanceId><HealthStatus>Unhealthy</HealthStatus>
            <LifecycleState>Terminating:Wait</LifecycleState><AvailabilityZone>a</AvailabilityZone></member>
        </Instances>
        <Tags><member><ResourceId>web</ResourceId><Key>HAProxy:Service:Name</Key><Value>web</Value>
            <PropagateAtLaunch>false</PropagateAtLaunch></member></Tags>
      </member>
      <member><AutoScalingGroupName>empty</AutoScalingGroupName><Instances/><Tags/></member>
    </AutoScalingGroups>
    <NextToken/>
  </DescribeAutoScalingGroupsResult>
  <ResponseMetadata><RequestId>7c6e177f</RequestId></ResponseMetadata>
</DescribeAutoScalingGroupsResponse>"#;

/// A query that looks at every tag.
fn all() -> Query {
    Query::default()
}

#[test]
fn a_page_of_instances_is_read_with_its_entities_and_its_token() {
    let page = instances(PAGE, &all()).unwrap();
    assert_eq!(page.next.as_deref(), Some("eyJ2IjoiMiJ9=="));
    let [first, v6, bare] = page.items.as_slice() else { panic!("{:?}", page.items) };
    assert_eq!((first.id.as_str(), first.runs), ("i-1234567890abcdef0", true));
    assert_eq!(first.owner.as_deref(), Some("123456789012"));
    assert_eq!(first.zone.as_deref(), Some("us-east-1-bos-1a"));
    assert_eq!(first.address, Some("10.0.0.12".parse().unwrap()));
    assert_eq!(first.launched, Some("2026-01-02T03:04:05Z".parse().unwrap()));
    let tags = first.tags.clone().into_map().into_iter().collect::<Vec<_>>();
    let expected = [("Name", "R&D <web> 🦀"), ("empty", ""), ("spaced", " a ")];
    assert_eq!(tags, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert_eq!(v6.address, Some("2001:db8::6".parse().unwrap()));
    assert_eq!((bare.address, &bare.tags), (None, &Tags::default()));
}

#[test]
fn a_public_address_is_never_taken_for_the_private_one() {
    let first = |text: &str| instances(text, &all()).unwrap().items.remove(0).address;
    let both = PAGE.replace("<privateIpAddress>", "<ipAddress>52.0.0.1</ipAddress><privateIpAddress>");
    assert_eq!(first(&both), Some("10.0.0.12".parse().unwrap()));
    assert_eq!(first(&PAGE.replace("privateIpAddress>", "ipAddress>")), None);
}

#[test]
fn an_empty_set_is_an_answer_and_a_missing_one_is_not() {
    let empty = "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>";
    let page = instances(empty, &all()).unwrap();
    assert!(page.items.is_empty() && page.next.is_none());
    for text in [
        "<DescribeInstancesResponse><requestId>1</requestId></DescribeInstancesResponse>",
        "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId></item>\
         </instancesSet></item></reservationSet></DescribeInstancesResponse>",
        "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceState><name>running</name>\
         </instanceState></item></instancesSet></item></reservationSet></DescribeInstancesResponse>",
    ] {
        assert!(matches!(instances(text, &all()), Err(WireError::Missing { .. })), "{text}");
    }
    assert!(matches!(groups("<DescribeAutoScalingGroupsResponse/>", &all()), Err(WireError::Missing { .. })));
}

#[test]
fn groups_are_read_with_their_members_and_tags() {
    let page = groups(GROUPS, &all()).unwrap();
    assert_eq!(page.next, None);
    let [web, empty] = page.items.as_slice() else { panic!("{:?}", page.items) };
    assert_eq!(web.name, "web & api");
    assert_eq!(web.tags.get("HAProxy:Service:Name"), Some("web"));
    let member =
        Member { id: "i-1".into(), state: "Terminating:Wait".into(), health: Some("Unhealthy".into()) };
    assert_eq!(web.members, [member]);
    assert_eq!((empty.members.len(), &empty.tags), (0, &Tags::default()));
}

#[test]
fn no_beginning_of_an_answer_is_an_answer() {
    for (end, _) in PAGE.char_indices() {
        assert!(instances(PAGE.split_at(end).0, &all()).is_err(), "{end}");
    }
    for (end, _) in GROUPS.char_indices() {
        assert!(groups(GROUPS.split_at(end).0, &all()).is_err(), "{end}");
    }
    let other = instances("<html><body>Service Unavailable</body></html>", &all());
    assert!(matches!(other, Err(WireError::Other { .. })), "{other:?}");
}

#[test]
fn a_bomb_of_entities_is_refused() {
    let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><DescribeInstancesResponse>
        <reservationSet>&b;</reservationSet></DescribeInstancesResponse>"#;
    assert!(matches!(instances(bomb, &all()), Err(WireError::NotXml(_))));
}

#[test]
fn both_services_refusals_are_read() {
    let ec2 = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message>\
               </Error></Errors><RequestID>1</RequestID></Response>";
    let groups = r#"<ErrorResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><Error><Type>Sender</Type>
        <Code>AccessDenied</Code><Message>no</Message></Error><RequestId>1</RequestId></ErrorResponse>"#;
    let read = refusal(ec2).unwrap();
    assert_eq!(
        (read.code.as_str(), read.message.as_str()),
        ("RequestLimitExceeded", "Request limit exceeded.")
    );
    assert_eq!(refusal(groups).unwrap().code, "AccessDenied");
    assert_eq!(refusal("<html>no</html>"), None);
    assert_eq!(refusal("{}"), None);
}

const INTERFACES: &str = r"<DescribeInstancesResponse><reservationSet><item><instancesSet><item>
    <instanceId>i-1</instanceId><instanceState><name>running</name></instanceState>
    <privateIpAddress>10.0.0.1</privateIpAddress><ipv6Address>2001:db8::1</ipv6Address>
    <placement><availabilityZone>us-east-2a</availabilityZone><availabilityZoneId>use2-az3</availabilityZoneId></placement>
    <tagSet><item><key>a</key><value>1</value></item><item><key>Name</key><value>n</value></item></tagSet>
    <networkInterfaceSet>
        <item><privateIpAddress>10.0.1.1</privateIpAddress><attachment><deviceIndex>1</deviceIndex></attachment>
            <ipv6AddressesSet><item><ipv6Address>2001:db8::a</ipv6Address><isPrimaryIpv6>false</isPrimaryIpv6></item>
                <item><ipv6Address>2001:db8::b</ipv6Address><isPrimaryIpv6>true</isPrimaryIpv6></item></ipv6AddressesSet></item>
        <item><attachment><deviceIndex>0</deviceIndex></attachment>
            <ipv6AddressesSet><item><ipv6Address>2001:db8::1</ipv6Address></item></ipv6AddressesSet></item>
    </networkInterfaceSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>";

#[test]
fn the_address_is_that_of_the_interface_and_the_family_that_are_wanted() {
    for (interface, family, expected) in [
        (0, Family::Any, Some("10.0.0.1")),
        (0, Family::V6, Some("2001:db8::1")),
        (1, Family::Any, Some("10.0.1.1")),
        (1, Family::V6, Some("2001:db8::b")),
        (2, Family::Any, None),
    ] {
        let query = Query { address: Address { interface, family }, ..Query::default() };
        let read = instances(INTERFACES, &query).unwrap().items.remove(0).address;
        assert_eq!(read, expected.map(|text| text.parse().unwrap()), "{interface} {family:?}");
    }
    let only_v6 = INTERFACES.replace("privateIpAddress>", "x>");
    let of = |family| {
        let query = Query { address: Address { interface: 0, family }, ..Query::default() };
        instances(&only_v6, &query).unwrap().items.remove(0).address
    };
    assert_eq!((of(Family::Any), of(Family::V4)), (Some("2001:db8::1".parse().unwrap()), None));
}

#[test]
fn a_zone_has_a_name_of_the_account_and_an_id_of_all_accounts() {
    let read =
        |zone| instances(INTERFACES, &Query { zone, ..Query::default() }).unwrap().items.remove(0).zone;
    assert_eq!(read(ZoneName::Name).as_deref(), Some("us-east-2a"));
    assert_eq!(read(ZoneName::Id).as_deref(), Some("use2-az3"));
}

#[test]
fn tags_that_no_rule_looks_at_are_not_kept() {
    let rules = TagRules { kept: Some(["team".to_owned()].into()), ..TagRules::default() };
    let read = instances(INTERFACES, &Query { rules, ..Query::default() }).unwrap().items.remove(0);
    assert_eq!(read.tags.into_map().into_keys().collect::<Vec<_>>(), ["Name"]);
}
