//! One renewal of a grant at a time in this process; everyone who asks meanwhile waits for it. The renewal is a task of its own: who
//! leaves does not cancel it, and a stop of the program waits for it.

use super::lease::Owner;
use super::{AccessError, Handed, Wanted, renew};
use crate::app::App;
use crate::diagnosis::own;
use crate::model::TokenId;
use crate::model::token::Token;
use crate::random::Random;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// How many may wait for one renewal?
const MOST_WAITERS: usize = 256;

type Answer = Option<Result<Handed, AccessError>>;

/// A renewal under way: its answer to come, and how many wait for it.
struct Flight {
    answer: watch::Receiver<Answer>,
    waiting: Arc<()>,
}

/// The renewals under way in this process, and its name in leases. Cheap to clone.
#[derive(Clone)]
pub struct Flights {
    owner: Owner,
    running: Arc<Mutex<HashMap<TokenId, Flight>>>,
}

impl Flights {
    /// None yet.
    pub fn new(random: &dyn Random) -> Self {
        Self {
            owner: Owner::new(random),
            running: Arc::default(),
        }
    }

    /// This process in leases.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }
}

/// Joins the renewal that is under way, or starts one.
pub(super) async fn renew(app: &App, token: &Token, wanted: Wanted) -> Result<Handed, AccessError> {
    let (mut answer, _waiting) = {
        let mut running = app.flights.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.get(&token.id) {
            Some(flight) if Arc::strong_count(&flight.waiting) > MOST_WAITERS => {
                return Err(AccessError::own(AccessError::Busy, own::QUEUE_FULL));
            }
            Some(flight) => (flight.answer.clone(), Arc::clone(&flight.waiting)),
            None => {
                let (sender, answer) = watch::channel(None);
                let waiting = Arc::new(());
                running.insert(
                    token.id.clone(),
                    Flight {
                        answer: answer.clone(),
                        waiting: Arc::clone(&waiting),
                    },
                );
                let (app, token) = (app.clone(), token.clone());
                let tasks = app.tasks.clone();
                tasks.spawn(async move {
                    // Dropped before the sender: whoever comes after the answer starts anew.
                    let _landing = Landing {
                        flights: app.flights.clone(),
                        token: token.id.clone(),
                    };
                    let answer = renew::renew(&app, &token, wanted).await;
                    sender.send_replace(Some(answer));
                });
                (answer, waiting)
            }
        }
    };
    let answer = answer.wait_for(Option::is_some).await;
    match answer {
        Ok(answer) => answer
            .clone()
            .unwrap_or_else(|| Err(AccessError::Store("the renewal ended without an answer".into()))),
        Err(_) => Err(AccessError::Store("the renewal ended without an answer".into())),
    }
}

/// Takes a renewal off the list when it ends, however it ends.
struct Landing {
    flights: Flights,
    token: TokenId,
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.flights
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.token);
    }
}
