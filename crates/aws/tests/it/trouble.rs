//! What goes wrong between Roster and AWS. A listing is whole, or it is an error that says what to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use roster_aws::{Bounds, CallEnd, Retry, Settings, Warning, Why};
use roster_core::instance::{Instance, Snapshot};
use roster_testkit::dead_port;

use crate::common::{client, counts, machines, query, settings};
use crate::scripted::{Reply, Request, Scripted, bare_instance, groups, groups_then, instances, refusal};

const GROUPS: &str = "DescribeAutoScalingGroups";

/// One instance and no group.
fn well(request: &Request) -> Reply {
    if request.action() == GROUPS { groups(&[]) } else { instances(&["i-1"], "") }
}

async fn failure(server: &Scripted, change: impl FnOnce(&mut Settings)) -> roster_aws::Error {
    let mut settings = settings(&server.url());
    change(&mut settings);
    client(settings).await.0.list(&query(), None).await.unwrap_err()
}

async fn until_asked(server: &Scripted, times: usize) {
    while server.seen().len() < times {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn passing_trouble_is_asked_again_within_a_listing() {
    for trouble in [
        refusal(503, "RequestLimitExceeded", "Request limit exceeded."),
        refusal(400, "Throttling", "Rate exceeded"),
        Reply::Whole(503, &[("Retry-After", "0")], String::new()),
        Reply::Whole(502, &[], "<html>Bad gateway</html>".to_owned()),
        refusal(500, "InternalError", "An internal error has occurred"),
        Reply::Half("<DescribeInstancesResponse>".to_owned()),
        Reply::Whole(200, &[], "<DescribeInstancesResponse><reservationSet>".to_owned()),
    ] {
        let first = trouble.clone();
        let server =
            Scripted::start(move |number, request| if number == 0 { first.clone() } else { well(request) });
        let (client, calls) = client(settings(&server.url())).await;
        let listing =
            client.list(&query(), None).await.unwrap_or_else(|error| panic!("{trouble:?}: {error}"));
        assert_eq!(machines(&listing).len(), 1);
        assert_eq!(calls.ends().len(), 3, "{trouble:?}");
    }
}

#[tokio::test]
async fn trouble_that_stays_fails_the_whole_listing_after_a_few_attempts() {
    let server = Scripted::start(|_, _| refusal(503, "RequestLimitExceeded", "Request limit exceeded."));
    let (client, calls) = client(settings(&server.url())).await;
    let error = client.list(&query(), None).await.unwrap_err();
    assert!(matches!(&*error.why, Why::Throttled { code, .. } if code == "RequestLimitExceeded"), "{error}");
    assert_eq!(error.retry(), Retry::Later { after: None });
    assert_eq!(calls.take(), counts(&[("DescribeInstances 503", 3)]));
    let told = error.to_string();
    assert!(
        told.starts_with("DescribeInstances in us-east-2: ") && told.contains("ask less often"),
        "{told}"
    );
}

#[tokio::test]
async fn the_time_that_aws_names_is_waited_for_or_told() {
    let server = Scripted::start(|number, request| match number {
        0 => Reply::Whole(503, &[("Retry-After", "1")], String::new()),
        _ => well(request),
    });
    let (patient, _) = client(settings(&server.url())).await;
    let begun = Instant::now();
    patient.list(&query(), None).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));

    let server = Scripted::start(|_, _| Reply::Whole(503, &[("Retry-After", "60")], String::new()));
    let (client, calls) = client(settings(&server.url())).await;
    let error = client.list(&query(), None).await.unwrap_err();
    assert_eq!(error.retry(), Retry::Later { after: Some(Duration::from_secs(60)) });
    assert_eq!(calls.ends().len(), 1);
}

#[tokio::test]
async fn no_part_of_a_list_is_ever_a_list() {
    // The second page, a chunk of ids, and the groups fail; each makes the whole listing fail.
    let second_page = |request: &Request| request.form.contains_key("NextToken");
    let by_id = |request: &Request| request.form.contains_key("InstanceId.1");
    let of_groups = |request: &Request| request.action() == GROUPS;
    let breaks: [fn(&Request) -> bool; 3] = [second_page, by_id, of_groups];
    for broken in breaks {
        let server = Scripted::start(move |_, request| match () {
            () if broken(request) => refusal(500, "InternalError", "x"),
            () if of_groups(request) => groups(&["i-7"]),
            () if second_page(request) || by_id(request) => instances(&["i-2"], ""),
            () => instances(&["i-1"], "t2"),
        });
        let error = failure(&server, |_| {}).await;
        assert!(matches!(&*error.why, Why::Server { status: 500, .. }), "{error}");
    }
}

