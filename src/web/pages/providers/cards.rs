//! The cards of *What are you connecting?*. A card is a starting point: it fills in a provider's template, how its app proves itself,
//! and how new tokens of it are got.

use crate::model::provider::{ClientAuth, Provider};
use crate::model::template::{HelpStep, TemplateKind, app_only_steps, password_steps, service_account_steps, steps};
use crate::model::token::GrantType;

/// A card of the picker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Card {
    /// Microsoft 365, someone signs in.
    Microsoft,
    /// Microsoft 365, the app itself, by certificate.
    MicrosoftCertificate,
    /// Microsoft 365, the app itself, by secret.
    MicrosoftSecret,
    /// Microsoft 365, with username and password.
    MicrosoftPassword,
    /// Google, someone signs in.
    Google,
    /// Google, a service account.
    GoogleService,
    /// Yahoo, Zoho or Fastmail.
    Known,
    /// Anything else.
    Custom,
}

impl Card {
    /// All of them, in the order of the picker.
    pub const ALL: [Self; 8] = [
        Self::Microsoft,
        Self::MicrosoftCertificate,
        Self::MicrosoftSecret,
        Self::MicrosoftPassword,
        Self::Google,
        Self::GoogleService,
        Self::Known,
        Self::Custom,
    ];

    /// Its word in forms and addresses.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Microsoft => "microsoft",
            Self::MicrosoftCertificate => "microsoft-certificate",
            Self::MicrosoftSecret => "microsoft-secret",
            Self::MicrosoftPassword => "microsoft-password",
            Self::Google => "google",
            Self::GoogleService => "google-service",
            Self::Known => "known",
            Self::Custom => "custom",
        }
    }

    /// The card of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|card| card.word() == word)
    }

    /// The card a template starts with: someone signs in.
    pub const fn of_kind(kind: TemplateKind) -> Self {
        match kind {
            TemplateKind::Microsoft => Self::Microsoft,
            TemplateKind::Google => Self::Google,
            TemplateKind::Yahoo | TemplateKind::Zoho | TemplateKind::Fastmail => Self::Known,
            TemplateKind::Custom => Self::Custom,
        }
    }

    /// The card a stored provider belongs to.
    pub fn of(provider: &Provider) -> Self {
        match (provider.template, provider.grant) {
            (TemplateKind::Microsoft, GrantType::ClientCredentials) => match provider.client_auth {
                ClientAuth::Certificate => Self::MicrosoftCertificate,
                ClientAuth::SecretPost | ClientAuth::SecretBasic | ClientAuth::None => Self::MicrosoftSecret,
            },
            (TemplateKind::Microsoft, GrantType::Password) => Self::MicrosoftPassword,
            (TemplateKind::Google, GrantType::JwtBearer) => Self::GoogleService,
            (kind, _) => Self::of_kind(kind),
        }
    }

    /// Its template; none: several, to be chosen.
    pub const fn kind(self) -> Option<TemplateKind> {
        match self {
            Self::Microsoft | Self::MicrosoftCertificate | Self::MicrosoftSecret | Self::MicrosoftPassword => Some(TemplateKind::Microsoft),
            Self::Google | Self::GoogleService => Some(TemplateKind::Google),
            Self::Known => None,
            Self::Custom => Some(TemplateKind::Custom),
        }
    }

    /// How new tokens are got.
    pub const fn grant(self) -> GrantType {
        match self {
            Self::MicrosoftCertificate | Self::MicrosoftSecret => GrantType::ClientCredentials,
            Self::MicrosoftPassword => GrantType::Password,
            Self::GoogleService => GrantType::JwtBearer,
            Self::Microsoft | Self::Google | Self::Known | Self::Custom => GrantType::AuthorizationCode,
        }
    }

    /// How the app proves itself, where it isn't as the template has it.
    pub const fn client_auth(self) -> Option<ClientAuth> {
        match self {
            Self::MicrosoftCertificate => Some(ClientAuth::Certificate),
            Self::MicrosoftPassword => Some(ClientAuth::None),
            _ => None,
        }
    }

    /// Whether the app itself gets the tokens.
    pub const fn is_app_only(self) -> bool {
        matches!(self, Self::MicrosoftCertificate | Self::MicrosoftSecret)
    }

    /// Whether somebody comes back from the provider's pages.
    pub fn has_person(self) -> bool {
        self.grant() == GrantType::AuthorizationCode
    }

    /// Whether its form takes files.
    pub const fn has_files(self) -> bool {
        matches!(self, Self::MicrosoftCertificate | Self::Google | Self::GoogleService)
    }

    /// Headline of its form and of its providers.
    pub fn title(self, kind: TemplateKind) -> String {
        let way = match self {
            Self::MicrosoftCertificate => "app-only, certificate",
            Self::MicrosoftSecret => "app-only, client secret",
            Self::MicrosoftPassword => "username and password",
            Self::GoogleService => "service account",
            Self::Custom => return kind.label().to_owned(),
            Self::Microsoft | Self::Google | Self::Known => "user sign-in",
        };
        format!("{}, {way}", kind.label())
    }

    /// Where to find the values.
    pub const fn steps(self, kind: TemplateKind) -> &'static [HelpStep] {
        match self {
            Self::MicrosoftCertificate => app_only_steps(true),
            Self::MicrosoftSecret => app_only_steps(false),
            Self::MicrosoftPassword => password_steps(),
            Self::GoogleService => service_account_steps(),
            Self::Microsoft | Self::Google | Self::Known | Self::Custom => steps(kind),
        }
    }

    /// What comes after saving.
    pub const fn next(self) -> &'static str {
        match self {
            Self::MicrosoftCertificate | Self::MicrosoftSecret => {
                "One token serves every mailbox the app may open. Add the mailboxes with it; nobody has to sign in."
            }
            Self::GoogleService => {
                "Add a token for each further account: the service account acts for one account a token. Nobody has to sign in."
            }
            Self::MicrosoftPassword => "Add a token for each account, with its password.",
            Self::Microsoft | Self::Google | Self::Known | Self::Custom => {
                "Add a token for each account. Whoever knows its password signs in once."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_card_has_a_word_of_its_own_and_can_be_had_from_its_template() {
        for card in Card::ALL {
            assert_eq!(Card::parse(card.word()), Some(card));
            if let Some(kind) = card.kind() {
                assert!(kind.grants().contains(&card.grant()), "{card:?}");
                assert!(!card.steps(kind).is_empty() && card.title(kind).starts_with(kind.label()));
            }
        }
        assert_eq!(Card::parse("new"), None);
    }
}
