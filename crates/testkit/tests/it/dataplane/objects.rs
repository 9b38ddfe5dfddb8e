//! Backends, frontends and the lists inside them: what is sent becomes lines, and is read back as it was sent.

use roster_testkit::{DataplaneVersion, MadeCertificate, OrFail, free_port, served_certificate};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::{Answer, Rig};

struct Open {
    rig: Rig,
    id: String,
}

/// Both versions, each with an open transaction.
fn on_both(test: impl Fn(&Open)) {
    for version in DataplaneVersion::ALL {
        eprintln!("on {}", version.word());
        let rig = Rig::start(version);
        let opened = rig.request("POST", "~/transactions").query("version", "1").send().expect(201).json();
        let id = opened.get("id").and_then(Value::as_str).map(str::to_owned).unwrap_or_default();
        test(&Open { rig, id });
    }
}

impl Open {
    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut request = self.rig.request(method, path).query("transaction_id", &self.id);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            request = request.query(name, value);
        }
        match body {
            Some(body) => request.json(body).send(),
            None => request.send(),
        }
    }

    /// The path of a list, and of one place in it.
    fn list(&self, section: &str, name: &str, kind: &str, place: Option<usize>) -> String {
        let place = place.map(|place| format!("/{place}")).unwrap_or_default();
        if self.rig.v2() {
            let parent = format!("parent_type={section}&parent_name={name}");
            let old = format!("{section}={name}");
            let query = if kind == "backend_switching_rules" { old } else { parent };
            format!("~/configuration/{kind}{place}?{query}")
        } else {
            format!("~/configuration/{section}s/{name}/{kind}{place}")
        }
    }

    /// Inserts into a list at a place.
    fn insert(&self, section: &str, name: &str, kind: &str, place: usize, body: Value) -> Answer {
        let path = self.list(section, name, kind, (!self.rig.v2()).then_some(place));
        let mut body = body;
        if let (true, Some(object)) = (self.rig.v2(), body.as_object_mut()) {
            object.insert("index".to_owned(), json!(place));
        }
        self.send("POST", &path, Some(&body))
    }

    /// The objects of a list without their index.
    fn objects(&self, section: &str, name: &str, kind: &str) -> Vec<Value> {
        let all = self.send("GET", &self.list(section, name, kind, None), None).expect(200).data();
        let mut all = all.as_array().cloned().unwrap_or_default();
        for (at, one) in all.iter_mut().enumerate() {
            let index = one.as_object_mut().and_then(|object| object.remove("index"));
            assert_eq!(index.is_some(), self.rig.v2());
            assert!(index.is_none_or(|index| index == json!(at)));
        }
        all
    }

    /// The lines of a section, once the transaction is committed.
    fn committed(&self, section: &str) -> Vec<String> {
        let answer = self.rig.request("PUT", &format!("~/transactions/{}", self.id)).send();
        assert_eq!(answer.status, 202, "{}", answer.text());
        let text = self.rig.file();
        let mut lines = text.lines();
        let named = format!("{section} from ");
        assert!(lines.any(|line| line == section || line.starts_with(&named)), "{text}");
        lines.take_while(|line| line.starts_with(' ')).map(|line| line.trim().to_owned()).collect()
    }
}

#[test]
fn a_backends_fields_become_lines_and_are_read_back() {
    on_both(|open| {
        let body = json!({
            "name": "nb", "mode": "http", "balance": { "algorithm": "leastconn" },
            "default_server": { "check": "enabled", "inter": 2000, "fall": 3, "rise": 2 },
            "cookie": { "name": "SRV", "type": "insert", "indirect": true, "nocache": true },
            "adv_check": "httpchk", "httpchk_params": { "method": "GET", "uri": "/health", "version": "HTTP/1.1" },
            "server_timeout": 5000, "connect_timeout": 1500, "check_timeout": 800,
            "forwardfor": { "enabled": "enabled" }, "retries": 2,
        });
        open.send("POST", "~/configuration/backends", Some(&body)).expect(202);
        assert_eq!(open.send("GET", "~/configuration/backends/nb", None).expect(200).data(), body);
        open.insert(
            "backend",
            "nb",
            "http_checks",
            0,
            json!({ "type": "send", "method": "GET", "uri": "/h" }),
        )
        .expect(202);
        let lines = open.committed("backend nb");
        let ms = |text: &str, bare: &str| if open.rig.v2() { bare.to_owned() } else { text.to_owned() };
        assert_eq!(
            lines,
            [
                "mode http".to_owned(),
                "balance leastconn".to_owned(),
                "option forwardfor".to_owned(),
                "option httpchk GET /health HTTP/1.1".to_owned(),
                "http-check send meth GET uri /h".to_owned(),
                format!("timeout check {}", ms("800ms", "800")),
                format!("timeout server {}", ms("5s", "5000")),
                format!("timeout connect {}", ms("1500ms", "1500")),
                format!("default-server check fall 3 inter {} rise 2", ms("2s", "2000")),
                "cookie SRV indirect nocache insert".to_owned(),
                "retries 2".to_owned(),
            ]
        );
    });
}

