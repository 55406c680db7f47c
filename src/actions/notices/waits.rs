//! What waits to be told, and until when: for the page that lists the messages.

use super::local;
use super::tell::{room, told_as};
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::notices::Channel;
use crate::store::StoreResult;

/// Notices that wait, though there is somebody who wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// How many.
    pub count: i64,
    /// Until when.
    pub until: Timestamp,
    /// For the end of quiet hours; else because so many messages were made within the hour.
    pub is_quiet: bool,
}

/// What waits; none: nothing, or it goes out within seconds.
pub async fn waits(app: &App) -> StoreResult<Option<Waits>> {
    let (now, stored) = (app.clock.now(), app.store.notice_channels().await?);
    let channels = &stored.channels;
    let mut count = 0;
    for (event, state, number) in app.store.untold_notices().await? {
        if Channel::ALL.iter().any(|channel| channels.wants(*channel, told_as(event, state))) {
            count += number;
        }
    }
    if count == 0 {
        return Ok(None);
    }
    let (_, room_at) = room(app, now).await?;
    let local = local(app, &channels.zone).await?;
    let quiet_until = channels.quiet.and_then(|quiet| local.quiet_until(quiet, room_at));
    let until = quiet_until.unwrap_or(room_at);
    Ok((until > now).then_some(Waits {
        count,
        until,
        is_quiet: quiet_until.is_some(),
    }))
}
