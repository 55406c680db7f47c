//! Forms that outlive their session (`ux.md` 8.7). What was sent without a valid session is sealed with a key that lives only in a
//! short-lived HttpOnly cookie, secrets included, and comes back as the same form, filled, after its sender has signed in again.
//! Somebody else's sign-in destroys it. Nothing is ever saved from a draft: the form has to be sent once more.
//!
//! A form page takes part with two lines: [`CurrentUser::take_draft`] with the path its form posts to, and [`super::form::refill`]
//! to make the form of the fields.

use super::csrf::FIELD;
use super::guard::{CurrentUser, Visit};
use super::page::Flash;
use super::routes::{EXPLAIN, LOGIN, SEARCH, own_path};
use crate::model::UserId;
use crate::model::user::User;
use crate::store::sessions::DraftRow;
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// How many seconds does a form wait?
const WAIT: i64 = 30 * 60;

/// The answer to a form of ours whose session is over or was replaced: keeps what was typed and leads back to the form.
pub(super) async fn answer(visit: &Visit, owner: &UserId, path: &str, mut typed: Vec<(String, String)>) -> Response {
    typed.retain(|(name, _)| name != FIELD);
    // What is pasted to be explained may have anything in it, and nothing of it is stored.
    let keeps = !typed.is_empty() && path != LOGIN && path != EXPLAIN && path != SEARCH && own_path(path).is_some();
    if keeps && let Err(error) = keep(visit, owner, path, &typed).await {
        tracing::warn!(error = %error, "A form that came without a session could not be kept: {error}");
    }
    let mut back = visit.referer().unwrap_or_else(|| "/".into());
    if keeps && back.split('?').next() == Some(path) {
        back = resume(&back);
    }
    if visit.signed_in.is_none() {
        return to_login(Some(&back));
    }
    let text = if keeps {
        "You signed in again meanwhile, so this was not sent. Look it over and send it once more."
    } else {
        "You signed in again meanwhile, so nothing was done. Try it once more."
    };
    let _ = visit.session.insert(super::session::FLASH, Flash::info(text)).await;
    Redirect::to(&back).into_response()
}

/// The address of a form's page that asks for what was kept.
pub(super) fn resume(path: &str) -> String {
    let (page, query) = path.split_once('?').unwrap_or((path, ""));
    let others = query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("draft="));
    let query: Vec<&str> = others.chain(["draft=1"]).collect();
    format!("{page}?{}", query.join("&"))
}

/// To the sign-in page, and back to `path` afterwards.
pub(super) fn to_login(path: Option<&str>) -> Response {
    match path.and_then(own_path) {
        None | Some("/") => Redirect::to(LOGIN).into_response(),
        Some(path) => {
            // What was searched for or pasted may be an error text with a secret in it: it doesn't travel through more addresses.
            let path = match path.split_once('?') {
                Some((page, _)) if page == SEARCH || page == EXPLAIN => page,
                _ => path,
            };
            let next = serde_urlencoded::to_string([("next", path)]).unwrap_or_default();
            Redirect::to(&format!("{LOGIN}?{next}")).into_response()
        }
    }
}

async fn keep(visit: &Visit, owner: &UserId, path: &str, fields: &[(String, String)]) -> Result<(), crate::store::StoreError> {
    let app = &visit.web.app;
    let mut key = Zeroizing::new([0; 32]);
    app.random.fill(&mut *key);
    let mut draft = DraftRow {
        id: app.random.id(),
        user_id: owner.clone(),
        path: path.to_owned(),
        sealed: String::new(),
        expires_at: app.clock.now().plus(WAIT),
    };
    let mut nonce = [0; 12];
    app.random.fill(&mut nonce);
    let mut text = serde_json::to_vec(fields).unwrap_or_default();
    let sealed = sealing_key(&*key).and_then(|key| {
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated(&draft), &mut text)
            .ok()
    });
    if sealed.is_none() {
        return Ok(());
    }
    draft.sealed = format!("{}.{}", URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(text));
    app.store.insert_draft(&draft).await?;
    let names = visit.web.cookies;
    let value = Zeroizing::new(format!("{}.{}", draft.id, URL_SAFE_NO_PAD.encode(*key)));
    visit.set_cookie(&names.build(names.draft, &value, Some(WAIT)));
    Ok(())
}

fn sealing_key(key: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM_SIV, key).ok().map(LessSafeKey::new)
}

