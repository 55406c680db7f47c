//! Values to copy from a step: addresses, ids, thumbprints, permissions and finished commands.

use crate::actions::consent;
use crate::actions::providers::trial;
use crate::actions::walkthroughs::Walk;
use crate::diagnosis::ways::commands::{fill, quoted};
use crate::model::mailbox::check_address;
use crate::model::provider::Cloud;
use crate::model::template::{TemplateKind, scopes_of};
use crate::model::token::GrantType;
use crate::model::walkthrough::{Step, Value, Walkthrough};
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::pages::consent::view::{Asked, asked_of};
use crate::web::pages::providers::limit::limit;
use crate::web::pages::tokens::abilities::{abilities, object_id};
use crate::web::pages::tokens::commands::{SHOWN, commands};

/// A value to copy.
pub(super) struct Shown {
    pub id: String,
    pub label: String,
    pub value: String,
    pub hint: String,
    /// Whether it has several lines.
    pub lines: bool,
    /// A file in place of a value: its address.
    pub href: String,
}

fn shown(id: &str, label: &str, value: impl Into<String>, hint: &str) -> Shown {
    Shown {
        id: id.to_owned(),
        label: label.to_owned(),
        value: value.into(),
        hint: hint.to_owned(),
        lines: false,
        href: String::new(),
    }
}

fn lines(id: &str, label: &str, value: String, hint: &str) -> Shown {
    Shown {
        lines: true,
        ..shown(id, label, value, hint)
    }
}

/// The text of a command with the addresses of the walkthrough, each as PowerShell takes it literally.
fn filled(row: &Walkthrough, text: &str) -> String {
    let one = |address: &str| check_address(address).map_or_else(String::new, |address| quoted(&address));
    fill(text, |place| match place {
        "mailbox" => one(&row.address),
        "account" => one(row.signs_in()),
        _ => String::new(),
    })
}

/// The values of a step.
pub(super) async fn values(web: &WebState, walk: &Walk, step: &Step) -> Result<Vec<Shown>, PageError> {
    let mut all = Vec::new();
    for value in &step.values {
        all.extend(one(web, walk, *value).await?);
    }
    for (at, (title, text)) in step.commands.iter().enumerate() {
        all.push(lines(
            &format!("cmd-{at}"),
            title,
            filled(&walk.row, text),
            "In PowerShell, after Connect-ExchangeOnline.",
        ));
    }
    Ok(all)
}

async fn one(web: &WebState, walk: &Walk, value: Value) -> Result<Vec<Shown>, PageError> {
    let app = &web.app;
    let provider = walk.provider.as_ref();
    let later = "Its end is the name that the provider is going to have here.";
    Ok(match value {
        Value::Redirect => {
            let (address, hint) = match provider {
                Some(provider) => (trial::redirect_uri(app, provider).await?, ""),
                None => (web.url(&format!("/oauth/callback/{}", walk.row.name)), later),
            };
            vec![shown("redirect", "Redirect address", address, hint)]
        }
        Value::ConsentReturn => {
            let (address, hint) = match provider {
                Some(provider) => (consent::return_uri(app, provider).await?, ""),
                None => (web.url(&format!("/oauth/admin-consent/{}", walk.row.name)), later),
            };
            vec![shown("consent-return", "Consent return address", address, hint)]
        }
        Value::ClientId => provider
            .map(|provider| shown("client-id", "Client ID", provider.client_id.clone(), ""))
            .into_iter()
            .collect(),
        Value::Certificate => {
            let Some(provider) = provider else { return Ok(Vec::new()) };
            let waiting = provider.credentials.next.as_ref();
            let (file, stored) = match (&provider.credentials.certificate, waiting) {
                (_, Some(next)) => ("next", next),
                (Some(current), None) => ("current", current),
                (None, None) => return Ok(Vec::new()),
            };
            vec![
                Shown {
                    href: format!("/providers/{}/certificate/{file}.cer", provider.name),
                    ..shown("certificate", "Certificate", format!("{}.cer", provider.name), "")
                },
                shown("sha1", "SHA-1 thumbprint", stored.facts.sha1.clone(), "As Entra shows it."),
                shown("sha256", "SHA-256 thumbprint", stored.facts.sha256.clone(), ""),
            ]
        }
        // They stand in a list of their own.
        Value::Permissions => Vec::new(),
        Value::AppCommands => app_commands(web, walk).await?,
        Value::ServiceClient => match provider {
            Some(provider) => match app.store.service_account(&provider.id).await? {
                Some(stored) => vec![shown(
                    "service-client",
                    "Client ID",
                    stored.account.client_id,
                    "The unique number of the service account.",
                )],
                None => Vec::new(),
            },
            None => Vec::new(),
        },
        Value::GoogleScopes => {
            let scopes = provider.map_or_else(|| "https://mail.google.com/".to_owned(), |provider| provider.scopes.join(","));
            vec![shown(
                "google-scopes",
                "OAuth scopes",
                scopes,
                "As Google Admin takes them, with commas.",
            )]
        }
    })
}

