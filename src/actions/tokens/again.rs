//! Which tokens need a consent again when what they ask for changes, and which never do.

use crate::actions::access_token::not_granted;
use crate::app::App;
use crate::model::Name;
use crate::model::provider::Provider;
use crate::model::scopes::{is_protocol, missing_scopes};
use crate::model::token::{Grant, GrantType, Token};
use crate::store::StoreResult;

/// What becomes of a token when what it asks for changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Again {
    /// Somebody signed in for what it asks for, or for more.
    Nothing,
    /// Nobody has signed in yet: the first sign-in asks for it all.
    First,
    /// Somebody signed in, and these weren't asked for then, or not granted.
    Consent(Vec<String>),
    /// Nobody signs in: what it may do is granted to the app, the account or the service account at the provider.
    Never,
}

/// What a token that asks for `scopes` needs, with what it yielded.
pub fn again(token: &Token, provider: &Provider, grant: Option<&Grant>) -> Again {
    if !token.grant.needs_person() {
        return Again::Never;
    }
    let Some(grant) = grant else { return Again::First };
    match not_granted(provider, &token.scopes, grant) {
        missing if missing.is_empty() => Again::Nothing,
        missing => Again::Consent(missing),
    }
}

/// The tokens of a provider, by what a change of their permissions would ask of people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Somebody signed in: more permissions need a consent again.
    pub consent: Vec<Name>,
    /// Got without anybody: app-only, service account, password.
    pub never: Vec<Name>,
    /// Those that ask for something else than new tokens of the provider do.
    pub differ: Vec<Name>,
    /// Those whose own permissions wait for a consent now.
    pub waiting: Vec<Name>,
    /// Whether there are more tokens than were looked at.
    pub cut: bool,
}

/// How many names a sentence lists, and how many tokens are looked at: a page has no time for thousands.
const NAMED: usize = 10;
const LOOKED_AT: usize = 200;

impl Asked {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.consent.is_empty() && self.never.is_empty()
    }

    /// The first few of these.
    pub fn first_of<'a>(&self, names: &'a [Name]) -> &'a [Name] {
        &names[..names.len().min(NAMED)]
    }

    /// How many more there are: ` and 40 more`.
    pub fn rest_of(&self, names: &[Name]) -> String {
        match names.len().saturating_sub(NAMED) {
            0 if self.cut => " and others".to_owned(),
            0 => String::new(),
            _ if self.cut => " and many more".to_owned(),
            more => format!(" and {more} more"),
        }
    }
}

/// How the tokens of a provider would take a change of permissions.
pub async fn asked(app: &App, provider: &Provider) -> StoreResult<Asked> {
    let mut asked = Asked::default();
    let tokens = app.store.tokens_of(&provider.id).await?;
    asked.cut = tokens.len() > LOOKED_AT;
    for token in tokens.into_iter().take(LOOKED_AT) {
        let grant = app.store.grant(&token.id).await?;
        match again(&token, provider, grant.as_ref()) {
            Again::Never => asked.never.push(token.name.clone()),
            Again::First => {}
            Again::Nothing => asked.consent.push(token.name.clone()),
            Again::Consent(_) => {
                asked.consent.push(token.name.clone());
                asked.waiting.push(token.name.clone());
            }
        }
        if token.grant != GrantType::ClientCredentials && differ(provider, &token.scopes) {
            asked.differ.push(token.name);
        }
    }
    Ok(asked)
}

/// Whether these are other permissions than a provider's new tokens start with; order, spelling and who signs in don't count.
fn differ(provider: &Provider, scopes: &[String]) -> bool {
    let kind = provider.template;
    let more = |these: &[String], than: &[String]| missing_scopes(kind, these, than).iter().any(|scope| !is_protocol(scope));
    more(scopes, &provider.scopes) || more(&provider.scopes, scopes)
}

