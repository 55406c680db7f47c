//! Every row of the table in `ux.md` 6.6 on its page: the cause, who can fix it, the first way, and that its button leads to the fix.

use crate::support::app::{Page, TestApp};
use mailgrant::actions::config::{Sources, apply, parse};
use mailgrant::actions::probe::{self, settings_of};
use mailgrant::diagnosis::case::{self, Aim, Case, Held};
use mailgrant::diagnosis::{Evidence, entry, judge, own, ways};
use mailgrant::model::audit::Actor;
use mailgrant::model::mailbox::{Mailbox, Security};
use mailgrant::model::provider::{ClientAuth, Cloud};
use mailgrant::model::report::{Direction, Line, Outcome, Report, Stage, Step};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::GrantType;
use mailgrant::model::{Name, RunId};
use mailgrant::store::reports::Run;

const CLIENT: &str = "11112222-bbbb-3333-cccc-4444dddd5555";
const GOOGLE: &str = "123456789012-abcdefghijklmnop.apps.googleusercontent.com";
const CANARY: &str = "canary-of-the-client-secret";

/// Providers, tokens and mailboxes for all rows; nobody connects to these.
fn records() -> String {
    let certificate = include_str!("../data/certificates/pkcs8.pem");
    let mailbox = |name: &str, address: &str, token: &str, more: &str| {
        let auth = match token {
            "" => "auth = \"password\"\n".to_owned(),
            token => format!("token = \"{token}\"\n"),
        };
        format!(
            "[[mailbox]]\nname = \"{name}\"\naddress = \"{address}\"\n\
             [mailbox.incoming]\nprotocol = \"imap\"\nhost = \"outlook.office365.com\"\nport = 143\nsecurity = \"starttls\"\n{auth}\
             [mailbox.outgoing]\nprotocol = \"smtp\"\nhost = \"smtp.office365.com\"\nport = 587\nsecurity = \"starttls\"\n{auth}{more}"
        )
    };
    let token = |name: &str, provider: &str, grant: &str, user: &str| {
        // A token that serves another address than its own has to be allowed to, when it is saved.
        let shared = if name == "maija" { "shared = true\n" } else { "" };
        let user = if user.is_empty() {
            String::new()
        } else {
            format!("user = \"{user}\"\n")
        };
        format!("[[token]]\nname = \"{name}\"\nprovider = \"{provider}\"\ngrant = \"{grant}\"\n{user}{shared}")
    };
    [
        format!(
            "[[provider]]\nname = \"contoso\"\ntemplate = \"microsoft\"\ntenant = \"contoso.onmicrosoft.com\"\nclient_id = \"{CLIENT}\"\n\
             client_secret = \"{CANARY}\"\n"
        ),
        format!(
            "[[provider]]\nname = \"litware\"\ntemplate = \"microsoft\"\ntenant = \"litware.onmicrosoft.com\"\nclient_id = \"{CLIENT}\"\n\
             client_auth = \"certificate\"\ngrant = \"client_credentials\"\nscopes = [\"https://graph.microsoft.com/.default\"]\n\
             certificate = \"\"\"\n{certificate}\"\"\"\n"
        ),
        format!("[[provider]]\nname = \"gmail\"\ntemplate = \"google\"\nclient_id = \"{GOOGLE}\"\nclient_secret = \"{CANARY}\"\n"),
        token("own", "contoso", "authorization_code", "own@contoso.test"),
        token("maija", "contoso", "authorization_code", "maija@contoso.test"),
        token("hr", "contoso", "authorization_code", "hr@contoso.test"),
        token("robot", "litware", "client_credentials", ""),
        token("post", "gmail", "authorization_code", "post@contoso.test"),
        mailbox("own", "own@contoso.test", "own", "from = \"sales@contoso.test\"\n"),
        mailbox("hr", "hr@contoso.test", "maija", ""),
        mailbox("app", "app@contoso.test", "robot", ""),
        mailbox("post", "post@contoso.test", "post", ""),
        mailbox("old", "old@contoso.test", "", ""),
    ]
    .join("\n")
}