#[tokio::test]
async fn members_of_groups_that_may_not_be_read_any_more_stay_while_ec2_has_them() {
    let ended = Arc::new(AtomicBool::new(false));
    let has_ended = Arc::clone(&ended);
    let server = Scripted::start(move |_, request| match request.action() == GROUPS {
        true => refusal(403, "AccessDenied", "no"),
        false if request.form.contains_key("InstanceId.1") && has_ended.load(Ordering::SeqCst) => {
            refusal(400, "InvalidInstanceID.NotFound", "The instance ID 'i-7' does not exist")
        }
        false if request.form.contains_key("InstanceId.1") => bare_instance("i-7"),
        false => instances(&["i-1"], ""),
    });
    // The groups were read before a restart only, and i-7 is known by its group.
    let known = Instance {
        id: "i-7".parse().unwrap(),
        group: Some("g".parse().unwrap()),
        ..Instance::at("10.0.0.7:80".parse().unwrap())
    };
    let services = [("web/80/us-east-2".parse().unwrap(), vec![known].into())].into();
    let known = Snapshot { services, ..Snapshot::default() };
    let (client, _) = client(settings(&server.url())).await;
    let denied = client.list(&query(), Some(&known)).await.unwrap();
    let [one] = machines(&denied).try_into().unwrap();
    assert_eq!(one.id, "i-1");
    assert_eq!((denied.unknown, denied.warnings.len()), (vec!["i-7".to_owned()], 1));
    ended.store(true, Ordering::SeqCst);
    assert_eq!(client.list(&query(), Some(&known)).await.unwrap().unknown, [""; 0]);
}

#[tokio::test]
async fn a_list_without_an_end_is_left_off_and_says_which_limit_it_has_passed() {
    let endless = |number: usize, _: &Request| instances(&["i-1"], &number.to_string());
    let bounds = Bounds::default();
    for (bounds, says, calls) in [
        (Bounds { pages: 7, ..bounds }, "no end after 7 pages", 7..8),
        (Bounds { bytes: 2000, ..bounds }, "more than 2000 bytes", 2..7),
        (Bounds { time: Duration::from_millis(300), ..bounds }, "no end after 0.3 s", 1..500),
    ] {
        let server = Scripted::start(endless);
        let error = failure(&server, |settings| settings.bounds = bounds).await;
        assert!(matches!(&*error.why, Why::TooLong { what } if what.contains(says)), "{error}");
        assert!(calls.contains(&server.seen().len()), "{}", server.seen().len());
    }
    // Groups have the same limit, and instances that are asked by their id.
    let groups_without_end = |number: usize, request: &Request| match request.action() {
        GROUPS => groups_then(&["i-7"], &number.to_string()),
        _ => instances(&[], ""),
    };
    let server = Scripted::start(groups_without_end);
    let error = failure(&server, |settings| settings.bounds.pages = 7).await;
    assert!(
        error.to_string().starts_with("DescribeAutoScalingGroups in us-east-2: the list is too long"),
        "{error}"
    );
}

#[tokio::test]
async fn a_date_that_is_minutes_off_names_the_clock_once_and_the_same_each_time() {
    let body =
        "<Response><Errors><Error><Code>AuthFailure</Code><Message>no</Message></Error></Errors></Response>";
    let old = [("Date", "Wed, 01 Jan 2020 00:00:00 GMT")].as_slice();
    let server = Scripted::start(move |_, _| Reply::Whole(401, old, body.to_owned()));
    let (first, again) = (failure(&server, |_| {}).await, failure(&server, |_| {}).await);
    assert!(matches!(&*first.why, Why::Clock { off: Some(off), .. } if off.as_hours() > 24), "{first}");
    assert_eq!(first.cause(), again.cause());
    assert_eq!(server.seen().len(), 2, "other credentials would not help");
}

