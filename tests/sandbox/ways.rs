//! Faults of the sandbox, and what the page of the test makes of them: the cause, who can fix it, and the first way.

use super::matrix::Console;
use super::{HOST, House, MICROSOFT_APP, SUPPORT};
use crate::support::matrix::Way;
use mailgrant::model::report::Direction;
use mailgrant::model::template::TemplateKind;
use mailgrant::sandbox::Fault;

const PORTAL: &str = "Entra or Google admin";
const EXCHANGE: &str = "Exchange admin";

/// A console with a token that support@ has signed in to.
async fn signed_in() -> (Console, String) {
    let console = Console::start().await;
    let token = console.make(TemplateKind::Microsoft, Way::Code, false).await;
    console
        .sign_in_as(Way::Code, &token, House::Microsoft, MICROSOFT_APP.0, SUPPORT)
        .await;
    (console, token)
}

#[tokio::test]
async fn what_goes_wrong_is_told_with_the_way_out() {
    let (console, token) = signed_in().await;
    let ports = console.play.sandbox.ports(House::Microsoft);
    console
        .apply(&format!(
            "[[mailbox]]\nname = \"support\"\naddress = \"{SUPPORT}\"\n\
             [mailbox.incoming]\nprotocol = \"imap\"\nhost = \"{HOST}\"\nport = {}\nsecurity = \"tls\"\ntoken = \"{token}\"\n\
             [mailbox.outgoing]\nprotocol = \"smtp\"\nhost = \"{HOST}\"\nport = {}\nsecurity = \"starttls\"\ntoken = \"{token}\"\n",
            ports.imaps, ports.submission
        ))
        .await;
    // Fault, direction, a part of the cause, who, and a part of the first way.
    let rows = [
        (
            Fault::MailboxDisabled,
            Direction::Incoming,
            "no mailbox that can be opened",
            PORTAL,
            "a licence with Exchange Online",
        ),
        (
            Fault::SmtpAuthOffMailbox,
            Direction::Outgoing,
            "turned off for this mailbox",
            EXCHANGE,
            "Set-CASMailbox -Identity",
        ),
        (
            Fault::SmtpAuthOff,
            Direction::Outgoing,
            "turned off for the tenant",
            EXCHANGE,
            "Set-CASMailbox -Identity",
        ),
        (
            Fault::SendAsDenied,
            Direction::Outgoing,
            "may not send as",
            EXCHANGE,
            "Add-RecipientPermission",
        ),
        (
            Fault::CertificateWrongName,
            Direction::Incoming,
            "for another name",
            "you",
            "Edit mailbox",
        ),
        (
            Fault::CertificateUnknown,
            Direction::Incoming,
            "unknown issuer",
            "network",
            "openssl s_client",
        ),
        (Fault::NoStarttls, Direction::Outgoing, "STARTTLS", "you", "Use port 465 with TLS"),
    ];
    let mut wrong = Vec::new();
    for (fault, direction, cause, who, first) in rows {
        console.play.sandbox.faults().set(&[fault]);
        let mut admin = console.t.admin();
        let page = admin
            .submit(format!("/mailboxes/support/test/{direction}"), &[("defaults", "1")])
            .await;
        let (title, way) = (page.text("#verdict h2"), page.text("#verdict .fixes > li:first-child"));
        println!("{fault}: {title}; {}", page.text("#verdict .fixes > li:first-child .who"));
        if !title.contains(cause) || !way.contains(&format!("Who can do it: {who}.")) || !way.contains(first) {
            wrong.push(format!("{fault}: {title}\n{way}"));
        }
        console.play.sandbox.faults().set(&[]);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // The provider's page and the token's page tell the same, with the same words; so does the overview, once.
    console.play.sandbox.faults().set(&[Fault::SecretExpired]);
    let mut admin = console.t.admin();
    // Nothing is renewed twice within a minute.
    console.t.clock.advance(120);
    admin.submit(format!("/tokens/{token}/renew"), &[]).await;
    let told = |page: &crate::support::app::Page| page.text("h2") + &page.text("h3");
    for path in [format!("/providers/{token}"), format!("/tokens/{token}")] {
        let page = admin.get(&path).await;
        assert!(told(&page).contains("Client secret has expired"), "{path}: {}", page.words());
        assert!(
            page.has(&format!(".diagnosis a.primary[href='/providers/{token}/secret']")),
            "{path}: {}",
            page.words()
        );
        assert!(page.text(".diagnosis .talk").contains("AADSTS7000222"), "{path}: the reply in full");
    }
    let verdict = admin.get(format!("/tokens/{token}")).await.text("#diagnosis h2");
    let overview = admin.get("/").await;
    assert_eq!(overview.text(".todo h3").matches("Client secret has expired").count(), 1);
    assert!(overview.text(".todo h3").contains(&verdict), "{verdict}");
}

#[tokio::test]
async fn a_rule_that_was_lifted_is_asked_about_again_without_a_new_sign_in() {
    let (console, token) = signed_in().await;
    let ports = console.play.sandbox.ports(House::Microsoft);
    console
        .apply(&format!(
            "[[mailbox]]\nname = \"support\"\naddress = \"{SUPPORT}\"\n\
             [mailbox.incoming]\nprotocol = \"imap\"\nhost = \"{HOST}\"\nport = {}\nsecurity = \"tls\"\ntoken = \"{token}\"\n",
            ports.imaps
        ))
        .await;
    console.play.sandbox.faults().set(&[Fault::PolicyBlocks]);
    let mut admin = console.t.admin();
    later(&console, &mut admin).await;
    let path = "/mailboxes/support/test/incoming";
    for _ in 0..2 {
        let page = admin.submit(path, &[("defaults", "1")]).await;
        assert!(page.has("#verdict.bad"), "{}", page.words());
    }
    console.play.sandbox.faults().set(&[]);
    let page = admin.submit(path, &[("defaults", "1")]).await;
    assert!(!page.has("#verdict.bad"), "{}", page.words());
    // An ended sign-in stays ended: only a person mends that.
    console.play.sandbox.faults().set(&[Fault::RefreshRevoked]);
    later(&console, &mut admin).await;
    assert!(admin.submit(path, &[("defaults", "1")]).await.has("#verdict.bad"));
    console.play.sandbox.faults().set(&[]);
    assert!(admin.submit(path, &[("defaults", "1")]).await.has("#verdict.bad"));
}

/// Time goes by until an access token has ended, for somebody who stays signed in to the console.
async fn later(console: &Console, admin: &mut crate::support::app::Browser) {
    for _ in 0..8 {
        console.t.clock.advance(15 * 60);
        admin.get("/me").await;
    }
}
