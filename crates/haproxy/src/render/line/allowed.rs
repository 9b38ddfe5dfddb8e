//! What a raw line may say: the first word, for some the second and third, and what may stand nowhere.
//!
//! Left out is what reads a file, runs something, sends traffic or logs elsewhere, shows what is not the service's own
//! (environment, other maps, process variables), or works against what Roster itself writes.

use super::Place;

/// What may follow a first word.
pub(super) enum Then {
    /// Anything that is nowhere forbidden.
    Anything,
    /// One of these; a `*` at the end stands for any end, and what follows a `(` does not count.
    One(&'static [&'static str]),
    /// After the second word one of these, unless the second word is `inspect-delay`.
    Layer(&'static [&'static str], &'static [&'static str]),
}

use Then::{Anything, Layer, One};

const RESPONSE: &[&str] = &[
    "add-header",
    "allow",
    "cache-store",
    "capture",
    "del-header",
    "deny",
    "redirect",
    "replace-header",
    "replace-value",
    "return",
    "sc-*",
    "set-header",
    "set-log-level",
    "set-status",
    "set-timeout",
    "set-var",
    "set-var-fmt",
    "silent-drop",
    "strict-mode",
    "track-sc*",
    "unset-var",
    "wait-for-body",
];
const REQUEST: &[&str] = &[
    "add-header",
    "allow",
    "auth",
    "cache-use",
    "capture",
    "del-header",
    "deny",
    "disable-l7-retry",
    "early-hint",
    "redirect",
    "reject",
    "replace-header",
    "replace-path",
    "replace-pathq",
    "replace-uri",
    "replace-value",
    "return",
    "sc-*",
    "set-header",
    "set-log-level",
    "set-method",
    "set-path",
    "set-pathq",
    "set-priority-class",
    "set-priority-offset",
    "set-query",
    "set-timeout",
    "set-uri",
    "set-var",
    "set-var-fmt",
    "silent-drop",
    "strict-mode",
    "tarpit",
    "track-sc*",
    "unset-var",
    "wait-for-body",
    "wait-for-handshake",
];
const CONNECTION: &[&str] = &[
    "accept",
    "capture",
    "close",
    "expect-proxy",
    "reject",
    "sc-*",
    "set-priority-class",
    "set-priority-offset",
    "set-var",
    "set-var-fmt",
    "silent-drop",
    "switch-mode",
    "track-sc*",
    "unset-var",
];
const CHECK: &[&str] = &[
    "comment",
    "connect",
    "disable-on-404",
    "expect",
    "send",
    "send-binary",
    "send-binary-lf",
    "send-lf",
    "send-state",
    "set-var",
    "set-var-fmt",
    "unset-var",
];
const TIMEOUT: &[&str] = &[
    "check",
    "client",
    "client-fin",
    "client-hs",
    "connect",
    "http-keep-alive",
    "http-request",
    "queue",
    "server",
    "server-fin",
    "tarpit",
    "tunnel",
];
/// Not here: `external-check` runs a program, `transparent` makes an open proxy, `accept-invalid-http-*` lets requests be
/// smuggled past other rules.
const OPTION: &[&str] = &[
    "abortonclose",
    "allbackups",
    "checkcache",
    "clitcpka",
    "contstats",
    "disable-h2-upgrade",
    "dontlog-normal",
    "dontlognull",
    "forwarded",
    "forwardfor",
    "h1-case-adjust-bogus-client",
    "h1-case-adjust-bogus-server",
    "http-buffer-request",
    "http-ignore-probes",
    "http-keep-alive",
    "http-no-delay",
    "http-pretend-keepalive",
    "http-restrict-req-hdr-names",
    "http-server-close",
    "httpchk",
    "httpclose",
    "httplog",
    "httpslog",
    "idle-close-on-response",
    "independent-streams",
    "ldap-check",
    "log-health-checks",
    "log-separate-errors",
    "logasap",
    "mysql-check",
    "nolinger",
    "originalto",
    "persist",
    "pgsql-check",
    "prefer-last-server",
    "redis-check",
    "redispatch",
    "smtpchk",
    "socket-stats",
    "splice-auto",
    "splice-request",
    "splice-response",
    "srvtcpka",
    "ssl-hello-chk",
    "tcp-check",
    "tcp-smart-accept",
    "tcp-smart-connect",
    "tcpka",
    "tcplog",
];

/// What may follow a first word in such a section; none if the word may not stand there.
pub(super) fn then(place: Place, word: &str) -> Option<Then> {
    let (front, back) = (place != Place::Backend, place != Place::Frontend);
    Some(match word {
        "acl" | "compression" | "errorloc" | "errorloc302" | "errorloc303" | "redirect" | "stick-table" => {
            Anything
        }
        "http-request" => One(REQUEST),
        "http-response" | "http-after-response" => One(RESPONSE),
        "option" => One(OPTION),
        "timeout" => One(TIMEOUT),
        // The operator's own destinations, no others.
        "log" => One(&["global"]),
        "tcp-request" => Layer(&["connection", "content", "inspect-delay", "session"], CONNECTION),
        "backlog" | "capture" | "clitcpka-cnt" | "clitcpka-idle" | "clitcpka-intvl" | "declare"
        | "maxconn" | "monitor" | "monitor-uri" | "rate-limit" | "unique-id-format" | "unique-id-header"
        | "use_backend"
            if front =>
        {
            Anything
        }
        "cookie"
        | "force-persist"
        | "fullconn"
        | "hash-balance-factor"
        | "http-reuse"
        | "http-send-name-header"
        | "ignore-persist"
        | "max-keep-alive-queue"
        | "max-session-srv-conns"
        | "persist"
        | "retries"
        | "retry-on"
        | "srvtcpka-cnt"
        | "srvtcpka-idle"
        | "srvtcpka-intvl"
        | "stick"
            if back =>
        {
            Anything
        }
        "http-check" | "tcp-check" if back => One(CHECK),
        "tcp-response" if back => Layer(&["content", "inspect-delay"], CONNECTION),
        _ => return None,
    })
}

/// Whether a word is one of a list of [`Then`].
pub(super) fn is_one_of(word: &str, list: &[&str]) -> bool {
    let name = word.split('(').next().unwrap_or_default();
    list.iter().any(|allowed| match allowed.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == *allowed,
    })
}

/// Why a first word is not taken, where there is more to say than that it is not on the list.
pub(super) fn why_not(word: &str) -> &'static str {
    match word {
        "mode" | "balance" | "hash-type" | "default_backend" | "bind" | "server" => {
            "Roster writes this one itself; give it in the field of that name"
        }
        "server-template" | "default-server" | "use-server" => {
            "it would not hold for the servers that Roster adds and takes away while HAProxy runs"
        }
        "load-server-state-from-file" | "server-state-file-name" => "Roster keeps the servers' state itself",
        "errorfile" | "errorfiles" | "http-error" => "it reads files",
        "external-check" | "filter" | "use-fcgi-app" | "program" | "lua-load" => {
            "it runs something or hands the traffic on"
        }
        "log-format" | "log-tag" | "email-alert" | "stats" | "dispatch" | "transparent" | "source" => {
            "it is the operator's to decide; write it in the configuration's own sections"
        }
        _ => "it is not among the lines that Roster takes",
    }
}
