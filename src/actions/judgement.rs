//! What the console knows of a failure, put together for the diagnosis: settings, token and provider beside the other side's words.

use super::place;
use crate::app::App;
use crate::diagnosis::case::{Aim, Case, Held, Provider as Facts};
use crate::diagnosis::{Evidence, judge};
use crate::model::lint::is_guid;
use crate::model::mailbox::{Auth, Mailbox, Side};
use crate::model::provider::{ClientAuth, Provider};
use crate::model::report::{Diagnosis, Direction, Outcome, Report, Stage};
use crate::model::token::{Grant, Token};
use crate::oauth::OAuthError;
use crate::probe::Failure;

const DAY: i64 = 86_400;

/// What a test knows besides its steps, filled in as it goes.
#[derive(Default)]
pub struct Known {
    /// The access token in use.
    pub held: Option<Held>,
    /// The provider it is from.
    pub provider: Option<Facts>,
    /// By how many seconds this server's clock is ahead of the provider's.
    pub clock_ahead: Option<i64>,
}

/// The cause of a refusal at a provider, or of its silence. `token` and `grant` where it was about one.
pub fn of_provider(app: &App, provider: &Provider, token: Option<&Token>, grant: Option<&Grant>, error: &OAuthError) -> Diagnosis {
    judge(&Case {
        evidence: Evidence {
            own_id: error.own_id(),
            text: &error.evidence(),
        },
        step: Some(Stage::Token),
        provider: Some(facts(app, provider, token, grant)),
        clock_ahead: clock_ahead(app, provider),
        ..Case::default()
    })
}

/// The cause of a failure at this step of a test of this side.
pub fn of_test(failure: &Failure, report: &Report, mailbox: &Mailbox, side: &Side, direction: Direction, known: Known) -> Diagnosis {
    let passed = report
        .steps
        .iter()
        .filter(|step| matches!(step.outcome, Outcome::Passed | Outcome::Warning));
    judge(&Case {
        evidence: Evidence {
            own_id: failure.own_id,
            text: &failure.evidence,
        },
        step: report.failed_step().map(|step| step.step),
        passed: passed.map(|step| step.step).collect(),
        transient: failure.transient,
        side: Some(aim(mailbox, side, direction)),
        token: known.held,
        provider: known.provider,
        clock_ahead: known.clock_ahead,
    })
}

/// What is known of a provider, and of the sign-in of one of its tokens.
pub fn facts(app: &App, provider: &Provider, token: Option<&Token>, grant: Option<&Grant>) -> Facts {
    let now = app.clock.now();
    let days = |since| now.since(since).div_euclid(DAY);
    let has_secret = matches!(provider.client_auth, ClientAuth::SecretPost | ClientAuth::SecretBasic);
    let secret = place::open_client_secret(app, provider).ok().flatten().filter(|_| has_secret);
    Facts {
        template: provider.template,
        label: provider.template.template().short,
        cloud: provider.cloud,
        tenant: provider.tenant.clone(),
        client_id: provider.client_id.clone(),
        client_auth: provider.client_auth,
        consent_screen: provider.consent_screen,
        secret_is_id: secret.is_some_and(|secret| is_guid(secret.expose_secret())),
        secret_ended_days: provider.client_secret_expires.map(|end| -end.days_from(now)),
        scopes: token.map_or(&provider.scopes, |token| &token.scopes).clone(),
        signed_in_days: grant.and_then(|grant| grant.authorized_at).map(days),
        used_days: grant.and_then(|grant| grant.refreshed_at.max(grant.authorized_at)).map(days),
    }
}

/// By how many seconds this server's clock is ahead of the provider's, where the provider has said what time it is.
pub fn clock_ahead(app: &App, provider: &Provider) -> Option<i64> {
    let address = url::Url::parse(provider.endpoints().token_url.as_deref()?).ok()?;
    app.http.clock_ahead(address.host_str()?, app.clock.now())
}

fn aim(mailbox: &Mailbox, side: &Side, direction: Direction) -> Aim {
    let protocol = side.server.protocol();
    let (host, port, security) = match side.server.endpoint() {
        Some(endpoint) => (endpoint.host.clone(), endpoint.port, endpoint.security),
        None => (String::new(), protocol.ports().0, crate::model::mailbox::Security::Tls),
    };
    Aim {
        protocol,
        direction,
        host,
        port,
        security,
        password: matches!(side.auth, Auth::Password { .. }),
        address: mailbox.address.clone(),
        user_name: mailbox.login(side).to_owned(),
    }
}