/// What the page must have.
enum First {
    /// A link with these words to this address; there, this element has this attribute.
    Go(&'static str, &'static str, &'static str),
    /// A form with these words to this address, with this prompt; none: without.
    Send(&'static str, &'static str, &'static str),
    /// A command with this in it.
    Command(&'static str),
    /// A value to copy with this in it.
    Value(&'static str),
    /// A request with this in it.
    Request(&'static str),
    /// Nothing but a test once more.
    Again,
}

struct Row {
    seen: &'static str,
    /// Entry whose example the server says, or our own finding.
    says: &'static str,
    mailbox: &'static str,
    direction: Direction,
    step: Stage,
    cause: &'static str,
    who: &'static str,
    first: First,
}

const IN: Direction = Direction::Incoming;
const OUT: Direction = Direction::Outgoing;
const USER: &str = "the mailbox's user";
const PORTAL: &str = "Entra or Google admin";
const EXCHANGE: &str = "Exchange admin";
const YOU: &str = "you";
const SECRET: First = First::Go("Replace secret", "/providers/contoso/secret", "#client_secret");

#[allow(clippy::too_many_arguments, reason = "a row of a table")]
const fn row(
    seen: &'static str,
    says: &'static str,
    mailbox: &'static str,
    direction: Direction,
    step: Stage,
    cause: &'static str,
    who: &'static str,
    first: First,
) -> Row {
    Row {
        seen,
        says,
        mailbox,
        direction,
        step,
        cause,
        who,
        first,
    }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("IMAP: User is authenticated but not connected", "imap-exchange-authenticated-not-connected", "hr", IN, Stage::Select,
        "The token belongs to somebody else than the mailbox", USER,
        First::Go("Use a token of its own", "/mailboxes/hr/edit?fix=token&side=incoming#token", "#token option[value=hr][selected]")),
    row("SMTP 535 5.7.139: SmtpClientAuthentication is disabled", "smtp-exchange-auth-disabled-mailbox", "own", OUT, Stage::Auth,
        "SMTP sign-in is turned off for this mailbox", EXCHANGE,
        First::Command("Set-CASMailbox -Identity 'own@contoso.test' -SmtpClientAuthenticationDisabled $false")),
    row("SMTP 535 5.7.3, 5.7.8: the token lacks the permission", "smtp-exchange-auth-unsuccessful", "own", OUT, Stage::Auth,
        "Signed in, but the token lacks a permission", USER, First::Send("Get authorization token", "/tokens/own/authorize", "consent")),
    row("550 5.7.60, SendAsDenied", "smtp-exchange-send-as-5760", "own", OUT, Stage::Data,
        "The account has no Send As right for this sender", EXCHANGE,
        First::Command("Add-RecipientPermission -Identity 'sales@contoso.test' -Trustee 'own@contoso.test' -AccessRights SendAs")),
    row("432 4.3.2, 4.5.127, Graph 429", "smtp-exchange-concurrent-connections", "own", OUT, Stage::Data,
        "Too many messages sent at once from this mailbox", YOU, First::Again),
    row("AADSTS50011", "entra-50011-redirect-mismatch", "own", IN, Stage::Token,
        "The redirect address isn't registered with the app", PORTAL, First::Value("/oauth/callback/contoso")),
    row("AADSTS65001, 90094, 90008", "entra-65001-consent-missing", "own", IN, Stage::Token,
        "Nobody has given consent for these permissions", PORTAL, First::Go("Send consent link", "/providers/contoso/consent", "h1")),
    row("AADSTS7000215", "entra-7000215-secret-wrong", "own", IN, Stage::Token, "Client secret is wrong", PORTAL, SECRET),
    row("AADSTS7000222", "entra-7000222-secret-expired", "own", IN, Stage::Token, "Client secret has expired", PORTAL, SECRET),
    row("AADSTS7000218", "entra-7000218-secret-missing", "own", IN, Stage::Token,
        "The app must send a secret, or be allowed as a public client", PORTAL, SECRET),
    row("AADSTS700016, 90002", "entra-700016-app-not-found", "own", IN, Stage::Token,
        "The app doesn't exist in this tenant", YOU, First::Go("Check the provider's settings", "/providers/contoso/edit", "#client_id")),
    row("AADSTS50020, 50178, personal account", "entra-50020-foreign-user", "own", IN, Stage::Token,
        "The account belongs to another organisation", USER, First::Send("Get authorization token", "/tokens/own/authorize", "select_account")),
    row("AADSTS50173, 50133, 70043, 700082 invalid_grant", "entra-50173-grant-revoked", "own", IN, Stage::Token,
        "Password changed or sessions revoked: a new sign-in is needed", USER,
        First::Send("Get authorization token", "/tokens/own/authorize", "select_account")),
    row("AADSTS700084", "entra-700084-spa-refresh-expired", "own", IN, Stage::Token,
        "Sign-ins end after 24 hours: registered as a single-page app", PORTAL, First::Value("/oauth/callback/contoso")),
    row("AADSTS50076, 50079, 53003", "entra-50076-mfa-required", "own", IN, Stage::Token,
        "A second factor is wanted", USER, First::Send("Get authorization token", "/tokens/own/authorize", "login")),
    row("AADSTS700027, certificate errors", "entra-700027-key-not-found", "app", IN, Stage::Token,
        "The certificate isn't the one registered with the app", PORTAL, First::Value("Thumbprint, SHA-1")),
    row("Graph 403, ErrorAccessDenied with app-only", "graph-access-policy", "app", IN, Stage::Inbox,
        "An access policy keeps the app out of this mailbox", EXCHANGE,
        First::Command("Test-ApplicationAccessPolicy -Identity 'app@contoso.test' -AppId 11112222-bbbb-3333-cccc-4444dddd5555")),
    row("Graph MailboxNotEnabledForRESTAPI, ErrorInvalidUser, ErrorItemNotFound", "graph-mailbox-not-enabled", "app", IN, Stage::Inbox,
        "The account has no mailbox in Exchange Online", EXCHANGE, First::Command("Get-Recipient -Identity 'app@contoso.test'")),
    row("IMAP app-only: NO AUTHENTICATE failed", "imap-exchange-authenticate-failed", "app", IN, Stage::Auth,
        "Exchange doesn't know the app, or hasn't given it this mailbox", EXCHANGE,
        First::Command("Add-MailboxPermission -Identity 'app@contoso.test' -User <enterprise object id> -AccessRights FullAccess")),
    row("Google invalid_grant", "google-invalid-grant-revoked", "post", IN, Stage::Token,
        "Google no longer accepts this sign-in", USER, First::Send("Get authorization token", "/tokens/post/authorize", "consent")),
    row("Google unauthorized_client (service account)", "google-unauthorized-client-dwd", "post", IN, Stage::Token,
        "Domain-wide delegation lacks this service account or scope", PORTAL, First::Value("OAuth scopes")),
    row("Google 534 5.7.9, application-specific password", "smtp-gmail-app-password", "old", OUT, Stage::Auth,
        "Gmail doesn't take the normal password for SMTP", YOU,
        First::Go("Use a token in place of the password", "/mailboxes/old/edit?fix=oauth&side=outgoing#auth", "input[name=auth][value=oauth2][checked]")),
    row("TLS: name mismatch", "tls-cert-hostname", "own", IN, Stage::Tls,
        "The server's certificate is for another name", YOU, First::Go("Edit mailbox", "/mailboxes/own/edit#address", "#incoming_host")),
    row("TLS: unknown issuer", "tls-cert-unknown-issuer", "own", OUT, Stage::Tls, "The server's certificate comes from an unknown issuer", "network",
        First::Command("openssl s_client -connect smtp.office365.com:587")),
    row("DNS none, refused, timed out, proxy 407", "network-refused", "own", OUT, Stage::Tcp,
        "Nothing answers on that port", "network", First::Request("- To port: TCP 587")),
    row("Clock off by more than 2 minutes", own::CLOCK, "app", IN, Stage::Token,
        "This server's clock is wrong", YOU, First::Command("timedatectl set-ntp true")),
    // What the page of the mailbox puts into its form.
    row("TLS on a port that begins in plain text", own::TLS_ON_STARTTLS_PORT, "own", IN, Stage::Tls,
        "This port begins in plain text, and TLS from the start is set", YOU,
        First::Go("Use port 993 with TLS", "/mailboxes/own/edit?fix=tls&side=incoming#incoming_host", "#incoming_port[value='993']")),
    row("The user name doesn't fit", own::USER_NAME, "own", IN, Stage::Auth, "The user name doesn't fit the token", YOU,
        First::Go("Set the user name", "/mailboxes/own/edit?fix=user_name&side=incoming#username", "#username[value='']")),
];

impl TestApp {
    async fn with_records() -> Self {
        let t = Self::start().await;
        let file = parse(&records()).unwrap_or_else(|problems| panic!("{problems:?}"));
        let sources = Sources {
            directory: t.data_dir(),
            env: &|_| None,
        };
        apply(&t.app, &Actor::command_line(), &file, &sources, false).await.unwrap();
        t
    }

    /// A run of this mailbox that failed like this; its id.
    async fn failed_run(&self, row: &Row) -> String {
        let mailbox = self.app.store.mailbox(&Name::parse(row.mailbox).unwrap()).await.unwrap().unwrap();
        let text = entry(row.says).unwrap().example.as_str();
        let case = case(row, &mailbox, text);
        let now = self.app.clock.now();
        let side = probe::side(&mailbox, row.direction).unwrap();
        let mut report = Report::start(mailbox.name.clone(), row.direction, side.server.protocol().as_str(), now);
        report.outcome = Outcome::Failed;
        report.steps.push(Step {
            step: row.step,
            outcome: Outcome::Failed,
            duration_ms: 3,
            detail: "refused".to_owned(),
            facts: serde_json::Map::new(),
            transcript: text
                .lines()
                .map(|line| Line {
                    from: 'S',
                    text: line.to_owned(),
                })
                .collect(),
        });
        report.diagnosis = Some(judge(&case));
        let id = self.app.random.base64url(12);
        let run = Run {
            id: RunId(id.clone()),
            mailbox_id: Some(mailbox.id.clone()),
            mailbox_name: mailbox.name.to_string(),
            address: mailbox.address.clone(),
            direction: row.direction,
            protocol: report.protocol.clone(),
            draft: false,
            started_by: "a test".to_owned(),
            user_id: None,
            started_at: now,
            finished_at: Some(now),
            outcome: "failed".to_owned(),
            failed_step: Some(row.step.to_string()),
            diagnosis_id: report.diagnosis.as_ref().map(|found| found.id.clone()),
            settings: settings_of(&self.app, &mailbox, row.direction).await.unwrap().to_json(),
            fingerprint: String::new(),
            report: serde_json::to_string(&report).unwrap(),
            newest: None,
        };
        let mut tx = self.app.store.begin().await.unwrap();
        tx.insert_run(&run).await.unwrap();
        tx.commit().await.unwrap();
        id
    }
}

fn case<'a>(row: &Row, mailbox: &Mailbox, text: &'a str) -> Case<'a> {
    let side = probe::side(mailbox, row.direction).unwrap();
    let endpoint = side.server.endpoint().unwrap();
    let app = row.mailbox == "app";
    Case {
        evidence: Evidence {
            own_id: row.says.starts_with("console-").then_some(row.says),
            text,
        },
        step: Some(row.step),
        side: Some(Aim {
            protocol: side.server.protocol(),
            direction: row.direction,
            host: endpoint.host.clone(),
            port: endpoint.port,
            security: match row.says {
                own::TLS_ON_STARTTLS_PORT => Security::Tls,
                _ => endpoint.security,
            },
            password: row.mailbox == "old",
            address: mailbox.address.clone(),
            user_name: mailbox.address.clone(),
        }),
        token: Some(Held {
            grant: Some(if app {
                GrantType::ClientCredentials
            } else {
                GrantType::AuthorizationCode
            }),
            account: match row.mailbox {
                "app" => None,
                "hr" => Some("maija@contoso.test".to_owned()),
                _ => Some(mailbox.address.clone()),
            },
            missing: if row.says == "smtp-exchange-auth-unsuccessful" {
                vec!["SMTP.Send".to_owned()]
            } else {
                Vec::new()
            },
            ..Held::default()
        }),
        // Where the text leaves it open, that it is Microsoft's decides.
        provider: app.then(|| case::Provider {
            template: TemplateKind::Microsoft,
            label: "Microsoft",
            cloud: Cloud::Global,
            tenant: None,
            client_id: CLIENT.to_owned(),
            client_auth: ClientAuth::Certificate,
            consent_screen: None,
            secret_is_id: false,
            secret_ended_days: None,
            scopes: Vec::new(),
            signed_in_days: None,
            used_days: None,
        }),
        ..Case::default()
    }
}

/// The text of an element, wherever it is in this way.
fn first(page: &Page, css: &str) -> String {
    page.text(&format!("#verdict .fixes > li:first-child {css}"))
}

#[tokio::test]
async fn every_row_has_its_page_and_its_first_button_leads_to_the_fix() {
    let t = TestApp::with_records().await;
    let mut wrong = Vec::new();
    for row in ROWS {
        let path = format!("/tests/{}", t.failed_run(row).await);
        let mut admin = t.admin();
        let page = admin.get(&path).await;
        let mut expect = |what: &str, holds: bool| {
            if !holds {
                wrong.push(format!("{}: {what}\n{}", row.seen, page.text("#verdict")));
            }
        };
        expect("cause", page.text("#verdict h2") == row.cause);
        expect("who", first(&page, ".who") == format!("Who can do it: {}.", row.who));
        expect("raw reply", page.has("#verdict .talk"));
        expect("why", page.has("#verdict .why li"));
        let again = format!("form[action='/mailboxes/{}/test/{}'] button", row.mailbox, row.direction);
        expect("test again", first(&page, &again) == "I've done this, test again");
        expect("request", row.who == YOU || page.has("#verdict-1-r"));
        expect("no secret", !page.body.contains(CANARY));
        match row.first {
            First::Go(words, href, there) => {
                expect("button", first(&page, "a.btn.primary") == words);
                let at = page.attribute("#verdict .fixes > li:first-child a.btn.primary", "href");
                expect("where it leads", at.as_deref() == Some(href));
                let form = admin.get(href.split('#').next().unwrap()).await;
                if !form.status.is_success() || !form.has(there) {
                    wrong.push(format!("{}: {href} has no {there}\n{}", row.seen, form.words()));
                }
                if href.contains("?fix=") && !form.text(".flash").ends_with("Nothing is saved yet.") {
                    wrong.push(format!("{}: {}", row.seen, form.text(".flash")));
                }
            }
            First::Send(words, action, prompt) => {
                let form = format!("form[action='{action}']");
                let button = first(&page, &format!("{form} button.primary"));
                expect("button", button == words);
                let sent = page.attribute(&format!("#verdict .fixes > li:first-child {form} input[name=prompt]"), "value");
                expect("prompt", sent.as_deref() == Some(prompt));
                let left = admin.submit(action, &[("prompt", prompt)]).await;
                if !left.text("h1").contains("Sign in as") || !left.body.contains(prompt) {
                    wrong.push(format!("{}: {}", row.seen, left.words()));
                }
            }
            First::Command(command) => expect("command", first(&page, "pre").contains(command)),
            First::Value(value) => expect("value", first(&page, ".field").contains(value)),
            First::Request(text) => expect("request", page.text("#verdict-1-r").contains(text)),
            First::Again => expect("again only", !page.has("#verdict .fixes > li:first-child a.btn")),
        }
        println!("{}: {}, {}", row.seen, row.cause, row.who);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let of_table: Vec<&str> = ways::groups().iter().map(|group| group.row.as_str()).collect();
    assert!(ROWS.iter().all(|row| of_table.contains(&row.seen)));
}

#[tokio::test]
async fn whoever_may_not_press_a_button_is_told_who_may() {
    let t = TestApp::with_records().await;
    let secret = t.failed_run(ROWS.iter().find(|row| row.seen == "AADSTS7000222").unwrap()).await;
    let path = format!("/tests/{secret}");
    let page = t.admin().get(&path).await;
    assert!(page.has("#verdict a[href='/providers/contoso/secret']") && !page.text("#verdict").contains("Only people"));
    for role in ["operator", "viewer"] {
        let page = t.signed_in(role).get(&path).await;
        assert!(!page.has("#verdict a[href='/providers/contoso/secret']"), "{role}");
        let said = page.text("#verdict");
        assert!(
            said.contains("Replace secret: Only people with permission to set secrets can do this. Ask "),
            "{role}: {said}"
        );
        assert_eq!(page.has("#verdict form[action$='/test/incoming']"), role == "operator");
    }
}

#[tokio::test]
async fn an_unknown_reply_is_shown_in_full_with_its_step() {
    let t = TestApp::with_records().await;
    let mut row = row("", own::UNKNOWN, "own", IN, Stage::Greeting, "", YOU, First::Again);
    row.says = own::UNKNOWN;
    let id = t.failed_run(&row).await;
    let page = t.admin().get(format!("/tests/{id}")).await;
    assert_eq!(page.text("#verdict h2"), "We don't know this one");
    assert!(
        page.text("#verdict").contains("It failed at the step Greeting."),
        "{}",
        page.text("#verdict")
    );
    assert!(page.text("#verdict h3").contains("What the other side said"));
}
