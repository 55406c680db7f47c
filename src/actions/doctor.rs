//! Is this installation sound? Checks of the data directory, database, key, certificate, clock and dates, of what goes on by itself, and of
//! the way to the servers in use. Sets nothing right; the same checks serve the command and the page `/about`.

mod certificate;
mod clock;
mod due;
mod renewals;
mod servers;
mod work;

use crate::actions::settings;
use crate::app::App;
use crate::model::Date;
use crate::model::audit::{Actor, AuditEntry};
use crate::model::build;
use crate::model::provider::ClientAuth;
use crate::model::token::GrantState;
use crate::model::user::Role;
use crate::store::{Engine, StoreResult};
pub use clock::{LIMIT as CLOCK_LIMIT, compare as compare_clocks};
use serde::Serialize;
use servers::servers;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// How many free bytes are too few to go on safely?
const LITTLE_SPACE: u64 = 64 << 20;
/// Days before a secret's end from which it is named.
const SOON: i64 = 30;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Sound.
    Ok,
    /// Works, and something needs attention.
    Warning,
    /// Not sound.
    Failed,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do; empty if nothing.
    pub help: String,
}

fn ok(name: impl Into<String>, detail: impl Into<String>) -> Check {
    Check {
        name: name.into(),
        verdict: Verdict::Ok,
        detail: detail.into(),
        help: String::new(),
    }
}

fn bad(verdict: Verdict, name: impl Into<String>, detail: impl Into<String>, help: impl Into<String>) -> Check {
    Check {
        name: name.into(),
        verdict,
        detail: detail.into(),
        help: help.into(),
    }
}

/// [`examine`] for somebody who asked for it on the page: it reaches out to servers, so who did is written down first.
pub async fn examine_for(app: &App, actor: &Actor) -> StoreResult<Vec<Check>> {
    let entry = AuditEntry {
        action: "console.check",
        target: "console:health".into(),
        detail: String::new(),
        outcome: "ok",
    };
    app.store.audit(app.clock.now(), actor, entry).await?;
    examine(app).await
}

/// Runs every check. That the data directory, key and database could be opened at all is known by having an [`App`].
pub async fn examine(app: &App) -> StoreResult<Vec<Check>> {
    let mut checks = vec![
        ok("version", build::words()),
        data_directory(app),
        disk(app),
        database(app).await,
        key(app),
        trusted_roots(app),
        address(app).await?,
        certificate::check(app).await?,
        network_setting(app),
        clock::check(app).await?,
    ];
    checks.push(match app.store.verify_audit().await? {
        Ok(entries) => ok("audit chain", format!("{entries} entries, intact")),
        Err(first) => bad(
            Verdict::Failed,
            "audit chain",
            format!("entry {first} is missing or was changed"),
            "keep a copy of the database and find out who could write to it",
        ),
    });
    checks.push(people(app).await?);
    checks.extend(providers(app).await?);
    checks.extend(tokens(app).await?);
    checks.push(renewals::check(app).await?);
    checks.push(work::check(app).await?);
    checks.push(due::check(app).await?);
    checks.extend(servers(app).await?);
    Ok(checks)
}

fn data_directory(app: &App) -> Check {
    let directory = &app.config.data_dir;
    let mut open = Vec::new();
    for path in std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
    {
        if let Ok(meta) = std::fs::symlink_metadata(&path)
            && meta.mode() & 0o077 != 0
            && !meta.is_symlink()
        {
            open.push(path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default());
        }
    }
    match open.as_slice() {
        [] => ok("data directory", format!("{}, for its owner only", directory.display())),
        files => bad(
            Verdict::Failed,
            "data directory",
            format!("others can read {} in {}", files.join(", "), directory.display()),
            "chmod go= these files",
        ),
    }
}

