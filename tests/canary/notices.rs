//! The secrets of notices: the password of the fallback server and the secret of the webhook, put in wrong, put in, used; both servers
//! throw back what they are sent, and what they couldn't know besides.

use super::life::Life;
use super::search::Search;
use crate::probe::server::{Peer, Server};
use crate::worker::sink::Hook;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const PASSWORD: &str = "canary-fallback-password-of-the-notices";

/// SMTP that signs nobody in, and says why with all it was told.
async fn smtp() -> Server {
    Server::start(None, |mut peer: Peer| async move {
        peer.say("220 mail.test ESMTP").await?;
        loop {
            let line = peer.line().await?;
            match line.split(' ').next().unwrap_or_default() {
                "EHLO" => peer.say("250-mail.test\n250 AUTH PLAIN").await?,
                "AUTH" => {
                    peer.say("334 ").await?;
                    let sent = peer.line().await?;
                    let told = String::from_utf8(STANDARD.decode(&sent).unwrap()).unwrap().replace('\0', " ");
                    peer.say(&format!("535 5.7.8 {told} is {sent}")).await?;
                }
                _ => peer.say(&format!("500 {line}")).await?,
            }
        }
    })
    .await
}

impl Life<'_> {
    /// Everything that handles them.
    pub async fn notices(&mut self, search: &mut Search) {
        let key = STANDARD.encode("canary-key-of-the-webhook-of-ours");
        let secret = format!("whsec_{key}");
        search.add("fallback password", PASSWORD);
        search.add("webhook secret", &key);
        let (server, hook) = (smtp().await, Hook::start().await);
        let port = server.port.to_string();
        hook.answers(401, &format!("{secret} {key} {}", STANDARD.encode(&secret)));
        let right = [
            ("recipients", "ann@contoso.test"),
            ("host", "127.0.0.1"),
            ("port", port.as_str()),
            ("security", "none"),
            ("from", "console@contoso.test"),
            ("user", "console"),
            ("password", PASSWORD),
            ("webhook", hook.url.as_str()),
            ("secret", secret.as_str()),
            ("failing_after", "2"),
            ("version", "0"),
        ];
        const PATH: &str = "/settings/notifications";
        self.admin.get(PATH).await;
        // With a mistake elsewhere, and with each in the other's field.
        for wrong in [("port", "none"), ("password", secret.as_str()), ("secret", PASSWORD)] {
            let fields: Vec<_> = right
                .iter()
                .map(|field| match wrong {
                    ("password", _) if field.0 == "from" => ("from", "nobody"),
                    _ if field.0 == wrong.0 => wrong,
                    _ => *field,
                })
                .collect();
            let page = self.admin.post(PATH, &fields).await;
            assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.words());
        }
        let page = self.admin.submit(PATH, &right).await;
        assert!(page.text(".flash").contains("Notifications saved"), "{}", page.words());
        for channel in ["mail", "webhook"] {
            let page = self.admin.submit(format!("{PATH}/test/{channel}"), &[]).await;
            assert_eq!(page.text("#tested-h"), "The test didn't get through", "{}", page.words());
            let one = page.attribute("#tested a", "href").unwrap();
            for role in ["admin", "viewer"] {
                let mut browser = self.admin.clone();
                if role == "viewer" {
                    browser = self.console.browser(role);
                }
                browser.visit(&one).await;
            }
            self.admin.submit(format!("{one}/again"), &[]).await;
        }
        self.admin.get(&format!("{PATH}/deliveries")).await;
    }
}