/// What to say after the permissions of a token changed; none where nothing has to be done.
pub fn after_change(old: &Token, new: &Token, provider: &Provider, grant: Option<&Grant>) -> Option<String> {
    if old.scopes == new.scopes {
        return None;
    }
    match again(new, provider, grant) {
        Again::Consent(missing) => Some(format!(
            "{} needs a new consent: get an authorization token. Until then it goes on with what was granted before.",
            missing.join(", ")
        )),
        Again::Never => {
            Some("Nobody has to consent again: what it may do is granted at the provider, and its next token has it.".to_owned())
        }
        Again::Nothing | Again::First => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::access_token::first::blank;
    use crate::clock::Timestamp;
    use crate::model::provider::{Cloud, Endpoints};
    use crate::model::template::TemplateKind;
    use crate::model::token::Prompt;
    use crate::model::{ProviderId, TokenId};

    const IMAP: &str = "https://outlook.office.com/IMAP.AccessAsUser.All";
    const SMTP: &str = "https://outlook.office.com/SMTP.Send";

    fn list(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|&scope| scope.to_owned()).collect()
    }

    fn provider(scopes: &[&str]) -> Provider {
        Provider {
            id: ProviderId("p".into()),
            name: Name::parse("contoso").unwrap(),
            template: TemplateKind::Microsoft,
            tenant: Some("contoso.test".into()),
            cloud: Cloud::Global,
            client_id: "client".into(),
            client_auth: TemplateKind::Microsoft.template().client_auth,
            client_secret: None,
            client_secret_expires: None,
            credentials: Default::default(),
            consent_screen: None,
            grant: GrantType::AuthorizationCode,
            scopes: list(scopes),
            prompt: Prompt::SelectAccount,
            login_hint: true,
            pkce: true,
            overrides: Endpoints::default(),
            extra_authorize_params: vec![],
            problem: None,
            problem_since: None,
            version: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    fn token(grant: GrantType, scopes: &[&str]) -> Token {
        Token {
            id: TokenId("t".into()),
            name: Name::parse("t").unwrap(),
            provider_id: ProviderId("p".into()),
            provider: Name::parse("contoso").unwrap(),
            grant,
            user: Some("a@contoso.test".into()),
            scopes: list(scopes),
            prompt: None,
            shared: false,
            version: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    fn granted(scopes: &[&str]) -> Grant {
        Grant {
            granted_scopes: list(scopes),
            ..blank(&TokenId("t".into()), 1, "", Timestamp(0))
        }
    }

    #[test]
    fn more_permissions_ask_whoever_signed_in_and_nobody_else() {
        let provider = provider(&[IMAP, SMTP]);
        let person = GrantType::AuthorizationCode;
        let both = token(person, &[IMAP, SMTP]);
        for (token, grant, expected) in [
            (&both, None, Again::First),
            (&both, Some(granted(&[IMAP, SMTP])), Again::Nothing),
            (&both, Some(granted(&[IMAP])), Again::Consent(list(&[SMTP]))),
            (&token(person, &[IMAP]), Some(granted(&[IMAP, SMTP])), Again::Nothing),
            (
                &token(GrantType::DeviceCode, &[IMAP, SMTP]),
                Some(granted(&[IMAP])),
                Again::Consent(list(&[SMTP])),
            ),
            (
                &token(GrantType::ClientCredentials, &["x/.default"]),
                Some(granted(&[])),
                Again::Never,
            ),
            (&token(GrantType::JwtBearer, &[IMAP]), None, Again::Never),
        ] {
            assert_eq!(again(token, &provider, grant.as_ref()), expected, "{token:?}");
        }
        let old = token(person, &[IMAP]);
        let grant = granted(&[IMAP]);
        assert!(
            after_change(&old, &both, &provider, Some(&grant))
                .unwrap()
                .contains("SMTP.Send needs a new consent")
        );
        assert_eq!(
            after_change(&both, &old, &provider, Some(&granted(&[IMAP, SMTP]))),
            None,
            "fewer need none"
        );
        assert_eq!(after_change(&old, &old, &provider, Some(&granted(&[]))), None);
    }

    #[test]
    fn spelling_is_no_difference() {
        let provider = provider(&[IMAP, SMTP, "offline_access"]);
        assert!(!differ(
            &provider,
            &list(&[SMTP, "https://outlook.office365.com/IMAP.AccessAsUser.All", "openid"])
        ));
        assert!(differ(&provider, &list(&[IMAP])));
        assert!(differ(
            &provider,
            &list(&[IMAP, SMTP, "https://outlook.office.com/POP.AccessAsUser.All"])
        ));
    }
}
