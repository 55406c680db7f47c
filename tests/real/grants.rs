//! Every way to get a token that the real provider plays × IMAP, POP3 and SMTP: the token is got as people and scripts get it, through
//! the binary, and Dovecot or Postfix takes it. What they can't play is in `sandbox::matrix`.

use super::authorize::{House, Stranger};
use super::device;
use crate::support::certificates::{DER, FILE};
use crate::support::matrix::{Cell, WAYS, Way, is_real, offered};
use crate::support::rig::{CLIENT_SECRET, IMAP_SCOPE, POP_SCOPE, SMTP_SCOPE};
use mailgrant::model::mailbox::Protocol;
use mailgrant::model::template::TemplateKind;
use mailgrant::oauth::certificate;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Another way to prove the app: its own client, told which mailboxes its token opens.
async fn app(house: &House, way: Way, mailboxes: [&str; 2]) -> String {
    let mut options = json!({ "app_mailboxes": mailboxes });
    let proof = if way == Way::AppByCertificate {
        let jwks: Value = serde_json::from_str(&certificate::jwks(DER, "PS256").unwrap()).unwrap();
        options["token_endpoint_auth_method"] = "private_key_jwt".into();
        options["token_endpoint_auth_signing_alg"] = "PS256".into();
        options["jwks"] = jwks;
        let file = house.machine.file("client.pem", FILE);
        format!("client_auth = \"certificate\"\ncertificate_file = \"{}\"\n", file.display())
    } else {
        format!("client_auth = \"secret_basic\"\nclient_secret = \"{CLIENT_SECRET}\"\n")
    };
    let client = house.rig.register_client(options).await;
    let name = way.name();
    let scopes = [IMAP_SCOPE, POP_SCOPE, SMTP_SCOPE];
    let text = format!(
        "[[provider]]\nname = \"{name}\"\ntemplate = \"custom\"\nissuer = \"{}\"\nclient_id = \"{client}\"\n{proof}\
         grant = \"client_credentials\"\nscopes = {scopes:?}\n\
         [[token]]\nname = \"{name}\"\nprovider = \"{name}\"\ngrant = \"client_credentials\"\nscopes = {scopes:?}\n",
        house.rig.issuer
    );
    house.machine.apply(&text).ok();
    client
}

/// The servers of a protocol: those with both mechanisms, and those that know XOAUTH2 alone, with what is spoken to them.
fn servers(protocol: Protocol) -> &'static [(&'static str, &'static str)] {
    match protocol {
        Protocol::Imap => &[("imaps", "OAUTHBEARER"), ("imaps_xoauth2", "XOAUTH2")],
        Protocol::Pop3 => &[("pop3s", "OAUTHBEARER")],
        _ => &[("submissions", "OAUTHBEARER"), ("submissions_xoauth2", "XOAUTH2")],
    }
}

/// Tests a mailbox of this address over this protocol alone, at each of its servers.
async fn works(house: &House, token: &str, protocol: Protocol, address: &str) {
    let side = if protocol == Protocol::Smtp { "outgoing" } else { "incoming" };
    for (port, mechanism) in servers(protocol) {
        let name = format!("{token}-{}-{}", port.replace('_', "-"), address.split('@').next().unwrap());
        let number = house.rig.port(port);
        house
            .machine
            .apply(&format!(
                "[[mailbox]]\nname = \"{name}\"\naddress = \"{address}\"\n[mailbox.{side}]\nprotocol = \"{protocol}\"\nhost = \"localhost\"\n\
                 port = {number}\nsecurity = \"tls\"\ntoken = \"{token}\"\n"
            ))
            .ok();
        let before = delivered(house, address);
        let ran = house.machine.run(&["mailbox", "test", &name, &format!("--{side}"), "--json"]);
        let report = ran.json();
        assert_eq!((ran.status, report["outcome"].as_str()), (0, Some("passed")), "{name}: {report:#}");
        let steps = report["steps"].as_array().unwrap();
        let auth = steps.iter().find(|step| step["step"] == "auth").unwrap();
        assert_eq!(auth["detail"], format!("{mechanism} as {address}"), "{name}");
        if protocol == Protocol::Smtp {
            arrives(house, address, before + 1).await;
        }
    }
    house.rig.mark(if protocol == Protocol::Smtp { "postfix" } else { "dovecot" });
}

