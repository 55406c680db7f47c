use super::*;

fn gate(networks: &[&str]) -> Gate {
    Gate::new(networks.iter().map(|n| n.parse().unwrap()).collect(), vec![])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn check(networks: &[&str], address: &str) -> Result<(), GateError> {
    gate(networks).check("mail.example", 993, &[ip(address)])
}

/// What the refusal says has to be added.
fn to_add(address: &str) -> Option<String> {
    match check(&[], address) {
        Err(GateError::Forbidden { add, .. }) => add,
        other => panic!("{address}: {other:?}"),
    }
}

#[test]
fn public_addresses_pass_also_wrapped_in_other_forms() {
    for address in [
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "2a00:1450:4001::6d",
        "2001:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ] {
        assert_eq!(check(&[], address), Ok(()), "{address}");
    }
}

#[test]
fn a_refusal_names_what_to_add_and_adding_it_helps() {
    for (address, add) in [
        ("127.0.0.1", "loopback"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:0:127.0.0.1", "loopback"),
        ("::127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::1", "loopback"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("fc00::1", "private"),
        ("fd12:3456::1", "private"),
        ("::ffff:10.0.0.1", "private"),
        ("64:ff9b::a00:1", "private"),
        ("2002:c0a8:101::1", "private"),
        ("100.64.0.1", "100.64.0.1/32"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("198.18.0.1", "198.18.0.1/32"),
        ("198.51.100.7", "198.51.100.7/32"),
        ("203.0.113.7", "203.0.113.7/32"),
        ("240.0.0.1", "240.0.0.1/32"),
        ("192.88.99.1", "192.88.99.1/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("3fff::1", "3fff::1/128"),
        ("100::1", "100::1/128"),
        ("fec0::1", "fec0::1/128"),
        ("4000::1", "4000::1/128"),
    ] {
        assert_eq!(to_add(address).as_deref(), Some(add), "{address}");
        assert_eq!(check(&[add], address), Ok(()), "{address} with {add}");
    }
}

#[test]
fn link_local_metadata_and_group_addresses_never_pass() {
    let everything = ["loopback", "private", "0.0.0.0/0", "::/0", "mail.example"];
    for address in [
        "169.254.169.254",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "::169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
        "fe80::1",
        "febf::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "224.0.0.1",
        "239.1.1.1",
        "255.255.255.255",
        "ff02::1",
        "2001:0:7f00:1::1",
    ] {
        assert_eq!(to_add(address), None, "{address}");
        assert!(check(&everything, address).is_err(), "{address}");
    }
}

#[test]
fn one_forbidden_address_is_enough_to_refuse_a_name() {
    let addresses = [ip("8.8.8.8"), ip("127.0.0.1")];
    assert!(gate(&[]).check("rebind.example", 993, &addresses).is_err());
    assert!(gate(&["private"]).check("rebind.example", 993, &addresses).is_err());
    assert!(gate(&[]).check("nothing.example", 993, &[]).is_err());
}

#[test]
fn the_refusal_is_the_same_whatever_the_port() {
    let text = |port| gate(&[]).check("inside.example", port, &[ip("10.0.0.1")]).unwrap_err().to_string();
    assert_eq!(text(993), text(22));
    assert_eq!(
        text(993),
        "inside.example is in a network that is not allowed; if it is right, add private to the setting allow_networks \
         (MAILGRANT_ALLOW_NETWORKS)"
    );
}

#[test]
fn ports_are_those_of_mail_and_any_where_the_destination_is_named() {
    let public = [ip("8.8.8.8")];
    for port in PORTS {
        assert_eq!(gate(&[]).check("mail.example", port, &public), Ok(()));
    }
    for port in [22, 80, 8080, 6379, 1] {
        assert_eq!(
            gate(&["loopback"]).check("mail.example", port, &public),
            Err(GateError::PortForbidden { port })
        );
        assert_eq!(gate(&["mail.example"]).check("MAIL.example.", port, &public), Ok(()));
        assert_eq!(gate(&["8.8.8.0/24"]).check("mail.example", port, &public), Ok(()));
        assert_eq!(gate(&["loopback"]).check("localhost", port, &[ip("127.0.0.1")]), Ok(()));
        let mixed = [ip("8.8.8.8"), ip("9.9.9.9")];
        assert!(gate(&["8.8.8.8"]).check("mail.example", port, &mixed).is_err());
    }
    assert_eq!(Gate::new(vec![], vec![8143]).check("mail.example", 8143, &public), Ok(()));
    let text = gate(&[]).check("mail.example", 22, &public).unwrap_err().to_string();
    assert!(text.contains("add 22 to the setting allow_ports (MAILGRANT_ALLOW_PORTS)"), "{text}");
}

#[test]
fn a_host_entry_counts_for_that_name_alone() {
    let gate = gate(&["mail.corp.example"]);
    assert_eq!(gate.check("Mail.Corp.Example", 993, &[ip("10.0.0.1")]), Ok(()));
    assert!(gate.check("other.corp.example", 993, &[ip("10.0.0.1")]).is_err());
    assert!(gate.check("x.mail.corp.example", 993, &[ip("10.0.0.1")]).is_err());
}

#[test]
fn clear_text_is_for_loopback_alone() {
    let loopback = [ip("127.0.0.1"), ip("::1")];
    assert!(gate(&["loopback"]).allows_plain("localhost", &loopback));
    assert!(gate(&["127.0.0.0/8"]).allows_plain("localhost", &loopback[..1]));
    assert!(gate(&["localhost"]).allows_plain("localhost", &loopback));
    assert!(!gate(&[]).allows_plain("localhost", &loopback));
    assert!(!gate(&["private"]).allows_plain("mail.example", &[ip("10.0.0.1")]));
    assert!(!gate(&["mail.example"]).allows_plain("mail.example", &[ip("8.8.8.8")]));
    assert!(!gate(&["loopback"]).allows_plain("mixed.example", &[ip("127.0.0.1"), ip("8.8.8.8")]));
    assert!(!gate(&["loopback"]).allows_plain("nothing.example", &[]));
}

#[test]
fn settings_are_read_as_people_write_them() {
    for (text, shown) in [
        ("loopback", "loopback"),
        (" private ", "private"),
        ("10.1.2.3/16", "10.1.0.0/16"),
        ("192.168.7.9", "192.168.7.9/32"),
        ("fd00::/8", "fd00::/8"),
        ("Mail.Corp.example", "mail.corp.example"),
    ] {
        assert_eq!(text.parse::<AllowNetwork>().unwrap().to_string(), shown);
    }
    for bad in ["", "http://x", "10.0.0.0/33", "a b"] {
        assert!(bad.parse::<AllowNetwork>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn literals_and_odd_spellings_of_loopback_are_caught() {
    for host in [
        "127.0.0.1",
        "[::1]",
        "::1",
        "localhost",
        "127.1",
        "0x7f000001",
        "2130706433",
        "[::ffff:127.0.0.1]",
    ] {
        match gate(&[]).resolve(host, 993).await {
            Err(GateError::Forbidden { add, .. }) => assert_eq!(add.as_deref(), Some("loopback"), "{host}"),
            Err(GateError::NotFound { .. } | GateError::NameServer { .. }) => {
                assert!(host.starts_with("0x") || host.starts_with('2'), "{host}");
            }
            other => panic!("{host}: {other:?}"),
        }
    }
    let found = gate(&["loopback"]).resolve("[::ffff:127.0.0.1]", 143).await.unwrap();
    assert_eq!(found, ["127.0.0.1:143".parse().unwrap()]);
}

#[tokio::test]
async fn a_name_nobody_has_is_not_found_or_not_answered() {
    let error = gate(&[]).resolve("no-such-name.invalid", 993).await.unwrap_err();
    assert!(
        matches!(
            error,
            GateError::NotFound { .. } | GateError::NameServer { .. } | GateError::Timeout { .. }
        ),
        "{error:?}"
    );
    assert!(is_temporary(
        "failed to lookup address information: Temporary failure in name resolution"
    ));
    assert!(!is_temporary("failed to lookup address information: Name or service not known"));
}

#[tokio::test]
async fn the_demo_leads_to_this_machine_only_and_asks_nobody_for_names() {
    let gate = Gate::this_machine();
    for host in ["127.0.0.1", "::1", "[::1]", "localhost"] {
        assert!(gate.resolve(host, 4711).await.is_ok(), "{host}");
    }
    for host in [
        "8.8.8.8",
        "10.0.0.1",
        "169.254.169.254",
        "login.microsoftonline.com",
        "no-such-name.invalid",
    ] {
        let outside = GateError::Outside { host: host.to_owned() };
        assert_eq!(gate.resolve(host, 443).await, Err(outside), "{host}");
    }
}
