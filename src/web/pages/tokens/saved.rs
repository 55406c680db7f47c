//! After a token was saved: its sign-in if one is wanted, its page, or back to the walkthrough it was made for.

use super::edit::TokenForm;
use crate::actions::walkthroughs::Chosen;
use crate::model::provider::Provider;
use crate::model::token::{GrantType, Token};
use crate::web::WebState;
use crate::web::back::Back;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::Flash;
use crate::web::pages::authorize;
use crate::web::routes;
use axum::response::Response;

pub(super) async fn saved(
    web: &WebState,
    user: &CurrentUser,
    token: &Token,
    provider: &Provider,
    form: &TokenForm,
) -> Result<Response, PageError> {
    let words = format!("Token {} saved.", token.name);
    let signs_in = form.act == "authorize";
    let Some(back) = Back::parse(&form.back) else {
        if signs_in {
            return authorize::leave(web, user, token, provider, None).await;
        }
        return user.redirect(&routes::token(token.name.as_str()), &words).await;
    };
    let chosen = Chosen::Token(token.id.clone(), token.name.clone());
    let arrived = back.arrive(user, Some(chosen), Flash::ok(&words)).await?;
    if signs_in && token.grant == GrantType::AuthorizationCode {
        back.keep(user, &format!("token:{}", token.name)).await?;
        return authorize::leave(web, user, token, provider, None).await;
    }
    Ok(arrived)
}
