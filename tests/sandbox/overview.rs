//! The overview while something goes wrong in the sandbox: one row for each cause, where its fix is, and gone once it is over.

use super::matrix::Console;
use super::{HOST, House, MICROSOFT_APP, SUPPORT};
use crate::support::app::{Browser, Page};
use crate::support::matrix::Way;
use mailgrant::model::template::TemplateKind;
use mailgrant::sandbox::Fault;

/// One account that is signed in, and three mailboxes that read with its token.
async fn three_mailboxes() -> (Console, String) {
    let console = Console::start().await;
    let token = console.make(TemplateKind::Microsoft, Way::Code, false).await;
    console
        .sign_in_as(Way::Code, &token, House::Microsoft, MICROSOFT_APP.0, SUPPORT)
        .await;
    let port = console.play.sandbox.ports(House::Microsoft).imaps;
    let mut text = String::new();
    for name in ["one", "two", "three"] {
        text.push_str(&format!(
            "[[mailbox]]\nname = \"{name}\"\naddress = \"{SUPPORT}\"\n[mailbox.incoming]\nprotocol = \"imap\"\nhost = \"{HOST}\"\n\
             port = {port}\nsecurity = \"tls\"\ntoken = \"{token}\"\n"
        ));
    }
    console.apply(&text).await;
    (console, token)
}

/// Time goes by until an access token has ended, for somebody who stays signed in to the console.
async fn later(console: &Console, admin: &mut Browser) {
    for _ in 0..8 {
        console.t.clock.advance(15 * 60);
        admin.get("/me").await;
    }
}

async fn test_all(admin: &mut Browser) {
    for name in ["one", "two", "three"] {
        admin.submit(format!("/mailboxes/{name}/test/incoming"), &[("defaults", "1")]).await;
    }
}

/// The list that the number of mailboxes of the only row leads to.
async fn listed(admin: &mut Browser, overview: &Page) -> String {
    let href = overview.attribute(".todo li p a", "href").unwrap();
    admin.get(href).await.text("tbody td:nth-child(3) a")
}

#[tokio::test]
async fn a_refused_app_is_one_row_with_its_fix_and_gone_once_it_is_taken_again() {
    let (console, token) = three_mailboxes().await;
    let mut admin = console.t.admin();
    test_all(&mut admin).await;
    assert_eq!(admin.get("/").await.text("h1"), "Everything works");

    console.play.sandbox.faults().set(&[Fault::SecretExpired]);
    later(&console, &mut admin).await;
    test_all(&mut admin).await;
    let page = admin.get("/").await;
    assert_eq!(page.text(".todo h3"), format!("{token}: Client secret has expired"));
    assert!(page.text(".todo li").contains("Hits 3 mailboxes"), "{}", page.text(".todo li"));
    assert_eq!(listed(&mut admin, &page).await.lines().count(), 3);
    let fix = page.attribute(".todo .acts a", "href").unwrap();
    assert_eq!(fix, format!("/providers/{token}/secret"), "one click to where it is mended");
    assert!(
        page.text(".todo .acts a").starts_with("Replace secret"),
        "{}",
        page.text(".todo .acts a")
    );
    assert!(admin.get(&fix).await.has("input[name=client_secret]"));
    let people = console.t.app.store.users().await.unwrap();
    let ossi = people.iter().find(|user| user.name.starts_with("Ossi")).unwrap();
    let mut operator = console.t.browser_with(&console.t.session_for(&ossi.id).await);
    let seen = operator.get("/").await;
    let fix = seen.attribute(".todo .acts a", "href").unwrap();
    assert_eq!(fix, format!("/providers/{token}#problem"), "who may not is shown what it is about");
    let provider = admin.get(&fix).await;
    assert!(provider.has(&format!("#problem a.primary[href='/providers/{token}/secret']")));

    // Taken again: the check of the provider proves it, and what failed for want of a token says nothing any more.
    console.play.sandbox.faults().set(&[]);
    let provider = admin.submit(format!("/providers/{token}/check"), &[]).await;
    assert!(!provider.has(".diagnosis"), "{}", provider.words());
    let page = admin.get("/").await;
    assert!(!page.has(".todo"), "{}", page.text(".todo"));
    assert_eq!(page.text("h1"), "3 mailboxes aren't tested now");
    assert_eq!(page.text(".legend-rows li"), "Not tested3");
    let mailbox = admin.get("/mailboxes/one").await;
    assert!(
        mailbox.text(".head p").starts_with("Not tested since its problem ended. "),
        "nothing was changed: {}",
        mailbox.words()
    );
    assert!(
        mailbox.words().contains("What the last test failed with is over"),
        "{}",
        mailbox.words()
    );
    assert!(mailbox.has("a[href^='/tests/']"), "the old result stays readable");
    test_all(&mut admin).await;
    assert_eq!(admin.get("/").await.text("h1"), "Everything works");
}

