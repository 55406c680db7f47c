//! Plain records for tests: a provider, a token of it, what it yielded, a mailbox as it is typed. A test changes what it is about.

use super::databases::NOW;
use mailgrant::actions::mailboxes::{MailboxInput, SideInput};
use mailgrant::model::provider::{ClientAuth, Cloud, Endpoints, Provider};
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{Grant, GrantState, GrantType, Identity, Prompt, Token};
use mailgrant::model::{Name, ProviderId, Sealed, TokenId};
use mailgrant::secret::Password;

/// A Microsoft app `contoso`, with nothing secret stored.
pub fn provider() -> Provider {
    Provider {
        id: ProviderId("p1".into()),
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
        scopes: vec![],
        prompt: Prompt::SelectAccount,
        login_hint: true,
        pkce: true,
        overrides: Endpoints::default(),
        extra_authorize_params: vec![],
        problem: None,
        problem_since: None,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// The same app at a provider of one's own at `base`, which takes its secret in the form.
pub fn provider_at(base: &str) -> Provider {
    Provider {
        template: TemplateKind::Custom,
        tenant: None,
        client_auth: ClientAuth::SecretPost,
        prompt: Prompt::Consent,
        overrides: Endpoints {
            issuer: Some(base.to_owned()),
            authorize_url: Some(format!("{base}/authorize")),
            token_url: Some(format!("{base}/token")),
            revocation_url: Some(format!("{base}/revoke")),
            ..Endpoints::default()
        },
        ..provider()
    }
}

/// The token `support` of [`provider`], for support@contoso.test.
pub fn token() -> Token {
    Token {
        id: TokenId("t1".into()),
        name: Name::parse("support").unwrap(),
        provider_id: ProviderId("p1".into()),
        provider: Name::parse("contoso").unwrap(),
        grant: GrantType::AuthorizationCode,
        user: Some("support@contoso.test".into()),
        scopes: vec![],
        prompt: None,
        shared: false,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// What [`token`] yielded just now: a refresh token and an access token of an hour, with texts in place of what is sealed.
pub fn grant() -> Grant {
    Grant {
        token_id: TokenId("t1".into()),
        state: GrantState::Active,
        generation: 1,
        rt_current: Some((Sealed("v1.rt".into()), 1)),
        rt_current_proven: false,
        rt_previous: None,
        rt_rotated_at: None,
        access_token: Some((Sealed("v1.at".into()), 1)),
        others: vec![],
        token_type: "Bearer".into(),
        issued_at: Some(NOW),
        expires_at: Some(NOW.plus(3600)),
        granted_scopes: vec![],
        identity: Identity::default(),
        destination: provider().destination(),
        authorized_at: Some(NOW),
        authorized_by: None,
        refreshed_at: None,
        lease_owner: None,
        lease_until: None,
        attempt_id: None,
        attempt_started: None,
        outcome: String::new(),
        failures: 0,
        retry_at: None,
        last_error: None,
        last_error_at: None,
    }
}

/// The mailbox `NAME@contoso.test` at servers of this machine, in clear and with a password.
pub fn mailbox(name: &str, incoming: Option<u16>, outgoing: Option<u16>, password: &str) -> MailboxInput {
    let side = |protocol: &str, port: u16| SideInput {
        protocol: protocol.into(),
        host: "127.0.0.1".into(),
        port: port.to_string(),
        security: "none".into(),
        auth: "password".into(),
        password: Some(Password::new(password)),
        ..SideInput::default()
    };
    MailboxInput {
        name: name.into(),
        address: format!("{name}@contoso.test"),
        incoming: incoming.map(|port| side("imap", port)),
        outgoing: outgoing.map(|port| side("smtp", port)),
        ..MailboxInput::default()
    }
}
