//! A script does the main job: a file is applied, a mailbox is tested, and the report says what `interfaces.md` promises. Everything
//! goes through the binary, against the real servers.

use crate::support::command::{Machine, Ran, finish};
use crate::support::rig::{CLIENT_SECRET, IMAP_SCOPE, Minted, Rig, SMTP_SCOPE};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A machine with a provider, a token that was brought along, and mailboxes at the rig.
struct Setup {
    rig: &'static Rig,
    machine: Machine,
    client: String,
    address: String,
    minted: Minted,
}

/// A server as the file has it.
#[derive(Clone, Copy)]
struct Server {
    host: &'static str,
    port: &'static str,
    security: &'static str,
}

const IMAPS: Server = server("localhost", "imaps", "tls");
const SUBMISSIONS: Server = server("localhost", "submissions", "tls");

const fn server(host: &'static str, port: &'static str, security: &'static str) -> Server {
    Server { host, port, security }
}

impl Setup {
    /// None where the rig does not run. `options` are those of the provider's client.
    async fn new(options: Value) -> Option<Self> {
        let rig = Rig::get()?;
        rig.mark("openid-provider");
        let client = rig.register_client(options).await;
        let address = rig.fresh_address();
        let minted = rig
            .mint_grant(
                &client,
                &address,
                &format!("openid email profile offline_access {IMAP_SCOPE} {SMTP_SCOPE}"),
            )
            .await;
        let mut machine = machine(rig);
        machine.set("RIG_CLIENT_SECRET", CLIENT_SECRET);
        machine.set("RIG_REFRESH_TOKEN", minted.refresh_token.clone().unwrap_or_default());
        let setup = Self {
            rig,
            machine,
            client,
            address,
            minted,
        };
        setup.machine.apply(&setup.provider_and_token()).ok();
        Some(setup)
    }

    /// The same with a mailbox `mail` that reads over [`IMAPS`] and sends over [`SUBMISSIONS`].
    async fn with_mailbox(options: Value) -> Option<Self> {
        let setup = Self::new(options).await?;
        setup.mailbox(
            "mail",
            &setup.address.clone(),
            Some((IMAPS, "token = \"mail\"")),
            Some((SUBMISSIONS, "token = \"mail\"")),
        );
        Some(setup)
    }

    fn provider_and_token(&self) -> String {
        format!(
            "[[provider]]\nname = \"rig\"\ntemplate = \"custom\"\nissuer = \"{}\"\nclient_id = \"{}\"\nclient_secret_env = \"RIG_CLIENT_SECRET\"\nclient_auth = \"secret_post\"\n\
             scopes = [\"offline_access\", \"{IMAP_SCOPE}\", \"{SMTP_SCOPE}\"]\n\
             [[token]]\nname = \"mail\"\nprovider = \"rig\"\nuser = \"{}\"\nrefresh_token_env = \"RIG_REFRESH_TOKEN\"\n",
            self.rig.issuer, self.client, self.address
        )
    }

    /// Applies a mailbox: servers, and the lines that say how to sign in there.
    fn mailbox(&self, name: &str, address: &str, incoming: Option<(Server, &str)>, outgoing: Option<(Server, &str)>) {
        let side = |table: &str, side: Option<(Server, &str)>| {
            side.map_or_else(String::new, |(server, lines)| {
                let (host, port) = (server.host, self.rig.port(server.port));
                format!(
                    "[mailbox.{table}]\nhost = \"{host}\"\nport = {port}\nsecurity = \"{}\"\n{lines}\n",
                    server.security
                )
            })
        };
        let text = format!(
            "[[mailbox]]\nname = \"{name}\"\naddress = \"{address}\"\n{}{}",
            side("incoming", incoming),
            side("outgoing", outgoing)
        );
        self.machine.apply(&text).ok();
    }

    /// `mailbox test NAME --json` with more arguments, and the report it printed.
    #[track_caller]
    fn test(&self, name: &str, more: &[&str]) -> (Ran, Value) {
        self.rig.mark(if more.contains(&"--outgoing") { "postfix" } else { "dovecot" });
        let ran = self.machine.run(&[&["mailbox", "test", name, "--json"], more].concat());
        let report = ran.json();
        (ran, report)
    }

