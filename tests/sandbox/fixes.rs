//! From a failed test over its button and the form to a test that passes, against the servers of the sandbox.

use super::matrix::{Console, ORDERS};
use super::{HOST, House, MICROSOFT_APP, SUPPORT};
use crate::support::app::{Browser, Page};
use crate::support::matrix::Way;
use mailgrant::model::Name;
use mailgrant::model::mailbox::Mailbox;
use mailgrant::model::report::{Direction, Outcome};
use mailgrant::model::template::TemplateKind;
use mailgrant::sandbox::Fault;

/// The form behind the button of a way of a test that failed.
async fn form_of(admin: &mut Browser, direction: Direction, button: &str) -> Page {
    let run = admin.submit(format!("/mailboxes/box/test/{direction}"), &[("defaults", "1")]).await;
    assert!(run.has("#verdict.bad"), "{}", run.words());
    let ways = scraper::Html::parse_document(&run.body);
    let links = scraper::Selector::parse("#verdict .fixes a.btn").unwrap();
    let link = ways.select(&links).find(|link| link.text().collect::<String>() == button);
    let href = link
        .unwrap_or_else(|| panic!("no button {button}: {}", run.text("#verdict")))
        .attr("href")
        .unwrap();
    let form = admin.get(href.split('#').next().unwrap()).await;
    assert!(form.text(".flash").ends_with("Nothing is saved yet."), "{}", form.words());
    assert!(form.has(".put-in"), "{}", form.words());
    form
}

/// Saves the form as it is, but for these fields.
async fn save(console: &Console, admin: &mut Browser, form: &Page, over: &[(&str, &str)]) -> Mailbox {
    let mut fields = form.form("/mailboxes/box/edit");
    for (name, value) in over {
        let field = fields.iter_mut().find(|(known, _)| known == name).unwrap();
        (*value).clone_into(&mut field.1);
    }
    fields.push(("act".to_owned(), "save".to_owned()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let saved = admin.post_raw("/mailboxes/box/edit", &fields).await;
    assert_eq!(saved.location().as_deref(), Some("/mailboxes/box"), "{}", saved.words());
    let name = Name::parse("box").unwrap();
    console.t.app.store.mailbox(&name).await.unwrap().unwrap()
}

fn outgoing(address: &str, port: u16, security: &str, token: &str, more: &str) -> String {
    format!(
        "[[mailbox]]\nname = \"box\"\naddress = \"{address}\"\n\
         [mailbox.outgoing]\nprotocol = \"smtp\"\nhost = \"{HOST}\"\nport = {port}\nsecurity = \"{security}\"\ntoken = \"{token}\"\n{more}"
    )
}

#[tokio::test]
async fn starttls_and_the_own_sender_are_put_in_and_the_next_test_passes() {
    let console = Console::start().await;
    let token = console.make(TemplateKind::Microsoft, Way::Code, false).await;
    console
        .sign_in_as(Way::Code, &token, House::Microsoft, MICROSOFT_APP.0, SUPPORT)
        .await;
    let port = console.play.sandbox.ports(House::Microsoft).submission;
    let sales = "from = \"sales@contoso.test\"\n";
    console.apply(&outgoing(SUPPORT, port, "tls", &token, sales)).await;
    let mut admin = console.t.admin();

    let form = form_of(&mut admin, Direction::Outgoing, "Use port 587 with STARTTLS").await;
    assert_eq!(form.attribute("#outgoing_port", "value").as_deref(), Some("587"));
    assert!(form.has("#outgoing_security option[value=starttls][selected]"));
    assert_eq!(
        form.text(".put-in"),
        format!("Put in for you. Before: {port}.\nPut in for you. Before: TLS from the start.")
    );
    // The sandbox can't have port 587, so a person puts its own one back.
    save(&console, &mut admin, &form, &[("outgoing_port", &port.to_string())]).await;

    // The encryption is right now; nobody allowed support to send as sales.
    let form = form_of(&mut admin, Direction::Outgoing, "Send as its own address").await;
    assert_eq!(form.attribute("#from", "value").as_deref(), Some(""));
    assert_eq!(form.text(".put-in"), "Put in for you. Before: sales@contoso.test.");
    let mailbox = save(&console, &mut admin, &form, &[]).await;
    assert_eq!(mailbox.sender(), SUPPORT);
    let report = console.test("box", Direction::Outgoing).await;
    assert_eq!(report.outcome, Outcome::Passed, "{report:#?}");
    assert!(!admin.get("/mailboxes/box").await.has(".note.warn"));
}

#[tokio::test]
async fn graph_is_put_in_where_smtp_is_turned_off_and_the_next_test_passes() {
    let console = Console::start().await;
    let token = console.make(TemplateKind::Microsoft, Way::AppBySecret, false).await;
    let port = console.play.sandbox.ports(House::Microsoft).submission;
    console.apply(&outgoing(ORDERS, port, "starttls", &token, "")).await;
    console.play.sandbox.faults().set(&[Fault::SmtpAuthOff]);
    let mut admin = console.t.admin();
    let form = form_of(&mut admin, Direction::Outgoing, "Send with Graph instead").await;
    assert!(form.has("input[name=outgoing][value=graph][checked]"));
    assert_eq!(form.text(".put-in"), "Put in for you. Before: SMTP.");
    save(&console, &mut admin, &form, &[]).await;
    let report = console.test("box", Direction::Outgoing).await;
    assert_eq!(report.outcome, Outcome::Passed, "SMTP is turned off still: {report:#?}");
}
