//! Checks on schedule: whether they go on, and how they ended within the last day, by provider.

use crate::actions::checks::stand_still;
use crate::app::App;
use crate::clock::Timestamp;
use crate::model::provider::Provider;
use crate::store::StoreResult;
use crate::store::checks::{Count, CountKind};
use crate::store::providers::Usage;
use crate::web::pages::history::{DAY, History, history};
use crate::web::pages::mailboxes::list::used_words;

/// How the worker that checks does.
#[derive(Default)]
pub(super) enum Standing {
    /// Nobody checks, though something is due; when something was last checked.
    Still {
        /// The last check.
        since: Option<Timestamp>,
    },
    /// When the next check is due.
    Next(Timestamp),
    /// No mailbox is turned on, or none has been scheduled yet.
    #[default]
    None,
}

/// Whether checks go on.
pub(super) async fn standing(app: &App) -> StoreResult<Standing> {
    let now = app.clock.now();
    let Some(next) = app.store.next_check().await? else {
        return Ok(Standing::None);
    };
    if stand_still(app).await? {
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
            let used = usage.iter().find(|usage| usage.provider == provider.id);
            let mailboxes = match used.map_or_else(String::new, |used| used_words(used.mailboxes, used.turned_off)) {
                none if none.is_empty() => "no mailbox".to_owned(),
                words => words,
            };
            (!counts.is_empty()).then(|| Checked {
                name: provider.name.to_string(),
                href: format!("/providers/{}", provider.name),
                text: format!("{}, {}", provider.template.label(), mailboxes),
                history: history(&counts, DAY, now),
            })
        })
        .collect();
    // Mailboxes with passwords are counted under no provider.
    let password = of("");
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
