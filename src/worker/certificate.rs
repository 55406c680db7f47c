//! Whether the certificate of this console ends: one instance for all looks at what is served, once a day.

use crate::actions::console_certificate;
use crate::app::App;
use crate::store::StoreResult;
use std::time::Duration;

/// How long between two passes?
pub const EVERY: Duration = Duration::from_secs(300);
/// Name of the duty.
const DUTY: &str = "certificate";

/// One pass.
pub async fn tick(app: &App) -> StoreResult<()> {
    if !super::has_duty(app, DUTY).await? {
        return Ok(());
    }
    console_certificate::look_in_time(app).await
}
