//! The keywords of a `server` line, and how many words follow each.
//!
//! From the tables in HAProxy's source (`srv_kws` in `src/server.c`, `src/check.c`, `src/ssl_sock.c`, 2.6 to 3.4).

use super::scan::Word;

/// One keyword of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Keyword {
    /// Its place among the line's words.
    pub(super) at: usize,
    /// How many words belong to it, itself included.
    pub(super) len: usize,
    /// Whether Roster knows it.
    pub(super) known: bool,
}

const FLAGS: &[&str] = &[
    "agent-check",
    "allow-0rtt",
    "backup",
    "check",
    "check-reuse-pool",
    "check-send-proxy",
    "check-sni-auto",
    "check-ssl",
    "check-via-socks4",
    "disabled",
    "enabled",
    "force-sslv3",
    "force-tlsv10",
    "force-tlsv11",
    "force-tlsv12",
    "force-tlsv13",
    "no-agent-check",
    "no-backup",
    "no-check",
    "no-check-reuse-pool",
    "no-check-send-proxy",
    "no-check-sni-auto",
    "no-check-ssl",
    "no-renegotiate",
    "no-send-proxy",
    "no-send-proxy-v2",
    "no-send-proxy-v2-ssl",
    "no-send-proxy-v2-ssl-cn",
    "no-sni-auto",
    "no-ssl",
    "no-ssl-reuse",
    "no-sslv3",
    "no-tfo",
    "no-tls-tickets",
    "no-tlsv10",
    "no-tlsv11",
    "no-tlsv12",
    "no-tlsv13",
    "no-verifyhost",
    "non-stick",
    "renegotiate",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "sni-auto",
    "ssl",
    "ssl-reuse",
    "stick",
    "strict-maxconn",
    "tfo",
    "tls-tickets",
];

const PAIRS: &[&str] = &[
    "addr",
    "agent-addr",
    "agent-inter",
    "agent-port",
    "agent-send",
    "alpn",
    "ca-file",
    "cc",
    "check-alpn",
    "check-pool-conn-name",
    "check-proto",
    "check-sni",
    "ciphers",
    "ciphersuites",
    "client-sigalgs",
    "cookie",
    "crl-file",
    "crt",
    "curves",
    "downinter",
    "error-limit",
    "fall",
    "fastinter",
    "guid",
    "hash-key",
    "id",
    "idle-ping",
    "init-addr",
    "init-state",
    "inter",
    "interface",
    "ktls",
    "log-bufsize",
    "log-proto",
    "max-reuse",
    "maxconn",
    "maxqueue",
    "minconn",
    "namespace",
    "npn",
    "observe",
    "on-error",
    "on-marked-down",
    "on-marked-up",
    "pool-conn-name",
    "pool-low-conn",
    "pool-max-conn",
    "pool-purge-delay",
    "port",
    "proto",
    "proxy-v2-options",
    "quic-cc-algo",
    "redir",
    "resolve-net",
    "resolve-opts",
    "resolve-prefer",
    "resolvers",
    "rise",
    "shard",
    "sigalgs",
    "slowstart",
    "sni",
    "socks4",
    "source",
    "ssl-max-ver",
    "ssl-min-ver",
    "tcp-md5sig",
    "tcp-ut",
    "track",
    "usesrc",
    "verify",
    "verifyhost",
    "weight",
    "ws",
];

/// Cuts the words from a place on into keywords. One that is not known is taken to stand alone.
pub(super) fn cut(words: &[Word<'_>], from: usize) -> Vec<Keyword> {
    let (mut keywords, mut at) = (Vec::new(), from);
    while let Some(word) = words.get(at) {
        let (known, len) = match word.text.as_deref() {
            Some(word) if FLAGS.binary_search(&word).is_ok() => (true, 1),
            Some(word) if PAIRS.binary_search(&word).is_ok() => (true, 2),
            Some(word) if word.starts_with("set-proxy-v2-tlv-fmt(") => (true, 2),
            _ => (false, 1),
        };
        let len = len.min(words.len() - at);
        keywords.push(Keyword { at, len, known });
        at += len;
    }
    keywords
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_for_the_search() {
        assert!(FLAGS.is_sorted() && PAIRS.is_sorted());
    }
}
