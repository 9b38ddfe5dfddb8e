use super::Operation;
use super::*;
use crate::change::Change;
use crate::cli::ServerPath;
use crate::observed::State;

fn operation(of: &str, name: &str, change: Change) -> Operation {
    Operation { backend: backend(of), server: server(name), change }
}

fn add(of: &str, number: u32) -> Operation {
    let ServerLine { name, at, keywords, .. } = line(number);
    operation(of, name.as_str(), Change::Add { endpoint: at, keywords: Box::new(keywords) })
}

fn bring_up(of: &str, name: &str, to: &str) -> Vec<Operation> {
    vec![
        operation(of, name, Change::State(State::Maint)),
        operation(of, name, Change::Address(endpoint(to))),
        operation(of, name, Change::Weight(weight(5))),
        operation(of, name, Change::State(State::Ready)),
    ]
}

struct Pass {
    process: Process,
    edits: Vec<Edit>,
    posts: Posts,
    ready_with_address: bool,
}

impl Default for Pass {
    fn default() -> Self {
        Self { process: Process::new(), edits: Vec::new(), posts: Posts::No, ready_with_address: true }
    }
}

impl Pass {
    fn write(&self, text: &str, operations: &[Operation]) -> PassWrite {
        let Self { process, edits, posts, ready_with_address } = self;
        let (posts, ready_with_address) = (*posts, *ready_with_address);
        write(text, operations, &PassContext { version: V3_0, process, edits, posts, ready_with_address })
    }
}

fn live(pass: &PassWrite) -> &LiveWrite {
    match &pass.write {
        Some(Write::Live(write)) => write,
        other => panic!("{other:?}"),
    }
}

