//! POP3 as Dovecot speaks it.

use super::*;

#[tokio::test]
async fn dovecots_pop3_is_read_over_tls_and_stls_with_short_and_long_tokens() {
    let Some(bench) = Bench::get() else { return };
    bench
        .put_mail(json!({ "count": 1, "subject": "Grüße", "size": 2_000_000, "date": "2026-01-02T03:04:05Z" }))
        .await;
    bench.put_mail(json!({ "count": 2 })).await;
    let before = bench.files().len();
    for (length, token) in [(43, bench.token(POP_SCOPE, 43).await), (4000, bench.token(POP_SCOPE, 4000).await)] {
        for (host, port, security) in [
            ("localhost", "pop3s", Security::Tls),
            (bench.rig.starttls_host.as_str(), "pop3", Security::Starttls),
        ] {
            let target = bench.pop3(bench.endpoint(host, port, security), token.clone());
            let (report, failure, found) = bench.read_pop(&target).await;
            assert_eq!(failure, None, "{length}: {report:?}");
            assert_eq!(detail(&report, Stage::Auth), format!("OAUTHBEARER as {}", bench.address));
            assert!(detail(&report, Stage::Tls).starts_with("TLS 1.3, localhost"));
            let found = found.unwrap();
            assert_eq!(
                (found.messages, found.unread, found.newest.len(), found.oversized.len()),
                (3, None, 3, 1)
            );
            assert!(found.oversized[0].subject.contains("Grüße"), "{:?}", found.oversized);
            assert!(found.oversized[0].size > 1_900_000);
        }
    }
    assert_eq!(bench.files().len(), before, "a test must not delete anything");
}

#[tokio::test]
async fn dovecots_pop3_takes_xoauth2_in_both_forms_and_a_password() {
    let Some(bench) = Bench::get() else { return };
    bench.put_mail(json!({ "count": 1 })).await;
    // A server that offers nothing else, as Exchange does: the capabilities are those of the real one but for the other mechanism.
    for length in [43, 4000] {
        let Login::OAuth2 { user, token } = bench.token(POP_SCOPE, length).await else {
            panic!("a token");
        };
        let endpoint = bench.endpoint("localhost", "pop3s", Security::Tls);
        let addresses = bench.connector.resolve(&endpoint).await.unwrap();
        let tcp = bench.connector.connect(&addresses).await.unwrap().tcp;
        let (tls, _) = bench.connector.encrypt(tcp, "localhost").await.unwrap();
        let mut stream = Recorded::new(Wire::Tls(Box::new(tls)), Recorder::new(Protocol::Pop3));
        pop3::greeting(&mut stream).await.unwrap();
        let capabilities: Vec<String> = pop3::capabilities(&mut stream)
            .await
            .unwrap()
            .iter()
            .map(|line| line.replace(" OAUTHBEARER", ""))
            .collect();
        let login = Login::OAuth2 { user, token };
        let (mut pop3, how) = Pop3::sign_in(stream, capabilities, &login, &endpoint).await.unwrap();
        assert_eq!((how, pop3.stat().await.unwrap().0), ("XOAUTH2", 1));
        pop3.quit().await;
    }
    let password = Login::Password {
        user: bench.rig.user("plain").to_owned(),
        password: Password::new(bench.rig.plain_password.as_str()),
    };
    for (host, port, security) in [
        ("localhost", "pop3s", Security::Tls),
        (bench.rig.starttls_host.as_str(), "pop3", Security::Starttls),
    ] {
        let target = bench.pop3(bench.endpoint(host, port, security), password.clone());
        let (report, failure, found) = bench.read_pop(&target).await;
        assert_eq!(failure, None, "{report:?}");
        assert!(detail(&report, Stage::Auth).starts_with("USER and PASS as plain@"));
        assert_eq!(found.unwrap().messages, 1);
    }
}

#[tokio::test]
async fn what_dovecots_pop3_refuses_is_named() {
    let Some(bench) = Bench::get() else { return };
    let tls = || bench.endpoint("localhost", "pop3s", Security::Tls);
    // A token for sending only, and one nobody issued.
    let stranger = Login::OAuth2 {
        user: bench.address.clone(),
        token: AccessToken::new("x".repeat(43)),
    };
    for login in [bench.token(SMTP_SCOPE, 43).await, bench.token(IMAP_SCOPE, 4000).await, stranger] {
        let (report, failure, _) = bench.read_pop(&bench.pop3(tls(), login)).await;
        assert_eq!(report.failed_step().unwrap().step, Stage::Auth);
        let failure = failure.unwrap();
        assert!(failure.evidence.starts_with("-ERR"), "{failure:?}");
        assert!(
            failure.evidence.contains("\"status\""),
            "the document behind the refusal is kept: {failure:?}"
        );
        assert_eq!(cause(Some(failure)), "pop-gmail-auth");
    }
    for (host, id) in [
        (&bench.rig.expired_host, "tls-cert-expired"),
        (&bench.rig.wrong_name_host, "tls-cert-hostname"),
    ] {
        let target = bench.pop3(bench.endpoint(host, "pop3s", Security::Tls), bench.token(POP_SCOPE, 43).await);
        let (report, failure, _) = bench.read_pop(&target).await;
        assert_eq!(report.failed_step().unwrap().step, Stage::Tls);
        assert_eq!(cause(failure), id);
    }
    // In clear the server offers nothing, and there is nobody to give a token to.
    let target = bench.pop3(
        bench.endpoint(&bench.rig.starttls_host, "pop3", Security::None),
        bench.token(POP_SCOPE, 43).await,
    );
    let (_, failure, _) = bench.read_pop(&target).await;
    assert_eq!(cause(failure), "console-mechanism-not-offered");
}
