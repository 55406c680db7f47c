//! Refresh (RFC 6749, 6). One request, never repeated here: whether to try again, and with which token, is the caller's to decide by
//! the durable record of attempts (`security.md`, section 3). An answer without a refresh token keeps the old one.

use super::error::OAuthError;
use super::http::Http;
use super::{Client, TokenResponse, token_request};
use crate::model::scopes;
use crate::model::template::TemplateKind;
use crate::secret::RefreshToken;

/// The scopes to send: what was asked for, so far as it was granted. A strict server refuses a scope the grant doesn't have, and
/// Microsoft needs one to know which server the new token is for.
///
/// Empty `granted`: a grant that was brought along, of which nobody knows what it has. Without scopes the answer is for all of it
/// (RFC 6749, 6), and says whose it is if that is a part; Microsoft is asked for what the token wants.
pub fn scopes_to_send(kind: TemplateKind, requested: &[String], granted: &[String]) -> Vec<String> {
    if granted.is_empty() {
        return match kind {
            TemplateKind::Microsoft => scopes::normalize_order(kind, requested),
            _ => Vec::new(),
        };
    }
    let all = scopes::with_identity(kind, requested);
    let lost = scopes::missing_scopes(kind, &all, granted);
    all.into_iter()
        .filter(|scope| match scope.as_str() {
            // Microsoft never lists offline_access, and without asking for it no new refresh token comes.
            "openid" | "email" | "profile" | "offline_access" => kind == TemplateKind::Microsoft || granted.contains(scope),
            _ => !lost.contains(scope),
        })
        .collect()
}

/// The scopes to send where the token is wanted for another resource than the one it was made for (Microsoft: a refresh token is bound to
/// the person and the app, and to no resource).
pub fn scopes_for_other(kind: TemplateKind, wanted: &[String]) -> Vec<String> {
    let mut scopes = wanted.to_vec();
    scopes.extend(kind.template().always.iter().map(|scope| (*scope).to_owned()));
    scopes::normalize_order(kind, &scopes)
}

/// Asks for a new access token. `scopes` go out as they are; see [`scopes_to_send`]. None are sent if the list is empty.
pub async fn refresh(http: &Http, client: &Client<'_>, token: &RefreshToken, scopes: &[String]) -> Result<TokenResponse, OAuthError> {
    let mut form = vec![
        ("grant_type", "refresh_token".to_owned()),
        ("refresh_token", token.expose_secret().to_owned()),
    ];
    if !scopes.is_empty() {
        form.push(("scope", client.join_scopes(scopes)));
    }
    token_request(http, client, form, &[token.expose_secret()]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn a_scope_that_was_not_granted_is_not_asked_for_again() {
        let requested = list(&["offline_access", "mail.read", "mail.send"]);
        assert_eq!(
            scopes_to_send(TemplateKind::Custom, &requested, &list(&["openid", "mail.read", "offline_access"])),
            list(&["mail.read", "offline_access", "openid"])
        );
        assert_eq!(
            scopes_to_send(TemplateKind::Custom, &requested, &[]),
            list(&[]),
            "an imported grant: all it has, and nothing it may not have"
        );
    }

    #[test]
    fn microsoft_gets_offline_access_although_it_never_lists_it() {
        let imap = "https://outlook.office.com/IMAP.AccessAsUser.All";
        assert_eq!(
            scopes_to_send(TemplateKind::Microsoft, &list(&["offline_access", imap]), &list(&[imap])),
            list(&[imap, "offline_access", "openid", "email", "profile"])
        );
    }
}