#[tokio::test]
async fn a_fleet_of_ten_thousand_takes_a_call_for_each_thousand() {
    let server = Scripted::start(|_, request| {
        let page: u32 = request.form.get("NextToken").map_or(0, |token| token.parse().unwrap());
        if request.action() == GROUPS {
            return groups(&[]);
        }
        let ids: Vec<String> =
            (page * 1000..(page + 1) * 1000).map(|number| format!("i-{number:08x}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        instances(&ids, &if page < 9 { (page + 1).to_string() } else { String::new() })
    });
    let (client, calls) = client(settings(&server.url())).await;
    let begun = Instant::now();
    let listing = client.list(&query(), None).await.unwrap();
    println!("10,000 instances: {:?}", begun.elapsed());
    assert_eq!(machines(&listing).len(), 10_000);
    assert_eq!(calls.take(), counts(&[("DescribeInstances 200", 10), ("DescribeAutoScalingGroups 200", 1)]));
}

#[tokio::test]
async fn groups_that_may_not_be_read_leave_the_instances_and_one_warning() {
    let server = Scripted::start(|number, request| match request.action() {
        // Allowed for a while, between the second listing and the fourth.
        GROUPS if (4..6).contains(&number) => groups(&[]),
        GROUPS => refusal(403, "AccessDenied", "User: x is not authorized"),
        _ => instances(&["i-1"], ""),
    });
    let (client, _) = client(settings(&server.url())).await;
    let mut warned = Vec::new();
    for _ in 0..5 {
        let listing = client.list(&query(), None).await.unwrap();
        assert_eq!(machines(&listing).len(), 1);
        warned.push(listing.warnings.len());
    }
    assert_eq!(warned, [1, 0, 0, 1, 0]);
    let told =
        Warning::GroupsDenied { code: "AccessDenied".to_owned(), message: "no".to_owned() }.to_string();
    assert!(told.contains("allow autoscaling:DescribeAutoScalingGroups"), "{told}");
}

#[tokio::test]
async fn ids_that_are_gone_are_left_out_and_the_others_asked_again() {
    let server = Scripted::start(|_, request| {
        let asked: Vec<&str> = request
            .form
            .iter()
            .filter(|(key, _)| key.starts_with("InstanceId."))
            .map(|(_, id)| id.as_str())
            .collect();
        match () {
            () if request.action() == GROUPS => groups(&["i-1", "i-2", "i-3", "i-4"]),
            () if asked.is_empty() => instances(&["i-0"], ""),
            () if asked.contains(&"i-4") => {
                refusal(400, "InvalidInstanceID.NotFound", "The instance IDs 'i-2, i-4' do not exist")
            }
            // EC2 may come upon one only in the second look.
            () if asked.contains(&"i-3") => {
                refusal(400, "InvalidInstanceID.NotFound", "The instance ID 'i-3' does not exist")
            }
            () => instances(&asked, ""),
        }
    });
    let (client, calls) = client(settings(&server.url())).await;
    let listing = client.list(&query(), None).await.unwrap();
    let ids: Vec<_> = machines(&listing).into_iter().map(|machine| machine.id).collect();
    assert_eq!(ids, ["i-0", "i-1"]);
    let expected =
        [("DescribeInstances 200", 2), ("DescribeInstances 400", 2), ("DescribeAutoScalingGroups 200", 1)];
    assert_eq!(calls.take(), counts(&expected));
}

#[tokio::test]
async fn a_group_whose_instances_are_all_gone_never_asks_for_everything() {
    let server = Scripted::start(|_, request| match () {
        () if request.action() == GROUPS => groups(&["i-1"]),
        () if request.form.contains_key("InstanceId.1") => {
            refusal(400, "InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist")
        }
        () => instances(&[], ""),
    });
    let (client, _) = client(settings(&server.url())).await;
    assert_eq!(machines(&client.list(&query(), None).await.unwrap()).len(), 0);
    for request in server.seen().iter().filter(|request| request.action() == "DescribeInstances") {
        let bounded =
            request.form.contains_key("InstanceId.1") || request.form.contains_key("Filter.2.Value.1");
        assert!(bounded, "{request:?}");
    }
}

#[tokio::test]
async fn a_refusal_that_names_no_id_of_ours_is_an_error_and_not_a_loop() {
    let server = Scripted::start(|_, request| match () {
        () if request.action() == GROUPS => groups(&["i-1"]),
        () if request.form.contains_key("InstanceId.1") => refusal(400, "InvalidInstanceID.NotFound", "i-9"),
        () => instances(&[], ""),
    });
    let error = failure(&server, |_| {}).await;
    assert!(matches!(&*error.why, Why::Refused { status: 400, .. }), "{error}");
}

#[tokio::test]
async fn pages_that_go_in_a_circle_are_an_error() {
    let server = Scripted::start(|number, _| instances(&["i-1"], if number % 2 == 0 { "a" } else { "b" }));
    let error = failure(&server, |_| {}).await;
    assert!(matches!(&*error.why, Why::Unexpected { what } if what.contains("read already")), "{error}");
}

#[tokio::test]
async fn what_is_not_awss_is_told_with_its_host() {
    let page = Reply::Whole(200, &[], "<html><body>Log in</body></html>".to_owned());
    let json = Reply::Whole(200, &[], "{}".to_owned());
    let redirect = Reply::Whole(302, &[("Location", "http://127.0.0.1:1/")], String::new());
    for reply in [page, json, redirect] {
        let server = Scripted::start(move |_, _| reply.clone());
        let error = failure(&server, |_| {}).await;
        assert!(matches!(&*error.why, Why::NotAws { .. }), "{error}");
        assert!(error.to_string().contains(&server.url().replace("http://", "")), "{error}");
        assert_eq!(server.seen().len(), 1, "a signed call is not sent on");
    }
}

#[tokio::test]
async fn a_call_without_an_answer_ends_at_its_limit() {
    let server = Scripted::start(|_, _| Reply::Silence);
    let limit = Duration::from_millis(300);
    let (client, calls) = client(Settings { timeout: limit, ..settings(&server.url()) }).await;
    let error = client.list(&query(), None).await.unwrap_err();
    assert!(matches!(&*error.why, Why::Timeout { limit: told, .. } if *told == limit), "{error}");
    assert_eq!(calls.ends(), [CallEnd::Failed("timeout")]);
    assert!(error.to_string().contains("within 0.3 s"), "{error}");
}

#[tokio::test]
async fn an_unknown_host_and_a_closed_port_are_told_apart() {
    let (unknown, calls) = client(settings("https://ec2.nowhere-1.invalid/")).await;
    let error = unknown.list(&query(), None).await.unwrap_err();
    assert!(matches!(&*error.why, Why::NoSuchHost { host } if host == "ec2.nowhere-1.invalid"), "{error}");
    assert!(error.to_string().contains("check `region`"), "{error}");
    assert_eq!(calls.ends(), [CallEnd::Failed("dns")]);

    let port = dead_port().unwrap();
    let (refused, calls) = client(settings(&format!("http://127.0.0.1:{port}/"))).await;
    let error = refused.list(&query(), None).await.unwrap_err();
    assert!(matches!(&*error.why, Why::Unreachable { .. }), "{error}");
    assert_eq!(calls.ends(), [CallEnd::Failed("connect")]);
}

#[tokio::test]
async fn what_aws_says_of_a_signature_is_not_repeated() {
    let said = "The Canonical String should have been x-amz-security-token:FwoGZXIvYXdzEBYaDH";
    let server = Scripted::start(move |_, _| refusal(403, "SignatureDoesNotMatch", said));
    let (client, _) = client(settings(&server.url())).await;
    let error = client.list(&query(), None).await.unwrap_err();
    let told = format!("{error} {error:?} {client:?}");
    assert!(!told.contains("FwoGZ") && !told.contains("wJalrXUtnFEMISECRET"), "{told}");
    assert!(matches!(&*error.why, Why::BadCredentials { .. }), "{error}");
}

#[tokio::test]
async fn a_listing_that_is_dropped_leaves_the_client_as_good_as_before() {
    let server = Scripted::start(|number, request| if number < 2 { Reply::Silence } else { well(request) });
    let (client, _) = client(settings(&server.url())).await;
    let query = query();
    for calls in 1..=2 {
        tokio::select! {
            ended = client.list(&query, None) => panic!("{ended:?}"),
            () = until_asked(&server, calls) => {}
        }
    }
    assert_eq!(machines(&client.list(&query, None).await.unwrap()).len(), 1);
}

#[tokio::test]
async fn only_two_read_only_actions_are_ever_called() {
    let server = Scripted::start(|_, request| match () {
        () if request.action() == GROUPS => groups(&["i-2"]),
        () => instances(&["i-1"], ""),
    });
    let (client, calls) = client(settings(&server.url())).await;
    client.list(&query(), None).await.unwrap();
    for request in server.seen() {
        assert_eq!(request.line, "POST /");
        let signed = &request.headers["authorization"];
        let service = if request.action() == GROUPS { "autoscaling" } else { "ec2" };
        assert!(matches!(request.action(), "DescribeInstances" | GROUPS), "{request:?}");
        assert!(signed.contains(&format!("/us-east-2/{service}/aws4_request")), "{signed}");
    }
    assert_eq!(calls.take(), counts(&[("DescribeInstances 200", 2), ("DescribeAutoScalingGroups 200", 1)]));
}
