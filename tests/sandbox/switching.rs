//! A mailbox changes from a sign-in to the app's own token and back, on its page, as people do it.

use super::matrix::{Console, ORDERS};
use super::{HOST, House, MICROSOFT_APP};
use crate::support::app::Page;
use crate::support::matrix::Way;
use mailgrant::model::Name;
use mailgrant::model::mailbox::Mailbox;
use mailgrant::model::report::{Direction, Outcome, Stage};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::Grant;

impl Console {
    async fn row(&self, name: &str) -> Mailbox {
        self.t.app.store.mailbox(&Name::parse(name).unwrap()).await.unwrap().unwrap()
    }

    async fn grant(&self, name: &str) -> Grant {
        self.t.app.store.grant(&self.token(name).await.id).await.unwrap().unwrap()
    }

    /// Chooses another token for both sides, and nothing else.
    async fn switch(&self, name: &str, token: &str) -> Page {
        let mut admin = self.t.admin();
        let path = format!("/mailboxes/{name}/edit");
        let page = admin.get(&path).await;
        let mut fields = page.form(&path);
        let mut changed = 0;
        for (field, value) in &mut fields {
            if field.ends_with("token") && field != "csrf_token" && field != "kept" {
                token.clone_into(value);
                changed += 1;
            }
        }
        assert!(changed > 0, "{fields:?}");
        fields.push(("act".into(), "save".into()));
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let page = admin.post_raw(&path, &fields).await;
        let page = admin.follow(page).await;
        assert_eq!(page.text("h1"), ORDERS, "{}", page.words());
        page
    }

    /// Both directions pass, with a token of this account; an app's own token has none.
    async fn passes_as(&self, name: &str, account: &str) {
        for direction in [Direction::Incoming, Direction::Outgoing] {
            let report = self.test(name, direction).await;
            assert_eq!(report.outcome, Outcome::Passed, "{name} {direction}: {report:#?}");
            let token = report.steps.iter().find(|step| step.step == Stage::Token).unwrap();
            assert_eq!(token.facts["account"], account, "{direction} with the other token");
        }
    }
}

/// What has to be the same after there and back: everything but what a save and a test leave behind.
fn settings(mut mailbox: Mailbox, like: &Mailbox) -> Mailbox {
    let like = like.clone();
    mailbox.incoming_state = like.incoming_state;
    mailbox.outgoing_state = like.outgoing_state;
    (mailbox.checked_at, mailbox.changed_at, mailbox.version) = (like.checked_at, like.changed_at, like.version);
    mailbox
}

#[tokio::test]
async fn there_and_back_leaves_every_setting_token_and_test_as_it_was() {
    let console = Console::start().await;
    let signed_in = console.make(TemplateKind::Microsoft, Way::Code, false).await;
    console
        .apply(&format!(
            "[[token]]\nname = \"{signed_in}\"\nprovider = \"{signed_in}\"\nuser = \"{ORDERS}\"\n"
        ))
        .await;
    console
        .sign_in_as(Way::Code, &signed_in, House::Microsoft, MICROSOFT_APP.0, ORDERS)
        .await;
    let app = console.make(TemplateKind::Microsoft, Way::AppBySecret, false).await;
    let ports = console.play.sandbox.ports(House::Microsoft);
    console
        .apply(&format!(
            "[[mailbox]]\nname = \"orders\"\naddress = \"{ORDERS}\"\ndisplay_name = \"Orders, all of them\"\ntags = [\"sales\", \"finland\"]\n\
             [mailbox.incoming]\nprotocol = \"imap\"\nhost = \"{HOST}\"\nport = {}\nsecurity = \"tls\"\ntoken = \"{signed_in}\"\n\
             [mailbox.outgoing]\nprotocol = \"smtp\"\nhost = \"{HOST}\"\nport = {}\nsecurity = \"starttls\"\ntoken = \"{signed_in}\"\n\
             from = \"{ORDERS}\"\n",
            ports.imaps, ports.submission
        ))
        .await;
    console.passes_as("orders", ORDERS).await;
    let (before, grant) = (console.row("orders").await, console.grant(&signed_in).await);

    console.switch("orders", &app).await;
    console.passes_as("orders", "").await;
    assert_eq!(console.grant(&signed_in).await, grant, "the sign-in is byte for byte as it was");
    let of_app = console.grant(&app).await;
    console.switch("orders", &signed_in).await;
    console.passes_as("orders", ORDERS).await;

    let after = console.row("orders").await;
    let outcomes = |mailbox: &Mailbox| [mailbox.incoming_state.outcome, mailbox.outgoing_state.outcome];
    assert_eq!(outcomes(&after), [Some(Outcome::Passed); 2]);
    assert_eq!(settings(after, &before), before);
    assert_eq!(console.grant(&signed_in).await, grant, "nobody had to sign in, nothing was renewed");
    assert_eq!(console.grant(&app).await, of_app, "the app's token waits for the next time");
    let runs = console
        .t
        .count("SELECT COUNT(*) FROM runs WHERE mailbox_name = 'orders' AND outcome = 'passed'")
        .await;
    assert_eq!(runs, 6, "every test is still there");
}