fn associated(draft: &DraftRow) -> Aad<Vec<u8>> {
    Aad::from(format!("draft {} {} {}", draft.id, draft.user_id, draft.path).into_bytes())
}

fn open(draft: &DraftRow, key: &str) -> Option<Vec<(String, String)>> {
    let key = Zeroizing::new(URL_SAFE_NO_PAD.decode(key).ok()?);
    let (nonce, text) = draft.sealed.split_once('.')?;
    let nonce: [u8; 12] = URL_SAFE_NO_PAD.decode(nonce).ok()?.try_into().ok()?;
    let mut text = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
    let plain = sealing_key(&key)?
        .open_in_place(Nonce::assume_unique_for_key(nonce), associated(draft), &mut text)
        .ok()?;
    serde_json::from_slice(plain).ok()
}

fn cookie_parts(visit: &Visit) -> Option<(String, String)> {
    let value = visit.cookie(visit.web.cookies.draft)?;
    let (id, key) = value.split_once('.')?;
    Some((id.to_owned(), key.to_owned()))
}

/// At a sign-out: nobody comes back for it.
pub(super) async fn destroy(visit: &Visit) {
    if let Some((id, _)) = cookie_parts(visit) {
        let _ = visit.web.app.store.take_draft(&id).await;
        forget(visit);
    }
}

/// Whether a form of this browser waits.
pub(super) async fn waits(visit: &Visit) -> bool {
    let Some((id, _)) = cookie_parts(visit) else { return false };
    let found = visit.web.app.store.draft(&id).await.ok().flatten();
    found.is_some_and(|draft| visit.web.app.clock.now() < draft.expires_at)
}

/// After a sign-in: a form that belongs to somebody else is destroyed; false then.
pub(super) async fn belongs_to(visit: &Visit, user: &User) -> bool {
    let Some((id, _)) = cookie_parts(visit) else { return true };
    let found = visit.web.app.store.draft(&id).await.ok().flatten();
    if found.is_none_or(|draft| draft.user_id == user.id) {
        return true;
    }
    let _ = visit.web.app.store.take_draft(&id).await;
    forget(visit);
    false
}

fn forget(visit: &Visit) {
    let names = visit.web.cookies;
    visit.set_cookie(&names.build(names.draft, "", Some(0)));
}

/// What waits for the form that posts to `path`, and the key of it.
async fn find(user: &CurrentUser, path: &str) -> Option<(DraftRow, String)> {
    let (id, key) = cookie_parts(&user.visit)?;
    let found = user.visit.web.app.store.draft(&id).await.ok().flatten()?;
    (found.path == path && found.user_id == user.user().id).then_some((found, key))
}

/// As [`CurrentUser::take_draft`].
pub(super) async fn take(user: &CurrentUser, path: &str) -> Option<Vec<(String, String)>> {
    let visit = &user.visit;
    let app = &visit.web.app;
    let (found, key) = find(user, path).await?;
    let found = app.store.take_draft(&found.id).await.ok().flatten()?;
    forget(visit);
    if found.expires_at <= app.clock.now() {
        return None;
    }
    let fields = open(&found, &key)?;
    visit.mark_form_kept();
    Some(fields)
}

impl CurrentUser {
    /// What [`Self::take_draft`] would give, left where it is: for a page that may have to do with something else.
    pub async fn peek_draft(&self, path: &str) -> Option<Vec<(String, String)>> {
        let (found, key) = find(self, path).await?;
        if found.expires_at <= self.visit.web.app.clock.now() {
            return None;
        }
        open(&found, &key)
    }

    /// Lets go of what waits for the form that posts to `path`.
    pub async fn drop_draft(&self, path: &str) {
        if find(self, path).await.is_some() {
            destroy(&self.visit).await;
        }
    }

    /// Where the form of this page comes back with what [`Self::keep_draft`] kept.
    pub fn draft_address(path: &str) -> String {
        resume(path)
    }

    /// Keeps what was typed into the form that posts to `path`, while its owner goes elsewhere and comes back: the page of that
    /// form gets it from [`Self::take_draft`]. The token field is left out.
    pub async fn keep_draft(&self, path: &str, fields: &[(String, String)]) -> Result<(), super::error::PageError> {
        let fields: Vec<_> = fields.iter().filter(|(name, _)| name != FIELD).cloned().collect();
        Ok(keep(&self.visit, &self.user().id, path, &fields).await?)
    }
}
