//! What the lists and rows of the form offer.

/// The prompts, for choices.
pub const PROMPTS: [(&str, &str); 5] = [
    ("select_account", "Choose the account (select_account)"),
    ("consent", "Ask for consent again (consent)"),
    ("login", "Ask for the password (login)"),
    ("none", "Show no page (none)"),
    ("", "Send nothing: the provider decides"),
];

/// The ways to prove the client, for the choice.
pub const CLIENT_AUTH: [(&str, &str); 4] = [
    ("secret_basic", "secret_basic: in a header, what every provider has to take"),
    ("secret_post", "secret_post: in the request itself, as Microsoft and Google do"),
    (
        "certificate",
        "certificate: a signed assertion (private_key_jwt); the key stays here",
    ),
    ("none", "none: a public client without a secret"),
];

/// The same for Microsoft, which takes two of them.
pub const MICROSOFT_AUTH: [(&str, &str); 3] = [
    ("secret_post", "Client secret"),
    ("certificate", "Certificate"),
    ("none", "Nothing: a public client, for which Entra allows public client flows"),
];

/// How assertions are signed, for the choice.
pub const ASSERTION_ALGS: [(&str, &str); 2] = [
    ("PS256", "PS256, certificate named by its SHA-256 thumbprint (x5t#S256)"),
    ("RS256", "RS256, certificate named by its SHA-1 thumbprint (x5t), for older servers"),
];

/// Microsoft's clouds.
pub const CLOUDS: [(&str, &str); 4] = [
    ("global", "Global, also GCC"),
    ("usgov", "US Government (GCC High)"),
    ("dod", "US Department of Defense"),
    ("china", "China, run by 21Vianet"),
];

/// The states of Google's consent screen.
pub const CONSENT_SCREENS: [(&str, &str, &str); 3] = [
    ("internal", "Internal", "Only people of your organisation."),
    ("production", "In production", "Published for everyone."),
    ("testing", "Testing", "Google ends each sign-in after 7 days."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::provider::{AssertionAlg, ClientAuth, Cloud, ConsentScreen};
    use crate::model::token::Prompt;

    #[test]
    fn every_choice_is_a_word_the_model_knows() {
        assert!(PROMPTS.iter().all(|(word, _)| Prompt::parse(word).is_some()) && PROMPTS.len() == Prompt::ALL.len());
        assert!(CLIENT_AUTH.iter().all(|(word, _)| ClientAuth::parse(word).is_some()) && CLIENT_AUTH.len() == ClientAuth::ALL.len());
        let algs = ASSERTION_ALGS.iter().filter_map(|(word, _)| AssertionAlg::parse(word)).count();
        assert_eq!(algs, AssertionAlg::ALL.len());
        assert!(CLOUDS.iter().all(|(word, _)| Cloud::parse(word).is_some()) && CLOUDS.len() == Cloud::ALL.len());
        let screens = CONSENT_SCREENS.iter().filter_map(|(word, ..)| ConsentScreen::parse(word)).count();
        assert_eq!(screens, ConsentScreen::ALL.len());
    }
}
