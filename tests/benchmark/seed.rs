//! Data directories with so many mailboxes, made through the library's own store, and beside each a bare database with as many rows.

use anyhow::{Context, Result};
use mailgrant::actions::access_token::{NewGrant, store_first_grant};
use mailgrant::app::App;
use mailgrant::clock::{Clock, SystemClock, Timestamp};
use mailgrant::config::{Config, Flags};
use mailgrant::model::mailbox::{Auth, Endpoint, Mailbox, Pause, Protocol, Security, Side, SideState};
use mailgrant::model::provider::{ClientAuth, Cloud, Endpoints, Provider};
use mailgrant::model::report::Outcome;
use mailgrant::model::template::TemplateKind;
use mailgrant::model::token::{GrantState, GrantType, Identity, Prompt, Token};
use mailgrant::model::{MailboxId, Name, ProviderId, TokenId};
use mailgrant::oauth::TokenResponse;
use mailgrant::random::SystemRandom;
use mailgrant::secret::{AccessToken, RefreshToken};
use mailgrant::store::Tx;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{Connection, SqliteConnection};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// How many rows go into one transaction?
const AT_ONCE: usize = 10_000;
/// How many mailboxes share a token?
const BOXES_A_TOKEN: usize = 4;
/// How long is an access token, in octets? As Microsoft's for mail are.
const TOKEN_LENGTH: usize = 1800;
const PROVIDERS: usize = 12;
const TAGS: [&str; 9] = [
    "helpdesk", "sales", "billing", "berlin", "helsinki", "vip", "archive", "robots", "legacy",
];

/// A data directory and the bare database beside it.
pub struct Database {
    pub mailboxes: usize,
    pub tokens: usize,
    pub data: PathBuf,
    pub bare: PathBuf,
}

/// An application on a data directory, as commands open it.
pub async fn open(data: &Path) -> Result<App> {
    let flags = Flags {
        data_dir: Some(data.to_path_buf()),
        ..Flags::default()
    };
    let env = |name: &str| (name == "MAILGRANT_ALLOW_NETWORKS").then(|| "loopback".to_owned());
    let config = Config::load(&flags, env)?;
    Ok(App::open(config, Arc::new(SystemClock), Arc::new(SystemRandom)).await?)
}

/// Makes a database of each size.
pub fn databases(place: &Path, sizes: &[usize]) -> Result<Vec<Database>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut databases = Vec::new();
    for &mailboxes in sizes {
        let began = Instant::now();
        let data = place.join(format!("data-{mailboxes}"));
        let bare = place.join(format!("bare-{mailboxes}.db"));
        let tokens = (mailboxes / BOXES_A_TOKEN).max(1);
        let database = Database {
            mailboxes,
            tokens,
            data,
            bare,
        };
        runtime.block_on(async {
            fill(&database).await?;
            fill_bare(&database).await
        })?;
        eprintln!(
            "{mailboxes} mailboxes and {tokens} tokens made in {:.1} s",
            began.elapsed().as_secs_f64()
        );
        databases.push(database);
    }
    Ok(databases)
}

async fn fill(database: &Database) -> Result<()> {
    let app = open(&database.data).await?;
    let now = app.clock.now();
    let providers: Vec<Provider> = (0..PROVIDERS).map(|number| provider(number, now)).collect::<Result<_>>()?;
    let mut tx = app.store.begin().await?;
    for provider in &providers {
        tx.insert_provider(provider).await?;
    }
    tx.commit().await?;

    let numbers: Vec<usize> = (0..database.tokens).collect();
    let mut tokens = Vec::with_capacity(database.tokens);
    for some in numbers.chunks(AT_ONCE) {
        let mut tx = app.store.begin().await?;
        for &number in some {
            let provider = &providers[number % PROVIDERS];
            let token = token(number, provider, now)?;
            tx.insert_token(&token).await?;
            give_grant(&app, &mut tx, &token, provider, number).await?;
            tokens.push(token);
        }
        tx.commit().await?;
    }
    let numbers: Vec<usize> = (0..database.mailboxes).collect();
    for some in numbers.chunks(AT_ONCE) {
        let mut tx = app.store.begin().await?;
        for &number in some {
            tx.insert_mailbox(&mailbox(number, &tokens[number % tokens.len()], now)?).await?;
        }
        tx.commit().await?;
    }
    app.store.close().await;
    Ok(())
}

