//! From a configuration to a server that answers: schema, master key, default tenant, first administrator, listener.

mod connection;

use crate::account::profile::Profile;
use crate::account::{self, Identifier, NewPerson};
use crate::app::App;
use crate::audit::{self, Event, Origin};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::Share;
use crate::error::{Error, Result};
use crate::hash::{acceptable, in_words};
use crate::http::door::door;
use crate::keys::{self, Start};
use crate::oidc::metadata::order_key;
use crate::seal::Token;
use crate::tenant::{self, AtHome};
use crate::{jobs, once, routes};
use actix_http::HttpService;
use actix_http::error::DispatchError;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::http::KeepAlive;
use actix_web::middleware::from_fn;
use actix_web::web;
use connection::Connection;
use entity::{LinkPurpose, Role, SigningAlg, TenantId, link};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// The set-up link works for so long.
const SETUP: Duration = Duration::from_secs(3600);
/// Per worker, where there are descriptors enough; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 10_000;
/// Descriptors that connections leave to files, threads and the log, beside the database's pool.
const OTHER_DESCRIPTORS: usize = 128;
/// A connection stands still for so long at most: idle, with a request that does not come to its end, or with an answer
/// that is not read.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that a server needs, ready; with the set-up link while there is no administrator.
pub struct Ready {
    pub app: Arc<App>,
    pub tenant: TenantId,
    pub setup_url: Option<String>,
}

/// Makes ready: data directory, schema, master key, default tenant with its keys, first administrator.
///
/// # Errors
/// One line for the operator.
pub async fn prepare(config: Config, clock: Clock) -> Result<Ready> {
    make_directory(&config)?;
    if config.fetch.extra_ca.is_some() || !config.fetch.private_addresses.0.is_empty() {
        tracing::warn!(
            "fetch.extra_ca or fetch.private_addresses is set: applications can make this server ask addresses inside; for tests alone"
        );
    }
    let app = Arc::new(App::open(config, clock, Share::Alone).await?);
    let home = tenant::settle(&app.store, app.config()).await?;
    let id = match home {
        AtHome::Made(id) => {
            begin(&app, id).await?;
            id
        }
        AtHome::Found(id) | AtHome::Followed(id) => id,
        AtHome::Differs { stored, wanted } => {
            return Err(Error::unavailable(format!(
                "public_url is {wanted}, but tokens were issued as {stored}; to move, run: keyward tenant move --to {wanted}; \
                 or go on with --public-url {stored}"
            )));
        }
    };
    let setup_url = first_administrator(&app, id).await?;
    Ok(Ready { app, tenant: id, setup_url })
}

/// Makes the data directory unless it is there.
///
/// # Errors
/// One line that names it.
pub fn make_directory(config: &Config) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let path = config.data_dir();
    if path.is_dir() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|e| Error::unavailable(format!("the data directory {} cannot be made: {e}", path.display())))
}

/// A new tenant's keys: the quick ones at once, RSA by a job.
///
/// # Errors
/// The database's.
pub async fn begin(app: &Arc<App>, tenant: TenantId) -> Result<()> {
    // Access tokens are ES256; RS256 is ordered, since it takes a while. Others are made when an application asks for them: a
    // key set of types that applications do not know has tripped some of them.
    keys::make(&app.store, tenant, SigningAlg::Es256, Start::Now).await?;
    let now = app.store.now();
    app.db().write(async move |tx| order_key(tx, tenant, SigningAlg::Rs256, now).await).await?;
    app.work.notify_one();
    Ok(())
}

/// While there is no administrator: the one of the configuration, or a link on which to make one.
async fn first_administrator(app: &Arc<App>, tenant: TenantId) -> Result<Option<String>> {
    if account::has_administrator(app.db().read(), tenant).await? {
        return Ok(None);
    }
    let bootstrap = &app.config().bootstrap;
    if let Some(email) = bootstrap.email.clone() {
        let password = bootstrap.password.0.clone();
        let wrong = |says: &str| Error::unavailable(format!("bootstrap: {says}"));
        let identifier = Identifier::email(&email).ok_or_else(|| wrong("the e-mail address is none"))?;
        let least = app.config().password.min_length;
        acceptable(&password, &[&email], least).map_err(|id| wrong(&in_words(id, least)))?;
        let phc = app.passwords.hash(&password).await?;
        let person = NewPerson {
            name: email.split('@').next().unwrap_or("Administrator").to_owned(),
            email: Some((identifier, email)),
            email_verified: true,
            username: None,
            phone: None,
            phc: Some(phc),
            role: Role::SuperAdmin,
            profile: Profile::default(),
        };
        let store = app.store.clone();
        let made = app
            .db()
            .write(async move |tx| {
                let now = store.now();
                // Two nodes may start at once on an empty database.
                if account::has_administrator(tx, tenant).await? {
                    return Ok(true);
                }
                let Ok(user) = account::create(tx, tenant, &person, now).await? else {
                    // The other node's administrator may have come between these two questions.
                    return account::has_administrator(tx, tenant).await;
                };
                let event = Event::success(audit::kind::USER_SIGNUP)
                    .on(user)
                    .with(serde_json::json!({ "role": "super_admin", "by": "bootstrap" }));
                audit::record(tx, &Origin::of_process(tenant, now), event).await?;
                Ok(true)
            })
            .await?;
        return if made { Ok(None) } else { Err(wrong("somebody who is no administrator has this e-mail address")) };
    }
    let token = Token::new("")?;
    let now = app.store.now();
    let row = link::Model {
        tenant_id: tenant,
        hash: token.hash,
        purpose: LinkPurpose::Setup,
        created_at: now,
        expires_at: now.plus(SETUP),
        spent_at: None,
    };
    app.db()
        .write(async move |tx| {
            once::withdraw_links(tx, tenant, LinkPurpose::Setup).await?;
            once::put_link(tx, row.clone()).await
        })
        .await?;
    let issuer = tenant::primary_issuer(app.db().read(), tenant).await?;
    Ok(Some(format!("{issuer}/setup?token={}", *token.text)))
}

