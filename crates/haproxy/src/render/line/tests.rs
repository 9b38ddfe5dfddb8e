use proptest::prelude::*;

use super::*;

const REFUSED: &[&str] = &[
    "external-check command /bin/sh",
    "option external-check",
    "errorfile 503 /etc/shadow",
    "http-request return file /etc/shadow",
    "http-request return lf-file /etc/shadow",
    "http-request lua.run",
    "http-request use-service prometheus-exporter",
    "http-request set-header X %[env(AWS_SECRET_ACCESS_KEY)]",
    r#"http-request set-header X %[e"nv"(AWS_SECRET_ACCESS_KEY)]"#,
    r"http-request set-header X %[\x65nv(AWS_SECRET_ACCESS_KEY)]",
    r#"http-request set-header X "$AWS_SECRET_ACCESS_KEY""#,
    "http-request set-header X %[path,map(/etc/passwd)]",
    "http-request set-header X %[path,map_str_int(/etc/passwd)]",
    "http-request set-header X %[var(proc.secret)]",
    "http-request set-header X %[lua.f]",
    "acl a src -f /etc/shadow",
    r"acl a src '-f' /etc/shadow",
    "http-request set-map(/etc/haproxy/hosts.map) a b",
    "http-request add-acl(/etc/haproxy/list) x",
    "http-request do-log",
    "http-request do-resolve(txn.ip,dns) str(x)",
    "http-request send-spoe-group e g",
    "http-request deny deny_status 403 lf-file /etc/shadow",
    "http-request deny errorfiles private",
    "http-request tarpit file /etc/shadow",
    "http-response return errorfile /etc/shadow",
    "http-error status 503 file /etc/shadow",
    "errorfiles private",
    "http-request set-header X %[str(a),jwt_verify(txn.alg,/etc/shadow)]",
    "http-request set-header X %[str(a),jwt_verify_cert(txn.alg,/etc/shadow)]",
    "http-request set-header X %[str(a),jwt_decrypt_cert(/etc/shadow)]",
    "http-request set-header X %[path,map_regm(/etc/passwd)]",
    "http-request set-header X %[path,map_beg_key(/etc/passwd)]",
    "http-request return string x if { path,map_str(/etc/passwd) -m found }",
    "http-request return string x if { path -M -f /etc/passwd }",
    "http-request set-header X %[path,debug]",
    "http-request set-header X %[path,debug(x,stderr)]",
    "http-request set-header X %[path,debug,lower]",
    "http-request track-sc0 src debug",
    "acl a path,debug -m found",
    "stick on src,lua.f",
    "http-request set-var(proc.x) str(a)",
    "http-request set-header X %[path,set-var(proc.x)]",
    "http-request set-header X %[last_rule_file]",
    "http-request set-header X %[ssl_fc_session_key,hex]",
    "http-request set-header X %[ssl_bc_server_traffic_secret_0]",
    "http-request set-header X %[ssl_fc_exporter_secret]",
    "tcp-check connect addr 203.0.113.1 port 80",
    "tcp-check connect addr unix@/run/haproxy/admin.sock",
    "http-check connect ssl addr 203.0.113.1",
    "tcp-check connect via-socks4",
    "log stdout format raw local0",
    "log ring@buf0 local0",
    "log /dev/log local0",
    "log-forward x",
    "crt-store x",
    "ca-file /etc/shadow",
    "http-request set-dst str(10.0.0.1)",
    "filter spoe config /x",
    "log 203.0.113.1:514 local0",
    "stats admin if TRUE",
    "server evil 203.0.113.1:80",
    "default-server disabled",
    "mode tcp",
    "balance static-rr",
    "use_backend other",
    "bind :22",
    "backend other",
    "global",
    ".if true",
    "no server x",
    "default option httplog",
    "tcp-request content use-service lua.x",
    "option transparent",
    "dispatch 203.0.113.1:80",
    "",
    "   # only a comment",
];

fn backend(line: &str) -> Result<String, InvalidLine> {
    RawLine::new(Place::Backend, line).map(|line| line.as_str().to_owned())
}

#[test]
fn the_lines_that_services_bring_are_taken_as_they_are() {
    for line in [
        "option httpchk GET /health",
        "no option forwardfor",
        "timeout server 5m",
        "http-request set-header X-Forwarded-Proto https if { ssl_fc }",
        "http-request replace-path ^/api/(.*)$ /v1/$1",
        "tcp-check expect string +PONG",
        "stick-table type ip size 100k expire 30m",
        "stick on src",
        "acl admin path_beg /admin",
        "tcp-request inspect-delay 5s",
        "tcp-request content reject if { src 10.0.0.0/8 }",
        "log global",
        "http-request track-sc0 src",
        "cookie SRV insert indirect nocache",
    ] {
        assert_eq!(backend(line).as_deref(), Ok(line));
    }
}

