//! What is bound to fail with entries of an import, told before they are here. It keeps nothing from being imported.

use super::rows::Row;
use super::survey::Survey;
use crate::actions::ahead::{self, Coming};
use crate::actions::config::What;
use crate::app::App;
use crate::store::StoreError;
use std::collections::HashSet;

impl Survey {
    /// Fills in the warnings of these rows. What several entries share, such as their token's secret, is told at the first of them.
    ///
    /// # Errors
    ///
    /// The database.
    pub async fn warn(&self, app: &App, rows: &mut [Row]) -> Result<(), StoreError> {
        let plan = &self.plan;
        let coming = Coming {
            tokens: plan.tokens.iter().map(|(_, token, _)| token).collect(),
            providers: plan.providers.iter().map(|(_, provider)| provider).collect(),
        };
        let mut told: HashSet<(String, String)> = HashSet::new();
        // Tokens first, wherever they stand: a mailbox repeats what its token is warned of.
        for kind in ["token", "mailbox"] {
            for row in rows.iter_mut().filter(|row| row.kind == kind && row.what != What::Unchanged) {
                for (title, text, is_shared) in self.warnings(app, row, &coming).await? {
                    if !is_shared || told.insert((title.clone(), text.clone())) {
                        row.warnings.push(format!("{title}. {text}").trim().to_owned());
                    }
                }
            }
        }
        Ok(())
    }

    /// Title, text, and whether others may share it.
    async fn warnings(&self, app: &App, row: &Row, coming: &Coming<'_>) -> Result<Vec<(String, String, bool)>, StoreError> {
        if row.kind == "token" {
            let Some(token) = coming.tokens.iter().find(|token| token.name.as_str() == row.name) else {
                return Ok(Vec::new());
            };
            let Some(provider) = coming.provider(app, &token.provider_id).await? else {
                return Ok(Vec::new());
            };
            let found = ahead::of_token_alone(app, token, &provider);
            return Ok(found.into_iter().map(|(title, text)| (title, text, true)).collect());
        }
        let planned = self.plan.mailboxes.iter().find(|(_, mailbox)| mailbox.name.as_str() == row.name);
        let Some((_, mailbox)) = planned else {
            return Ok(Vec::new());
        };
        let found = ahead::with(app, mailbox, coming).await?;
        Ok(found.into_iter().map(|one| (one.title, one.text, !one.href.is_empty())).collect())
    }
}
