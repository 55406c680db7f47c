//! Why a token doesn't work, on its page: the block of the diagnosis.

use super::verdict::{Verdict, diagnosis};
use crate::actions::authorize::Outcome;
use crate::actions::judgement;
use crate::diagnosis::ways::Scene;
use crate::model::provider::Provider;
use crate::model::report::Stage;
use crate::model::token::{Authorization, Grant, GrantState, Token};
use crate::model::user::Permission;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::pages::diagnosis::{Again, DiagnosisView};

/// What was refused last, if it still stands: the app, a renewal, or the newest sign-in. What the verdict says beside it stands in the
/// block too: where it has anything to say, the block takes its place.
pub(super) async fn of(
    web: &WebState,
    user: &CurrentUser,
    token: &Token,
    provider: &Provider,
    grant: Option<&Grant>,
    attempt: Option<&Authorization>,
    verdict: &Verdict,
) -> Result<Option<DiagnosisView>, PageError> {
    let failing = grant.filter(|grant| grant.state != GrantState::Active);
    let stored = provider
        .problem
        .as_ref()
        .or_else(|| failing.and_then(|grant| grant.last_error.as_ref()));
    let outcome = attempt
        .filter(|attempt| grant.and_then(|grant| grant.authorized_at).is_none_or(|at| at < attempt.started_at))
        .and_then(|attempt| Outcome::read(&attempt.outcome, &attempt.detail));
    let found = match (diagnosis(stored), outcome) {
        (Some(found), _) => Some((found, String::new())),
        (
            None,
            Some(
                Outcome::Declined { diagnosis, said }
                | Outcome::ExchangeFailed { diagnosis, said }
                | Outcome::NoIdentity { diagnosis, said },
            ),
        ) => Some((diagnosis, said)),
        _ => None,
    };
    let Some((found, said)) = found else { return Ok(None) };
    let scene = Scene {
        step: Some(Stage::Token),
        said,
        ..judgement::scene_of_token(&web.app, token, provider).await?
    };
    let mut view = DiagnosisView::new(user, "diagnosis", &found, &scene).await;
    if !verdict.beside.is_empty() {
        view = view.note(&verdict.beside);
        view.more.clone_from(&verdict.fix);
        view.since = provider.problem_since.or_else(|| failing.and_then(|grant| grant.last_error_at));
    }
    let again = Again::token(token.name.as_str());
    Ok(Some(match grant {
        Some(_) => view.again(user, Permission::MailboxTest, again),
        None => view,
    }))
}
