//! Whether something that is here fits a walkthrough, and why it doesn't.

use crate::actions::walkthroughs::{Chosen, Walk};
use crate::app::App;
use crate::model::provider::Provider;
use crate::model::template::TemplateKind;
use crate::model::walkthrough::Template as Kind;
use crate::store::StoreResult;
use crate::web::pages::providers::cards::Card;

/// Whether a provider could serve walkthroughs of a kind.
pub(super) fn suits(kind: &Kind, provider: &Provider) -> bool {
    let template = provider.template;
    match kind.card.as_str() {
        "" => true,
        "microsoft" => template == TemplateKind::Microsoft && !Card::of(provider).is_app_only(),
        "microsoft-certificate" => Card::of(provider) == Card::MicrosoftCertificate,
        "microsoft-secret" => Card::of(provider) == Card::MicrosoftSecret,
        "google" => template == TemplateKind::Google && Card::of(provider) == Card::Google,
        "google-service" => Card::of(provider) == Card::GoogleService,
        "yahoo" => template == TemplateKind::Yahoo,
        _ => template == TemplateKind::Custom,
    }
}

/// Why a provider doesn't serve walkthroughs of a kind, as the end of a sentence.
pub(super) fn unsuited(kind: &Kind, provider: &Provider) -> String {
    format!(
        "provider {} ({}) is set up in another way than \u{201c}{}\u{201d} leads through",
        provider.name,
        provider.template.label(),
        kind.title
    )
}

/// Why something can't be taken into a walkthrough, as the end of a sentence; none: it fits.
pub(in crate::web) async fn misfit(app: &App, walk: &Walk, chosen: &Chosen) -> StoreResult<Option<String>> {
    let gone = |what: &str, name: &str| Some(format!("{what} {name} isn't here any more"));
    Ok(match chosen {
        Chosen::Provider(id, name) => match app.store.provider_by_id(id).await? {
            None => gone("provider", name.as_str()),
            Some(provider) => (!suits(walk.template, &provider)).then(|| unsuited(walk.template, &provider)),
        },
        Chosen::Token(id, name) => match (app.store.token_by_id(id).await?, &walk.provider) {
            (None, _) => gone("token", name.as_str()),
            (Some(_), None) => Some("it is about no provider yet".to_owned()),
            (Some(token), Some(provider)) if token.provider_id != provider.id => Some(format!(
                "token {name} is of provider {}, and it is about {}",
                token.provider, provider.name
            )),
            (Some(token), Some(_)) if !walk.wanted_grants().contains(&token.grant) => Some(match walk.wanted_grant().needs_person() {
                true => format!("nobody signs in for token {name}, and that is what it leads through"),
                false => format!("token {name} is got in another way than it leads through"),
            }),
            _ => None,
        },
        Chosen::Mailbox(id, name) => match app.store.mailbox_by_id(id).await? {
            None => gone("mailbox", name.as_str()),
            Some(mailbox) => {
                let is_own = mailbox.address.eq_ignore_ascii_case(&walk.row.address);
                let uses = walk.token.as_ref().is_some_and(|token| mailbox.uses(&token.id));
                (!is_own && !uses).then(|| {
                    let token = walk.token.as_ref().map_or("its token", |token| token.name.as_str());
                    format!("it is about {}, and {} doesn't use {token}", walk.row.address, mailbox.address)
                })
            }
        },
    })
}

/// What a walkthrough is about now in place of what is chosen, in words; none: nothing, or the same.
pub(in crate::web) fn instead(walk: &Walk, chosen: &Chosen) -> Option<String> {
    match chosen {
        Chosen::Provider(id, _) => {
            let other = walk.provider.as_ref().filter(|own| own.id != *id)?;
            Some(format!("provider {}", other.name))
        }
        Chosen::Token(id, _) => {
            let set = walk.row.token_id.as_ref().filter(|own| *own != id)?;
            let other = walk.token.as_ref().filter(|own| own.id == *set)?;
            Some(format!("token {}", other.name))
        }
        Chosen::Mailbox(id, _) => {
            let set = walk.row.mailbox_id.as_ref().filter(|own| *own != id)?;
            let other = walk.mailbox.as_ref().filter(|own| own.id == *set)?;
            Some(other.address.clone())
        }
    }
}