fn disk(app: &App) -> Check {
    let probe = app.config.data_dir.join(format!("write-check-{}", std::process::id()));
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&probe)
        .and_then(|mut file| file.write_all(&[0; 65_536]).and_then(|()| file.sync_all()));
    let _ = std::fs::remove_file(&probe);
    if let Err(error) = written {
        return bad(
            Verdict::Failed,
            "disk",
            format!("the data directory takes no writes: {error}"),
            "free space or correct the mount; tokens are not renewed meanwhile",
        );
    }
    let free = rustix::fs::statvfs(&app.config.data_dir)
        .map(|status| status.f_bavail.saturating_mul(status.f_frsize))
        .unwrap_or(u64::MAX);
    if free < LITTLE_SPACE {
        return bad(
            Verdict::Warning,
            "disk",
            format!("{} MB free", free >> 20),
            "free some space: without it tokens can't be renewed",
        );
    }
    ok("disk", format!("{} MB free", free >> 20))
}

async fn database(app: &App) -> Check {
    let engine = match app.store.engine() {
        Engine::Sqlite => "SQLite",
        Engine::Postgres => "PostgreSQL",
    };
    match app.store.check_integrity().await {
        Ok(()) => ok("database", format!("{engine}, undamaged, schema up to date")),
        Err(error) => {
            let text = error.to_string();
            let (detail, help) = text.split_once("\nhelp: ").unwrap_or((&text, "restore it from a backup"));
            bad(Verdict::Failed, "database", detail, help)
        }
    }
}

fn key(app: &App) -> Check {
    let from = match &app.config.master_key {
        crate::config::MasterKeySource::Value(_) => "the environment or settings file".to_owned(),
        crate::config::MasterKeySource::File(path) => path.display().to_string(),
        crate::config::MasterKeySource::DataDir => {
            return bad(
                Verdict::Warning,
                "master key",
                format!("beside the database, in {}", app.config.data_dir.join("master.key").display()),
                "keep a copy elsewhere: without it no backup can be read. A key outside the data directory also protects copies of it",
            );
        }
    };
    ok("master key", format!("from {from}; active data key {}", app.vault.active_key_id()))
}

fn trusted_roots(app: &App) -> Check {
    const BUNDLES: [&str; 4] = [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    ];
    let bundle = std::env::var_os("SSL_CERT_FILE")
        .map(std::path::PathBuf::from)
        .into_iter()
        .chain(BUNDLES.iter().map(std::path::PathBuf::from))
        .find(|path| path.exists());
    match (bundle, &app.config.extra_ca_file) {
        (_, Some(extra)) if !extra.exists() => bad(
            Verdict::Failed,
            "trusted CAs",
            format!("{} can't be found", extra.display()),
            "correct MAILGRANT_EXTRA_CA_FILE",
        ),
        (Some(bundle), None) => ok("trusted CAs", format!("the system's, {}", bundle.display())),
        (Some(bundle), Some(extra)) => ok(
            "trusted CAs",
            format!("the system's, {}, and {}", bundle.display(), extra.display()),
        ),
        (None, Some(extra)) => bad(
            Verdict::Warning,
            "trusted CAs",
            format!("only {}", extra.display()),
            "install the package ca-certificates",
        ),
        (None, None) => bad(
            Verdict::Failed,
            "trusted CAs",
            "this machine has no list of trusted CAs",
            "install the package ca-certificates",
        ),
    }
}

async fn address(app: &App) -> StoreResult<Check> {
    let url = settings::base_url(app).await?;
    let local = url
        .host_str()
        .is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]");
    Ok(if url.scheme() == "https" || local {
        let callback = settings::url(app, "/oauth/callback/…").await?;
        ok("public address", format!("{url}; providers send people back to {}", callback))
    } else {
        bad(
            Verdict::Warning,
            "public address",
            format!("{url} is not encrypted"),
            "put https in front of the console",
        )
    })
}

fn network_setting(app: &App) -> Check {
    let names: Vec<String> = app.config.allow_networks.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [] => ok("allowed destinations", "public addresses"),
        names if names.iter().any(|name| name == "loopback") => bad(
            Verdict::Warning,
            "allowed destinations",
            format!("public addresses and {}", names.join(", ")),
            "take loopback out of allow_networks unless a mail server or provider runs on this machine",
        ),
        names => ok("allowed destinations", format!("public addresses and {}", names.join(", "))),
    }
}

