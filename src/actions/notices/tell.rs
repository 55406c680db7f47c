//! Makes messages of what is to be told: one for each cause; together what came up in quiet hours or before there was any way,
//! and what is more than so many an hour.

use super::local;
use super::words::named;
use crate::actions::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::notices::{Channel, Channels, Delivery, DeliveryState, Event, Local, MOST_AN_HOUR, Notice, State};
use crate::store::deliveries::StoredChannels;
use crate::store::{StoreResult, to_json};
use serde_json::json;

const HOUR: i64 = 3600;
/// How many subjects does a summary name?
const LISTED: usize = 20;

/// Makes messages of what is to be told now.
pub(super) async fn tell(app: &App, stored: &StoredChannels) -> StoreResult<()> {
    let (now, channels) = (app.clock.now(), &stored.channels);
    let notices = app.store.notices_to_tell(channels.has_way()).await?;
    if notices.is_empty() {
        return Ok(());
    }
    let local = local(app, &channels.zone).await?;
    let wanted = |notice: &Notice| Channel::ALL.iter().any(|channel| channels.wants(*channel, event_of(notice)));
    let (wanted, unwanted): (Vec<Notice>, Vec<Notice>) = notices.into_iter().partition(wanted);
    settle(app, &unwanted, channels.has_way()).await?;
    if wanted.is_empty() || channels.quiet.is_some_and(|quiet| local.is_quiet(quiet, now)) {
        return Ok(());
    }
    let (room, _) = room(app, now).await?;
    let base = settings::base_url(app).await?;
    let desk = Desk {
        app,
        channels,
        local,
        base: base.as_str().trim_end_matches('/').to_owned(),
        now,
    };
    for message in desk.messages(wanted, room) {
        desk.write(&message).await?;
    }
    Ok(())
}

/// How many messages may still be made within this hour, and when there is room for one.
pub(super) async fn room(app: &App, now: Timestamp) -> StoreResult<(usize, Timestamp)> {
    let made = app.store.messages_made(now.plus(-HOUR), now).await?;
    // As many of them must be an hour old that there is room for one.
    let at = made.len().checked_sub(MOST_AN_HOUR).and_then(|over| made.get(over));
    Ok((MOST_AN_HOUR.saturating_sub(made.len()), at.map_or(now, |at| at.plus(HOUR))))
}

/// What nobody wants to be told is done with. Where there is no way at all nobody has chosen that: what lasts is told once there is one.
async fn settle(app: &App, notices: &[Notice], has_way: bool) -> StoreResult<()> {
    if notices.is_empty() {
        return Ok(());
    }
    let mut tx = app.store.begin().await?;
    for notice in notices {
        let lasts = notice.closed_at.is_none() || notice.event == Event::Expiring;
        let next = match notice.state {
            State::New if lasts && !has_way => State::Unheard,
            _ => after(notice),
        };
        tx.told_notice(&notice.id, notice.state, next).await?;
    }
    tx.commit().await
}

/// What is told of a notice: that it began, or that it is over.
fn event_of(notice: &Notice) -> Event {
    told_as(notice.event, notice.state)
}

/// What is told of a notice of an event in a state.
pub(super) fn told_as(event: Event, state: State) -> Event {
    match state {
        State::Over => Event::Recovered,
        _ => event,
    }
}

fn after(notice: &Notice) -> State {
    match (notice.state, notice.closed_at) {
        (State::New | State::Unheard, None) => State::Told,
        _ => State::Done,
    }
}

struct Desk<'a> {
    app: &'a App,
    channels: &'a Channels,
    local: Local,
    base: String,
    now: Timestamp,
}