fn reload(pass: &PassWrite) -> (&str, Vec<&'static str>) {
    match &pass.write {
        Some(Write::Reload(write)) => {
            (write.text(), write.reasons().iter().map(ReloadReason::word).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_file_gets_the_end_and_the_process_each_step_in_order() {
    let mut operations = bring_up("app", "s1", "10.0.0.1:80");
    operations.extend(bring_up("two", "t1", "10.0.0.2:80"));
    let pass = Pass::default().write(BY_API, &operations);
    assert_eq!(
        difference(BY_API, live(&pass).text()),
        "-  server s1 127.0.0.1:29001 weight 10 check inter 500\n\
         -  server t1 127.0.0.1:29001\n\
         +  server s1 10.0.0.1:80 weight 5 check inter 500\n\
         +  server t1 10.0.0.2:80 weight 5\n"
    );
    assert_eq!(
        live(&pass).header().unwrap(),
        "SetServerState app s1 maint;SetServerAddr app s1 10.0.0.1 80;SetServerWeight app s1 5;\
         SetServerState app s1 ready;SetServerState two t1 maint;SetServerAddr two t1 10.0.0.2 80;\
         SetServerWeight two t1 5;SetServerState two t1 ready"
    );
    assert!(pass.left.is_empty() && pass.posts.is_empty());
}

#[test]
fn a_server_is_not_ready_before_its_new_address_is_seen() {
    let pass = Pass { ready_with_address: false, ..Pass::default() };
    let pass = pass.write(BY_API, &bring_up("app", "s1", "10.0.0.1:80"));
    assert!(live(&pass).text().contains("server s1 10.0.0.1:80 weight 5 check inter 500 disabled\n"));
    assert!(!live(&pass).header().unwrap().contains("ready"));
    assert_eq!(pass.left.len(), 1);
    assert!(matches!(pass.left[0], Left { operation: 3, why: Why::Waits(_) }));
    assert!(PassContext::settles(Version::new(2, 8, 25)) && !PassContext::settles(V3_0));
}

#[test]
fn what_the_api_has_no_word_for_is_left_and_told() {
    let operations = [Change::EnableCheck, Change::HealthDown, Change::HealthUp, Change::Weight(weight(2))];
    let operations: Vec<Operation> =
        operations.into_iter().map(|change| operation("app", "s1", change)).collect();
    let pass = Pass::default().write(BY_API, &operations);
    assert_eq!(pass.left.iter().map(|left| left.operation).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(pass.left.iter().all(|left| left.why == Why::NoSuchCall));
    assert_eq!(live(&pass).actions().len(), 1);
}

#[test]
fn one_server_that_is_not_there_keeps_nothing_else_from_being_written() {
    let mut operations = bring_up("app", "s1", "10.0.0.1:80");
    operations.extend(bring_up("app", "gone", "10.0.0.2:80"));
    operations.extend(bring_up("gone", "s1", "10.0.0.2:80"));
    let pass = Pass::default().write(BY_API, &operations);
    assert_eq!(pass.left.len(), 8);
    assert_eq!(live(&pass).actions().len(), 4);
}

#[test]
fn the_weight_of_its_line_is_what_the_process_started_with() {
    let shown =
        ProcessServer { endpoint: None, state: State::Ready, weight: None, start_weight: Some(weight(33)) };
    let process = Process::from([(backend("app"), [(server("s1"), shown)].into())]);
    let pass = Pass { process, ..Pass::default() };
    let operations =
        [operation("app", "s1", Change::InitialWeight), operation("app", "s2", Change::InitialWeight)];
    let pass = pass.write(BY_API, &operations);
    assert_eq!(live(&pass).header().unwrap(), "SetServerWeight app s1 100%;SetServerWeight app s2 100%");
    assert_eq!(
        difference(BY_API, live(&pass).text()),
        "-  server s1 127.0.0.1:29001 weight 10 check inter 500\n+  server s1 127.0.0.1:29001 weight 33 check inter 500\n"
    );
}

#[test]
fn growth_is_a_reload_that_brings_all_else_of_the_pass_too() {
    let mut operations = bring_up("app", "s1", "10.0.0.1:80");
    operations.push(add("app", 4));
    operations.push(operation("app", "srv4", Change::EnableCheck));
    operations.extend(bring_up("app", "srv4", "10.0.0.44:80"));
    operations.push(add("app", 5));
    let pass = Pass { ready_with_address: false, ..Pass::default() }.write(BY_API, &operations);
    let (text, reasons) = reload(&pass);
    assert_eq!(reasons, ["slots_full"]);
    assert_eq!(
        difference(BY_API, text),
        "-  server s1 127.0.0.1:29001 weight 10 check inter 500\n\
         +  server s1 10.0.0.1:80 weight 5 check inter 500\n\
         +  server srv4 10.0.0.44:80 id 4 weight 5 check inter 500ms\n\
         +  server srv5 10.0.0.5:80 id 5 check inter 500ms disabled\n"
    );
    assert!(pass.left.is_empty(), "{:?}", pass.left);
}

#[test]
fn a_server_that_can_be_added_live_is_posted_after_the_write() {
    let mut operations = bring_up("app", "s1", "10.0.0.1:80");
    operations.push(add("app", 4));
    operations.push(operation("app", "srv4", Change::State(State::Ready)));
    let pass = |posts| Pass { posts, ..Pass::default() }.write(BY_API, &operations);
    let all = pass(Posts::All);
    assert_eq!(live(&all).actions().len(), 4);
    assert_eq!(all.posts.len(), 1);
    assert_eq!((all.posts[0].operation, all.posts[0].server.name.as_str()), (4, "srv4"));
    assert!(matches!(all.left[..], [Left { operation: 5, why: Why::Waits(_) }]));
    let unchecked = pass(Posts::Unchecked);
    assert_eq!(reload(&unchecked).1, ["slots_full"]);
    assert!(unchecked.posts.is_empty());
}

#[test]
fn servers_are_not_posted_where_default_server_applies_or_a_reload_comes_anyway() {
    let text = "defaults\n default-server inter 1s\nbackend x\n";
    let pass = Pass { posts: Posts::All, ..Pass::default() };
    assert_eq!(reload(&pass.write(text, &[add("x", 1)])).1, ["slots_full"]);
    let edits = vec![put("fleet/web", whole("fresh", 1))];
    let both = Pass { posts: Posts::All, edits, ..Pass::default() }.write(BY_API, &[add("app", 4)]);
    assert_eq!(reload(&both).1, ["backend_added", "slots_full"]);
    assert!(both.posts.is_empty());
}

#[test]
fn a_server_that_goes_is_a_reload() {
    let operations = [
        operation("app", "s1", Change::State(State::Maint)),
        operation("app", "s1", Change::Delete),
        operation("checked", "t1", Change::Delete),
    ];
    let pass = Pass::default().write(BY_API, &operations[..2]);
    assert_eq!(reload(&pass).1, ["servers_removed"]);
    let pass = Pass::default().write(ODD, &operations[2..]);
    assert_eq!((pass.write, pass.left[0].why.clone()), (None, Why::OfTemplate));
}

#[test]
fn a_server_that_only_the_file_has_needs_a_reload_of_the_file_as_it_is() {
    let text = edited(BY_API, &[Edit::AddServer { backend: backend("app"), server: Box::new(line(4)) }]);
    let pass = Pass::default().write(&text, &[add("app", 4)]);
    let (_, reasons) = reload(&pass);
    assert_eq!(reasons, ["server_not_running"]);
}

#[test]
fn an_edit_that_cannot_be_made_keeps_neither_the_others_nor_the_operations() {
    let routes = |fe: &str| Edit::Routes { frontend: frontend(fe), routes: vec![route("any", "/x", "app")] };
    let pass = Pass { edits: vec![routes("nowhere"), routes("fe")], ..Pass::default() };
    let pass = pass.write(BY_API, &bring_up("app", "s1", "10.0.0.1:80"));
    let (text, reasons) = reload(&pass);
    assert_eq!(reasons, ["routes_changed"]);
    assert!(text.contains("server s1 10.0.0.1:80") && text.contains("acl roster_"));
    assert!(matches!(pass.refused[..], [(0, EditError::NoFrontend(_))]));
}

#[test]
fn nothing_to_do_is_no_write() {
    assert_eq!(Pass::default().write(BY_API, &[]), PassWrite::default());
}

#[test]
fn the_file_is_brought_to_what_runs_without_an_action() {
    let shown = |endpoint: &str| ProcessServer {
        endpoint: Some(super::endpoint(endpoint)),
        state: State::Drain,
        weight: Some(weight(3)),
        start_weight: None,
    };
    let process = Process::from([
        (backend("app"), [(server("s1"), shown("10.0.0.1:80")), (server("s2"), shown("10.0.0.2:80"))].into()),
        (backend("web"), [(server("s5"), shown("10.0.0.5:80"))].into()),
    ]);
    let path = |of: &str, name: &str| ServerPath { backend: backend(of), server: server(name) };
    let servers = [path("app", "s1"), path("app", "gone"), path("web", "s5")].into();
    let edits = as_it_runs(&FileView::read(BY_API), &process, &servers);
    let pass = Pass { process: process.clone(), edits, ..Pass::default() }.write(BY_API, &[]);
    assert_eq!(live(&pass).header(), None);
    assert_eq!(
        difference(BY_API, live(&pass).text()),
        "-  server s1 127.0.0.1:29001 weight 10 check inter 500\n\
         +  server s1 10.0.0.1:80 weight 3 check inter 500 disabled\n"
    );
    let odd = edited(ODD, &as_it_runs(&FileView::read(ODD), &process, &servers));
    assert!(odd.contains("server s5 web.example:80 weight 3 resolvers"), "{odd}");
}
