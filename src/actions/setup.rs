//! First-run setup: a one-time code proves that whoever opens `/setup` can read this console's own log (AUTH-1). Only its hash is
//! stored; it dies after use, after five wrong tries, or after an hour.

use crate::app::App;
use crate::auth::throttle;
use crate::clock::Timestamp;
use crate::store::StoreResult;
use crate::vault::sha256;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// Setting with the code's hash.
const CODE: &str = "setup.code";
/// Setting that says which browser proved it.
const PROOF: &str = "setup.proof";
/// Setting that says when the address was settled.
const FINISHED: &str = "setup.finished";
/// How many seconds does a code live, and a proof?
const LIFE: i64 = 3600;
/// How many wrong tries does a code take?
const TRIES: u32 = 5;
/// No letters or digits that look alike.
const LETTERS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

#[derive(Serialize, Deserialize)]
struct Stored {
    hash: String,
    expires_at: Timestamp,
    tries: u32,
}

#[derive(Serialize, Deserialize)]
struct Proof {
    hash: String,
    expires_at: Timestamp,
}

/// What came of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeTry {
    /// It is the one.
    Right,
    /// It is not.
    Wrong,
    /// It is not, and a new one was printed.
    New,
    /// Too many tries from there: seconds to wait.
    Wait(i64),
}

/// Whether setup is open: nobody has an account.
pub async fn is_open(app: &App) -> StoreResult<bool> {
    Ok(!app.store.has_users().await?)
}

/// Makes a new code; the one before is dead. The caller prints it where only the operator of the machine reads.
pub async fn new_code(app: &App) -> StoreResult<String> {
    let mut bytes = [0; 12];
    app.random.fill(&mut bytes);
    let code: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    let stored = Stored {
        hash: sha256(&code),
        expires_at: app.clock.now().plus(LIFE),
        tries: 0,
    };
    let mut tx = app.store.begin().await?;
    tx.put_setting(CODE, &crate::store::to_json(&stored)).await?;
    tx.commit().await?;
    Ok(format!("{}-{}-{}", &code[..4], &code[4..8], &code[8..]))
}

/// A new code if there is none that lives.
pub async fn renew_code(app: &App) -> StoreResult<Option<String>> {
    let stored: Option<Stored> = app.store.setting(CODE).await?.and_then(|text| serde_json::from_str(&text).ok());
    if stored.is_some_and(|stored| app.clock.now() < stored.expires_at) {
        return Ok(None);
    }
    new_code(app).await.map(Some)
}

/// Checks a code as it was typed. If it is right, the browser that holds `visitor` may make the first account within an hour.
/// After too many wrong ones the code is dead: the caller prints a new one.
pub async fn try_code(app: &App, typed: &str, visitor: &str, address: &str) -> StoreResult<CodeTry> {
    let typed: String = typed.to_uppercase().chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if let Err(wait) = throttle::take_setup(&mut tx, address, now).await? {
        return Ok(CodeTry::Wait(wait));
    }
    let stored: Option<Stored> = tx.setting(CODE).await?.and_then(|text| serde_json::from_str(&text).ok());
    let Some(mut stored) = stored.filter(|stored| now < stored.expires_at) else {
        tx.commit().await?;
        return Ok(CodeTry::New);
    };
    if bool::from(sha256(&typed).as_bytes().ct_eq(stored.hash.as_bytes())) {
        let proof = Proof {
            hash: sha256(visitor),
            expires_at: now.plus(LIFE),
        };
        tx.remove_setting(CODE).await?;
        tx.put_setting(PROOF, &crate::store::to_json(&proof)).await?;
        tx.commit().await?;
        return Ok(CodeTry::Right);
    }
    stored.tries += 1;
    let outcome = if stored.tries >= TRIES {
        tx.remove_setting(CODE).await?;
        CodeTry::New
    } else {
        tx.put_setting(CODE, &crate::store::to_json(&stored)).await?;
        CodeTry::Wrong
    };
    tx.commit().await?;
    Ok(outcome)
}

/// Whether this browser has proved it.
pub async fn is_proved(app: &App, visitor: &str) -> StoreResult<bool> {
    let proof: Option<Proof> = app.store.setting(PROOF).await?.and_then(|text| serde_json::from_str(&text).ok());
    Ok(proof.is_some_and(|proof| app.clock.now() < proof.expires_at && proof.hash == sha256(visitor)))
}

/// The first account is made, at this address: the proof is used up.
pub async fn used(app: &App, email: &str, address: &str) -> StoreResult<()> {
    let mut tx = app.store.begin().await?;
    throttle::known(&mut tx, email, address, app.clock.now()).await?;
    tx.remove_setting(PROOF).await?;
    tx.remove_setting(CODE).await?;
    tx.commit().await
}

/// Whether the steps after the first account are over: an hour after the address was settled.
pub async fn is_over(app: &App) -> StoreResult<bool> {
    let settled = app.store.setting(FINISHED).await?.and_then(|text| text.parse().ok()).map(Timestamp);
    Ok(settled.is_some_and(|settled| app.clock.now().since(settled) > LIFE))
}

/// The address is settled; what is left only shows something.
pub async fn settle(app: &App) -> StoreResult<()> {
    let mut tx = app.store.begin().await?;
    tx.put_setting(FINISHED, &app.clock.now().0.to_string()).await?;
    tx.commit().await
}
