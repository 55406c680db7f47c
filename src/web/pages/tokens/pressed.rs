//! *Renew now* and *Test token*.

use super::find;
use crate::actions::access_token::{self, How, Pressed, missing_scopes, next_press, press_renew};
use crate::actions::probe::{self, ProbeError};
use crate::app::App;
use crate::model::mailbox::Auth;
use crate::model::report::Direction;
use crate::model::token::Token;
use crate::web::WebState;
use crate::web::error::{PageError, wait};
use crate::web::guard::CurrentUser;
use crate::web::page::Flash;
use crate::web::pages::records::zone;
use crate::web::routes;
use axum::extract::{Path, State};
use axum::response::Response;

/// `POST /tokens/{name}/renew`: asks the provider for a new access token now.
pub async fn renew(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let (token, _) = find(&web.app, &name).await?;
    let flash = match press_renew(&web.app, &token).await {
        Ok(Pressed::JustNow(last)) => {
            let now = web.app.clock.now();
            let zone = zone(&web, &user);
            Flash::info(&format!(
                "Not renewed again: the last renewal was {} ago, {}. Renew again in {}.",
                wait(now.since(last)),
                zone.full(last),
                wait(next_press(last, now))
            ))
        }
        Ok(Pressed::Renewed(handed)) => Flash::ok(&format!("Renewed. Valid for {} minutes.", handed.expires_in / 60)),
        Err(error) => Flash::bad(&format!("Not renewed: {}", error.diagnosis().title)),
    };
    user.redirect_with(&routes::token(&name), flash).await
}

/// `POST /tokens/{name}/test`: a fresh access token, what it allows, and the mail server of a mailbox that uses it.
pub async fn test(State(web): State<WebState>, user: CurrentUser, Path(name): Path<String>) -> Result<Response, PageError> {
    let (token, provider) = find(&web.app, &name).await?;
    let path = routes::token(&name);
    let handed = match press_renew(&web.app, &token).await {
        Ok(Pressed::Renewed(handed)) => Ok(handed),
        Ok(Pressed::JustNow(_)) => access_token::access_token(&web.app, &token, None).await,
        Err(error) => Err(error),
    };
    let handed = match handed {
        Ok(handed) => handed,
        Err(error) => {
            let flash = Flash::bad(&format!("The token doesn't work: {}", error.diagnosis().title));
            return user.redirect_with(&path, flash).await;
        }
    };
    let renewed = if handed.how == How::Refreshed { "Renewed" } else { "Fresh already" };
    let mut words = format!("{renewed}, valid for {} minutes", handed.expires_in / 60);
    if let Some(audience) = audience(handed.access_token.expose_secret()) {
        words.push_str(&format!(", for {audience}"));
    }
    let grant = web.app.store.grant(&token.id).await?;
    let missing = grant.map(|grant| missing_scopes(&token, &provider, &grant)).unwrap_or_default();
    if !missing.is_empty() {
        words.push_str(&format!(", without {}", missing.join(", ")));
    }
    let flash = if missing.is_empty() {
        Flash::ok(&format!("{words}."))
    } else {
        Flash::warn(&format!("{words}."))
    };
    let flash = match start_test(&web.app, &user, &token).await {
        Some((address, run)) => flash.link(&routes::run(&run), &format!("Testing the mail server of {address}")),
        None => flash,
    };
    user.redirect_with(&path, flash).await
}

/// The audience of an access token, where it is one that can be read (Microsoft's for organisations are).
fn audience(token: &str) -> Option<String> {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    let text = claims.get("aud")?.as_str()?;
    let plain: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
    Some(plain).filter(|text| !text.is_empty())
}

async fn start_test(app: &App, user: &CurrentUser, token: &Token) -> Option<(String, String)> {
    let mailbox = app.store.mailboxes_of_token(&token.id).await.ok()?.into_iter().next()?;
    let uses = |direction| {
        let side = probe::side(&mailbox, direction);
        side.is_some_and(|side| matches!(&side.auth, Auth::OAuth2 { token_id, .. } if *token_id == token.id))
    };
    let direction = if uses(Direction::Incoming) {
        Direction::Incoming
    } else {
        Direction::Outgoing
    };
    let address = mailbox.address.clone();
    let order = probe::Order {
        mailbox,
        draft: false,
        direction,
        options: probe::Options {
            login_only: true,
            ..probe::Options::default()
        },
        user: Some(user.user().id.clone()),
    };
    match probe::start(app, &user.actor(), order).await {
        Ok(run) | Err(ProbeError::UnderWay(run)) => Some((address, run.0)),
        Err(error) => {
            tracing::warn!(error = %error, "No test was started: {error}");
            None
        }
    }
}
