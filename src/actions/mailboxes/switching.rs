//! Another token for a mailbox, and back: the former token stays until the mailbox passed its tests with the new one; only then, and only
//! where nothing else uses it, is it offered for removal.

use super::{AuthEdit, Change, MailboxEdit, MailboxError, SideEdit, audit, changes, describe, update};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::audit::Actor;
use crate::model::mailbox::{Auth, Mailbox, Side};
use crate::model::report::Direction;
use crate::model::token::Token;
use crate::model::{Name, TokenId};
use crate::store::former::FormerSide;
use crate::store::{StoreError, Tx};

const DIRECTIONS: [Direction; 2] = [Direction::Incoming, Direction::Outgoing];

/// A token that a mailbox had before the one it has.
#[derive(Debug, Clone)]
pub struct Former {
    /// The token.
    pub token: Token,
    /// Since when it is not used here any more.
    pub since: Timestamp,
    /// What *Change back* changes: label, now, then.
    pub back: Vec<Change>,
    /// The sides of this mailbox that have not passed a test with what they are set to now.
    pub unproven: Vec<Direction>,
    /// Addresses of other mailboxes that had it too, and have not passed their tests.
    pub waiting: Vec<String>,
    /// Addresses of the mailboxes that use it now.
    pub used_by: Vec<String>,
}

impl Former {
    /// Whether it may go: every mailbox that had it works without it, and none uses it.
    pub fn is_needless(&self) -> bool {
        self.unproven.is_empty() && self.waiting.is_empty() && self.used_by.is_empty()
    }
}

fn side(mailbox: &Mailbox, direction: Direction) -> Option<&Side> {
    match direction {
        Direction::Incoming => mailbox.incoming.as_ref(),
        Direction::Outgoing => mailbox.outgoing.as_ref(),
    }
}

fn token_of(side: Option<&Side>) -> Option<&TokenId> {
    match &side?.auth {
        Auth::OAuth2 { token_id, .. } => Some(token_id),
        Auth::Password { .. } | Auth::None => None,
    }
}

/// Notes which tokens the sides of a mailbox had before this change, in the transaction of the change.
pub(super) async fn note(app: &App, tx: &mut Tx, old: &Mailbox, new: &Mailbox) -> Result<(), StoreError> {
    for direction in DIRECTIONS {
        let (before, after) = (side(old, direction), side(new, direction));
        if token_of(before) == token_of(after) {
            continue;
        }
        if let Some(token) = token_of(after) {
            tx.forget_former(&new.id, direction, token).await?;
        }
        if let Some(side) = before {
            let former = FormerSide {
                mailbox_id: new.id.clone(),
                direction,
                side: side.clone(),
                folder: match direction {
                    Direction::Incoming => old.folder.clone(),
                    Direction::Outgoing => String::new(),
                },
                since: app.clock.now(),
            };
            tx.note_former(&former).await?;
        }
    }
    Ok(())
}

/// The tokens a mailbox had before, the latest first.
pub async fn formers(app: &App, mailbox: &Mailbox) -> Result<Vec<Former>, StoreError> {
    let sides = app.store.former_sides(&mailbox.id).await?;
    let mut formers: Vec<Former> = Vec::new();
    for former in &sides {
        let Some(id) = token_of(Some(&former.side)) else {
            continue;
        };
        if formers.iter().any(|known| known.token.id == *id) {
            continue;
        }
        let Some(token) = app.store.token_by_id(id).await? else {
            continue;
        };
        let called = |other: Mailbox| match other.address == mailbox.address && other.id != mailbox.id {
            true => format!("{} ({})", other.address, other.name),
            false => other.address,
        };
        let others = app.store.mailboxes_formerly_of_token(id).await?;
        let used_by = app.store.mailboxes_of_token(id).await?;
        formers.push(Former {
            since: former.since,
            back: changes(&describe(mailbox), &describe(&put_back(mailbox, &sides, id))),
            unproven: mailbox.unproven(),
            waiting: others
                .into_iter()
                .filter(|other| other.id != mailbox.id && !other.unproven().is_empty())
                .map(called)
                .collect(),
            used_by: used_by.into_iter().map(called).collect(),
            token,
        });
    }
    Ok(formers)
}

/// The mailbox with every side that had this token set to what it was.
fn put_back(mailbox: &Mailbox, sides: &[FormerSide], token: &TokenId) -> Mailbox {
    let mut back = mailbox.clone();
    for former in sides.iter().filter(|former| token_of(Some(&former.side)) == Some(token)) {
        match former.direction {
            Direction::Incoming => {
                back.incoming = Some(former.side.clone());
                back.folder.clone_from(&former.folder);
            }
            Direction::Outgoing => back.outgoing = Some(former.side.clone()),
        }
    }
    back
}

/// *Change back*: the sides that had this token get it again, with the server and user name they had with it. The token they have now
/// becomes the former one. [`MailboxError::NotFound`] where the mailbox never had it, or it was deleted; [`MailboxError::Stale`] where it is
/// not the mailbox of `version` any more.
pub async fn change_back(app: &App, actor: &Actor, name: &Name, version: i64, token: &Name) -> Result<Token, MailboxError> {
    let mailbox = app.store.mailbox(name).await?.ok_or(MailboxError::NotFound)?;
    if mailbox.version != version {
        return Err(MailboxError::Stale(Box::new(mailbox)));
    }
    let token = app.store.token(token).await?.ok_or(MailboxError::NotFound)?;
    let sides = app.store.former_sides(&mailbox.id).await?;
    if !sides.iter().any(|former| token_of(Some(&former.side)) == Some(&token.id)) {
        return Err(MailboxError::NotFound);
    }
    let back = put_back(&mailbox, &sides, &token.id);
    update(app, actor, name, mailbox.version, edit_of(back)).await?;
    Ok(token)
}

/// A mailbox as an edit that changes nothing.
fn edit_of(mailbox: Mailbox) -> MailboxEdit {
    let side = |side: Side| SideEdit {
        server: side.server,
        auth: match side.auth {
            Auth::OAuth2 { token, .. } => AuthEdit::OAuth2(token),
            Auth::Password { .. } => AuthEdit::Password(None),
            Auth::None => AuthEdit::None,
        },
        username: side.username,
    };
    MailboxEdit {
        name: mailbox.name,
        address: mailbox.address,
        display_name: mailbox.display_name,
        enabled: mailbox.enabled,
        tags: mailbox.tags,
        incoming: mailbox.incoming.map(side),
        folder: mailbox.folder,
        outgoing: mailbox.outgoing.map(side),
        from: mailbox.from,
        bcc: mailbox.bcc,
        round_trip_hours: mailbox.round_trip_hours,
    }
}

/// *Keep it*: the token is offered no more, on no mailbox that had it.
pub async fn keep(app: &App, actor: &Actor, name: &Name, token: &Name) -> Result<Token, MailboxError> {
    let token = app.store.token(token).await?.ok_or(MailboxError::NotFound)?;
    let mut tx = app.store.begin().await?;
    if tx.forget_former_token(&token.id).await? > 0 {
        audit(app, &mut tx, actor, "mailbox.keep_token", name, format!("token {}", token.name)).await?;
        tx.commit().await?;
    }
    Ok(token)
}