/// Takes the address, so that a port in use is known before anything is said.
///
/// # Errors
/// One line that names the address.
pub fn bind(config: &Config) -> Result<TcpListener> {
    let address = config.server.listen;
    let refused = |e: std::io::Error| {
        let advice = match e.kind() {
            std::io::ErrorKind::AddrInUse => "; another one is chosen with --listen, or PORT in the environment",
            _ => "",
        };
        Error::unavailable(format!("cannot listen on {address}: {e}{advice}"))
    };
    let listener = TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

/// A server that is ready to run.
pub struct Running {
    app: Arc<App>,
    server: Server,
    handle: ServerHandle,
}

/// Builds the server on an address that was taken; the handle stops it.
///
/// # Errors
/// When it cannot listen.
pub fn server(app: Arc<App>, listener: TcpListener) -> Result<(Running, ServerHandle)> {
    server_within(app, listener, PATIENCE)
}

/// The same with another patience for connections that stand still, for tests that cannot wait.
#[doc(hidden)]
pub fn server_within(app: Arc<App>, listener: TcpListener, patience: Duration) -> Result<(Running, ServerHandle)> {
    let data = web::Data::from(app.clone());
    let workers = match app.config().server.workers {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n,
    };
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    // What `actix_web::HttpServer` builds, around connections of our own.
    let factory = move || {
        let (data, stopping) = (data.clone(), stopping.clone());
        let app = actix_web::App::new().app_data(data).wrap(from_fn(door)).configure(routes::all);
        let app = app.into_factory().map_err(|e: actix_web::Error| e.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            // Kept alive without a timer of actix: `Connection` has one.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::from_secs(10))
            .client_disconnect_timeout(Duration::from_secs(5))
            .h1(map_config(app, |()| AppConfig::default()));
        fn_service(move |socket: TcpStream| async move {
            let peer = socket.peer_addr().ok();
            Ok::<_, DispatchError>((Connection::new(socket, patience), peer))
        })
        .and_then(http)
    };
    let server = builder
        .workers(workers)
        .max_concurrent_connections(connections(&app, workers))
        .shutdown_timeout(20)
        .listen("http", listener, factory)
        .map_err(Error::unavailable)?
        .run();
    let handle = server.handle();
    Ok((Running { app, server, handle: handle.clone() }, handle))
}

/// How many connections a worker may have, after the soft limit of descriptors was raised to the hard one: connections
/// that used them all up would leave none to what answers them.
fn connections(app: &App, workers: usize) -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Refused, the lower limit goes on to hold.
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).ok();
    let most = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let others = OTHER_DESCRIPTORS + app.config().database.pool_size as usize;
    (most.saturating_sub(others).max(most / 2) / workers).clamp(1, CONNECTIONS)
}

/// Serves until it is told to stop (SIGTERM, SIGINT), then finishes what it began.
///
/// # Errors
/// When the server cannot run, or its database failed.
pub async fn run(running: Running, jobs: Jobs) -> Result<()> {
    let Running { app, server, handle } = running;
    let worker = (jobs == Jobs::Here).then(|| actix_web::rt::spawn(jobs::work(app.clone())));
    let broken = app.clone();
    let watch = tokio::spawn(async move {
        broken.db().until_broken().await;
        // The page cache cannot be trusted after a failed commit: what is on disk is what counts, after a restart.
        tracing::error!("the database failed to commit; the process ends so that it can be started again");
        // In order, so that everybody whose commit failed hears it.
        handle.stop(true).await;
    });
    // The server hears the signal itself; this one only says so.
    let told = tokio::spawn(told_to_stop());
    let served = server.await.map_err(Error::internal);
    watch.abort();
    told.abort();
    if let Some(worker) = worker {
        worker.abort();
    }
    let failed = app.db().is_broken();
    app.db().close().await;
    served?;
    if failed { Err(Error::unavailable("the database failed to commit")) } else { Ok(()) }
}

/// Does the jobs of servers that leave them to others, until it is told to stop (SIGTERM, SIGINT).
///
/// # Errors
/// When its database failed.
pub async fn work(app: Arc<App>) -> Result<()> {
    tracing::info!("doing jobs");
    tokio::select! {
        () = jobs::work(app.clone()) => {}
        // What was begun is taken up again when its lease ends.
        told = told_to_stop() => told?,
        () = app.db().until_broken() => return Err(Error::unavailable("the database failed to commit")),
    }
    app.db().close().await;
    Ok(())
}

/// Returns, and says so, on SIGTERM and SIGINT.
async fn told_to_stop() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("told to stop: what was begun is finished");
    Ok(())
}

/// Whether this process does the jobs too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jobs {
    Here,
    Elsewhere,
}
