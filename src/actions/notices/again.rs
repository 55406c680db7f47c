//! *Send again*: the same message once more, for a person who asks for it. It keeps its ids, so that who has it already knows it.

use super::channels::REMOVED;
use super::send;
use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::notices::{Channel, Delivery, DeliveryState};
use crate::store::StoreResult;
use crate::store::deliveries::StoredChannels;

/// Why what is being sent isn't sent again.
const UNDER_WAY: &str = "It is being sent already.";

/// What came of it.
pub enum Again {
    /// It was tried. Boxed, because it is large beside the others.
    Tried(Box<Delivery>),
    /// It was not: why, a sentence.
    Refused(String),
    /// There is none with this id.
    Missing,
}

/// Why it can't be sent again; none: it can.
pub fn refusal(stored: &StoredChannels, one: &Delivery) -> Option<String> {
    let words = match one.state {
        DeliveryState::Delivered => "It was delivered, so it isn't sent again.".to_owned(),
        DeliveryState::Sending | DeliveryState::Handing => UNDER_WAY.to_owned(),
        DeliveryState::Waiting => "It is waiting for its next try, which comes by itself.".to_owned(),
        DeliveryState::Failed | DeliveryState::Unknown | DeliveryState::Dropped => match one.channel {
            Channel::Mail if !stored.channels.tells(&one.recipient) => {
                format!("{REMOVED} To send it again, add {} under Recipients first.", one.recipient)
            }
            _ => return None,
        },
    };
    Some(words)
}

/// Tries a delivery that was given up once more, now. Of two who ask at once, one does.
pub async fn again(app: &App, actor: &Actor, stored: &StoredChannels, id: &str) -> StoreResult<Again> {
    let Some(mut one) = app.store.delivery(id).await? else {
        return Ok(Again::Missing);
    };
    if let Some(why) = refusal(stored, &one) {
        return Ok(Again::Refused(why));
    }
    if one.channel == Channel::Webhook {
        one.recipient = stored.channels.webhook_shown();
    }
    let (now, owner) = (app.clock.now(), app.flights.owner(app).as_str().to_owned());
    let Some(running) = app.deliveries.take(id) else {
        return Ok(Again::Refused(UNDER_WAY.to_owned()));
    };
    let mut tx = app.store.begin().await?;
    if !tx.take_up_delivery(id, &owner, &one.recipient, now).await? {
        drop(tx);
        let now = app.store.delivery(id).await?;
        let why = now.and_then(|now| refusal(stored, &now));
        return Ok(why.map_or(Again::Missing, Again::Refused));
    }
    let entry = AuditEntry {
        action: "notice.send_again",
        target: "setting:notifications".to_owned(),
        detail: format!("{} to {}: {}", one.channel, one.recipient, one.subject),
        outcome: "ok",
    };
    tx.audit(now, actor, entry).await?;
    tx.commit().await?;
    one.why = String::new();
    Ok(Again::Tried(Box::new(send::run(app, stored, one, running).await?)))
}
