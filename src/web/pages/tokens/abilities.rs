//! What a token can do, before anybody connects: what its access tokens say, and whether they open the mailboxes that use it.

use crate::actions::access_token::{ReadToken, read_claims, side_scopes};
use crate::actions::probe::expected;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::mailbox::{Auth, Mailbox, Protocol, Side};
use crate::model::provider::Provider;
use crate::model::report::{Direction, Outcome};
use crate::model::scopes::{Resource, resource_of};
use crate::model::token::{Grant, GrantType, Token};
use crate::oauth::Claims;
use crate::probe::{Opens, judge};

/// How many mailboxes are judged on the page; those that can't be opened come first.
const MOST: usize = 10;

/// What the section shows.
#[derive(Debug, Default)]
pub struct Abilities {
    /// What each access token says.
    pub tokens: Vec<Said>,
    /// What becomes of each mailbox.
    pub uses: Vec<Use>,
    /// How many more there are, which fare no worse.
    pub more: usize,
}

/// One access token. It is never shown itself.
#[derive(Debug)]
pub struct Said {
    /// A heading, where there are several.
    pub resource: &'static str,
    /// What it says; none: it is opaque.
    pub claims: Option<Claims>,
    /// When it was got.
    pub issued_at: Timestamp,
}

/// One side of a mailbox.
#[derive(Debug)]
pub struct Use {
    /// Handle of the mailbox.
    pub name: String,
    /// Its address.
    pub address: String,
    /// How it is used: `Reads by IMAP`.
    pub way: String,
    /// Mark.
    pub kind: &'static str,
    /// In a word.
    pub words: &'static str,
    /// Why, or on what condition.
    pub why: String,
    rank: u8,
}

/// Whether the app itself is let in, without anybody signing in.
pub fn is_app_only(token: &Token) -> bool {
    token.grant == GrantType::ClientCredentials
}

/// Reads the stored tokens and judges them.
pub fn abilities(app: &App, token: &Token, provider: &Provider, grant: Option<&Grant>, mailboxes: &[Mailbox]) -> Abilities {
    let Some(grant) = grant else { return Abilities::default() };
    let read = read_claims(app, token, provider, grant);
    if read.is_empty() {
        return Abilities::default();
    }
    let now = app.clock.now();
    let mut uses: Vec<Use> = mailboxes
        .iter()
        .flat_map(|mailbox| {
            [(Direction::Incoming, &mailbox.incoming), (Direction::Outgoing, &mailbox.outgoing)].map(|(d, s)| (mailbox, d, s))
        })
        .filter_map(|(mailbox, direction, side)| Some((mailbox, direction, side.as_ref()?)))
        .filter(|(_, _, side)| matches!(&side.auth, Auth::OAuth2 { token_id, .. } if *token_id == token.id))
        .map(|(mailbox, direction, side)| one(&read, token, provider, (mailbox, direction, side), now))
        .collect();
    uses.sort_by_key(|one| one.rank);
    let more = uses.len().saturating_sub(2 * MOST);
    uses.truncate(2 * MOST);
    let several = read.len() > 1;
    let tokens = read
        .into_iter()
        .map(|read| Said {
            resource: match read.resource.filter(|_| several) {
                Some(Resource::Graph) => "For Microsoft Graph",
                Some(Resource::Outlook) => "For IMAP, POP and SMTP",
                _ => "",
            },
            claims: read.claims,
            issued_at: read.issued_at,
        })
        .collect();
    Abilities { tokens, uses, more }
}

/// The object id of the app's service principal, as its own tokens name it.
pub fn object_id(abilities: &Abilities) -> Option<&str> {
    let of_app = abilities
        .tokens
        .iter()
        .filter_map(|said| said.claims.as_ref())
        .filter(|claims| claims.app_only);
    of_app.filter_map(|claims| claims.object_id.as_deref()).next()
}

fn one(
    read: &[ReadToken],
    token: &Token,
    provider: &Provider,
    (mailbox, direction, side): (&Mailbox, Direction, &Side),
    now: Timestamp,
) -> Use {
    let protocol = side.server.protocol();
    let needed = side_scopes(token, provider, direction, protocol);
    // The same choice as at the hand-out: a token for the resource that this side needs.
    let wanted = resource_of(provider.template, &needed);
    let fits = |read: &&ReadToken| wanted.is_none() || read.resource.is_none() || read.resource == wanted;
    let login = mailbox.login(side);
    let last = match direction {
        Direction::Incoming => &mailbox.incoming_state,
        Direction::Outgoing => &mailbox.outgoing_state,
    };
    let (outcome, problem) = (last.outcome, last.problem.clone().unwrap_or_default());
    let (kind, words, why, rank) = match read.iter().find(fits).map(|read| read.claims.as_ref()) {
        None => ("todo", "Not known yet", "Its access token comes with the first test".to_owned(), 2),
        Some(None) => (
            "todo",
            "Not known before",
            "The token is opaque: what it allows shows when it is used".to_owned(),
            3,
        ),
        Some(Some(claims)) => {
            let expected = expected(token, provider, login);
            // The end is said above, and renewing is nobody's work here.
            let current = Claims {
                expires_at: None,
                ..claims.clone()
            };
            let judged = judge(&current, &expected, protocol, direction, now);
            match judged.opens {
                Opens::Never => ("bad", "Can't open it", sentence(&judged.wrong), 0),
                Opens::Doubtful => ("warn", "In doubt", sentence(&judged.wrong), 1),
                Opens::Untold => (
                    "todo",
                    "Not known before",
                    sentence(&Vec::from_iter(judged.note.map(str::to_owned))),
                    3,
                ),
                Opens::Fits => match outcome {
                    // The mailbox says more than the token does.
                    Some(Outcome::Passed | Outcome::Warning) => ("ok", "Opens it", "As its last test showed".to_owned(), 5),
                    Some(Outcome::Failed) => ("bad", "The last test failed", problem, 1),
                    _ => (
                        "todo",
                        "Should open it",
                        condition(token, protocol, direction, expected.is_shared()),
                        4,
                    ),
                },
            }
        }
    };
    let verb = if direction == Direction::Incoming { "Reads by" } else { "Sends by" };
    Use {
        name: mailbox.name.to_string(),
        address: mailbox.address.clone(),
        way: format!("{verb} {}", protocol.label()),
        kind,
        words,
        why,
        rank,
    }
}

fn sentence(wrong: &[String]) -> String {
    let text = wrong.join("; ");
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// What no token tells.
fn condition(token: &Token, protocol: Protocol, direction: Direction, shared: bool) -> String {
    let text = match (is_app_only(token), protocol, direction, shared) {
        (true, Protocol::Graph, ..) => "Like every mailbox of the tenant, unless Exchange limits the app",
        (true, Protocol::Smtp, ..) => "Where Exchange gives the app full access to it, and SMTP AUTH is on",
        (true, ..) => "Where Exchange gives the app full access to it",
        (false, _, Direction::Incoming, true) => "Where the account has full access to it",
        (false, _, Direction::Outgoing, true) => "Where the account may send as it",
        (false, ..) => "",
    };
    text.to_owned()
}
