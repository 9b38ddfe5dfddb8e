use super::*;

/// Every keyword there is, each at its longest.
pub(crate) fn all() -> ServerKeywords {
    let host = || HostName::new(&"h".repeat(253)).unwrap();
    let millis = Millis::new(Millis::MAX).unwrap();
    ServerKeywords {
        id: ServerId::new(u32::MAX),
        weight: Some(Weight::MAX),
        maxconn: NonZeroU32::new(u32::MAX),
        backup: true,
        cookie: Some(CookieValue::new(&"c".repeat(128)).unwrap()),
        slowstart: Some(millis),
        init_state: Some(InitState::FullyDown),
        send_proxy: Some(ProxyProtocol::V2),
        tls: Some(TlsKeywords {
            verify: Verify::Required {
                ca_file: CaFile::new(&format!("/{}", "f".repeat(511))).unwrap(),
                host: Some(host()),
            },
            sni: Some(host()),
            alpn: Some(Alpn::H2OrHttp1),
        }),
        check: Some(CheckKeywords {
            inter: Some(millis),
            fastinter: Some(millis),
            downinter: Some(millis),
            rise: NonZeroU16::new(u16::MAX),
            fall: NonZeroU16::new(u16::MAX),
            port: Port::new(u16::MAX),
            addr: Some(IpAddr::from([u16::MAX; 8])),
            tls: true,
            sni: Some(host()),
            send_proxy: true,
        }),
    }
}

#[test]
fn a_plain_server_has_no_keyword() {
    assert_eq!(ServerKeywords::default().to_string(), "");
}

#[test]
fn keywords_are_written_as_haproxy_reads_them() {
    let keywords = ServerKeywords {
        id: ServerId::new(77),
        weight: Weight::new(20).ok(),
        backup: true,
        slowstart: Millis::try_from(Duration::from_secs(10)).ok(),
        check: Some(CheckKeywords {
            inter: Millis::new(500).ok(),
            rise: NonZeroU16::new(2),
            fall: NonZeroU16::new(3),
            port: Port::new(99),
            addr: "fd00::9".parse().ok(),
            ..CheckKeywords::default()
        }),
        tls: Some(TlsKeywords {
            verify: Verify::None,
            sni: HostName::new("web.internal").ok(),
            alpn: Some(Alpn::H2),
        }),
        ..ServerKeywords::default()
    };
    assert_eq!(
        keywords.to_string(),
        " id 77 weight 20 backup slowstart 10000ms ssl verify none sni str(web.internal) alpn h2 \
         check inter 500ms rise 2 fall 3 port 99 addr [fd00::9]"
    );
}

#[test]
fn nothing_that_ends_or_starts_a_command_can_be_in_a_keyword() {
    for hostile in ["a;b", "a\nb", "a b", "a<<", "a#", "a\"", "a'", "a\\", "$X", "é", "a,b", "a)", "a[", ""]
    {
        assert!(HostName::new(hostile).is_err(), "{hostile:?}");
        assert!(CaFile::new(hostile).is_err(), "{hostile:?}");
    }
}

#[test]
fn all_keywords_together_fit_in_the_64_words_that_3_2_takes() {
    let words = all().to_string().split_ascii_whitespace().count();
    assert!(words + 4 < 64, "{words}");
}

#[test]
fn a_time_is_between_one_millisecond_and_what_haproxy_holds() {
    assert!(Millis::new(0).is_err());
    assert!(Millis::new(1 << 31).is_err());
    assert!(Millis::try_from(Duration::from_micros(10)).is_err());
    assert!(Millis::try_from(Duration::MAX).is_err());
    assert_eq!(Millis::try_from(Duration::from_secs(2)).unwrap().get(), 2000);
}

#[test]
fn the_oldest_version_is_that_of_the_newest_keyword() {
    assert_eq!(ServerKeywords::default().oldest_version(), Version::new(2, 6, 0));
    assert_eq!(all().oldest_version(), Version::new(3, 1, 0));
    assert_eq!(ServerKeywords { init_state: None, ..all() }.oldest_version(), Version::new(2, 8, 0));
}

#[test]
fn keywords_survive_json() {
    let json = serde_json::to_string(&all()).unwrap();
    assert_eq!(serde_json::from_str::<ServerKeywords>(&json).unwrap(), all());
    assert!(serde_json::from_str::<HostName>("\"a;b\"").is_err());
    assert!(serde_json::from_str::<Millis>("0").is_err());
}
