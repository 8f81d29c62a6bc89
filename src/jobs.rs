//! Work that nobody waits for: rows of the outbox, done by one worker of each process.

mod backchannel_logout;

use crate::account::session;
use crate::app::App;
use crate::client;
use crate::error::{Error, Result};
use crate::keys::{self, Start};
use crate::queue::{self, Work};
use crate::{flow, grant, limit, once};
use entity::{JobKind, SigningAlg, job};
use std::sync::Arc;
use std::time::Duration;

/// Housekeeping is ordered this often.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);
/// Jobs of other processes are looked for this often.
const LOOK: Duration = Duration::from_secs(30);

/// Does what is due until the process ends.
pub async fn work(app: Arc<App>) {
    let mut housekeeping = None;
    loop {
        let now = app.store.now();
        if housekeeping.is_none_or(|at| now >= at) {
            housekeeping = Some(now.plus(HOUSEKEEPING));
            if let Err(e) = keep_house(&app).await {
                tracing::warn!(error = %e, "housekeeping failed; it is tried again in an hour");
            }
        }
        match due(&app).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(e) => tracing::warn!(error = %e, "the job table could not be read"),
        }
        let _ = tokio::time::timeout(LOOK, app.work.notified()).await;
    }
}

/// Claims one job and does it; `false` when none was due.
///
/// # Errors
/// The database's.
pub async fn due(app: &Arc<App>) -> Result<bool> {
    let Some(job) = queue::claim(app.db(), app.store.now()).await? else { return Ok(false) };
    let outcome = run(app, &job).await;
    let store = app.store.clone();
    app.db()
        .write(async move |tx| match &outcome {
            Ok(()) => queue::done(tx, &job).await.map(drop),
            Err(e) => {
                tracing::warn!(job = %job.id, kind = job.kind.as_str(), error = %e, "a job failed");
                queue::retry(tx, &job, &e.to_string(), store.now()).await.map(drop)
            }
        })
        .await?;
    Ok(true)
}

async fn run(app: &Arc<App>, job: &job::Model) -> Result<()> {
    match job.kind {
        JobKind::MakeKey if job.payload.0["decryption"] == true => {
            keys::decryption::ensure(&app.store, job.tenant_id, app.store.now()).await
        }
        JobKind::MakeKey => {
            let alg: SigningAlg = serde_json::from_value(job.payload.0["alg"].clone()).map_err(Error::internal)?;
            let tenant = app.tenants.get(&app.store, job.tenant_id).await?;
            app.keys.ensure(&app.store, &tenant, alg).await
        }
        JobKind::RotateKeys => {
            let age = app.config().keys.rotate_after.0;
            keys::decryption::rotate(&app.store, job.tenant_id, age, app.store.now()).await?;
            keys::rotate(&app.store, job.tenant_id, Start::Published, age).await.map(drop)
        }
        JobKind::Sweep => sweep(app).await,
        JobKind::BackchannelLogout => backchannel_logout::send(app, job).await,
        JobKind::FetchLogo => {
            let tenant = app.tenants.get(&app.store, job.tenant_id).await?;
            let key = serde_json::from_value(job.payload.0["client"].clone()).map_err(Error::internal)?;
            match app.clients.by_key(&app.store, &tenant, key).await? {
                Some(client) => client::logo::fetch(&app.store, &app.fetch, &client).await,
                None => Ok(()),
            }
        }
    }
}

/// Keys that are old get successors; what nobody can use any more is deleted. One never keeps the other from its turn.
async fn keep_house(app: &Arc<App>) -> Result<()> {
    let now = app.store.now();
    let old = keys::tenants_with_old_keys(app.db().read(), now.minus(app.config().keys.rotate_after.0)).await?;
    for tenant in old {
        let work = Work::new(JobKind::RotateKeys, serde_json::json!({}), now);
        app.db().write(async move |tx| queue::push(tx, tenant, work.clone()).await.map(drop)).await?;
    }
    sweep(app).await
}

async fn sweep(app: &Arc<App>) -> Result<()> {
    let (db, now) = (app.db(), app.store.now());
    let swept = [
        flow::sweep(db, now).await,
        grant::sweep(db, now).await,
        limit::sweep(db, now).await,
        once::sweep(db, now).await,
        session::sweep(db, now).await,
        client::initial::sweep(db, now).await,
        client::registration::sweep(db, app.config().registration.unused.0, now).await,
    ];
    let mut gone = 0;
    for rows in swept {
        gone += rows?;
    }
    if gone > 0 {
        tracing::debug!(rows = gone, "what had expired was deleted");
    }
    Ok(())
}