    /// A test that passes.
    #[track_caller]
    fn passes(&self, name: &str, more: &[&str]) -> Value {
        let (ran, report) = self.test(name, more);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{report:#}");
        check(&report);
        report
    }

    /// A test that fails at this step for this reason.
    #[track_caller]
    fn fails(&self, name: &str, more: &[&str], step: &str, id: &str) -> Value {
        let (ran, report) = self.test(name, more);
        assert_eq!((ran.status, ran.err.as_str()), (1, ""), "{report:#}");
        check(&report);
        let failed = steps(&report).iter().find(|step| step["outcome"] == "failed").unwrap();
        assert_eq!(
            (&failed["step"], &report["diagnosis"]["id"]),
            (&step.into(), &id.into()),
            "{report:#}"
        );
        report
    }

    fn shown(&self) -> Value {
        self.machine.run(&["token", "show", "mail", "--json"]).ok().json()
    }

    async fn renewals(&self) -> usize {
        let seen = self.rig.requests(&self.client).await;
        seen.iter()
            .filter(|seen| seen.grant_type.as_deref() == Some("refresh_token"))
            .count()
    }

    /// Files in the inbox of an address.
    fn delivered(&self, address: &str) -> usize {
        let files = |folder| std::fs::read_dir(self.rig.maildir(address, folder)).map_or(0, Iterator::count);
        files("new") + files("cur")
    }
}

/// A machine that trusts the rig and may connect to it.
fn machine(rig: &Rig) -> Machine {
    let mut machine = Machine::new();
    machine.set("MAILGRANT_EXTRA_CA_FILE", rig.ca_file.clone());
    machine.set("MAILGRANT_ALLOW_NETWORKS", "loopback");
    machine
}

fn steps(report: &Value) -> &Vec<Value> {
    report["steps"].as_array().unwrap()
}

fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    let found = steps(report).iter().find(|step| step["step"] == name);
    found.unwrap_or_else(|| panic!("no step {name}: {report:#}"))
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Whether a report has the fields, words and order that scripts rely on.
#[track_caller]
fn check(report: &Value) {
    let mut fields = keys(report);
    fields.sort_unstable();
    let promised = [
        "diagnosis",
        "direction",
        "duration_ms",
        "facts",
        "mailbox",
        "outcome",
        "protocol",
        "started_at",
        "steps",
    ];
    assert_eq!(fields, promised);
    let incoming = report["direction"] == "incoming";
    assert_eq!(report["protocol"], if incoming { "imap" } else { "smtp" });
    let started = report["started_at"].as_str().unwrap();
    assert!(
        started.parse::<jiff::Timestamp>().is_ok() && started.ends_with('Z') && started.len() == 20,
        "{started}"
    );
    assert!(report["duration_ms"].is_u64() && report["facts"].is_object());
    for step in steps(report) {
        assert!(
            step["duration_ms"].is_u64() && step["detail"].is_string() && step["facts"].is_object(),
            "{step}"
        );
        assert!(
            ["passed", "warning", "failed", "skipped"].contains(&step["outcome"].as_str().unwrap()),
            "{step}"
        );
        if step["outcome"] == "skipped" {
            assert_eq!((&step["duration_ms"], &step["detail"]), (&0.into(), &"".into()));
        }
        assert!(!step["detail"].as_str().unwrap().contains(['\r', '\n']), "{step}");
    }
    let order = if incoming {
        [
            "token",
            "dns",
            "tcp",
            "tls",
            "greeting",
            "capability",
            "auth",
            "select",
            "unread",
            "newest",
            "junk",
        ]
        .as_slice()
    } else {
        &[
            "token",
            "dns",
            "tcp",
            "tls",
            "greeting",
            "ehlo",
            "auth",
            "mail_from",
            "rcpt_to",
            "data",
            "arrived",
        ]
    };
    let names: Vec<&str> = steps(report).iter().map(|step| step["step"].as_str().unwrap()).collect();
    // Where STARTTLS is used tls comes after it.
    let upgraded: Vec<&str> = order
        .iter()
        .filter(|name| **name != "tls")
        .flat_map(|name| {
            if *name == "auth" {
                vec!["starttls", "tls", "auth"]
            } else {
                vec![*name]
            }
        })
        .collect();
    let order = if names.contains(&"starttls") { &upgraded[..] } else { order };
    let mut places = names.iter().map(|name| order.iter().position(|known| known == name));
    assert!(places.all(|place| place.is_some()), "{names:?}");
    assert!(
        names.iter().map(|name| order.iter().position(|known| known == name)).is_sorted(),
        "{names:?}"
    );
    let failed = steps(report).iter().position(|step| step["outcome"] == "failed");
    match failed {
        None => assert_eq!((&report["outcome"], &report["diagnosis"]), (&"passed".into(), &Value::Null)),
        Some(place) => {
            assert_eq!(report["outcome"], "failed");
            assert!(
                steps(report)[place + 1..].iter().all(|step| step["outcome"] == "skipped"),
                "{report:#}"
            );
            let mut fields = keys(&report["diagnosis"]);
            fields.sort_unstable();
            assert_eq!(fields, ["fix_where", "id", "meaning", "remedy", "retryable", "title", "url"]);
            let diagnosis = &report["diagnosis"];
            assert!(["portal", "exchange", "console", "network", "user"].contains(&diagnosis["fix_where"].as_str().unwrap()));
            assert!(diagnosis["remedy"].as_array().is_some_and(|steps| !steps.is_empty()) && diagnosis["retryable"].is_boolean());
        }
    }
}

/// The names of the steps.
fn names(report: &Value) -> String {
    let names: Vec<&str> = steps(report).iter().map(|step| step["step"].as_str().unwrap()).collect();
    names.join(" ")
}

#[tokio::test]
async fn every_combination_of_encryption_mechanism_and_token_length_passes() {
    for length in [43, 4000] {
        let Some(setup) = Setup::new(json!({ "token_length": length, "token_endpoint_auth_method": "client_secret_post" })).await else {
            return;
        };
        let own = setup.address.clone();
        setup.rig.put_mail(&own, json!({ "count": 1, "subject": "Grüße" })).await;
        for (imap, smtp, mechanism) in [
            (IMAPS, SUBMISSIONS, "OAUTHBEARER"),
            (
                server("127.0.0.3", "imap", "starttls"),
                server("127.0.0.1", "submission", "starttls"),
                "OAUTHBEARER",
            ),
            (
                server("localhost", "imaps_xoauth2", "tls"),
                server("localhost", "submissions_xoauth2", "tls"),
                "XOAUTH2",
            ),
            (
                server("127.0.0.3", "imap_xoauth2", "starttls"),
                server("127.0.0.1", "submission_xoauth2", "starttls"),
                "XOAUTH2",
            ),
        ] {
            setup.mailbox("mail", &own, Some((imap, "token = \"mail\"")), Some((smtp, "token = \"mail\"")));
            let incoming = setup.passes("mail", &["--incoming"]);
            let outgoing = setup.passes("mail", &["--outgoing"]);
            let (read, sent) = match imap.security {
                "tls" => (
                    "token dns tcp tls greeting capability auth select unread newest junk",
                    "token dns tcp tls greeting ehlo auth mail_from rcpt_to data arrived",
                ),
                _ => (
                    "token dns tcp greeting capability starttls tls auth select unread newest junk",
                    "token dns tcp greeting ehlo starttls tls auth mail_from rcpt_to data arrived",
                ),
            };
            assert_eq!((names(&incoming).as_str(), names(&outgoing).as_str()), (read, sent));
            for report in [&incoming, &outgoing] {
                assert!(
                    steps(report)
                        .iter()
                        .all(|step| ["passed", "warning"].contains(&step["outcome"].as_str().unwrap())),
                    "{report:#}"
                );
                assert_eq!(step(report, "auth")["facts"]["mechanism"], mechanism);
                assert_eq!(step(report, "auth")["facts"]["user"], own);
            }
        }
        let handed = setup.machine.run(&["token", "get", "mail"]).ok().out;
        assert_eq!(handed.trim_end().len(), length, "the token that was used");
        assert_eq!(setup.renewals().await, 1, "one access token did for all of it");
    }
}

#[tokio::test]
async fn the_facts_are_those_of_the_mailbox_and_nothing_in_it_is_touched() {
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    let own = setup.address.clone();
    let (rig, mail) = (setup.rig, |mail: Value| async { setup.rig.put_mail(&setup.address, mail).await });
    mail(json!({ "count": 2, "seen": true, "date": "2026-01-02T03:04:05Z" })).await;
    // The server numbers messages when it first sees them.
    setup.passes("mail", &["--incoming"]);
    mail(json!({ "count": 1, "from": "Åsa <asa@elsewhere.example>", "subject": "Grüße, 世界", "date": "2026-01-03T03:04:05Z" })).await;
    mail(json!({ "count": 3, "folder": "Junk", "seen": true })).await;
    mail(json!({ "count": 1, "folder": "Junk" })).await;
    let listing = || {
        let mut names = Vec::new();
        for folder in ["new", "cur", ".Junk/new", ".Junk/cur"] {
            for entry in std::fs::read_dir(rig.maildir(&own, folder)).into_iter().flatten() {
                names.push(entry.unwrap().file_name());
            }
        }
        names.sort();
        names
    };
    setup.passes("mail", &["--incoming"]);
    let before = listing();
    let report = setup.passes("mail", &["--incoming"]);
    assert_eq!(listing(), before, "seen, moved or deleted");
    let facts = &report["facts"];
    assert_eq!(
        (&facts["messages"], &facts["unread"], &facts["junk"], &facts["junk_unread"]),
        (&3.into(), &1.into(), &4.into(), &1.into())
    );
    let newest = &facts["newest"][0];
    assert_eq!(facts["newest"].as_array().unwrap().len(), 3);
    let mut fields = keys(newest);
    fields.sort_unstable();
    assert_eq!(fields, ["date", "from", "size", "subject"]);
    assert_eq!(newest["subject"], "Grüße, 世界");
    assert!(newest["from"].as_str().unwrap().contains("asa@elsewhere.example") && newest["size"].is_u64());
    assert!(newest["date"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{newest}");
    assert_eq!(facts["oversized"], json!([]));

    let big = Setup::new(json!({})).await.unwrap();
    let account = rig.user("big").to_owned();
    big.rig.mint_grant(&big.client, &account, IMAP_SCOPE).await;
    let minted = rig
        .mint_grant(&big.client, &account, &format!("openid email offline_access {IMAP_SCOPE}"))
        .await;
    let token = format!("[[token]]\nname = \"big\"\nprovider = \"rig\"\nuser = \"{account}\"\nrefresh_token_file = \"big\"\n");
    big.machine.file("big", minted.refresh_token.unwrap());
    big.machine.apply(&token).ok();
    big.mailbox("big", &account, Some((IMAPS, "token = \"big\"")), None);
    let report = big.passes("big", &["--incoming"]);
    assert_eq!((&report["facts"]["messages"], &report["facts"]["unread"]), (&3.into(), &2.into()));
    assert!(report["facts"]["oversized"].is_array(), "{report:#}");
}

#[tokio::test]
async fn zero_unread_is_a_result_and_no_failure() {
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    let report = setup.passes("mail", &["--incoming"]);
    assert_eq!((&report["facts"]["messages"], &report["facts"]["unread"]), (&0.into(), &0.into()));
    assert_eq!(report["facts"]["newest"], json!([]));
    assert_eq!(step(&report, "unread")["outcome"], "passed");
}

#[tokio::test]
async fn without_a_direction_every_side_there_is_is_tested() {
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    setup.mailbox("reader", &setup.address, Some((IMAPS, "token = \"mail\"")), None);
    setup.mailbox("sender", &setup.address, None, Some((SUBMISSIONS, "token = \"mail\"")));
    for (name, directions) in [
        ("mail", &["incoming", "outgoing"][..]),
        ("reader", &["incoming"]),
        ("sender", &["outgoing"]),
    ] {
        let (ran, reports) = setup.test(name, &[]);
        assert_eq!(ran.status, 0, "{reports:#}");
        let tested: Vec<&str> = reports
            .as_array()
            .unwrap()
            .iter()
            .map(|report| report["direction"].as_str().unwrap())
            .collect();
        assert_eq!(tested, directions);
        reports.as_array().unwrap().iter().for_each(check);
    }
    let missing = setup.machine.run(&["mailbox", "test", "sender", "--incoming"]);
    assert_eq!(missing.status, 2, "{missing:?}");
    missing.refused(2);

    // For people.
    let said = setup.machine.run(&["mailbox", "test", "mail"]).ok().out;
    assert!(
        said.contains("test incoming of ") && said.contains("test outgoing of ") && said.contains("passed"),
        "{said}"
    );
}

#[tokio::test]
async fn passwords_open_mailboxes_too_and_there_is_no_token_step() {
    let Some(setup) = Setup::new(json!({})).await else { return };
    let plain = setup.rig.user("plain").to_owned();
    setup.machine.file("password", format!("{}\n", setup.rig.plain_password));
    let right = "auth = \"password\"\npassword = \"rig-password-plain\"";
    assert_eq!(setup.rig.plain_password, "rig-password-plain");
    setup.mailbox(
        "plain",
        &plain,
        Some((IMAPS, right)),
        Some((server("127.0.0.1", "submission", "starttls"), right)),
    );
    let incoming = setup.passes("plain", &["--incoming"]);
    assert_eq!(names(&incoming), "dns tcp tls greeting capability auth select unread newest junk");
    let outgoing = setup.passes("plain", &["--outgoing", "--login-only"]);
    assert_eq!(names(&outgoing), "dns tcp greeting ehlo starttls tls auth");

    let wrong = "auth = \"password\"\npassword = \"rig-password-wrong\"";
    setup.mailbox("plain", &plain, Some((IMAPS, wrong)), Some((SUBMISSIONS, wrong)));
    setup.fails("plain", &["--incoming"], "auth", "console-password-refused");
    setup.fails("plain", &["--outgoing"], "auth", "console-password-refused");

    let none = "auth = \"none\"";
    setup.mailbox(
        "relay",
        "relay@rig.test",
        None,
        Some((server("127.0.0.1", "smtp_open", "none"), none)),
    );
    let relay = setup.passes("relay", &["--outgoing", "--to", &setup.address]);
    assert_eq!(names(&relay), "dns tcp greeting ehlo auth mail_from rcpt_to data");
}

#[tokio::test]
async fn a_test_message_goes_where_it_is_told_to_go_and_nowhere_when_only_signing_in() {
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    let other = setup.rig.fresh_address();
    let report = setup.passes("mail", &["--outgoing", "--to", &other]);
    assert_eq!(names(&report), "token dns tcp tls greeting ehlo auth mail_from rcpt_to data");
    for _ in 0..100 {
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
    setup.fails("hr", &["--incoming"], "auth", "imap-authenticationfailed-generic");
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

#[tokio::test]
async fn a_rotated_refresh_token_is_kept_and_the_imported_one_forgotten() {
    let Some(setup) = Setup::with_mailbox(json!({ "rotate": true, "token_length": 4000 })).await else {
        return;
    };
    let imported = setup.minted.refresh_token.clone().unwrap();
    for _ in 0..3 {
        let said = setup.machine.run(&["token", "refresh", "mail"]).ok().out;
        assert!(said.starts_with("renewed; expires "), "{said}");
    }
    let seen = setup.rig.requests(&setup.client).await;
    assert!(
        seen.iter()
            .all(|seen| seen.ok && seen.client_auth.as_deref() == Some("client_secret_post")),
        "{seen:?}"
    );
    for pair in seen.windows(2) {
        assert_eq!(
            pair[0].new_refresh_token_sha256, pair[1].refresh_token_sha256,
            "each renewal uses what the last one brought"
        );
    }
    assert!(!setup.rig.is_active(&imported).await, "the imported one is used up");
    setup.passes("mail", &["--incoming"]);
    // Applying the file with the old refresh token again doesn't put it back.
    let said = setup.machine.apply(&setup.provider_and_token()).ok().out;
    assert_eq!(said, "provider rig unchanged\ntoken mail unchanged\n");
    setup.machine.run(&["token", "refresh", "mail"]).ok();
    setup.passes("mail", &["--outgoing"]);
}

#[tokio::test]
async fn an_access_token_that_ran_out_is_renewed_before_it_is_used() {
    let Some(setup) = Setup::with_mailbox(json!({ "access_token_ttl": 3 })).await else {
        return;
    };
    setup.passes("mail", &["--incoming"]);
    assert_eq!(setup.renewals().await, 1);
    tokio::time::sleep(Duration::from_millis(3100)).await;
    let report = setup.passes("mail", &["--incoming"]);
    assert_eq!(setup.renewals().await, 2);
    let detail = step(&report, "token")["detail"].as_str().unwrap();
    assert!(detail.starts_with("refreshed; expires in "), "{detail}");

    // Handed out with its real end, also where more was asked for than there is.
    let got = setup
        .machine
        .run(&["token", "get", "mail", "--min-lifetime", "3600", "--json"])
        .ok()
        .json();
    let mut fields = keys(&got);
    fields.sort_unstable();
    assert_eq!(fields, ["access_token", "expires_at", "expires_in", "scope", "token_type", "user"]);
    assert!((1..=3).contains(&got["expires_in"].as_i64().unwrap()), "{got}");
    assert!(setup.rig.is_active(got["access_token"].as_str().unwrap()).await);
    assert_eq!(
        (&got["token_type"], &got["user"]),
        (&"Bearer".into(), &setup.address.clone().into())
    );
    assert!(got["scope"].as_str().unwrap().contains(IMAP_SCOPE));
}

#[tokio::test]
async fn a_provider_that_answers_nonsense_is_named_and_nothing_is_lost() {
    for (rotate, mode, id) in [
        (false, json!({ "mode": "html" }), "console-provider-html"),
        (false, json!({ "mode": "empty" }), "console-provider-empty"),
        (false, json!({ "mode": "redirect" }), "console-provider-redirect"),
        (false, json!({ "mode": "http503", "retry_after": 1 }), "console-provider-busy"),
        (
            false,
            json!({ "mode": "error200", "error": "temporarily_unavailable" }),
            "entra-transient",
        ),
        (false, json!({ "mode": "newline_token" }), "console-provider-malformed"),
        (true, json!({ "mode": "newline_token" }), "console-provider-malformed"),
    ] {
        let Some(setup) = Setup::new(json!({ "rotate": rotate })).await else {
            return;
        };
        setup.rig.set_mode(&setup.client, mode.clone()).await;
        let ran = setup.machine.run(&["token", "refresh", "mail"]);
        let said = ran.refused(1).join("\n");
        let shown = setup.shown();
        assert!(said.contains(&format!("({id})")), "{mode}: {said}");
        assert_eq!(shown["last_error"]["id"], id, "{mode}");
        assert_eq!(
            (&shown["refresh_token"], &shown["state"]),
            (&true.into(), &"failing".into()),
            "{mode} {shown:#}"
        );
        assert_eq!(setup.rig.requests_at(&setup.client, "followed").await.len(), 0);
        assert!(setup.renewals().await <= 2, "asked again once at most");
        setup.rig.set_mode(&setup.client, json!({ "mode": "ok" })).await;

        let renewed = setup.machine.run(&["token", "refresh", "mail"]).ok().out;
        assert!(renewed.starts_with("renewed"), "{mode}");
        let shown = setup.shown();
        assert_eq!((&shown["state"], &shown["last_error"]), (&"active".into(), &Value::Null));
        let token = setup.machine.run(&["token", "get", "mail"]).ok().out;
        assert!(setup.rig.is_active(token.trim_end()).await);
    }
}

#[tokio::test]
async fn a_provider_in_trouble_is_named_in_the_token_step_while_a_stored_token_still_serves() {
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    setup.passes("mail", &["--incoming"]);
    setup.rig.set_mode(&setup.client, json!({ "mode": "http503" })).await;
    setup.machine.run(&["token", "refresh", "mail"]).refused(1);
    setup.passes("mail", &["--incoming"]);

    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    setup.rig.set_mode(&setup.client, json!({ "mode": "http503" })).await;
    let report = setup.fails("mail", &["--incoming"], "token", "console-provider-busy");
    assert_eq!(report["diagnosis"]["retryable"], true);
    assert_eq!(report["steps"].as_array().unwrap().len(), 11);

    // The grant was ended at the provider: a person must sign in again, and the token set is kept until then.
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    setup.rig.revoke_grants(&setup.client).await;
    let (_, report) = setup.test("mail", &["--outgoing"]);
    check(&report);
    assert_eq!(step(&report, "token")["outcome"], "failed");
    let shown = setup.shown();
    assert_eq!((&shown["state"], &shown["refresh_token"]), (&"revoked".into(), &true.into()));
    assert_eq!(shown["last_error"]["id"], report["diagnosis"]["id"]);
}

#[tokio::test]
async fn a_refresh_token_of_somebody_else_is_never_used() {
    let Some(mut setup) = Setup::new(json!({})).await else {
        return;
    };
    let scope = format!("openid email profile offline_access {IMAP_SCOPE} {SMTP_SCOPE}");
    let other = setup.rig.mint_grant(&setup.client, setup.rig.user("hr"), &scope).await;
    setup.machine.set("OF_HR", other.refresh_token.unwrap());
    let token = format!(
        "[[token]]\nname = \"swapped\"\nprovider = \"rig\"\nuser = \"{}\"\nrefresh_token_env = \"OF_HR\"\n",
        setup.address
    );
    setup.machine.apply(&token).ok();
    for _ in 0..2 {
        let ran = setup.machine.run(&["token", "get", "swapped"]);
        assert!(ran.refused(1)[0].ends_with("(console-different-account)"), "{ran:?}");
        assert_eq!(ran.out, "");
    }
    assert_eq!(setup.renewals().await, 1);
}

#[tokio::test]
async fn two_processes_that_want_one_token_ask_once() {
    let Some(setup) = Setup::new(json!({ "delay_before": 300, "rotate": true })).await else {
        return;
    };
    let commands = (0..4).map(|_| setup.machine.command(&["token", "get", "mail"]));
    let running: Vec<_> = commands.map(|command| std::thread::spawn(move || finish(command, None))).collect();
    let tokens: Vec<String> = running.into_iter().map(|thread| thread.join().unwrap().ok().out).collect();
    assert!(
        tokens.iter().all(|token| *token == tokens[0] && token.len() > 20),
        "all got the same"
    );
    assert_eq!(setup.renewals().await, 1);
    assert!(setup.rig.is_active(tokens[0].trim_end()).await);
}

#[tokio::test]
async fn a_token_that_is_removed_is_revoked_at_the_provider() {
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    let access = setup.machine.run(&["token", "get", "mail"]).ok().out;
    let refresh = setup.minted.refresh_token.clone().unwrap();
    assert!(setup.rig.is_active(&refresh).await && setup.rig.is_active(access.trim_end()).await);
    let said = setup.machine.run(&["token", "remove", "mail"]).ok().out;
    assert_eq!(
        said,
        "removed here and revoked at the provider\n1 mailboxes that used it are paused\n"
    );
    assert!(!setup.rig.is_active(&refresh).await && !setup.rig.is_active(access.trim_end()).await);
    assert!(!setup.rig.requests_at(&setup.client, "revoke").await.is_empty());
    let shown = setup.shown();
    assert_eq!((&shown["state"], &shown["refresh_token"]), (&"unauthorized".into(), &false.into()));
    setup.fails("mail", &["--incoming"], "token", "console-not-authorized");
    assert_eq!(setup.machine.run(&["token", "remove", "mail"]).ok().out, "nothing was stored\n");
}

#[tokio::test]
async fn what_is_listed_tells_how_the_last_test_ended() {
    let Some(setup) = Setup::with_mailbox(json!({})).await else {
        return;
    };
    let listed = |setup: &Setup| setup.machine.run(&["mailbox", "list", "--json"]).ok().json()[0].clone();
    let before = listed(&setup);
    assert_eq!(
        (&before["state"], &before["incoming"]["outcome"]),
        (&"untested".into(), &Value::Null)
    );
    setup.passes("mail", &["--incoming"]);
    setup.passes("mail", &["--outgoing", "--login-only"]);
    let after = listed(&setup);
    assert_eq!(after["incoming"]["outcome"], "passed", "{after:#}");
    let expected: Map<String, Value> =
        json!({ "protocol": "imap", "host": "localhost", "security": "tls", "auth": "oauth2", "token": "mail" })
            .as_object()
            .unwrap()
            .clone();
    for (key, value) in expected {
        assert_eq!(after["incoming"][key.as_str()], value, "{key}");
    }
    let tokens = setup.machine.run(&["token", "list"]).ok().out;
    assert!(tokens.contains("active"), "{tokens}");
}
