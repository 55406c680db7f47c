//! Two people at one token at once.

use super::edit::TokenForm;
use crate::model::provider::Provider;
use crate::model::scopes::parse_scopes;
use crate::model::token::Token;
use crate::web::WebState;
use crate::web::error::PageError;
use crate::web::guard::CurrentUser;
use crate::web::page::Section;
use crate::web::pages::providers::conflict;
use crate::web::routes;
use axum::response::Response;

/// The page of theirs and yours (`ux.md`, 8.8).
pub(super) async fn somebody_was_faster(
    web: &WebState,
    user: &CurrentUser,
    form: &TokenForm,
    token: &Token,
    provider: &Provider,
) -> Result<Response, PageError> {
    let theirs = TokenForm::of(token, provider);
    let text = |form: &TokenForm| parse_scopes(&form.all_scopes(provider)).unwrap_or_default().join("\n");
    let fields = vec![
        ("act", "", String::new(), "save".to_owned()),
        ("provider", "", String::new(), provider.name.to_string()),
        ("last_resort", "", String::new(), form.last_resort.clone()),
        ("grant", "How to get it", theirs.grant.clone(), form.grant.clone()),
        ("name", "", String::new(), token.name.to_string()),
        ("forget", "", String::new(), form.forget.clone()),
        (
            "user",
            "Account that must sign in",
            theirs.user.clone(),
            form.user.trim().to_owned(),
        ),
        ("shared", "May open shared mailboxes", theirs.shared.clone(), form.shared.clone()),
        ("scopes", "Permissions", text(&theirs), text(form)),
        ("prompt", "Prompt", theirs.prompt.clone(), form.prompt.clone()),
    ];
    let path = routes::token(token.name.as_str());
    let layout = user.layout(Section::Tokens, "Changed by somebody else").await;
    let layout = layout.crumb("Tokens", "/tokens").crumb(token.name.as_str(), &path).error();
    let target = format!("token:{}", token.name);
    let changed = (token.updated_at, token.version);
    conflict::show(&web.app, layout, &target, &path, changed, fields, false).await
}
