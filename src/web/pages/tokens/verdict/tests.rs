use super::*;
use crate::actions::access_token::first::blank;
use crate::model::provider::ConsentScreen;
use crate::model::template::TemplateKind;
use crate::model::token::{GrantState, GrantType, Identity};
use crate::model::{Name, ProviderId, Sealed, TokenId};

const NOW: Timestamp = Timestamp(1_795_248_000);
const SMTP: &str = "https://outlook.office.com/SMTP.Send";

fn token() -> Token {
    Token {
        id: TokenId("t".into()),
        name: Name::parse("support").unwrap(),
        provider_id: ProviderId("p".into()),
        provider: Name::parse("contoso").unwrap(),
        grant: GrantType::AuthorizationCode,
        user: Some("support@contoso.example".into()),
        scopes: vec![SMTP.into()],
        prompt: None,
        shared: false,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn provider() -> Provider {
    Provider {
        id: ProviderId("p".into()),
        name: Name::parse("contoso").unwrap(),
        template: TemplateKind::Microsoft,
        tenant: Some("contoso.com".into()),
        cloud: Cloud::Global,
        client_id: "id".into(),
        client_auth: crate::model::provider::ClientAuth::SecretPost,
        client_secret: None,
        client_secret_expires: None,
        credentials: Default::default(),
        consent_screen: None,
        grant: GrantType::AuthorizationCode,
        scopes: vec![],
        prompt: Prompt::SelectAccount,
        login_hint: true,
        pkce: true,
        overrides: crate::model::provider::Endpoints::default(),
        extra_authorize_params: vec![],
        problem: None,
        problem_since: None,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn grant(state: GrantState) -> Grant {
    Grant {
        state,
        rt_current: Some((Sealed("v1.k.x".into()), 1)),
        rt_current_proven: true,
        access_token: Some((Sealed("v1.k.x".into()), 1)),
        issued_at: Some(NOW),
        expires_at: Some(NOW.plus(3600)),
        granted_scopes: vec!["x".into()],
        identity: Identity {
            username: Some("support@contoso.example".into()),
            ..Identity::default()
        },
        ..blank(&TokenId("t".into()), 1, &provider().destination(), NOW)
    }
}

fn says(provider: &Provider, grant: Option<&Grant>, missing: &[String], now: Timestamp) -> (String, &'static str, Prompt) {
    let token = token();
    let verdict = verdict(&Seen {
        token: &token,
        provider,
        grant,
        state: crate::actions::access_token::state(GrantType::AuthorizationCode, grant, false, now),
        missing,
        attempt: None,
        links: &[],
        heard: None,
        now,
        zone: &Zone::utc(),
    });
    (verdict.title, verdict.kind, verdict.prompt)
}

#[test]
fn a_working_token_says_so_and_one_that_cannot_send_asks_for_consent() {
    let active = grant(GrantState::Active);
    assert_eq!(says(&provider(), Some(&active), &[], NOW).0, "Works");
    let lacking = says(&provider(), Some(&active), &[SMTP.to_owned()], NOW);
    assert_eq!(lacking, ("Reads mail, but can't send".to_owned(), "warn", Prompt::Consent));
    assert_eq!(says(&provider(), None, &[], NOW).0, "Nobody has signed in yet");
}

#[test]
fn a_grant_of_another_destination_never_looks_fine() {
    let mut moved = provider();
    moved.tenant = Some("fabrikam.com".into());
    let (title, kind, _) = says(&moved, Some(&grant(GrantState::Active)), &[], NOW);
    assert_eq!(
        (title.as_str(), kind),
        ("Needs a new sign-in: the provider's addresses changed", "bad")
    );
}

#[test]
fn trouble_is_told_with_its_cause_and_whether_a_sign_in_helps() {
    let known = |id: &str| serde_json::to_string(&crate::diagnosis::by_id(id).unwrap()).unwrap();
    let mut ended = grant(GrantState::Revoked);
    ended.last_error = Some(known("entra-50173-grant-revoked"));
    let (title, kind, _) = says(&provider(), Some(&ended), &[], NOW);
    assert!(title.starts_with("Needs a new sign-in: ") && kind == "bad", "{title}");
    let mut failing = grant(GrantState::Failing);
    failing.retry_at = Some(NOW.plus(600));
    assert_eq!(
        says(&provider(), Some(&failing), &[], NOW).0,
        "Renewal fails, trying again at 08:10"
    );
    let mut broken = provider();
    broken.problem = Some(known("entra-7000222-secret-expired"));
    let (title, _, _) = says(&broken, Some(&failing), &[], NOW);
    assert!(title.ends_with(": Client secret has expired"), "{title}");
}

#[test]
fn a_token_that_ran_out_is_being_renewed_unless_its_provider_keeps_that_waiting() {
    let (token, provider, grant) = (token(), provider(), grant(GrantState::Active));
    let now = NOW.plus(4000);
    let found = Box::new(crate::diagnosis::by_id("console-provider-unreachable").unwrap());
    let heard = (found, now.plus(30));
    let told = |heard| {
        let verdict = verdict(&Seen {
            token: &token,
            provider: &provider,
            grant: Some(&grant),
            state: crate::actions::access_token::state(token.grant, Some(&grant), false, now),
            missing: &[],
            attempt: None,
            links: &[],
            heard,
            now,
            zone: &Zone::utc(),
        });
        (verdict.kind, verdict.title, verdict.sign_in)
    };
    assert_eq!(told(None), ("run", "Renewing".to_owned(), false));
    assert_eq!(
        told(Some(&heard)),
        ("warn", "Renewal fails, trying again at 09:07".to_owned(), false)
    );
}

#[test]
fn a_sign_in_that_lapses_is_told_in_time() {
    let mut renewed = grant(GrantState::Active);
    let later = NOW.plus(80 * DAY);
    renewed.expires_at = Some(later.plus(60));
    assert!(says(&provider(), Some(&renewed), &[], later).0.starts_with("Lapses on"));
    renewed.refreshed_at = Some(later);
    assert_eq!(says(&provider(), Some(&renewed), &[], later).0, "Works");
    let mut testing = provider();
    (testing.template, testing.consent_screen) = (TemplateKind::Google, Some(ConsentScreen::Testing));
    renewed.destination = testing.destination();
    assert!(
        says(&testing, Some(&renewed), &[], later).0.starts_with("Ends on"),
        "using it doesn't help"
    );
}
