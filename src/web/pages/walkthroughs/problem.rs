//! What is wrong with a step: the diagnosis of the check that failed, with what is known around it.

use crate::actions::judgement::{scene_of_mailbox, scene_of_provider, scene_of_token};
use crate::actions::walkthroughs::{Stand, Walk};
use crate::app::App;
use crate::diagnosis::ways::Scene;
use crate::model::report::{Direction, Outcome};
use crate::model::user::Permission;
use crate::model::walkthrough::{Check, StepState};
use crate::store::StoreResult;
use crate::web::guard::CurrentUser;
use crate::web::pages::diagnosis::{Again, DiagnosisView};

/// What is wrong with a step; none: nothing, or no more is known than its line says.
pub(super) async fn problem(app: &App, user: &CurrentUser, walk: &Walk, stand: &Stand) -> StoreResult<Option<DiagnosisView>> {
    let Some(diagnosis) = stand.problem.as_ref().filter(|_| stand.state == StepState::Problem) else {
        return Ok(None);
    };
    let scene = scene(app, walk, stand.step.check).await?;
    let view = DiagnosisView::new(user, "problem", diagnosis, &scene).await;
    if !stand.can_check() {
        return Ok(Some(view));
    }
    let again = Again {
        action: format!("/walkthroughs/{}/steps/{}/check", walk.row.id, stand.step.id),
        fields: Vec::new(),
        words: "I've done this, check again",
    };
    Ok(Some(view.again(user, Permission::ProviderEdit, again)))
}

async fn scene(app: &App, walk: &Walk, check: Check) -> StoreResult<Scene> {
    let is_test = matches!(check, Check::MailOn | Check::Incoming | Check::Tests);
    match (&walk.mailbox, &walk.token, &walk.provider) {
        (Some(mailbox), Some(_), _) if is_test => {
            let direction = match mailbox.incoming_state.outcome {
                Some(Outcome::Failed) => Direction::Incoming,
                _ if mailbox.outgoing_state.outcome == Some(Outcome::Failed) => Direction::Outgoing,
                _ => Direction::Incoming,
            };
            scene_of_mailbox(app, mailbox, direction).await
        }
        (_, Some(token), Some(provider)) => scene_of_token(app, token, provider).await,
        (_, None, Some(provider)) => scene_of_provider(app, provider).await,
        (_, _, None) => Ok(Scene::default()),
    }
}