#[test]
fn a_line_is_quoted_anew_so_that_the_same_words_are_read() {
    for (given, written) in [
        ("  option\thttplog   # all of it", "option httplog"),
        (r#"http-request return string "it is here""#, "http-request return string 'it is here'"),
        (r"tcp-check send PING\r\n", r"tcp-check send PING\r\n"),
        (r"http-request replace-path ^/a(.*) /\1", r"http-request replace-path ^/a(.*) '/\1'"),
        (r#"http-request set-header X "it's \"so\"""#, r#"http-request set-header X it\'s\ \"so\""#),
        (r#"http-request set-header X """#, "http-request set-header X ''"),
        (r#"http-request set-header X "\$5""#, "http-request set-header X $5"),
        (r"http-request set-header X a\x0bb", r"http-request set-header X a\x0bb"),
    ] {
        assert_eq!(backend(given).as_deref(), Ok(written));
    }
}

#[test]
fn what_reads_files_runs_programs_or_shows_secrets_is_refused() {
    for line in REFUSED {
        assert!(backend(line).is_err(), "{line:?} was taken");
    }
}

#[test]
fn words_that_only_look_like_a_forbidden_name_are_taken() {
    for line in [
        "http-request set-log-level debug",
        "http-request set-header X-Env env",
        "http-request set-header X %[path,regsub(/map/,/m/)]",
        "acl a path_beg /debug /map /lua",
        "acl a path_sub -i debug=1",
        "http-request replace-path ^/maps(.*)$ /v1",
        "http-request set-header X %[req.hdr(addr)]",
        "http-request set-header addr 1",
        "tcp-check connect port 6380 ssl",
        "http-request set-var(txn.debug) path",
        "http-request set-header X %[ssl_fc_protocol]",
        "http-request set-header X %[req.hdr(authorization),jwt_payload_query('$.sub')]",
    ] {
        assert!(backend(line).is_ok(), "{line:?}: {}", backend(line).unwrap_err());
    }
}

#[test]
fn text_that_is_no_line_is_refused_with_what_to_write() {
    for (given, why) in [
        ("option httplog\nglobal", Malformed::Control('\n')),
        ("option httplog\r", Malformed::Control('\r')),
        ("option\0", Malformed::Control('\0')),
        ("acl a path \"/x", Malformed::Quote),
        ("acl a path '/x", Malformed::Quote),
        ("acl a path /x\\", Malformed::Backslash),
        ("acl a path /\\x0", Malformed::Hex),
        ("acl a path /\\x00", Malformed::Hex),
        ("acl a path /\\xff", Malformed::Hex),
        ("", Malformed::Empty),
    ] {
        assert_eq!(backend(given), Err(InvalidLine::Malformed(why)), "{given:?}");
    }
    assert_eq!(backend(&"x".repeat(1025)), Err(Malformed::TooLong(1025).into()));
}

#[test]
fn a_line_is_for_one_kind_of_section() {
    assert!(RawLine::new(Place::Frontend, "use_backend b if { path /x }").is_ok());
    assert!(RawLine::new(Place::Listen, "use_backend b if { path /x }").is_ok());
    assert!(RawLine::new(Place::Frontend, "http-check expect status 200").is_err());
    assert!(RawLine::new(Place::Listen, "retries 3").is_ok());
}

#[test]
fn a_refusal_tells_the_word_and_the_reason_but_not_the_line() {
    let error = backend("server s 10.0.0.1:80 # password").unwrap_err().to_string();
    insta::assert_snapshot!(error, @r#""server" is not taken in a backend section: Roster writes this one itself; give it in the field of that name"#);
    let error = backend("http-request set-dst str(x)").unwrap_err().to_string();
    insta::assert_snapshot!(error, @"`http-request set-dst` is not among the lines that Roster takes");
    let error = backend("acl a src -f /etc/shadow").unwrap_err().to_string();
    insta::assert_snapshot!(error, @r#""-f" is not taken: it reads a file; write such a line in a section of your own"#);
}

proptest! {
    #[test]
    fn what_is_written_is_cut_into_the_same_words_again(words in prop::collection::vec("[ -~\t\n\r\u{1}é]{0,12}", 1..8)) {
        let line = words::join(&words);
        prop_assert!(!line.contains(['\n', '\r', '\0']));
        prop_assert_eq!(words::split(&line).unwrap(), words);
    }

    #[test]
    fn any_text_is_refused_or_one_line_that_says_the_same_when_read_again(
        first in prop::sample::select(vec!["option", "acl", "http-request set-header", "timeout", "tcp-check send", ""]),
        rest in "(\\PC|[\\\\'\"#$\\n\\r \\x00x0-9a-f]){0,40}",
    ) {
        if let Ok(line) = RawLine::new(Place::Backend, &format!("{first} {rest}")) {
            prop_assert_eq!(line.as_str().lines().count(), 1);
            prop_assert!(!line.as_str().contains(['\n', '\r', '\0']));
            prop_assert_eq!(RawLine::new(Place::Backend, line.as_str()).unwrap(), line);
        }
    }
}
