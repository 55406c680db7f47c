//! `mailgrant serve`: the console until a signal. One `serve` a data directory (MULTI-1); a stop lets requests and renewals finish
//! (DUR-6).

use super::answer::{Answer, Failure, Outcome};
use super::stop::StopSignals;
use crate::actions::authorize::device;
use crate::actions::{access_token, probe, setup};
use crate::app::App;
use crate::telemetry::{NOTICE, Queue};
use crate::web::pages::metrics;
use crate::web::server::{Limits, serve};
use crate::web::{WebState, router};
use crate::worker;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long may a stop take?
const STOP: Duration = Duration::from_secs(30);
/// How long does the start wait for renewals that were interrupted?
const SETTLE: Duration = Duration::from_secs(3);
/// How long may the system log take to keep what is left?
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Serves until SIGTERM or SIGINT.
pub async fn run(app: &App, queue: Queue) -> Outcome {
    let _lock = lock(app)?;
    app.store.check_integrity().await?;
    let listen = app.config.listen;
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        Failure::no(format!("can't listen on {listen}: {error}")).help("stop what uses the port, or choose another with --listen")
    })?;
    // Before anybody is told that it is ready.
    let measuring = metrics_listener(app).await?;
    // From here on a stop waits for renewals under way, those of the start included.
    let stop = StopSignals::catch()?;
    settle(app).await;
    probe::recover(app).await?;
    let web = WebState::new(app.clone()).await?;
    announce(app, &web).await?;
    until_stopped(app, (listener, measuring), web, stop, queue).await
}

/// Serves what is prepared until SIGTERM or SIGINT, and lets work under way finish. The second listener is for `/metrics` alone.
pub(super) async fn until_stopped(
    app: &App,
    (listener, measuring): (TcpListener, Option<TcpListener>),
    web: WebState,
    mut stop: StopSignals,
    queue: Queue,
) -> Outcome {
    let limits = Limits {
        proxies: app.config.trusted_proxies.clone(),
        ..Limits::default()
    };
    let serving = tokio::spawn(serve(listener, router(web), limits, app.stopping.clone()));
    let measured = measuring.map(|listener| {
        let router = metrics::alone(app.clone());
        tokio::spawn(serve(listener, router, Limits::default(), app.stopping.clone()))
    });
    worker::start(app).await;
    let ended = CancellationToken::new();
    let log = tokio::spawn(worker::log::run(app.clone(), queue, ended.clone()));
    tracing::info!(area = "console", version = env!("CARGO_PKG_VERSION"), "The console started");
    app.tasks.spawn(device::watch(app.clone()));
    stop.received().await;
    tracing::info!(target: NOTICE, area = "console", "Stopping: requests and renewals under way may finish");
    app.stopping.cancel();
    app.tasks.close();
    let finished = tokio::time::timeout(STOP, async {
        let _ = serving.await;
        if let Some(measured) = measured {
            let _ = measured.await;
        }
        app.tasks.wait().await;
    });
    if finished.await.is_err() {
        tracing::warn!("Some work did not finish within {} seconds", STOP.as_secs());
    }
    if let Err(error) = worker::instances::leave(app).await {
        tracing::warn!(%error, "The other instances will take 20 seconds to notice that this one stopped: {error}");
    }
    // What the last of them had to say is kept as well.
    ended.cancel();
    let _ = tokio::time::timeout(LAST_WORDS, log).await;
    app.store.close().await;
    tracing::info!(target: NOTICE, "Stopped");
    Ok(Answer::Yes)
}

/// What listens for `/metrics` at an address of its own, where the settings name one.
async fn metrics_listener(app: &App) -> Result<Option<TcpListener>, Failure> {
    let Some(listen) = app.config.metrics_listen else {
        return Ok(None);
    };
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        Failure::no(format!("can't listen on {listen} for metrics: {error}")).help("choose another address with MAILGRANT_METRICS_LISTEN")
    })?;
    Ok(Some(listener))
}

/// Renewals whose answer is not known come first (a provider that rotates forgives only for a short while); one that hangs does not
/// keep the console from starting.
async fn settle(app: &App) {
    let settling = {
        let app = app.clone();
        app.tasks.clone().spawn(async move {
            if let Err(error) = access_token::settle_unanswered(&app).await {
                tracing::warn!(error = %error, "Renewals that were interrupted could not be settled: {error}");
            }
        })
    };
    let _ = tokio::time::timeout(SETTLE, settling).await;
}

/// The file lock says who serves; it survives no process, however that ends.
fn lock(app: &App) -> Result<File, Failure> {
    let path = app.config.data_dir.join("serve.lock");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let mut file = file.map_err(|error| Failure::no(format!("{} can't be opened: {error}", path.display())))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            let who = match pid.trim() {
                "" => "another process".to_owned(),
                pid => format!("process {pid}"),
            };
            return Err(
                Failure::no(format!("{who} serves the data directory {} already", app.config.data_dir.display()))
                    .help("stop it first, or choose another with --data-dir; commands like `mailgrant token list` work beside it"),
            );
        }
        Err(TryLockError::Error(error)) => return Err(Failure::no(format!("{} can't be locked: {error}", path.display()))),
    }
    let _ = file.set_len(0).and_then(|()| file.rewind());
    let _ = writeln!(file, "{}", std::process::id());
    Ok(file)
}

/// Says where to go, and at the first run with which code.
async fn announce(app: &App, web: &WebState) -> Result<(), Failure> {
    let mut address = web.url("");
    if setup::is_open(app).await? {
        // Setup will propose this name, which providers' forms take; a session begun under it goes on there.
        let listen = app.config.listen;
        if !app.config.base_url_set && listen.ip().is_loopback() {
            address = format!("http://localhost:{}", listen.port());
        }
        let code = setup::new_code(app).await?;
        tracing::info!(target: NOTICE, "Mailgrant is ready. To set it up open {address}/setup and enter the setup code {code}");
    } else {
        tracing::info!(target: NOTICE, "Mailgrant is ready at {address}");
    }
    Ok(())
}
