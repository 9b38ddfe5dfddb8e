//! The client against a server of the test's own that stands for a proxy.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is its failure"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use roster_http::{Bundle, ClientError, Limits, Proxies, Trust, causes, client};

const LIMITS: Limits = Limits { connect: Duration::from_secs(5), idle: Duration::from_secs(5) };

/// Takes connections for as long as the test lives, and answers the first lines of each with a plain `200` or, for
/// `CONNECT`, with a refusal.
fn proxy() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = BufReader::new(stream);
            let mut lines = Vec::new();
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                lines.push(line.trim_end().to_owned());
                line.clear();
            }
            let Some(first) = lines.first() else { continue };
            let status = if first.starts_with("CONNECT") { "403 no" } else { "200 OK" };
            kept.lock().unwrap().extend(lines);
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).ok();
        }
    });
    (at, seen)
}

fn proxies(at: SocketAddr, no_proxy: &str) -> Proxies {
    let (given, no_proxy) = (format!("http://me:hush@{at}"), no_proxy.to_owned());
    Proxies::read(|name| match name {
        "ALL_PROXY" => Some(given.clone().into()),
        "no_proxy" => Some(no_proxy.clone().into()),
        _ => None,
    })
    .unwrap()
}

#[tokio::test]
async fn calls_go_through_the_proxy_with_its_password_and_past_it_where_they_are_told() {
    let ((at, seen), (direct, seen_directly)) = (proxy(), proxy());
    let client =
        client(&Trust::Nobody, &proxies(at, &format!("127.0.0.1:{}", direct.port())), LIMITS).unwrap();
    client.get("http://far.invalid/x").send().await.unwrap();
    let error = client.get("https://far.invalid/x").send().await.unwrap_err();
    assert!(!causes(&error).contains("hush"), "{error:?}");
    client.get(format!("http://{direct}/near")).send().await.unwrap();
    let seen = seen.lock().unwrap().clone();
    let first: Vec<&str> =
        seen.iter().filter(|line| line.ends_with("HTTP/1.1")).map(String::as_str).collect();
    assert_eq!(first, ["GET http://far.invalid/x HTTP/1.1", "CONNECT far.invalid:443 HTTP/1.1"]);
    let passwords =
        seen.iter().filter(|line| line.to_ascii_lowercase().starts_with("proxy-authorization: basic "));
    assert_eq!(passwords.count(), 2, "{seen:?}");
    assert_eq!(seen_directly.lock().unwrap()[0], "GET /near HTTP/1.1");
}

#[test]
fn a_bundle_that_cannot_be_read_makes_no_client() {
    let bundle = Bundle { path: "/nonexistent/ca.pem".into(), named_by: "AWS_CA_BUNDLE" };
    let error = client(&Trust::Only(bundle), &Proxies::default(), LIMITS).unwrap_err();
    assert!(
        matches!(error, ClientError::Bundle(_)) && error.to_string().contains("correct AWS_CA_BUNDLE"),
        "{error}"
    );
}
