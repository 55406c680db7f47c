//! The way back to a walkthrough from the forms it leads to (OAUTH-8: no open redirector): a walkthrough and a step of it, nothing else.

use super::error::PageError;
use super::guard::CurrentUser;
use super::page::Flash;
use super::pages::walkthroughs::fit::{instead, misfit};
use crate::actions::ActionError;
use crate::actions::walkthroughs::{self, Chosen};
use crate::model::user::Permission;
use crate::store::StoreError;
use axum::response::Response;
use serde::Deserialize;

/// Where a sign-in or a consent that was begun from a walkthrough is kept, in the session.
const KEPT: &str = "back";

/// A step of a walkthrough that somebody comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    id: String,
    step: usize,
    /// The version of the walkthrough that was shown; none: nobody knows.
    version: Option<i64>,
}

/// A form with nothing but the way back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct BackForm {
    /// As [`Back::field`].
    pub back: String,
}

impl Back {
    /// A step of a walkthrough, as it was shown.
    pub fn new(id: &str, step: usize, version: i64) -> Self {
        Self {
            id: id.to_owned(),
            step,
            version: Some(version),
        }
    }

    /// Reads what [`Self::field`] wrote; none: anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.strip_prefix("/walkthroughs/")?.split_once("?step=")?;
        let (step, version) = match rest.split_once("&version=") {
            Some((step, version)) => (step, Some(version)),
            None => (rest, None),
        };
        let digits = |text: &str, most: usize| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let fine = id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let all = fine && digits(step, 2) && version.is_none_or(|version| digits(version, 18));
        all.then(|| Self {
            id: id.to_owned(),
            step: step.parse().unwrap_or(1),
            version: version.and_then(|version| version.parse().ok()),
        })
    }

    /// The address.
    pub fn path(&self) -> String {
        format!("/walkthroughs/{}?step={}", self.id, self.step)
    }

    /// For a form: the address with the version.
    pub fn field(&self) -> String {
        let version = self.version.map(|version| format!("&version={version}")).unwrap_or_default();
        format!("{}{version}", self.path())
    }

    /// Back to the walkthrough, which takes what was made for it, if this person may change it and it fits. What doesn't stays where it
    /// is, and the page says why it wasn't taken.
    pub async fn arrive(&self, user: &CurrentUser, chosen: Option<Chosen>, flash: Flash) -> Result<Response, PageError> {
        let why = match user.may(Permission::ProviderEdit) {
            // It holds all of a walkthrough: not on the stack of every form that leads here.
            true => Box::pin(self.take_in(user, chosen)).await?,
            false => None,
        };
        let app = &user.visit.web.app;
        if app.store.walkthrough(&self.id).await?.is_none() {
            let text = format!("{} The walkthrough it was for was deleted meanwhile.", flash.text);
            return user.redirect_with("/walkthroughs", Flash::warn(&text)).await;
        }
        let flash = match why {
            Some(why) => Flash::warn(&format!("{} It wasn't taken into this walkthrough: {why}.", flash.text)),
            None => flash,
        };
        user.redirect_with(&self.path(), flash).await
    }

    /// Takes something into the walkthrough; or why it wasn't taken, as the end of a sentence.
    async fn take_in(&self, user: &CurrentUser, chosen: Option<Chosen>) -> Result<Option<String>, PageError> {
        let (app, actor) = (&user.visit.web.app, user.actor());
        let Some(chosen) = chosen else {
            return match walkthroughs::settle(app, &actor, &self.id, None).await {
                Ok(_) | Err(ActionError::NotFound(_)) => Ok(None),
                Err(error) => Err(error.into()),
            };
        };
        for last in [false, false, true] {
            let Some(walk) = walkthroughs::load(app, &self.id).await? else {
                return Ok(None);
            };
            if let Some(why) = misfit(app, &walk, &chosen).await? {
                return Ok(Some(why));
            }
            // What somebody else put there since this form was opened isn't overwritten.
            if self.version != Some(walk.row.version)
                && let Some(other) = instead(&walk, &chosen)
            {
                return Ok(Some(format!(
                    "{} chose {other} for it meanwhile. Choose below which one it is to be about",
                    walk.row.touched_by
                )));
            }
            match walkthroughs::choose(app, &actor, &self.id, Some(walk.row.version), chosen.clone()).await {
                // Somebody else was a moment faster: what they wrote is looked at first.
                Err(ActionError::Store(StoreError::Stale)) if !last => {}
                Ok(()) | Err(ActionError::NotFound(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Keeps the way back while somebody is at the provider for `subject`: `token:NAME` or `provider:NAME`.
    pub async fn keep(&self, user: &CurrentUser, subject: &str) -> Result<(), PageError> {
        let kept = (subject.to_owned(), self.field());
        user.visit.session.insert(KEPT, kept).await.map_err(PageError::internal)
    }

    /// The way back that was kept for `subject`, once.
    pub async fn take(user: &CurrentUser, subject: &str) -> Option<Self> {
        let (kept, path): (String, String) = user.visit.session.get(KEPT).await.ok().flatten()?;
        if kept != subject {
            return None;
        }
        let _: Result<Option<(String, String)>, _> = user.visit.session.remove(KEPT).await;
        Self::parse(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::Back;

    #[test]
    fn the_way_back_leads_to_a_step_of_a_walkthrough_and_nowhere_else() {
        let good = "/walkthroughs/0123456789abcdef0123456789abcdef?step=5";
        let parsed = Back::parse(good).unwrap();
        assert_eq!((parsed.path().as_str(), parsed.field().as_str()), (good, good));
        let parsed = Back::parse(&format!("{good}&version=12")).unwrap();
        assert_eq!((parsed.path(), parsed.version), (good.to_owned(), Some(12)));
        assert_eq!(Back::parse(&parsed.field()), Some(parsed));
        for bad in [
            "",
            "/",
            "https://evil.example/walkthroughs/0123456789abcdef0123456789abcdef?step=5",
            "//evil.example/walkthroughs/0123456789abcdef0123456789abcdef?step=5",
            "/walkthroughs/../providers/x/delete/cdef0123456?step=5",
            "/walkthroughs/0123456789ABCDEF0123456789abcdef?step=5",
            "/walkthroughs/0123456789abcdef0123456789abcdef?step=5&next=//evil.example",
            "/walkthroughs/0123456789abcdef0123456789abcdef?step=",
            "/walkthroughs/0123456789abcdef0123456789abcdef?step=5&version=",
            "/walkthroughs/0123456789abcdef0123456789abcdef?step=5&version=-1",
            "/walkthroughs/0123456789abcdef0123456789abcdef?step=5&version=1&version=2",
            "/walkthroughs/0123456789abcdef0123456789abcdef?step=5&version=1//evil.example",
            "/walkthroughs/0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(Back::parse(bad), None, "{bad:?}");
        }
    }
}
