//! Tokens that nobody signs in for, and what carries a token over POP3 and Graph. Provider and servers throw back what they are sent.

use super::life::Life;
use super::search::Search;
use crate::probe::server::{Peer, Server};
use crate::support::provider::Lie;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;

const GRANTED: &str = "canary-granted-password-of-an-account";

/// POP3 that signs nobody in, and says why with all it was told.
async fn pop() -> Server {
    Server::start(None, |mut peer: Peer| async move {
        peer.say("+OK ready").await?;
        loop {
            let line = peer.line().await?;
            let sent = match line.split(' ').collect::<Vec<_>>()[..] {
                ["CAPA"] => {
                    peer.say("+OK here\nSASL XOAUTH2\nUIDL\n.").await?;
                    continue;
                }
                ["AUTH", _] => {
                    peer.say("+ ").await?;
                    peer.line().await?
                }
                ["AUTH", _, sent] => sent.to_owned(),
                _ => {
                    peer.say(&format!("-ERR {line}")).await?;
                    continue;
                }
            };
            let readable = String::from_utf8(STANDARD.decode(&sent).unwrap()).unwrap().replace('\x01', " ");
            let document = json!({"status": "401", "schemes": readable, "scope": sent}).to_string();
            peer.say(&format!("+ {}", STANDARD.encode(document))).await?;
            peer.line().await?;
            peer.say(&format!("-ERR [AUTH] {readable} is {sent}")).await?;
        }
    })
    .await
}

/// A Graph that does the same.
async fn graph() -> Server {
    Server::start(None, |mut peer: Peer| async move {
        loop {
            let (request, mut told) = (peer.line().await?, Vec::new());
            let mut length = 0;
            loop {
                let line = peer.line().await?;
                let Some((name, value)) = line.split_once(": ") else { break };
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.parse().unwrap();
                }
                told.push(value.to_owned());
            }
            told.push(peer.exactly(length).await?);
            let all = format!("{request} {} {}", told.join(" "), STANDARD.encode(told.join(" ")));
            let body = json!({"error": {"code": "InvalidAuthenticationToken", "message": all, "innerError": {"request-id": all}}}).to_string();
            peer.send(format!(
                "HTTP/1.1 401 X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nrequest-id: {}\r\nWWW-Authenticate: {}\r\n\r\n{body}",
                body.len(),
                told.join(" "),
                told.join(" ")
            ))
            .await?;
        }
    })
    .await
}

