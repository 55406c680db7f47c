//! What the demo changes besides everything else: what goes wrong next.

use crate::app::App;
use crate::model::audit::{Actor, AuditEntry};
use crate::sandbox::{Fault, Faults, Place};
use crate::store::StoreResult;

/// Lets exactly these faults happen. What happens at a renewal is not hidden by a token that still lives: all are renewed next time.
pub async fn choose_faults(app: &App, actor: &Actor, faults: &Faults, chosen: &[Fault]) -> StoreResult<()> {
    let before = faults.all();
    let now = app.clock.now();
    let names: Vec<&str> = chosen.iter().map(|fault| fault.as_str()).collect();
    let at_renewal = |all: &[Fault]| all.iter().any(|fault| matches!(fault.place(), Place::Token | Place::SignIn));
    let mut tx = app.store.begin().await?;
    if at_renewal(&before) || at_renewal(chosen) {
        tx.renew_at_next_use(now).await?;
    }
    if before.contains(&Fault::MissingScope) && !chosen.contains(&Fault::MissingScope) {
        // A permission that was not given is not asked for again; in the sandbox it is there again.
        tx.forget_granted_scopes().await?;
    }
    let entry = AuditEntry {
        action: "demo.faults",
        target: "demo".to_owned(),
        detail: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
        outcome: "ok",
    };
    tx.audit(now, actor, entry).await?;
    tx.commit().await?;
    faults.set(chosen);
    app.flights.ask_again();
    Ok(())
}
