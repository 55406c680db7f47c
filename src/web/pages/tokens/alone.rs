//! Tokens that nobody signs in for, on their page: how they stand, and *Get token* in place of a sign-in.

use super::verdict::{Seen, Verdict, clock, diagnosis, ended, missing_words};
use super::{find, next_press};
use crate::actions::access_token::Pressed;
use crate::actions::{place, tokens};
use crate::model::token::{GrantType, Prompt, Token, TokenState};
use crate::web::WebState;
use crate::web::error::{PageError, wait};
use crate::web::form::{CsrfForm, Nothing};
use crate::web::guard::CurrentUser;
use crate::web::page::Flash;
use crate::web::routes;
use axum::extract::{Path, State};
use axum::response::Response;

/// How a token is got, as headings and choices name it.
pub fn way(grant: GrantType) -> &'static str {
    match grant {
        GrantType::AuthorizationCode => "Someone signs in",
        GrantType::ClientCredentials => "The app itself",
        GrantType::DeviceCode => "Someone signs in on another device",
        GrantType::Password => "Username and password",
        GrantType::JwtBearer => "Service account",
    }
}

/// The verdict on a token that nobody signs in for.
pub fn verdict(seen: &Seen<'_>) -> Verdict {
    let Seen {
        token,
        provider,
        now,
        zone,
        ..
    } = seen;
    let user = token.user.as_deref().unwrap_or_default();
    let found = seen.grant.and_then(|grant| diagnosis(grant.last_error.as_ref()));
    let said = found.as_ref().map(|found| found.meaning.clone()).unwrap_or_default();
    let title =
        |found: &Option<crate::model::report::Diagnosis>| found.as_ref().map_or(String::new(), |found| format!(": {}", found.title));
    let edit = (format!("{}/edit", routes::token(token.name.as_str())), "Edit the token");
    let new = |kind, title: String, text: String| Verdict {
        sign_in: false,
        ..Verdict::new(kind, title, text, Prompt::Unsent)
    };
    if let Some(grant) = seen.grant
        && !place::is_current(grant, provider)
    {
        let text = "What it is got with belongs to where the provider was before, and is never sent anywhere else.";
        return Verdict {
            fix: Some(edit),
            ..new("bad", "The provider's addresses changed".to_owned(), text.to_owned())
        };
    }
    match seen.state {
        TokenState::Unauthorized | TokenState::Authorizing => new(
            "todo",
            "No token yet".to_owned(),
            "Get it now, or leave it to the first use. Nobody has to sign in.".to_owned(),
        ),
        TokenState::Revoked => Verdict {
            fix: Some(edit),
            ..new(
                "bad",
                ended(token.grant, found.as_ref()).0,
                format!(
                    "{said} It isn't tried again by itself, so that the account isn't locked. Enter the password again, or get a token once that is mended."
                ),
            )
        },
        TokenState::Failing => {
            let again = match seen.grant.and_then(|grant| grant.retry_at).filter(|at| at > now) {
                Some(at) => format!("No new token, trying again at {}", clock(zone, at)),
                None => "No new token, trying again soon".to_owned(),
            };
            Verdict {
                beside: format!("{again}."),
                ..new("warn", format!("{again}{}", title(&found)), said)
            }
        }
        TokenState::Expired => match seen.heard {
            Some((found, until)) => new(
                "warn",
                format!("No new token, trying again at {}: {}", clock(zone, *until), found.title),
                found.meaning.clone(),
            ),
            None => new(
                "run",
                "Renewing".to_owned(),
                "The access token has run out. A new one is got by itself, and whoever asks for it meanwhile waits for it.".to_owned(),
            ),
        },
        TokenState::Active if !seen.missing.is_empty() => new(
            "warn",
            missing_words(provider.template, provider.cloud, seen.missing).to_owned(),
            format!("Not granted: {}.", seen.missing.join(", ")),
        ),
        TokenState::Active => new(
            "ok",
            "Works".to_owned(),
            match token.grant {
                GrantType::JwtBearer => format!("The provider's service account acts for {user}. Nobody has to sign in."),
                GrantType::Password => format!("Got with the stored password of {user}. It renews itself."),
                _ => "The app gets it with its own secret or certificate. Nobody has to sign in.".to_owned(),
            },
        ),
    }
}

/// `POST /tokens/{name}/get`: asks the provider for a token that nobody signs in for.
pub async fn get(
    State(web): State<WebState>,
    user: CurrentUser,
    Path(name): Path<String>,
    CsrfForm(_): CsrfForm<Nothing>,
) -> Result<Response, PageError> {
    let (token, _) = find(&web.app, &name).await?;
    got(&web, &user, &token).await
}

/// Gets the token now, and goes to its page with what came of it.
pub async fn got(web: &WebState, user: &CurrentUser, token: &Token) -> Result<Response, PageError> {
    let path = routes::token(token.name.as_str());
    if token.grant.needs_person() {
        return user
            .redirect_with(
                &path,
                Flash::bad("This token needs somebody to sign in: get an authorization token."),
            )
            .await;
    }
    let flash = match tokens::get(&web.app, &user.actor(), token).await {
        Ok(Pressed::JustNow(last)) => {
            let now = web.app.clock.now();
            Flash::info(&format!(
                "Not asked for again: the last token came {} ago. Get the next one in {}.",
                wait(now.since(last)),
                wait(next_press(last, now))
            ))
        }
        Ok(Pressed::Renewed(handed)) => Flash::ok(&format!("Token here. Valid for {} minutes.", handed.expires_in / 60)),
        Err(error) => Flash::bad(&format!("No token: {}", error.diagnosis().title)),
    };
    user.redirect_with(&path, flash).await
}