impl Life<'_> {
    /// A password and a service account's key: put in wrong, put in, used while the provider throws back what it gets, used.
    pub async fn alone(&mut self, search: &mut Search) {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)
            .unwrap()
            .serialize_pem();
        for line in key.lines().skip(2).step_by(7).take(3) {
            search.add("service account key", line);
        }
        search.add("granted password", GRANTED);
        let url = self.provider.url.clone();
        let file = json!({
            "type": "service_account", "private_key_id": "k1", "private_key": key, "client_email": "robot@sandbox.iam.gserviceaccount.com",
            "client_id": "1170001", "token_uri": format!("{url}/token"),
        })
        .to_string();
        let place =
            format!("issuer = \"{url}\"\nauthorize_url = \"{url}/auth\"\ntoken_url = \"{url}/token\"\nrevocation_url = \"{url}/revoke\"\n");
        let text = format!(
            "[[provider]]\nname = \"accounts\"\ntemplate = \"google\"\n{place}grant = \"jwt_bearer\"\nscopes = [\"https://mail.google.com/\"]\n\
             service_account = {}\n\
             [[token]]\nname = \"robot\"\nprovider = \"accounts\"\ngrant = \"jwt_bearer\"\nuser = \"robot@contoso.test\"\n\
             [[token]]\nname = \"old\"\nprovider = \"rig\"\ngrant = \"password\"\nuser = \"old@contoso.test\"\npassword = \"{GRANTED}\"\n",
            toml::Value::String(file.clone())
        );
        // A key with its end missing, a field that isn't there, and then as it should be.
        for (from, to) in [("END PRIVATE KEY", "END"), ("password =", "pasword =")] {
            let ran = self.console.command(&["config", "apply", "-"], &text.replace(from, to));
            assert_ne!(ran.status, 0, "{}", ran.out);
        }
        let ran = self.console.command(&["config", "apply", "-"], &text);
        assert_eq!(ran.status, 0, "{}", ran.out);
        // In the wrong fields of the forms, by who may and who may not.
        for (path, fields) in [
            ("/tokens/old/edit", [("password", GRANTED), ("user", "not an address")]),
            ("/tokens/new", [("password", GRANTED), ("name", GRANTED)]),
            ("/providers/accounts/edit", [("service_account", file.as_str()), ("client_id", "x")]),
            (
                "/providers/accounts/edit",
                [("service_account", &file[..file.len() - 9]), ("token_url", "nonsense")],
            ),
        ] {
            self.admin.get(path).await;
            let page = self.admin.post(path, &[fields[0], fields[1], ("act", "save")]).await;
            assert_ne!(page.status, StatusCode::SEE_OTHER, "{path}: {}", page.words());
        }
        for name in ["old", "robot"] {
            for lies in [&[Lie::Echoes][..], &[Lie::WebPage], &[Lie::BrokenToken], &[]] {
                self.provider.lies(lies);
                // The one before may have been told to wait.
                self.console.command(&["token", "refresh", name], "");
                self.admin.get(format!("/tokens/{name}")).await;
                self.admin.submit(format!("/tokens/{name}/get"), &[]).await;
                self.console.command(&["token", "show", name, "--json"], "");
            }
            let shown = self.console.command(&["token", "show", name, "--json"], "");
            assert!(shown.out.contains("\"active\""), "{name}: {}", shown.out);
        }
    }

    /// A token that goes out over POP3, and one over Graph; both servers throw it back.
    pub async fn other_protocols(&mut self) {
        self.provider.lies(&[]);
        let (pop, graph) = (pop().await, graph().await);
        let url = &self.provider.url;
        let text = format!(
            "[[provider]]\nname = \"graph\"\ntemplate = \"microsoft\"\ntenant = \"contoso.test\"\nauthority = \"{url}\"\n\
             graph_url = \"http://127.0.0.1:{}\"\nclient_id = \"{}\"\nclient_auth = \"secret_post\"\nclient_secret = \"{}\"\n\
             [[token]]\nname = \"graph\"\nprovider = \"graph\"\ngrant = \"client_credentials\"\n\
             [[mailbox]]\nname = \"by-graph\"\naddress = \"orders@contoso.test\"\n[mailbox.incoming]\nprotocol = \"graph\"\ntoken = \"graph\"\n\
             [mailbox.outgoing]\nprotocol = \"graph\"\ntoken = \"graph\"\n\
             [[mailbox]]\nname = \"by-pop\"\naddress = \"old@contoso.test\"\n[mailbox.incoming]\nprotocol = \"pop3\"\nhost = \"127.0.0.1\"\n\
             port = {}\nsecurity = \"none\"\ntoken = \"old\"\n",
            graph.port,
            crate::support::provider::CLIENT,
            crate::support::provider::SECRET,
            pop.port
        );
        let ran = self.console.command(&["config", "apply", "-"], &text);
        assert_eq!(ran.status, 0, "{} {}", ran.out, ran.err);
        for (mailbox, direction) in [("by-graph", "incoming"), ("by-graph", "outgoing"), ("by-pop", "incoming")] {
            let side = format!("--{direction}");
            let ran = self.console.command(&["mailbox", "test", mailbox, &side, "--json"], "");
            let report = ran.json();
            let steps = report["steps"].as_array().unwrap();
            let failed = steps.iter().find(|step| step["outcome"] == "failed").unwrap();
            assert!(["auth", "inbox", "send"].contains(&failed["step"].as_str().unwrap()), "{report:#}");
            self.test(mailbox, direction, false).await;
        }
        assert!(pop.connections() > 1 && graph.connections() > 1);
    }
}
