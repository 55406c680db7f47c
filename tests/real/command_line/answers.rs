//! What the servers do with a message, and what they refuse.

use super::*;

#[tokio::test]
async fn a_test_message_goes_where_it_is_told_to_go_and_nowhere_when_only_signing_in() {
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    let other = setup.rig.fresh_address();
    let report = setup.passes("mail", &["--outgoing", "--to", &other]);
    assert_eq!(names(&report), "token dns tcp tls greeting ehlo auth mail_from rcpt_to data");
    for _ in 0..600 {
        if setup.delivered(&other) == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((setup.delivered(&other), setup.delivered(&setup.address)), (1, 0));

    let report = setup.passes("mail", &["--outgoing", "--login-only"]);
    assert_eq!(names(&report), "token dns tcp tls greeting ehlo auth");
    setup.fails(
        "mail",
        &["--outgoing", "--to", setup.rig.user("nobody")],
        "rcpt_to",
        "smtp-recipient-unknown",
    );
    setup
        .machine
        .run(&["mailbox", "test", "mail", "--outgoing", "--to", "no address"])
        .refused(2);
    let arrived = setup.passes("mail", &["--outgoing"]);
    assert!(
        step(&arrived, "arrived")["detail"]
            .as_str()
            .unwrap()
            .starts_with("in the inbox after ")
    );
    assert_eq!(
        (setup.delivered(&other), setup.delivered(&setup.address)),
        (1, 1),
        "one message a test"
    );
}

#[tokio::test]
async fn what_the_servers_refuse_is_named_with_their_words() {
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    let own = setup.address.clone();
    let token = "token = \"mail\"";
    setup.mailbox("old", &own, Some((server("127.0.0.2", "imaps", "tls"), token)), None);
    let report = setup.fails("old", &["--incoming"], "tls", "tls-cert-expired");
    assert_eq!(
        names(&report),
        "token dns tcp tls greeting capability auth select unread newest junk"
    );
    setup.mailbox("other", &own, Some((server("127.0.0.4", "imap", "starttls"), token)), None);
    let report = setup.fails("other", &["--incoming"], "tls", "tls-cert-hostname");
    assert!(
        step(&report, "tls")["detail"].as_str().unwrap().contains("mail.elsewhere.test"),
        "{report:#}"
    );

    // Somebody else's sender.
    let foreign = format!("{token}\nfrom = \"{}\"", setup.rig.user("hr"));
    setup.mailbox("foreign", &own, None, Some((SUBMISSIONS, &foreign)));
    let report = setup.fails("foreign", &["--outgoing"], "rcpt_to", "smtp-sender-refused");
    assert!(
        step(&report, "rcpt_to")["detail"].as_str().unwrap().starts_with("553 5.7.1 "),
        "{report:#}"
    );

    // Somebody else's mailbox, a folder that isn't there, a port where nobody listens.
    setup.machine.apply("[[token]]\nname = \"mail\"\nshared = true\n").ok();
    setup.mailbox("hr", setup.rig.user("hr"), Some((IMAPS, token)), None);
    setup.fails("hr", &["--incoming"], "auth", "console-other-account");
    setup.mailbox("lost", &own, Some((IMAPS, &format!("{token}\nfolder = \"Entwürfe\""))), None);
    setup.fails("lost", &["--incoming"], "select", "console-folder-missing");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "[[mailbox]]\nname = \"closed\"\naddress = \"{own}\"\n[mailbox.incoming]\nhost = \"127.0.0.1\"\nport = {closed}\n{token}\n"
    );
    setup.machine.apply(&text).ok();
    let report = setup.fails("closed", &["--incoming"], "tcp", "network-refused");
    assert_eq!(report["diagnosis"]["fix_where"], "network");
}
