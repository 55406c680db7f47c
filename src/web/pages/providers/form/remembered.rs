//! Another card is chosen: the form starts with what that card has, and what was typed at the one before lies by until it comes back.
//! Secrets do not lie by.

use super::{ProviderForm, lines, tick};
use crate::model::provider::{AssertionAlg, Cloud};
use crate::model::template::{TemplateKind, ZOHO_DATA_CENTRES};
use crate::web::pages::providers::cards::Card;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// So long may it be? All cards filled in are much shorter.
const LONGEST: usize = 64 * 1024;

/// What belongs to the app registration, whatever card is shown.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Shared {
    tenant: String,
    client_id: String,
    domain: String,
    first_account: String,
    client_secret_expires: String,
}

/// What lies by.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Others {
    shared: Shared,
    /// By card and template.
    cards: BTreeMap<String, Map<String, Value>>,
}

impl Others {
    fn read(text: &str) -> Self {
        Some(text)
            .filter(|text| text.len() <= LONGEST)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }

    /// Takes in what a page brought.
    fn put(&mut self, form: &ProviderForm) {
        let card = form.shown.split('/').next().and_then(Card::parse);
        let keep = |old: &mut String, new: &str, is_shown: bool| {
            if is_shown || !new.trim().is_empty() {
                new.clone_into(old);
            }
        };
        let shared = &mut self.shared;
        let service = card == Some(Card::GoogleService);
        keep(
            &mut shared.tenant,
            &form.tenant,
            card.and_then(Card::kind) == Some(TemplateKind::Microsoft),
        );
        keep(&mut shared.client_id, &form.client_id, card.is_some() && !service);
        keep(&mut shared.domain, &form.domain, service);
        keep(&mut shared.first_account, &form.first_account, service);
        keep(&mut shared.client_secret_expires, &form.client_secret_expires, false);
        if card.is_some()
            && let Ok(Value::Object(mut typed)) = serde_json::to_value(form)
        {
            typed.retain(|_, value| value.as_str() != Some(""));
            self.cards.insert(form.shown.clone(), typed);
        }
    }
}

/// A card's form, by its card and template.
pub(in crate::web::pages::providers) fn key(card: Card, kind: TemplateKind) -> String {
    format!("{}/{kind}", card.word())
}

impl ProviderForm {
    /// Takes a template's values over, or what was typed at this card before, and keeps what belongs to the app registration.
    pub fn choose(&mut self, card: Card, kind: TemplateKind) {
        let mut others = Others::read(&self.others);
        others.put(self);
        let key = key(card, kind);
        let before = others.cards.get(&key).cloned();
        let before = before.and_then(|typed| serde_json::from_value::<Self>(Value::Object(typed)).ok());
        let shared = &others.shared;
        *self = Self {
            card: card.word().to_owned(),
            which: kind.to_string(),
            name: std::mem::take(&mut self.name),
            back: std::mem::take(&mut self.back),
            tenant: shared.tenant.clone(),
            client_id: shared.client_id.clone(),
            domain: shared.domain.clone(),
            first_account: shared.first_account.clone(),
            client_secret_expires: shared.client_secret_expires.clone(),
            others: serde_json::to_string(&others).unwrap_or_default(),
            shown: key,
            ..before.unwrap_or_else(|| Self::fresh(card, kind))
        };
    }

    /// What a card starts with.
    fn fresh(card: Card, kind: TemplateKind) -> Self {
        let template = kind.template();
        Self {
            cloud: Cloud::Global.to_string(),
            client_auth: card.client_auth().unwrap_or(template.client_auth).to_string(),
            app_resource: "graph".to_owned(),
            certificate_how: "make".to_owned(),
            lasts: "365".to_owned(),
            make_token: tick(card.is_app_only() || card == Card::GoogleService),
            assertion_alg: AssertionAlg::default().to_string(),
            purposes: vec!["imap".into(), "smtp".into(), "api".into()],
            scopes: if kind == TemplateKind::Custom {
                template.always.join("\n")
            } else {
                String::new()
            },
            prompt: template.prompt.to_string(),
            login_hint: "on".into(),
            pkce: "on".into(),
            authority: if kind == TemplateKind::Zoho {
                ZOHO_DATA_CENTRES[0].1.to_owned()
            } else {
                String::new()
            },
            extra_authorize_params: lines(template.extra_authorize_params),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_at_a_card_comes_back_with_it_and_secrets_do_not_lie_by() {
        let mut form = ProviderForm::of_template(Card::Microsoft, TemplateKind::Microsoft);
        form.tenant = "litware.test".into();
        form.cloud = "usgov".into();
        form.purposes = vec!["graph".into()];
        for secret in [
            &mut form.client_secret,
            &mut form.client_json,
            &mut form.service_account,
            &mut form.passphrase,
        ] {
            *secret = "canary".into();
        }
        form.choose(Card::GoogleService, TemplateKind::Google);
        assert!(!form.others.contains("canary"), "{}", form.others);
        // Its page has no field for the tenant.
        form.tenant.clear();
        form.domain = "litware.example".into();
        form.choose(Card::Custom, TemplateKind::Custom);
        form.issuer = "https://id.example".into();
        form.choose(Card::Microsoft, TemplateKind::Microsoft);
        assert_eq!((form.tenant.as_str(), form.cloud.as_str()), ("litware.test", "usgov"));
        assert_eq!(form.purposes, ["graph"]);
        assert!(form.client_secret.is_empty());
        // What was emptied stays empty.
        form.tenant.clear();
        form.choose(Card::GoogleService, TemplateKind::Google);
        assert_eq!(form.domain, "litware.example");
        form.choose(Card::Microsoft, TemplateKind::Microsoft);
        assert_eq!(form.tenant, "");
        form.choose(Card::Custom, TemplateKind::Custom);
        assert_eq!(form.issuer, "https://id.example");
        form.others = "nonsense".into();
        form.choose(Card::Google, TemplateKind::Google);
        assert_eq!(form.cloud, "global");
    }
}
