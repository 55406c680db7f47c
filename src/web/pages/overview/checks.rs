//! Checks on schedule: whether they go on, and how they ended within the last day, by provider.

use crate::actions::settings;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::ProviderId;
use crate::model::provider::Provider;
use crate::model::settings::CHECK_INTERVAL;
use crate::store::StoreResult;
use crate::store::checks::{Count, CountKind};
use crate::store::providers::Usage;
use crate::web::pages::history::{DAY, History, history};
use crate::web::pages::mailboxes::list::grouped;

/// After how many intervals does a check that is due show that nobody checks?
const STILL_AFTER: i64 = 2;

/// How the worker that checks does.
pub(super) enum Standing {
    /// Nobody checks, though something is due; when something was last checked.
    Still {
        /// The last check.
        since: Option<Timestamp>,
    },
    /// When the next check is due.
    Next(Timestamp),
    /// No mailbox is turned on, or none has been scheduled yet.
    None,
}

/// Whether checks go on: seen from what is due, so that it is true whatever process asks.
pub(super) async fn standing(app: &App) -> StoreResult<Standing> {
    let now = app.clock.now();
    let Some(next) = app.store.next_check().await? else {
        return Ok(Standing::None);
    };
    let interval = settings::number(app, &CHECK_INTERVAL).await?.saturating_mul(60);
    if now.since(next) > STILL_AFTER * interval {
        let since = app.store.last_checked().await?;
        return Ok(Standing::Still { since });
    }
    Ok(Standing::Next(next.max(now)))
}

/// What was checked of one provider's mailboxes.
pub(super) struct Checked {
    pub name: String,
    pub href: String,
    pub text: String,
    pub history: History,
}

/// The last day of every provider whose mailboxes were checked; mailboxes with passwords come last, together.
pub(super) async fn checked(app: &App, providers: &[Provider], usage: &[Usage]) -> StoreResult<Vec<Checked>> {
    let now = app.clock.now();
    let counts = app.store.all_check_counts(CountKind::ProviderHour, DAY.first(now)).await?;
    let of = |id: &str| counts.iter().filter(|count| count.id == id).cloned().collect::<Vec<Count>>();
    let mut all: Vec<Checked> = providers
        .iter()
        .filter_map(|provider| {
            let counts = of(provider.id.as_str());
            let mailboxes = usage
                .iter()
                .find(|usage| usage.provider == provider.id)
                .map_or(0, |usage| usage.mailboxes);
            (!counts.is_empty()).then(|| Checked {
                name: provider.name.to_string(),
                href: format!("/providers/{}", provider.name),
                text: format!("{}, {}", provider.template.label(), mailboxes_words(mailboxes)),
                history: history(&counts, DAY, now),
            })
        })
        .collect();
    let password = of(ProviderId(String::new()).as_str());
    if !password.is_empty() {
        all.push(Checked {
            name: "With a password".to_owned(),
            href: "/mailboxes?auth=password".to_owned(),
            text: "Mailboxes without a provider".to_owned(),
            history: history(&password, DAY, now),
        });
    }
    Ok(all)
}

fn mailboxes_words(count: i64) -> String {
    match count {
        1 => "1 mailbox".to_owned(),
        count => format!("{} mailboxes", grouped(count)),
    }
}
