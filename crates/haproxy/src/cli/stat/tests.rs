use proptest::prelude::*;

use super::*;

const RECORDED: [&str; 2] =
    [include_str!("../fixtures/stat-2.6.csv"), include_str!("../fixtures/stat-3.0.csv")];

fn server<'f>(fixed: &'f Fixed<'_>, name: &str) -> &'f FixedServer<'f> {
    fixed.servers.iter().find(|server| server.name == name).unwrap()
}

fn backups<'f>(fixed: &'f Fixed<'_>) -> Vec<&'f str> {
    fixed.servers.iter().filter(|server| server.backup).map(|server| server.name.as_ref()).collect()
}

#[test]
fn algorithm_and_backups_are_read_on_2_6_and_3_0() {
    for text in RECORDED {
        let fixed = fixed(text).unwrap();
        assert_eq!(fixed.algorithm.as_deref(), Some("roundrobin"));
        assert_eq!(fixed.servers.len(), 10);
        assert_eq!(backups(&fixed), ["s2", "10.0.0.1:8080"]);
        assert!(!server(&fixed, "s1").cookie_is_name, "its cookie is c1");
    }
}

#[test]
fn at_level_user_the_algorithm_and_the_cookies_are_unknown_and_the_backups_are_not() {
    for text in [
        include_str!("../fixtures/stat-user-level-2.6.csv"),
        include_str!("../fixtures/stat-user-level-3.0.csv"),
    ] {
        let fixed = fixed(text).unwrap();
        assert_eq!(fixed.algorithm, None);
        assert_eq!(backups(&fixed), ["s2", "10.0.0.1:8080"]);
    }
}

#[test]
fn the_limit_and_a_cookie_that_is_the_name_are_read() {
    let text = "# svname,slim,bck,type,cookie,algo,\ns1,77,0,2,s1,,\ns2,,0,2,x,,\nBACKEND,1,0,1,SRV,first,\n";
    let fixed = fixed(text).unwrap();
    assert_eq!(
        (server(&fixed, "s1").maxconn, server(&fixed, "s1").cookie_is_name),
        (NonZeroU32::new(77), true)
    );
    assert_eq!((server(&fixed, "s2").maxconn, server(&fixed, "s2").cookie_is_name), (None, false));
    assert_eq!(fixed.algorithm.as_deref(), Some("first"));
}

#[test]
fn a_column_may_stand_anywhere_and_some_may_be_missing() {
    let text = "# algo,bck,x,type,svname,\nroundrobin,1,,1,BACKEND,\n,1,,2,s1,\n,0,\"\n\",2,s2,\n";
    let fixed = fixed(text).unwrap();
    assert_eq!((fixed.algorithm.as_deref(), backups(&fixed)), (Some("roundrobin"), vec!["s1"]));
}

#[test]
fn a_line_break_in_what_a_server_said_makes_no_new_line() {
    let text = "# svname,bck,type,last_chk,algo,\ns1,0,2,\"a\ns9,1,2,\"\"x\"\"\",,\nBACKEND,0,1,,first,\n";
    let fixed = fixed(text).unwrap();
    assert_eq!((fixed.algorithm.as_deref(), backups(&fixed)), (Some("first"), vec![]));
}

#[test]
fn what_cannot_be_read_is_an_error_with_its_line() {
    assert!(matches!(fixed("No such proxy.\n"), Err(ParseError::Refused { .. })));
    assert!(fixed("").is_err());
    assert!(matches!(fixed("# svname,bck,\n"), Err(ParseError::Missing { name: "type", .. })));
    for (line, name) in [("s1,x,2,", "bck"), ("s1,0,9,", "type"), ("s1,0", "type"), ("s1,0,2,x", "slim")] {
        let text = format!("# svname,bck,type,slim,\ns0,0,2,,\n{line}\n");
        let error = fixed(&text).unwrap_err();
        assert!(matches!(error, ParseError::Value { line: 3, name: n, .. } if n == name), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "(?s).*") {
        let _read = fixed(&text);
        let header = RECORDED[0].lines().next().unwrap();
        let _read = fixed(&format!("{header}\n{text}"));
    }

    #[test]
    fn every_server_is_read_whatever_stands_in_fields_that_are_not(
        rows in prop::collection::vec(("[a-z]{1,3}", 0..4_u8, 0..2_u8, "[a\",\n]{0,4}"), 0..8),
    ) {
        let header = "# pxname,svname,qcur,scur,slim,status,weight,act,bck,iid,sid,type,last_chk,cookie,algo,\n";
        let line = |(name, kind, backup, said): &(String, u8, u8, String)| {
            let said = said.replace('"', "\"\"");
            format!("web,{name},0,0,,UP,1,1,{backup},4,9,{kind},\"{said}\",{name},,\n")
        };
        let text = header.to_owned() + &rows.iter().map(line).collect::<String>();
        let fixed = fixed(&text).unwrap();
        let servers = fixed.servers.iter().map(|one| (one.name.as_ref(), one.backup, one.cookie_is_name));
        let wanted = rows.iter().filter(|row| row.1 == 2).map(|row| (row.0.as_str(), row.2 > 0, true));
        prop_assert_eq!(servers.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    }
}
