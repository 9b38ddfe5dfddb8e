//! Refusing requests that a web page of somebody else's made a browser send here (DNS rebinding): they carry that
//! page's name as their host. Roster is asked by address, or as localhost.

use std::net::IpAddr;
use std::str::FromStr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Lets requests pass that name this machine by an address or as `localhost`, or nobody, as no browser does.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let named = request.headers().get_all(header::HOST).iter();
    let named = named.map(|host| host.to_str().is_ok_and(is_allowed));
    let asked = request.uri().authority().is_none_or(|authority| is_allowed(authority.as_str()));
    if asked && named.into_iter().all(|allowed| allowed) {
        return next.run(request).await;
    }
    let text = "ask by address or as localhost: other names are refused, so that no web page can have a browser ask\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

fn is_allowed(host: &str) -> bool {
    let Ok(authority) = Authority::from_str(host) else { return false };
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_are_let_in_and_other_names_are_not() {
        for host in ["127.0.0.1", "127.0.0.1:9876", "[::1]:9876", "[fd00::7]", "localhost:9876", "LOCALHOST"]
        {
            assert!(is_allowed(host), "{host}");
        }
        for host in [
            "rebound.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:9876",
            "",
            "a b",
            "127.0.0.1 x",
        ] {
            assert!(!is_allowed(host), "{host}");
        }
    }
}