#[tokio::test]
async fn a_renewal_ends_what_only_the_want_of_a_token_had_broken() {
    let (console, token) = three_mailboxes().await;
    let mut admin = console.t.admin();
    console.play.sandbox.faults().set(&[Fault::SecretExpired]);
    later(&console, &mut admin).await;
    admin.submit("/mailboxes/one/test/incoming", &[("defaults", "1")]).await;
    console.play.sandbox.faults().set(&[Fault::CertificateWrongName]);
    console.t.clock.advance(120);
    admin.submit("/mailboxes/two/test/incoming", &[("defaults", "1")]).await;
    let page = admin.get("/").await;
    // The token came for the second, so the first isn't known to fail; the second fails for a reason of its own.
    let told = page.text(".todo h3");
    assert!(told.contains("for another name") && !told.contains("secret"), "{told}");
    assert_eq!(page.text(".legend-rows li"), "Failing1\nNot tested2");
    assert_eq!(console.token(&token).await.name.as_str(), token);
}

#[tokio::test]
async fn a_cause_of_several_mailboxes_leads_to_its_newest_test_and_to_exactly_them() {
    let (console, _) = three_mailboxes().await;
    let mut admin = console.t.admin();
    test_all(&mut admin).await;
    console.play.sandbox.faults().set(&[Fault::CertificateWrongName]);
    for name in ["one", "three"] {
        console.t.clock.advance(60);
        admin.submit(format!("/mailboxes/{name}/test/incoming"), &[("defaults", "1")]).await;
    }
    let page = admin.get("/").await;
    assert!(page.text(".todo li").contains("Hits 2 mailboxes"), "{}", page.text(".todo li"));
    let fix = page.attribute(".todo .acts a", "href").unwrap();
    let run = admin.get(&fix).await;
    assert!(fix.starts_with("/tests/") && run.has("#verdict .fixes"), "{fix}");
    assert!(run.has("main a[href='/mailboxes/three']"), "the newest one");
    assert_eq!(listed(&mut admin, &page).await.lines().count(), 2);
    assert!(!admin.get("/mailboxes").await.text("tbody").is_empty());
    // Another cause in the same list is not among them.
    let nobody = admin.get("/mailboxes?problem=Something+else").await;
    assert!(nobody.words().contains("No mailbox fails with that any more"), "{}", nobody.words());
}

#[tokio::test]
async fn the_pages_of_an_app_whose_own_token_holds_what_it_needs_dont_contradict_it() {
    let console = Console::start().await;
    let token = console.make(TemplateKind::Microsoft, Way::AppBySecret, false).await;
    let mut admin = console.t.admin();
    let consent = "#consent";
    let before = admin.get(format!("/providers/{token}")).await;
    assert!(
        before.text(consent).contains("Nobody has consented yet"),
        "{}",
        before.text(consent)
    );
    admin.submit(format!("/tokens/{token}/get"), &[]).await;
    let page = admin.get(format!("/providers/{token}")).await;
    let said = page.text(consent);
    assert!(said.contains("Granted") && !said.contains("Nobody has consented"), "{said}");
    let page = admin.get(format!("/providers/{token}/consent")).await;
    assert!(
        page.words().contains("The app's own token holds IMAP.AccessAsApp"),
        "{}",
        page.words()
    );
}

#[tokio::test]
async fn an_expired_secret_is_told_once_and_no_sign_in_is_asked_for() {
    let (console, token) = three_mailboxes().await;
    let mut admin = console.t.admin();
    test_all(&mut admin).await;
    let works = admin.get(format!("/tokens/{token}")).await;
    assert!(works.text("[aria-labelledby=can] tbody").contains("Opens it"), "{}", works.words());
    console.play.sandbox.faults().set(&[Fault::SecretExpired]);
    later(&console, &mut admin).await;
    admin.submit("/mailboxes/one/test/incoming", &[("defaults", "1")]).await;
    for path in [format!("/providers/{token}"), format!("/tokens/{token}")] {
        let page = admin.get(&path).await;
        let told = page.text("h1, h2, h3").matches("secret has expired").count();
        assert_eq!((told, page.has("[aria-label=State]")), (1, false), "{path}: {}", page.words());
    }
    let page = admin.get(format!("/tokens/{token}")).await;
    assert!(
        !page.has("form.ask") && page.text("#diagnosis").contains("nobody has to sign in again"),
        "{}",
        page.words()
    );
    assert!(page.has("#diagnosis footer a[href^='/providers/']"));
}
