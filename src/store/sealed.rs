//! How much is sealed with which data key (`security.md` SEC-5).

use super::{Store, StoreResult};

/// Counts the values in a column of a table that were sealed with the key that $1 finds.
macro_rules! sealed {
    ($($table:literal $column:literal,)+) => {
        concat!("SELECT ", $("(SELECT COUNT(*) FROM ", $table, " WHERE ", $column, " LIKE $1) + ",)+ "0")
    };
}

/// Everything that is sealed in the database.
const SEALED: &str = sealed!(
    "providers" "client_secret",
    "providers" "certificate",
    "providers" "next_certificate",
    "providers" "fallback",
    "service_accounts" "sealed",
    "token_passwords" "sealed",
    "grants" "rt_current",
    "grants" "rt_previous",
    "grants" "access_token",
    "grants" "others",
    "mailboxes" "incoming_password",
    "mailboxes" "outgoing_password",
    "runs" "newest",
    "authorizations" "sealed",
    "consents" "sealed",
    "imports" "sealed",
    "import_parts" "sealed",
    "kept" "sealed",
    "notice_channels" "smtp_password",
    "notice_channels" "webhook_secret",
    "notice_channels" "webhook_address",
);

impl Store {
    /// How many values are sealed with a data key. What is sealed together, like the further tokens of a sign-in, counts as one.
    pub async fn sealed_with(&self, key: &str) -> StoreResult<i64> {
        let count = sqlx::query_scalar(SEALED).bind(format!("%v1.{key}.gcmsiv.%"));
        Ok(count.fetch_one(self.pool()).await?)
    }
}