impl Desk<'_> {
    /// The notices of each message: `room` messages at most, the last of them with all that is left. A report is long and is a message of
    /// its own; it waits where there is no room.
    fn messages(&self, notices: Vec<Notice>, room: usize) -> Vec<Vec<Notice>> {
        if room == 0 {
            return Vec::new();
        }
        let is_held = |notice: &Notice| {
            let at = match notice.state {
                State::Over => notice.closed_at.unwrap_or(notice.opened_at),
                _ => notice.opened_at,
            };
            notice.state == State::Unheard || self.channels.quiet.is_some_and(|quiet| self.local.is_quiet(quiet, at))
        };
        let (reports, notices): (Vec<Notice>, Vec<Notice>) = notices.into_iter().partition(|notice| notice.event == Event::Weekly);
        let (held, others): (Vec<Notice>, Vec<Notice>) = notices.into_iter().partition(is_held);
        let mut messages: Vec<Vec<Notice>> = Vec::new();
        if !held.is_empty() {
            messages.push(held);
        }
        messages.extend(others.into_iter().map(|notice| vec![notice]));
        if messages.len() > room {
            let rest = messages.split_off(room - 1).concat();
            messages.push(rest);
        }
        let left = room - messages.len();
        messages.extend(reports.into_iter().take(left).map(|notice| vec![notice]));
        messages
    }

    /// Writes a message down for everybody who gets it, and that its notices are told: together.
    async fn write(&self, notices: &[Notice]) -> StoreResult<()> {
        let mut tx = self.app.store.begin().await?;
        let mut told = Vec::new();
        for notice in notices {
            if tx.told_notice(&notice.id, notice.state, after(notice)).await? {
                told.push(notice);
            }
        }
        let message = self.app.new_id();
        for channel in Channel::ALL.iter().copied() {
            let of: Vec<&Notice> = told
                .iter()
                .copied()
                .filter(|notice| self.channels.wants(channel, event_of(notice)))
                .collect();
            if of.is_empty() {
                continue;
            }
            for delivery in self.deliveries(&message, channel, &of) {
                tx.insert_delivery(&delivery).await?;
                for notice in &of {
                    tx.link_delivery(&notice.id, &delivery.id, notice.state == State::Over).await?;
                }
            }
        }
        tx.commit().await
    }

    fn deliveries(&self, message: &str, channel: Channel, notices: &[&Notice]) -> Vec<Delivery> {
        let (event, subject) = match notices {
            [one] => (event_of(one), self.subject(one)),
            many => {
                let first = many.first().map(|one| self.subject(one)).unwrap_or_default();
                (
                    Event::Summary,
                    format!("{} notices: {first}, and {} more", many.len(), many.len() - 1),
                )
            }
        };
        let content = match channel {
            Channel::Mail => self.mail(notices),
            Channel::Webhook => self.document(event, &subject, notices),
        };
        let recipients = match channel {
            Channel::Mail => self.channels.recipients.clone(),
            Channel::Webhook => vec![self.channels.webhook_shown()],
        };
        recipients
            .into_iter()
            .map(|recipient| {
                let (subject, content) = (subject.clone(), content.clone());
                delivery(self.app, message, event, (channel, recipient), (subject, content))
            })
            .collect()
    }

    fn subject(&self, notice: &Notice) -> String {
        match notice.state {
            State::Over => notice.words.recovered.clone(),
            _ => notice.words.subject.clone(),
        }
    }

    /// The paragraphs of a notice.
    fn text(&self, notice: &Notice) -> Vec<String> {
        match (notice.state, notice.closed_at) {
            (State::Over, Some(closed)) => {
                let words = &notice.words;
                let began = words.since.unwrap_or(notice.opened_at);
                let count = usize::try_from(words.mailboxes).unwrap_or(0);
                let hit = (count > 1 && !words.names.is_empty()).then(|| format!(": {}", named(&words.names, count)));
                vec![
                    format!("{}{}.", words.recovered, hit.unwrap_or_default()),
                    format!("It was: {}.", words.subject),
                    format!(
                        "It began on {} and was over on {}, {} later.",
                        self.local.full(began),
                        self.local.full(closed),
                        lasted(closed.since(began))
                    ),
                ]
            }
            _ => notice.words.text.clone(),
        }
    }

    fn mail(&self, notices: &[&Notice]) -> String {
        let mut parts = Vec::new();
        match notices {
            [one] => {
                parts.extend(self.text(one));
                let lead = if one.state == State::Over {
                    "See it here"
                } else {
                    "Fix it or look at it here"
                };
                parts.push(format!("{lead}:\n{}", self.url(one)));
            }
            many => {
                for one in many.iter().take(LISTED) {
                    parts.push(format!("{}\n{}", self.subject(one), self.url(one)));
                }
                if many.len() > LISTED {
                    parts.push(format!("And {} more:\n{}/", many.len() - LISTED, self.base));
                }
            }
        }
        parts.push(format!(
            "-- \nMailgrant, {}\nWho gets this is chosen at {}/settings/notifications",
            self.base, self.base
        ));
        parts.join("\n\n") + "\n"
    }

    fn document(&self, event: Event, subject: &str, notices: &[&Notice]) -> String {
        let one = |notice: &Notice| {
            json!({
                "event": event_of(notice).as_str(),
                "of": notice.event.as_str(),
                "notice": notice.id,
                "subject": self.subject(notice),
                "text": self.text(notice),
                "url": self.url(notice),
                "mailboxes": notice.words.mailboxes,
                "names": notice.words.names,
                "opened_at": notice.opened_at.to_rfc3339(),
                "closed_at": notice.closed_at.map(Timestamp::to_rfc3339),
            })
        };
        let data = match notices {
            [notice] => one(notice),
            many => json!({
                "subject": subject,
                "count": many.len(),
                "notices": many.iter().take(LISTED).map(|notice| one(notice)).collect::<Vec<_>>(),
            }),
        };
        to_json(&json!({ "type": event.as_str(), "timestamp": self.now.to_rfc3339(), "data": data }))
    }

    fn url(&self, notice: &Notice) -> String {
        format!("{}{}", self.base, notice.words.path)
    }
}

