//! Messages on their way: a worker for each channel, so that a mail server that hangs keeps neither the webhook nor the look for what is
//! new waiting. Every instance sends: a message is claimed by one of them before it goes out ([`crate::actions::notices::send`]).

use crate::actions::notices::send;
use crate::app::App;
use crate::model::notices::Channel;
use crate::store::StoreResult;
use std::time::Duration;

/// How long between two passes?
pub const EVERY: Duration = Duration::from_secs(5);

/// One pass of a channel.
pub async fn tick(app: &App, channel: Channel) -> StoreResult<()> {
    send::send_due(app, channel).await
}