async fn people(app: &App) -> StoreResult<Check> {
    let users = app.store.users().await?;
    let able = users.iter().filter(|user| !user.disabled);
    let (admins, others): (Vec<_>, Vec<_>) = able.partition(|user| user.role == Role::Admin);
    Ok(match (admins.len(), others.len()) {
        (0, 0) => bad(
            Verdict::Warning,
            "people",
            "nobody can sign in yet",
            "open the console's /setup page, or run: mailgrant user add EMAIL",
        ),
        (0, _) => bad(
            Verdict::Warning,
            "people",
            "nobody is an admin",
            "run: mailgrant user add EMAIL --role admin",
        ),
        (1, _) => ok("people", "1 admin"),
        (admins, _) => ok("people", format!("{admins} admins")),
    })
}

async fn providers(app: &App) -> StoreResult<Vec<Check>> {
    let today = Date::of(app.clock.now(), &settings::zone(app).await?);
    let mut checks = Vec::new();
    for provider in app.store.providers().await? {
        let name = format!("provider {}", provider.name);
        let wants_secret = matches!(provider.client_auth, ClientAuth::SecretPost | ClientAuth::SecretBasic);
        let noun = provider.proof_noun();
        let without_certificate = provider.client_auth == ClientAuth::Certificate && provider.held().is_none();
        checks.push(if provider.problem.is_some() {
            bad(
                Verdict::Failed,
                name,
                "the provider refuses the app itself",
                format!("see /providers/{}", provider.name),
            )
        } else if app.store.service_account(&provider.id).await?.is_some() && provider.client_secret.is_none() {
            ok(name, "service account key stored")
        } else if wants_secret && provider.client_secret.is_none() {
            bad(
                Verdict::Failed,
                name,
                "has no client secret",
                "enter it on the provider's page, or with config apply",
            )
        } else if without_certificate {
            bad(
                Verdict::Failed,
                name,
                "has no certificate",
                format!("create or upload one on /providers/{}/certificate", provider.name),
            )
        } else {
            match provider.client_secret_expires {
                Some(date) if date.has_ended(today) => bad(
                    Verdict::Failed,
                    name,
                    format!("its {noun} has ended"),
                    format!("replace the {noun}"),
                ),
                Some(date) if date.days_after(today) <= SOON => bad(
                    Verdict::Warning,
                    name,
                    format!("its {noun} ends {}", ahead(date.days_after(today))),
                    format!("replace the {noun}"),
                ),
                Some(date) => ok(name, format!("{noun} ends {}", ahead(date.days_after(today)))),
                None => ok(name, "no end date known"),
            }
        });
    }
    Ok(checks)
}

fn ahead(days: i64) -> String {
    match days {
        1 => "tomorrow".to_owned(),
        days => format!("in {days} days"),
    }
}

async fn tokens(app: &App) -> StoreResult<Vec<Check>> {
    let grants = app.store.grants().await?;
    let mut checks = Vec::new();
    let (mut good, mut nobody) = (0, Vec::new());
    for token in app.store.tokens().await? {
        match grants.iter().find(|grant| grant.token_id == token.id).map(|grant| grant.state) {
            Some(GrantState::Active) => good += 1,
            Some(GrantState::Failing) => checks.push(bad(
                Verdict::Warning,
                format!("token {}", token.name),
                "renewing it fails for now",
                format!("see /tokens/{}; it is tried again by itself", token.name),
            )),
            Some(GrantState::Revoked) => checks.push(bad(
                Verdict::Failed,
                format!("token {}", token.name),
                "needs a new sign-in",
                format!(
                    "Get authorization token on /tokens/{0}, or run: mailgrant token authorize {0}",
                    token.name
                ),
            )),
            None => nobody.push(token.name.to_string()),
        }
    }
    if !nobody.is_empty() {
        let shown = nobody.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        checks.push(bad(
            Verdict::Warning,
            "tokens",
            format!("nobody has signed in yet for {} of them: {shown}", nobody.len()),
            "Get authorization token on each",
        ));
    }
    checks.insert(0, ok("tokens", format!("{good} work as far as known")));
    Ok(checks)
}