/// So many mailboxes of one provider, each with a token that is good for a day, at these ports of this machine.
pub async fn fill_for_checks(app: &App, count: usize, (imap, smtp, security): (u16, u16, Security)) -> Result<()> {
    let now = app.clock.now();
    let provider = provider(0, now)?;
    let mut tx = app.store.begin().await?;
    tx.insert_provider(&provider).await?;
    for number in 0..count {
        let token = token(number, &provider, now)?;
        tx.insert_token(&token).await?;
        give_grant(app, &mut tx, &token, &provider, 0).await?;
        let side = |protocol: Protocol, port| {
            Some(Side {
                server: protocol.at(Endpoint {
                    host: "127.0.0.1".to_owned(),
                    port,
                    security,
                }),
                auth: Auth::OAuth2 {
                    token_id: token.id.clone(),
                    token: token.name.clone(),
                },
                username: None,
            })
        };
        let mailbox = Mailbox {
            enabled: true,
            paused: None,
            incoming: side(Protocol::Imap, imap),
            outgoing: side(Protocol::Smtp, smtp),
            ..mailbox(number, &token, now)?
        };
        tx.insert_mailbox(&mailbox).await?;
    }
    Ok(tx.commit().await?)
}

/// Spreads numbers, so that neither ids nor addresses come in the order of insertion.
fn spread(number: usize) -> u64 {
    (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995
}

fn provider(number: usize, now: Timestamp) -> Result<Provider> {
    let google = number % 4 == 3;
    Ok(Provider {
        id: ProviderId(format!("{:032x}", spread(number))),
        name: Name::parse(&format!("provider-{number}"))?,
        template: if google { TemplateKind::Google } else { TemplateKind::Microsoft },
        tenant: (!google).then(|| format!("tenant-{number}.onmicrosoft.com")),
        cloud: Cloud::Global,
        client_id: format!("11112222-bbbb-3333-cccc-4444dddd{number:04}"),
        client_auth: ClientAuth::SecretPost,
        client_secret: None,
        client_secret_expires: None,
        credentials: Default::default(),
        consent_screen: None,
        grant: GrantType::AuthorizationCode,
        scopes: scopes(google),
        prompt: Prompt::SelectAccount,
        login_hint: true,
        pkce: true,
        overrides: Endpoints::default(),
        extra_authorize_params: Vec::new(),
        problem: None,
        problem_since: None,
        version: 1,
        created_at: now,
        updated_at: now,
    })
}

fn scopes(google: bool) -> Vec<String> {
    let scopes: &[&str] = if google {
        &["https://mail.google.com/"]
    } else {
        &[
            "offline_access",
            "https://outlook.office.com/IMAP.AccessAsUser.All",
            "https://outlook.office.com/SMTP.Send",
        ]
    };
    scopes.iter().map(|scope| (*scope).to_owned()).collect()
}

/// The name of a token.
pub fn token_name(number: usize) -> String {
    format!("token-{number}")
}

fn token(number: usize, provider: &Provider, now: Timestamp) -> Result<Token> {
    Ok(Token {
        id: TokenId(format!("{:012x}{:020x}", now.0, spread(number))),
        name: Name::parse(&token_name(number))?,
        provider_id: provider.id.clone(),
        provider: provider.name.clone(),
        grant: GrantType::AuthorizationCode,
        user: Some(format!("account{number}@contoso.test")),
        scopes: provider.scopes.clone(),
        prompt: None,
        shared: true,
        version: 1,
        created_at: now,
        updated_at: now,
    })
}

fn text(length: usize, number: usize) -> String {
    let some = format!("{:016x}", spread(number));
    some.chars().cycle().take(length).collect()
}

/// A day's access token for each; one account in fifty has to sign in again.
async fn give_grant(app: &App, tx: &mut Tx, token: &Token, provider: &Provider, number: usize) -> Result<()> {
    let response = TokenResponse {
        access_token: AccessToken::new(text(TOKEN_LENGTH, number)),
        token_type: "Bearer".into(),
        expires_in: 86_400,
        refresh_token: Some(RefreshToken::new(text(TOKEN_LENGTH / 2, number + 1))),
        scopes: None,
        id_token: None,
        date: None,
    };
    let identity = Identity {
        iss: "https://login.example/v2.0".into(),
        sub: text(43, number),
        username: token.user.clone(),
        ..Identity::default()
    };
    let new = NewGrant::SignedIn {
        response: &response,
        identity: &identity,
        by: "Ossi Lahti",
    };
    let mut grant = store_first_grant(app, tx, token, provider, new).await?;
    if number % 50 == 7 {
        grant.state = GrantState::Revoked;
        tx.replace_grant(&grant).await?;
    }
    Ok(())
}

fn mailbox(number: usize, token: &Token, now: Timestamp) -> Result<Mailbox> {
    let words = ["support", "info", "orders", "hr", "billing", "press", "service", "team"];
    let some = spread(number);
    let word = words[(some >> 20) as usize % words.len()];
    let name = format!("{word}-{:06x}-{number}", some >> 40);
    let auth = match number % 5 {
        0 => Auth::Password { password: None },
        _ => Auth::OAuth2 {
            token_id: token.id.clone(),
            token: token.name.clone(),
        },
    };
    let side = |protocol: Protocol, host: &str, port: u16| {
        Some(Side {
            server: protocol.at(Endpoint {
                host: host.to_owned(),
                port,
                security: if port == 587 { Security::Starttls } else { Security::Tls },
            }),
            auth: auth.clone(),
            username: None,
        })
    };
    let (mut incoming_state, mut outgoing_state) = (SideState::default(), SideState::default());
    let ended = |outcome, problem: Option<&str>| SideState {
        outcome: Some(outcome),
        problem: problem.map(str::to_owned),
        run: None,
        tested_at: Some(now.plus(-(some as i64 & 0xffff))),
    };
    match some % 100 {
        0..10 => {}
        10..13 => {
            incoming_state = ended(Outcome::Failed, Some("The sign-in has run out"));
            outgoing_state = incoming_state.clone();
        }
        13..15 => {
            incoming_state = ended(Outcome::Passed, None);
            outgoing_state = ended(Outcome::Failed, Some("Sending by SMTP is turned off for this mailbox"));
        }
        _ => {
            incoming_state = ended(Outcome::Passed, None);
            outgoing_state = incoming_state.clone();
        }
    }
    let paused = (some % 100 >= 97).then(|| Pause {
        by: "Maija Korhonen".into(),
        at: now,
        reason: "moving to another tenant".into(),
    });
    let mut tags: Vec<String> = (0..some % 4)
        .map(|n| TAGS[((some >> (8 * n)) as usize) % TAGS.len()].to_owned())
        .collect();
    tags.sort();
    tags.dedup();
    let mut mailbox = Mailbox {
        id: MailboxId(format!("{:012x}{:020x}", now.0, some)),
        address: format!("{name}@contoso.test"),
        display_name: format!("Contoso {word} {number}"),
        name: Name::parse(&name).context(name)?,
        enabled: paused.is_none(),
        paused,
        tags,
        incoming: side(Protocol::Imap, "outlook.office365.com", 993),
        folder: "INBOX".into(),
        outgoing: side(Protocol::Smtp, "smtp.office365.com", 587),
        from: None,
        bcc: Vec::new(),
        round_trip_hours: 0,
        state: mailgrant::model::mailbox::MailboxState::NotTested,
        checked_at: incoming_state.tested_at.unwrap_or(Timestamp(0)),
        failing_since: None,
        incoming_state,
        outgoing_state,
        changed_at: now.plus(-100_000),
        version: 1,
        created_at: now.plus(-(number as i64)),
    };
    mailbox.state = mailbox.derive_state();
    Ok(mailbox)
}

/// What the bare handlers read: one table with as many rows of the columns a list shows, and one with as many tokens.
async fn fill_bare(database: &Database) -> Result<()> {
    let options = SqliteConnectOptions::new()
        .filename(&database.bare)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(
        "CREATE TABLE mailboxes (id TEXT PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL, display_name TEXT NOT NULL, state BIGINT NOT NULL,
         provider TEXT, problem TEXT, checked_at BIGINT NOT NULL);
         CREATE INDEX mailboxes_address ON mailboxes (address, id);
         CREATE TABLE tokens (name TEXT PRIMARY KEY, access_token TEXT NOT NULL, expires_at BIGINT NOT NULL);",
    )
    .execute(&mut connection)
    .await?;
    let now = SystemClock.now();
    let mut tx = connection.begin().await?;
    for number in 0..database.mailboxes {
        let some = spread(number);
        sqlx::query("INSERT INTO mailboxes VALUES ($1, $2, $3, $4, $5, $6, NULL, $7)")
            .bind(format!("{:012x}{some:020x}", now.0))
            .bind(format!("box-{some:x}"))
            .bind(format!("box-{some:x}@contoso.test"))
            .bind(format!("Contoso box {number}"))
            .bind((some % 5) as i64)
            .bind(format!("provider-{}", number % PROVIDERS))
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
    }
    for number in 0..database.tokens {
        sqlx::query("INSERT INTO tokens VALUES ($1, $2, $3)")
            .bind(token_name(number))
            .bind(text(TOKEN_LENGTH, number))
            .bind(now.0)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    connection.close().await?;
    Ok(())
}
