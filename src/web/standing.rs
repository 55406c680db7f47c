//! Lines that stand above every page until what they say is over, for those who can do something about it.

use super::guard::CurrentUser;
use super::page::Flash;
use crate::model::user::Permission;

/// The lines for this person.
pub(super) fn lines(user: &CurrentUser) -> Vec<Flash> {
    let web = &user.visit.web;
    let mut lines = Vec::new();
    if !user.may(Permission::SettingsEdit) {
        return lines;
    }
    if web.must_restart() {
        let scheme = web.base_url().scheme().to_owned();
        lines.push(Flash::warn(&format!(
            "The address starts with {scheme}:// now, and the console was started with another. Start it again: until then cookies are \
             named as before, and people may not stay signed in."
        )));
    }
    if let Some(skew) = web.app.workers.skew() {
        let text = format!(
            "This server’s clock {}. Set it right, best by a time server (NTP): until then sign-ins and renewals can fail.",
            skew.words()
        );
        lines.push(Flash::warn(&text).link("/about", "About and health"));
    }
    lines
}