/// `12 minutes`, `5 hours`, `3 days`.
fn lasted(seconds: i64) -> String {
    let counted = |count: i64, unit: &str| match count {
        1 => format!("1 {unit}"),
        count => format!("{count} {unit}s"),
    };
    match seconds {
        ..90 => "a minute".to_owned(),
        90..5400 => counted((seconds + 30) / 60, "minute"),
        5400..172_800 => counted((seconds + 1800) / 3600, "hour"),
        _ => counted(seconds / 86_400, "day"),
    }
}

/// A test message over a channel, one for each recipient, to be sent now.
pub async fn test(app: &App, stored: &StoredChannels, channel: Channel) -> StoreResult<Vec<Delivery>> {
    let (now, channels) = (app.clock.now(), &stored.channels);
    let base = settings::base_url(app).await?;
    let base = base.as_str().trim_end_matches('/');
    let subject = format!("Test from Mailgrant at {}", base.split_once("://").map_or(base, |(_, host)| host));
    let text = format!("Somebody pressed \"Send a test\". Notifications get here.\n\n-- \nMailgrant, {base}\n");
    let content = match channel {
        Channel::Mail => text,
        Channel::Webhook => to_json(&json!({
            "type": Event::Test.as_str(),
            "timestamp": now.to_rfc3339(),
            "data": { "subject": subject, "url": format!("{base}/settings/notifications") },
        })),
    };
    let recipients = match channel {
        Channel::Mail => channels.recipients.clone(),
        Channel::Webhook => vec![channels.webhook_shown()],
    };
    let message = app.new_id();
    Ok(recipients
        .into_iter()
        .map(|recipient| delivery(app, &message, Event::Test, (channel, recipient), (subject.clone(), content.clone())))
        .collect())
}

/// A delivery that waits for its first attempt.
pub(super) fn delivery(
    app: &App,
    message: &str,
    event: Event,
    (channel, recipient): (Channel, String),
    (subject, content): (String, String),
) -> Delivery {
    let now = app.clock.now();
    Delivery {
        id: app.new_id(),
        message: message.to_owned(),
        event,
        channel,
        recipient,
        subject,
        content,
        state: DeliveryState::Waiting,
        owner: None,
        attempts: 0,
        created_at: now,
        next_at: now,
        tried_at: None,
        via: String::new(),
        request: String::new(),
        reply: String::new(),
        problem: None,
        why: String::new(),
    }
}