#[test]
fn a_backend_that_is_put_loses_what_is_left_out_but_keeps_servers_and_checks() {
    on_both(|open| {
        let check = json!({ "type": "expect", "match": "status", "pattern": "200" });
        open.insert("backend", "app", "http_checks", 0, check.clone()).expect(202);
        let body = json!({ "name": "app", "balance": { "algorithm": "leastconn" }, "adv_check": "httpchk" });
        open.send("PUT", "~/configuration/backends/app", Some(&body)).expect(202);
        assert_eq!(open.objects("backend", "app", "http_checks"), [check]);
        let body = json!({ "name": "app", "mode": "http" });
        open.send("PUT", "~/configuration/backends/app", Some(&body)).expect(202);
        let lines = open.committed("backend app");
        assert!(
            !lines.iter().any(|line| line.contains("leastconn") || line.contains("httpchk")),
            "{lines:?}"
        );
        assert_eq!(lines.iter().filter(|line| line.starts_with("server ")).count(), 3);
        assert!(lines.contains(&"http-check expect status 200".to_owned()), "{lines:?}");
    });
}

#[test]
fn a_list_shifts_when_something_is_put_in_or_taken_out() {
    on_both(|open| {
        let acl =
            |name: &str| json!({ "acl_name": name, "criterion": "path_beg", "value": format!("/{name}") });
        open.insert("frontend", "fe", "acls", 1, acl("mid")).expect(202);
        open.insert("frontend", "fe", "acls", 3, acl("end")).expect(202);
        open.insert("frontend", "fe", "acls", 9, acl("beyond")).expect(400);
        open.send("DELETE", &open.list("frontend", "fe", "acls", Some(2)), None).expect(202);
        let names: Vec<Value> = open
            .objects("frontend", "fe", "acls")
            .iter()
            .filter_map(|acl| acl.get("acl_name").cloned())
            .collect();
        assert_eq!(names, ["is_api", "mid", "end"]);
        let rule = json!({ "name": "two", "cond": "if", "cond_test": "mid" });
        open.insert("frontend", "fe", "backend_switching_rules", 0, rule.clone()).expect(202);
        assert_eq!(open.objects("frontend", "fe", "backend_switching_rules").first(), Some(&rule));
        let lines = open.committed("frontend fe");
        let first = lines.iter().position(|line| line == "use_backend two if mid");
        assert!(first < lines.iter().position(|line| line == "use_backend app if is_api"), "{lines:?}");
    });
}

#[test]
fn a_frontend_with_a_bind_serves_after_the_commit() {
    on_both(|open| {
        let port = free_port().or_fail();
        let body = json!({ "name": "f2", "mode": "http", "default_backend": "two" });
        open.send("POST", "~/configuration/frontends", Some(&body)).expect(202);
        assert_eq!(open.send("GET", "~/configuration/frontends/f2", None).expect(200).data(), body);
        let bind = json!({ "name": "b1", "address": "127.0.0.1", "port": port });
        open.send("POST", &open.list("frontend", "f2", "binds", None), Some(&bind)).expect(202);
        open.send("POST", &open.list("frontend", "f2", "binds", None), Some(&bind)).expect(409);
        assert_eq!(
            open.send("GET", &open.list("frontend", "f2", "binds", None), None).expect(200).data(),
            json!([bind])
        );
        let lines = open.committed("frontend f2");
        let line = format!("bind 127.0.0.1:{port} name b1");
        assert_eq!(lines, ["mode http".to_owned(), line, "default_backend two".to_owned()]);
    });
}

#[test]
fn a_deleted_backend_takes_its_servers_along_and_a_used_one_is_refused_at_commit() {
    on_both(|open| {
        open.send("DELETE", "~/configuration/backends/two", None).expect(202);
        open.send("GET", "~/configuration/backends/two", None).expect(404);
        open.send("DELETE", "~/configuration/backends/app", None).expect(202);
        let answer = open.rig.request("PUT", &format!("~/transactions/{}", open.id)).send().expect(400);
        assert!(answer.message().contains("default_backend"), "{}", answer.text());
        let state = open.rig.get(&format!("~/transactions/{}", open.id)).expect(200).json();
        assert_eq!(state.get("status"), Some(&json!("failed")));
    });
}

#[test]
fn it_speaks_tls_with_the_certificate_that_it_was_given() {
    let made = MadeCertificate::new("api.example");
    let key = PrivateKeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.der.clone().into()], key)
        .unwrap();
    let rig = Rig::start_with(DataplaneVersion::V3, |builder, _| builder.tls(config));
    let addr = rig.api.url().strip_prefix("https://").and_then(|addr| addr.parse().ok()).unwrap();
    assert_eq!(served_certificate(addr, "api.example"), Some(made.der));
}