fn delivered(house: &House, address: &str) -> usize {
    let files = |folder| std::fs::read_dir(house.rig.maildir(address, folder)).map_or(0, Iterator::count);
    files("new") + files("cur")
}

async fn arrives(house: &House, address: &str, wanted: usize) {
    for _ in 0..100 {
        if delivered(house, address) == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{address}: {} messages, not {wanted}", delivered(house, address));
}

#[tokio::test]
async fn every_grant_the_real_provider_plays_opens_the_real_servers() {
    let all = [IMAP_SCOPE, POP_SCOPE, SMTP_SCOPE].join(" ");
    let Some(mut house) = House::asking_for(&all, false).await else {
        return;
    };
    let cells: BTreeSet<Cell> = offered().into_iter().filter(|cell| is_real(*cell)).collect();
    let mut ran = BTreeSet::new();
    for way in WAYS {
        let other = house.rig.fresh_address();
        let (token, addresses) = match way {
            Way::Code => {
                let (mut command, link) = house.authorize();
                assert_eq!(Stranger::new(&house).sign_in(&link, &house.address).await, "Done");
                assert_eq!(command.end().0, Some(0));
                // Only this sign-in needs the console; beside it the commands that follow might wait for the database, and say so.
                house.serving.signal(Signal::TERM);
                assert_eq!(house.serving.end().0, Some(0));
                ("mail", vec![house.address.clone()])
            }
            Way::Device => {
                let (mut command, address, code) = device::authorize(&house);
                device::sign_in(&house, &address, &code, &house.address).await;
                assert_eq!(command.end().0, Some(0));
                ("phone", vec![house.address.clone()])
            }
            Way::AppBySecret | Way::AppByCertificate => {
                app(&house, way, [&house.address, &other]).await;
                (way.name(), vec![house.address.clone(), other])
            }
            Way::Password | Way::ServiceAccount => continue,
        };
        for protocol in [Protocol::Imap, Protocol::Pop3, Protocol::Smtp] {
            for address in &addresses {
                works(&house, token, protocol, address).await;
            }
            ran.insert((TemplateKind::Custom, way, protocol));
        }
    }
    assert_eq!(ran, cells, "what the table calls real was run here, and nothing else");
}

#[tokio::test]
async fn an_apps_own_token_opens_only_the_mailboxes_it_was_given() {
    let Some(mut house) = House::asking_for(IMAP_SCOPE, false).await else {
        return;
    };
    house.serving.signal(Signal::TERM);
    assert_eq!(house.serving.end().0, Some(0));
    let (given, strange) = (house.rig.fresh_address(), house.rig.fresh_address());
    let client = app(&house, Way::AppByCertificate, [&house.address, &given]).await;
    works(&house, Way::AppByCertificate.name(), Protocol::Imap, &given).await;
    house
        .machine
        .apply(&format!(
            "[[mailbox]]\nname = \"strange\"\naddress = \"{strange}\"\n[mailbox.incoming]\nprotocol = \"imap\"\nhost = \"localhost\"\nport = {}\n\
             security = \"tls\"\ntoken = \"{}\"\n",
            house.rig.port("imaps"),
            Way::AppByCertificate.name()
        ))
        .ok();
    let ran = house.machine.run(&["mailbox", "test", "strange", "--incoming", "--json"]);
    let report = ran.json();
    let failed = report["steps"].as_array().unwrap().iter().find(|step| step["outcome"] == "failed");
    assert_eq!((ran.status, &failed.unwrap()["step"]), (1, &"auth".into()), "{report:#}");
    let asked = house.rig.requests(&client).await;
    assert!(
        asked.iter().all(|asked| asked.client_auth.as_deref() == Some("private_key_jwt")),
        "{asked:?}"
    );
    assert_eq!(
        asked.iter().filter(|asked| asked.ok).count(),
        1,
        "one token for all of its mailboxes"
    );
}
