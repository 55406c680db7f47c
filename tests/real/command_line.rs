//! A script does the main job: a file is applied, a mailbox is tested, and the report says what `interfaces.md` promises. Everything
//! goes through the binary, against the real servers.

mod answers;
mod report;
mod tokens;

use crate::support::command::{Machine, Ran};
use crate::support::rig::{CLIENT_SECRET, IMAP_SCOPE, Minted, Rig, SMTP_SCOPE};
use report::{check, keys, names, step, steps};
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
