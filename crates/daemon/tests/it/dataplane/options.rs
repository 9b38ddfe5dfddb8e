//! Backends with fields of the API's own object, which only the API knows the text of.

use super::proxy::{How, Proxy};
use super::site::{PAIRS, Site};

#[test]
fn a_backend_with_options_and_lines_is_left_out_and_the_others_come() {
    for (api, haproxy) in PAIRS {
        let mut site = Site::start(api, haproxy, false);
        "expose:\n  - { service: fleet/odd, bring_up: registry, guard: off, \
         backend: { lines: [ \"retries 2\" ], options: { server_timeout: 4321 } } }\n  \
         - { each: fleet, bring_up: registry, guard: off, backend: { balance: roundrobin } }\n"
            .clone_into(&mut site.expose);
        site.configure();
        let ports = site.ports();
        site.services(&[("odd", &ports[..1]), ("api", &ports[1..2])]);
        let daemon = site.rig.run();
        site.until_ready("api", &ports[1..2]);
        daemon.until_log("no field of the API says those");
        assert!(!site.text().contains("backend odd"), "{}", site.text());
    }
}

/// What the API itself does not take, though HAProxy would.
#[test]
fn a_backend_that_the_api_refuses_to_make_is_left_out_and_the_others_come() {
    for (api, haproxy) in PAIRS {
        let mut site = Site::start(api, haproxy, false);
        site.with_backends();
        site.expose = site.expose.replace("backend: { ", "backend: { options: { server_timeout: 4321 }, ");
        let proxy = Proxy::before(site.api.url());
        site.configure_at(&proxy.url());
        let ports = site.ports();
        proxy.trap("POST", "/configuration/backends?", How::Refused, 1);
        site.services(&[("api", &ports[..1]), ("shop", &ports[1..2])]);
        let daemon = site.rig.run();
        // The first that is made is the first by its name.
        site.until_ready("shop", &ports[1..2]);
        daemon.until_log("is left out");
        assert!(daemon.log().contains("not as it should be"), "{}", daemon.log());
        assert!(!site.text().contains("backend api"), "{}", site.text());
        assert!(site.transactions().is_empty());
    }
}
