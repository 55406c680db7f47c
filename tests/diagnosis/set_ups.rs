//! Set-ups that can't work, against the sandbox.

use super::sandbox::ask;
use super::score::Score;
use crate::sandbox::apply;
use crate::sandbox::console::Demo;
use mailgrant::model::report::Direction::{Incoming, Outgoing};
use mailgrant::sandbox::{HOST, House};

/// Mailboxes that can't work as they are set up.
pub async fn add_to(demo: &Demo, score: &mut Score) {
    let (exchange, gmail) = (demo.sandbox.ports(House::Microsoft), demo.sandbox.ports(House::Google));
    let mailbox = |name: &str, address: &str, token: &str, reading: (&str, u16, &str), sending: (u16, &str), more: &str| {
        let (protocol, port, security) = reading;
        let (out, out_security) = sending;
        format!(
            "[[mailbox]]\nname = \"{name}\"\naddress = \"{address}\"\n[mailbox.incoming]\nprotocol = \"{protocol}\"\nhost = \"{HOST}\"\nport = {port}\n\
             security = \"{security}\"\ntoken = \"{token}\"\n{more}[mailbox.outgoing]\nprotocol = \"smtp\"\nhost = \"{HOST}\"\nport = {out}\n\
             security = \"{out_security}\"\ntoken = \"{token}\"\n{more}"
        )
    };
    let tls = ("imap", exchange.imaps, "tls");
    let out = (exchange.submissions, "tls");
    let (nobody, ceo) = ("nobody@contoso.test", "ceo@contoso.test");
    let text = [
        // Nobody gave the delegate, or the app, this mailbox.
        mailbox("d-ceo", ceo, "support", tls, out, ""),
        mailbox("app-ceo", ceo, "contoso-app", tls, out, ""),
        mailbox("d-nobody", nobody, "support", tls, out, ""),
        // A token of one provider at the servers of another.
        mailbox("g-at-e", "help@fabrikam.test", "help", tls, out, ""),
        mailbox(
            "e-at-g",
            "support@contoso.test",
            "support",
            ("imap", gmail.imaps, "tls"),
            (gmail.submissions, "tls"),
            "",
        ),
        // A user name that is nobody's.
        mailbox("user-name", "support@contoso.test", "support", tls, out, "username = \"support\"\n"),
        // TLS where plain text begins, and the reverse.
        mailbox(
            "tls-late",
            "support@contoso.test",
            "support",
            ("imap", exchange.imap, "tls"),
            (exchange.submission, "tls"),
            "",
        ),
        mailbox(
            "tls-early",
            "support@contoso.test",
            "support",
            ("imap", exchange.imaps, "starttls"),
            (exchange.submissions, "starttls"),
            "",
        ),
        // Another protocol's port.
        mailbox(
            "swapped",
            "support@contoso.test",
            "support",
            ("imap", exchange.pop3s, "tls"),
            (exchange.imaps, "tls"),
            "",
        ),
        mailbox(
            "smtp-in",
            "support@contoso.test",
            "support",
            ("pop3", exchange.submissions, "tls"),
            (exchange.pop3s, "tls"),
            "",
        ),
        mailbox("nobody", "support@contoso.test", "support", ("imap", 1, "tls"), (1, "starttls"), ""),
    ]
    .join("\n");
    apply(&demo.app, &text).await.unwrap();
    let sides =
        |name: &'static str, incoming: &'static str, outgoing: &'static str| [((name, Incoming), incoming), ((name, Outgoing), outgoing)];
    let table = [
        sides("d-ceo", "console-full-access", "console-send-as"),
        sides("app-ceo", "console-service-principal", "console-service-principal"),
        sides("d-nobody", "console-full-access", "console-send-as"),
        sides("user-name", "console-user-name", "console-user-name"),
        sides("tls-late", "console-tls-on-starttls-port", "console-tls-on-starttls-port"),
        sides("tls-early", "console-no-greeting", "console-no-greeting"),
        sides("swapped", "console-not-a-mail-server", "console-not-a-mail-server"),
        sides("smtp-in", "console-not-a-mail-server", "console-not-a-mail-server"),
        sides("nobody", "network-refused", "network-refused"),
        // The sandbox has one name for all its servers, so whose they are is known by their words only.
        sides("g-at-e", "console-other-provider", "console-other-provider"),
        sides("e-at-g", "console-other-provider", "console-other-provider"),
    ];
    for sides in table {
        ask(demo, score, &[], &sides).await;
    }
}
