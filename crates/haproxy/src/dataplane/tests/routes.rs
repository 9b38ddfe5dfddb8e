use super::*;

fn set(routes: Vec<Route>) -> [Edit; 1] {
    [Edit::Routes { frontend: frontend("fe"), routes }]
}

fn read(text: &str) -> Vec<Route> {
    FileView::read(text).frontend("fe").unwrap().routes.clone()
}

fn some() -> Vec<Route> {
    vec![
        route("any", "/api", "app"),
        route("A.example", "", "two"),
        route("a.example", "/long/path", "app"),
        route("a.example", "/l", "two"),
        route("a.example", "/api", "app"),
        route("any", "/api/v2", "two"),
    ]
}

#[test]
fn routes_come_behind_the_operators_and_the_more_exact_ones_first() {
    let made = edited(BY_HAND, &set(some()));
    insta::assert_snapshot!("routes", difference(BY_HAND, &made));
    let order: Vec<String> = read(&made).iter().map(|route| route.of.to_string()).collect();
    assert_eq!(
        order,
        ["a.example/long/path", "a.example/api", "a.example/l", "a.example/", "/api/v2", "/api"]
    );
    let first_of_ours = made.find("use_backend app if roster_").unwrap();
    assert!(made.find("use_backend app if is_api").unwrap() < first_of_ours);
    assert!(first_of_ours < made.find("default_backend app").unwrap());
    assert_eq!(edited(&made, &set(some())), made, "a second time");
}

#[test]
fn routes_come_and_go_one_by_one_and_leave_the_operators_alone() {
    let made = edited(BY_HAND, &set(some()));
    let mut fewer = some();
    fewer.remove(2);
    let gone = edited(&made, &set(fewer));
    insta::assert_snapshot!("one_route_gone", difference(&made, &gone));
    let back = edited(&gone, &set(some()));
    // The order of ACLs says nothing.
    assert_eq!((difference(&made, &back), read(&back)), (String::new(), read(&made)));
    assert_eq!(edited(&made, &set(Vec::new())), BY_HAND);
}

#[test]
fn a_route_to_another_backend_is_another_rule_with_the_same_acl() {
    let made = edited(BY_HAND, &set(vec![route("any", "/x", "app")]));
    let other = edited(&made, &set(vec![route("any", "/x", "two")]));
    assert_eq!(read(&other), [route("any", "/x", "two")]);
    assert!(difference(&made, &other).lines().all(|line| line.contains("use_backend")));
}

#[test]
fn an_acl_that_a_line_of_the_operators_names_stays() {
    let made = edited(BY_HAND, &set(vec![route("any", "/x", "app")]));
    let acl = made.lines().find(|line| line.contains("acl roster_")).unwrap().split(' ').nth(3).unwrap();
    let named = made.replace(
        "  default_backend app",
        &format!("  use_backend two if !{acl} is_img\n  default_backend app"),
    );
    let gone = edited(&named, &set(Vec::new()));
    assert!(gone.contains(&format!("acl {acl}")) && gone.contains(&format!("if !{acl} is_img")), "{gone}");
    assert!(read(&gone).is_empty());
}

#[test]
fn what_stands_under_our_name_and_says_something_else_goes() {
    let text = "defaults\n mode http\nfrontend fe\n acl roster_0 path_beg /x -i\n acl is_x path /x\n \
                use_backend evil if roster_0\n use_backend y if is_x\n";
    assert!(read(text).is_empty());
    let made = edited(text, &set(vec![route("any", "/x", "app")]));
    assert!(!made.contains("roster_0 ") && !made.contains("evil") && made.contains("use_backend y if is_x"));
    assert_eq!(read(&made), [route("any", "/x", "app")]);
}

#[test]
fn an_acl_stands_before_the_first_rule_that_names_it() {
    let text =
        "frontend fe\n mode http\n use_backend y if { path /y }\n acl late path /z\n use_backend z if late\n";
    let made = edited(text, &set(vec![route("a.example", "/x", "app")]));
    for acl in made.lines().filter_map(|line| line.trim().strip_prefix("acl roster_")) {
        let name = format!("roster_{}", acl.split(' ').next().unwrap());
        assert_eq!(made.find(&name), made.find(&format!("acl {name}")).map(|at| at + 4), "{made}");
    }
}

#[test]
fn a_frontend_with_nothing_in_it_takes_routes() {
    let made = edited("frontend fe\nbackend x\n mode http\n", &set(Vec::new()));
    assert_eq!(made, "frontend fe\nbackend x\n mode http\n");
    let made =
        edited("defaults\n mode http\nfrontend fe\n\nbackend x\n", &set(vec![route("any", "/x", "x")]));
    assert_eq!(read(&made).len(), 1);
    assert!(made.ends_with("\n\nbackend x\n"), "{made}");
}
