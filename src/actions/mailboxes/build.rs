//! From a checked edit to a mailbox that can be stored: passwords sealed, tokens matched, older results taken back.

use super::describe::{TO_ITSELF, TURNED_ON, changes, describe};
use super::{AuthEdit, MailboxEdit, SideEdit, problem};
use crate::actions::FieldProblem;
use crate::app::App;
use crate::model::mailbox::{Auth, Mailbox, MailboxState, Side, SideState};
use crate::model::report::Direction;
use crate::model::token::Token;
use crate::model::{MailboxId, Name, Sealed};
use crate::secret::Password;
use crate::vault::Place;

/// Where the password of a side is sealed (SEC-2): moved to another mailbox, side, version or server it can't be opened.
pub fn password_place<'a>(direction: Direction, id: &'a MailboxId, version: i64, destination: &'a str) -> Place<'a> {
    Place {
        table: "mailboxes",
        column: match direction {
            Direction::Incoming => "incoming_password",
            Direction::Outgoing => "outgoing_password",
        },
        row: id.as_str(),
        version,
        destination,
    }
}

/// Puts a checked edit together with what is stored: passwords sealed for the server they go to, tokens looked up with `tokens`, older
/// results taken back. `existing` is the mailbox as it stands; without it this is a new one. Writes nothing.
pub fn build(
    app: &App,
    edit: MailboxEdit,
    existing: Option<&Mailbox>,
    tokens: &dyn Fn(&Name) -> Option<Token>,
) -> Result<Mailbox, Vec<FieldProblem>> {
    let now = app.clock.now();
    let builder = Builder {
        app,
        id: existing.map_or_else(|| MailboxId(app.new_id()), |mailbox| mailbox.id.clone()),
        address: edit.address.clone(),
        tokens,
    };
    let mut problems = Vec::new();
    let mut side = |direction, edit: Option<SideEdit>, old: Option<&Side>| {
        builder.side(direction, edit?, old).map_err(|problem| problems.push(problem)).ok()
    };
    let incoming = side(Direction::Incoming, edit.incoming, existing.and_then(|m| m.incoming.as_ref()));
    let outgoing = side(Direction::Outgoing, edit.outgoing, existing.and_then(|m| m.outgoing.as_ref()));
    if !problems.is_empty() {
        return Err(problems);
    }
    // A later run keeps its place as the older result; its outcome says nothing about the new settings.
    let older = |state: &SideState| SideState {
        outcome: None,
        problem: None,
        run: state.run.clone(),
        tested_at: state.tested_at,
    };
    let mut mailbox = Mailbox {
        id: builder.id,
        name: existing.map_or(edit.name, |mailbox| mailbox.name.clone()),
        address: edit.address,
        display_name: edit.display_name,
        enabled: edit.enabled,
        paused: existing.and_then(|mailbox| mailbox.paused.clone()).filter(|_| !edit.enabled),
        tags: edit.tags,
        incoming,
        folder: edit.folder,
        outgoing,
        from: edit.from,
        bcc: edit.bcc,
        round_trip_hours: edit.round_trip_hours,
        state: MailboxState::NotTested,
        incoming_state: existing.map(|m| older(&m.incoming_state)).unwrap_or_default(),
        outgoing_state: existing.map(|m| older(&m.outgoing_state)).unwrap_or_default(),
        checked_at: existing.map(|m| m.checked_at).unwrap_or_default(),
        failing_since: None,
        // A test that read the old settings within the same second must not count for the new ones.
        changed_at: existing.map_or(now, |m| now.max(m.changed_at.plus(1))),
        version: existing.map_or(1, |m| m.version),
        created_at: existing.map_or(now, |m| m.created_at),
    };
    // Turning on or off, or sending to itself, says nothing about the settings, so what was tested stays.
    if let Some(old) = existing
        && changes(&describe(old), &describe(&mailbox))
            .iter()
            .all(|(label, ..)| label == TURNED_ON || label == TO_ITSELF)
    {
        mailbox.incoming_state = old.incoming_state.clone();
        mailbox.outgoing_state = old.outgoing_state.clone();
        mailbox.failing_since = old.failing_since;
        mailbox.changed_at = old.changed_at;
    }
    mailbox.state = mailbox.derive_state();
    Ok(mailbox)
}

