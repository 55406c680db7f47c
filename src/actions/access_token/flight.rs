//! One renewal of a grant at a time in this process; everyone who asks meanwhile waits for it. The renewal is a task of its own: who
//! leaves does not cancel it, and a stop of the program waits for it.

use super::hold::{Holds, Standing};
use super::lease::{self, Owner};
use super::recovery::Unsaved;
use super::{AccessError, Handed, Wanted, renew};
use crate::app::App;
use crate::diagnosis::own;
use crate::model::report::Diagnosis;
use crate::model::scopes::Resource;
use crate::model::token::Token;
use crate::model::{ProviderId, TokenId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How many may wait for one renewal?
const MOST_WAITERS: usize = 256;

type Answer = Option<Result<Handed, AccessError>>;

/// A renewal under way: its answer to come, and how many wait for it.
struct Flight {
    /// The other resource it asks a token for.
    resource: Option<Resource>,
    answer: watch::Receiver<Answer>,
    waiting: Arc<()>,
}

/// What this process knows of renewals and the database does not: those under way, token sets it could not store yet, its name in
/// leases. Cheap to clone.
#[derive(Clone, Default)]
pub struct Flights(Arc<Inner>);

#[derive(Default)]
struct Inner {
    owner: OnceLock<Owner>,
    running: Mutex<HashMap<TokenId, Flight>>,
    unsaved: Mutex<HashMap<TokenId, Unsaved>>,
    holds: Holds,
}

impl Flights {
    /// This process in leases; named when it claims for the first time.
    pub fn owner(&self, app: &App) -> &Owner {
        self.0.owner.get_or_init(|| Owner::new(&lease::directory(app), &*app.random))
    }

    /// Token sets that the database did not take yet.
    pub(super) fn unsaved(&self) -> MutexGuard<'_, HashMap<TokenId, Unsaved>> {
        self.0.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Providers that don't answer.
    pub(super) fn holds(&self) -> &Holds {
        &self.0.holds
    }

    /// How a provider stands with what nobody waits for. `now` is what the clock has run.
    pub fn standing(&self, provider: &ProviderId, now: Duration) -> Standing {
        self.holds().standing(provider, now)
    }

    /// What a provider said last that is left in peace, and for how long still; none: it answers, as far as known here.
    pub fn heard(&self, provider: &ProviderId, now: Duration) -> Option<(Box<Diagnosis>, Duration)> {
        self.holds().heard(provider, now)
    }

    /// Providers that did not answer may be asked again at once: it is known that something has changed there.
    pub fn ask_again(&self) {
        self.holds().lift_all();
    }

    fn running(&self) -> MutexGuard<'_, HashMap<TokenId, Flight>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Joins the renewal that is under way, or starts one.
pub(super) async fn renew(app: &App, token: &Token, wanted: Wanted) -> Result<Handed, AccessError> {
    let (mut answer, _waiting) = loop {
        // Another resource's renewal uses the same refresh token: first the one, then the other.
        let mut in_the_way = {
            let running = app.flights.running();
            let flight = running.get(&token.id).filter(|flight| flight.resource != wanted.resource());
            flight.map(|flight| flight.answer.clone())
        };
        if let Some(answer) = &mut in_the_way {
            let _ = answer.wait_for(Option::is_some).await;
            tokio::task::yield_now().await;
            continue;
        }
        let mut running = app.flights.running();
        break match running.get(&token.id) {
            Some(flight) if flight.resource != wanted.resource() => continue,
            Some(flight) if Arc::strong_count(&flight.waiting) > MOST_WAITERS => {
                return Err(AccessError::own(AccessError::TooMany, own::TOO_MANY_WAITING));
            }
            Some(flight) => (flight.answer.clone(), Arc::clone(&flight.waiting)),
            None => {
                let (sender, answer) = watch::channel(None);
                let waiting = Arc::new(());
                let flight = Flight {
                    resource: wanted.resource(),
                    answer: answer.clone(),
                    waiting: Arc::clone(&waiting),
                };
                running.insert(token.id.clone(), flight);
                let (app, token) = (app.clone(), token.clone());
                app.tasks.clone().spawn(async move {
                    let landing = Landing {
                        flights: app.flights.clone(),
                        token: token.id.clone(),
                    };
                    let answer = renew::renew(&app, &token, wanted).await;
                    // Off the list before anyone hears: whoever asks after the answer starts anew.
                    drop(landing);
                    sender.send_replace(Some(answer));
                });
                (answer, waiting)
            }
        };
    };
    let ended = answer.wait_for(Option::is_some).await.ok().and_then(|answer| answer.clone());
    ended.unwrap_or_else(|| Err(AccessError::Store("the renewal ended without an answer".into())))
}

/// Takes a renewal off the list when it ends, however it ends.
struct Landing {
    flights: Flights,
    token: TokenId,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights.running().remove(&self.token);
    }
}