/// Lines for the Exchange admin of an app: of its token where there is one, else with gaps.
async fn app_commands(web: &WebState, walk: &Walk) -> Result<Vec<Shown>, PageError> {
    let Some(provider) = &walk.provider else { return Ok(Vec::new()) };
    let Some(token) = &walk.token else {
        let found = limit(provider.name.as_str(), &provider.client_id, None);
        return Ok(vec![
            lines("c-exchange", "For IMAP, POP and SMTP", filled(&walk.row, &found.exchange), ""),
            lines("c-graph", "For Microsoft Graph", filled(&walk.row, &found.graph), ""),
        ]);
    };
    let store = &web.app.store;
    let most = i64::try_from(SHOWN).unwrap_or(i64::MAX);
    let mut mailboxes = store.some_mailboxes_of_token(&token.id, most).await?;
    // One that is to change over is meant too, and stands among those that are shown.
    if let Some(own) = walk.mailbox.as_ref().filter(|own| mailboxes.iter().all(|known| known.id != own.id)) {
        let mut mailbox = own.clone();
        for side in [&mut mailbox.incoming, &mut mailbox.outgoing].into_iter().flatten() {
            if let crate::model::mailbox::Auth::OAuth2 { token_id, .. } = &mut side.auth {
                token_id.clone_from(&token.id);
            }
        }
        mailboxes.truncate(SHOWN - 1);
        mailboxes.push(mailbox);
    }
    let abilities = abilities(&web.app, token, provider, walk.grant.as_ref(), &mailboxes);
    let found = commands(token, provider, object_id(&abilities), &mailboxes, SHOWN);
    // Where it has mailboxes their addresses stand there already, quoted.
    let whole = |lines: String| if mailboxes.is_empty() { filled(&walk.row, &lines) } else { lines };
    let found = found.into_iter().filter(|command| command.id != "c-policy");
    let mut all: Vec<Shown> = found
        .map(|command| lines(command.id, command.title, whole(command.lines), command.hint))
        .collect();
    if mailboxes.len() == SHOWN && !all.is_empty() {
        let count = store.count_mailboxes_of_token(&token.id).await?;
        all.push(Shown {
            href: format!("/tokens/{}/commands", token.name),
            ..shown(
                "c-all",
                &format!("The same lines for each of the {count} mailboxes that use token {}", token.name),
                format!("exchange-{}.txt", token.name),
                "",
            )
        });
    }
    Ok(all)
}

/// The permissions a step is about: names, and what they mean.
pub(super) async fn permissions(web: &WebState, walk: &Walk, step: &Step) -> Result<Vec<(String, &'static str)>, PageError> {
    if !step.values.contains(&Value::Permissions) {
        return Ok(Vec::new());
    }
    let names: Vec<String> = match &walk.provider {
        Some(provider) => {
            let wanted = consent::wanted(&web.app, provider).await?;
            // People's permissions where people sign in, whatever the app may do by itself besides.
            let for_people = walk.wanted_grant() != GrantType::ClientCredentials && wanted.app_only;
            match for_people && !wanted.people.is_empty() {
                true => wanted.people,
                false if for_people => scopes_of(provider.template, provider.cloud, &["imap", "smtp"]),
                false => wanted.permissions,
            }
        }
        None => match (walk.template.card.as_str(), walk.wanted_grant()) {
            (_, GrantType::ClientCredentials) => vec!["IMAP.AccessAsApp".to_owned(), "SMTP.SendAsApp".to_owned()],
            ("google", _) => scopes_of(TemplateKind::Google, Cloud::Global, &["imap", "smtp", "api"]),
            ("microsoft", _) => scopes_of(TemplateKind::Microsoft, Cloud::Global, &["imap", "smtp"]),
            _ => Vec::new(),
        },
    };
    let pair = |Asked { name, plain }: Asked| (name, plain);
    Ok(asked_of(&names).into_iter().map(pair).collect())
}

/// What the app asks for itself besides, where a walkthrough is about people's sign-ins: the page an admin consents on lists it too.
pub(super) async fn besides(web: &WebState, walk: &Walk) -> Result<Vec<String>, PageError> {
    let Some(provider) = &walk.provider else {
        return Ok(Vec::new());
    };
    let wanted = consent::wanted(&web.app, provider).await?;
    let for_people = walk.wanted_grant() != GrantType::ClientCredentials && wanted.app_only;
    Ok(if for_people { wanted.permissions } else { Vec::new() })
}