/// The token of this name, if a side may use it: it opens the mailbox of the account it belongs to, and others only where it says so.
/// Without an `address` nothing is known of that yet.
pub(super) fn fitting(
    direction: Direction,
    name: &Name,
    token: Option<Token>,
    address: Option<&str>,
    username: Option<&str>,
) -> Result<Token, FieldProblem> {
    let field = match direction {
        Direction::Incoming => "incoming.token",
        Direction::Outgoing => "outgoing.token",
    };
    let Some(token) = token else {
        return Err(problem(field, format!("There is no token called {name}")));
    };
    if let (Some(user), Some(address)) = (token.user.as_deref().filter(|_| !token.shared), address) {
        let fits = |other: &str| other.eq_ignore_ascii_case(user);
        if !fits(address) && !username.is_some_and(fits) {
            let message =
                format!("Token belongs to {user} and this mailbox is {address}. Choose another, or allow this token for shared mailboxes");
            return Err(problem(field, message));
        }
    }
    Ok(token)
}

struct Builder<'a> {
    app: &'a App,
    id: MailboxId,
    address: String,
    tokens: &'a dyn Fn(&Name) -> Option<Token>,
}

impl Builder<'_> {
    fn side(&self, direction: Direction, edit: SideEdit, old: Option<&Side>) -> Result<Side, FieldProblem> {
        let auth = match edit.auth {
            AuthEdit::None => Auth::None,
            AuthEdit::OAuth2(name) => self.token(direction, name, edit.username.as_deref())?,
            AuthEdit::Password(password) => self.password(direction, &edit.server.destination(), password, old)?,
        };
        Ok(Side {
            server: edit.server,
            auth,
            username: edit.username,
        })
    }

    fn token(&self, direction: Direction, name: Name, username: Option<&str>) -> Result<Auth, FieldProblem> {
        let token = fitting(direction, &name, (self.tokens)(&name), Some(&self.address), username)?;
        Ok(Auth::OAuth2 {
            token_id: token.id,
            token: name,
        })
    }

    /// A new password is sealed for its server; the stored one stays only while its server does (SEC-8).
    fn password(
        &self,
        direction: Direction,
        destination: &str,
        password: Option<Password>,
        old: Option<&Side>,
    ) -> Result<Auth, FieldProblem> {
        let stored = old.and_then(|side| match &side.auth {
            Auth::Password { password: Some(stored) } => Some((stored, side.server.destination())),
            _ => None,
        });
        let password = match (password, stored) {
            // The same one again, as a configuration file brings it each time, is no change.
            (Some(password), Some((stored, server)))
                if server == destination && self.is_stored(direction, destination, stored, &password) =>
            {
                Some(stored.clone())
            }
            (Some(password), stored) => {
                let version = stored.map_or(0, |((_, version), _)| *version) + 1;
                let place = password_place(direction, &self.id, version, destination);
                Some((self.app.vault.seal(&place, password.expose_secret()), version))
            }
            (None, Some((stored, server))) if server == destination => Some(stored.clone()),
            (None, Some(_)) => {
                let field = match direction {
                    Direction::Incoming => "incoming.password",
                    Direction::Outgoing => "outgoing.password",
                };
                return Err(problem(field, "Enter the password again, because the server it is sent to changes"));
            }
            (None, None) => None,
        };
        Ok(Auth::Password { password })
    }

    fn is_stored(&self, direction: Direction, destination: &str, (sealed, version): &(Sealed, i64), password: &Password) -> bool {
        let place = password_place(direction, &self.id, *version, destination);
        let stored = self.app.vault.open(&place, sealed);
        stored.is_ok_and(|stored| stored.as_str() == password.expose_secret())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::mailboxes::tests::house;
    use crate::clock::Timestamp;

    #[test]
    fn a_token_opens_its_own_mailbox_and_others_only_when_shared() {
        let token = |user: &str, shared| Token {
            id: crate::model::TokenId("t".into()),
            name: Name::parse("t").unwrap(),
            provider_id: crate::model::ProviderId("p".into()),
            provider: Name::parse("p").unwrap(),
            grant: crate::model::token::GrantType::AuthorizationCode,
            user: Some(user.into()),
            scopes: vec![],
            prompt: None,
            shared,
            version: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let house = runtime.block_on(house());
        let build = |username: Option<&str>, token: Option<Token>| {
            let builder = Builder {
                app: &house.app,
                id: MailboxId("m".into()),
                address: "hr@example.com".into(),
                tokens: &move |_| token.clone(),
            };
            builder
                .token(Direction::Incoming, Name::parse("t").unwrap(), username)
                .map(|_| ())
                .map_err(|problem| problem.message)
        };
        assert_eq!(build(None, Some(token("HR@example.com", false))), Ok(()));
        assert_eq!(build(None, Some(token("maija@example.com", true))), Ok(()));
        assert_eq!(build(Some("maija@example.com"), Some(token("maija@example.com", false))), Ok(()));
        assert_eq!(build(None, None).unwrap_err(), "There is no token called t");
        assert_eq!(
            build(None, Some(token("maija@example.com", false))).unwrap_err(),
            "Token belongs to maija@example.com and this mailbox is hr@example.com. Choose another, or allow this token for shared mailboxes"
        );
    }
}
