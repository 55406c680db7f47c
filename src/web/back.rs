//! The way back to a walkthrough from the forms it leads to (OAUTH-8: no open redirector): a walkthrough and a step of it, nothing else.

use super::error::PageError;
use super::guard::CurrentUser;
use super::page::Flash;
use crate::actions::ActionError;
use crate::actions::walkthroughs::{self, Chosen};
use crate::model::user::Permission;
use axum::response::Response;
use serde::Deserialize;

/// Where a sign-in or a consent that was begun from a walkthrough is kept, in the session.
const KEPT: &str = "back";

/// A step of a walkthrough that somebody comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Back {
    id: String,
    step: usize,
}

/// A form with nothing but the way back.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct BackForm {
    /// As [`Back::path`].
    pub back: String,
}

impl Back {
    /// A step of a walkthrough.
    pub fn new(id: &str, step: usize) -> Self {
        Self { id: id.to_owned(), step }
    }

    /// Reads what [`Self::path`] wrote; none: anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, step) = text.strip_prefix("/walkthroughs/")?.split_once("?step=")?;
        let fine = id.len() == 32 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let digits = (1..=2).contains(&step.len()) && step.bytes().all(|b| b.is_ascii_digit());
        (fine && digits).then(|| Self::new(id, step.parse().unwrap_or(1)))
    }

    /// The address.
    pub fn path(&self) -> String {
        format!("/walkthroughs/{}?step={}", self.id, self.step)
    }

    /// Back to the walkthrough, which takes what was made for it, if this person may change it.
    pub async fn arrive(&self, user: &CurrentUser, chosen: Option<Chosen>, flash: Flash) -> Result<Response, PageError> {
        if user.may(Permission::ProviderEdit) {
            let (app, actor) = (&user.visit.web.app, user.actor());
            let done = match chosen {
                Some(chosen) => walkthroughs::choose(app, &actor, &self.id, None, chosen).await,
                None => walkthroughs::settle(app, &actor, &self.id, None).await.map(|_| ()),
            };
            match done {
                Ok(()) | Err(ActionError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        user.redirect_with(&self.path(), flash).await
    }

    /// Keeps the way back while somebody is at the provider for `subject`: `token:NAME` or `provider:NAME`.
    pub async fn keep(&self, user: &CurrentUser, subject: &str) -> Result<(), PageError> {
        let kept = (subject.to_owned(), self.path());
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
        assert_eq!(Back::parse(good).map(|back| back.path()).as_deref(), Some(good));
        for bad in [
            "",
            "/",
            "https://evil.example/walkthroughs/0123456789abcdef0123456789abcdef?step=5",
            "//evil.example/walkthroughs/0123456789abcdef0123456789abcdef?step=5",
            "/walkthroughs/../providers/x/delete/cdef0123456?step=5",
            "/walkthroughs/0123456789ABCDEF0123456789abcdef?step=5",
            "/walkthroughs/0123456789abcdef0123456789abcdef?step=5&next=//evil.example",
            "/walkthroughs/0123456789abcdef0123456789abcdef?step=",
            "/walkthroughs/0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(Back::parse(bad), None, "{bad:?}");
        }
    }
}
