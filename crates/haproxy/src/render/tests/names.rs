//! Names that the operator's own sections have already.

use super::documents::{backend, backend_name, bind, document, routing, server};
use super::*;
use crate::render::*;

const V3_4: Version = Version::new(3, 4, 0);

/// A service's backend with a frontend of its own.
fn service(name: &str, port: u16) -> [Section; 2] {
    let frontend = Frontend {
        name: FrontendName::new(name).unwrap(),
        mode: Mode::Http,
        binds: vec![bind(&format!("127.0.0.1:{port}"))],
        lines: Vec::new(),
        routing: None,
        default_backend: Some(backend_name(name)),
    };
    [Section::Backend(backend(name, vec![server(1, "10.0.0.1:80")])), Section::Frontend(frontend)]
}

/// A frontend that all services share, which leads to this backend.
fn shared(default: &str) -> Section {
    Section::Frontend(Frontend {
        name: FrontendName::new("public").unwrap(),
        mode: Mode::Http,
        binds: vec![bind("127.0.0.1:8000")],
        lines: Vec::new(),
        routing: Some(routing(FOLDER)),
        default_backend: Some(backend_name(default)),
    })
}

fn with(own: &str, version: Version) -> Rendered {
    let sections = [shared("shop")].into_iter().chain(service("shop", 8001)).chain(service("api", 8002));
    let mut document = document(FOLDER, sections.collect());
    document.user.sections = own.to_owned();
    render(&document, version).unwrap()
}

fn left_out(rendered: &Rendered) -> Vec<String> {
    rendered
        .left_out
        .iter()
        .map(|left| left.to_string().split(" is left out").next().unwrap().to_owned())
        .collect()
}

fn maps(rendered: &Rendered) -> String {
    rendered.files.iter().map(|file| file.text.as_str()).collect()
}

#[test]
fn a_service_with_the_name_of_a_backend_of_the_operators_is_left_out_with_its_port_and_its_routes() {
    let quoted = "listen  'shop'\n    bind 127.0.0.1:1\n";
    for own in
        ["backend shop\n    server mine 10.1.1.1:1\n", "listen shop # mine\n    bind 127.0.0.1:1\n", quoted]
    {
        for version in [V3_0, V3_4] {
            let rendered = with(own, version);
            let ours = rendered.config.rsplit_once("# The operator's own.").unwrap().0;
            assert!(!ours.contains("\nbackend shop\n") && !ours.contains("\nfrontend shop\n"), "{ours}");
            assert!(ours.contains("\nbackend api\n") && ours.contains("\nfrontend public\n"), "{ours}");
            assert!(left_out(&rendered).contains(&"backend shop".to_owned()), "{:?}", rendered.left_out);
            assert!(
                !maps(&rendered).contains(" shop\n") && maps(&rendered).contains(" api\n"),
                "{rendered:?}"
            );
            assert!(!rendered.structure.backends().contains(&backend_name("shop")));
        }
    }
}

#[test]
fn where_the_operator_leads_a_shared_frontend_is_the_operators_choice() {
    let rendered = with("backend shop\n", V3_0);
    assert!(rendered.config.contains("    default_backend shop\n"), "{}", rendered.config);
}

#[test]
fn an_own_frontend_takes_only_the_name_of_a_frontend_before_3_3() {
    let rendered = with("frontend shop\n    bind 127.0.0.1:1\n", V3_0);
    assert_eq!(left_out(&rendered), ["frontend shop"]);
    assert!(rendered.config.contains("\nbackend shop\n"), "{}", rendered.config);
    let rendered = with("frontend shop\n    bind 127.0.0.1:1\n", V3_4);
    assert!(left_out(&rendered).contains(&"backend shop".to_owned()), "{:?}", rendered.left_out);
    assert!(!maps(&rendered).contains(" shop\n"));
}

#[test]
fn other_own_sections_are_in_nobodys_way() {
    let own = "userlist shop\nresolvers api\ncache shop\npeers api\ndefaults api\n";
    let rendered = with(own, V3_0);
    assert_eq!(left_out(&rendered), [""; 0]);
    assert!(!with("", V3_0).config.contains("The operator's own.\nbackend"));
}
