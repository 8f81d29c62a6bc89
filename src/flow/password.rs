//! The step of proving oneself with a password.
//!
//! Attempts are counted before anything is compared, and what unknown, disabled and mistaken people get is the same in
//! bytes, status, writes and hashing work.

use super::next::Evidence;
use super::row::{Row, document, stepped};
use crate::access::{Act, Hold, may_act};
use crate::account::session::{self, Proof, SignedIn, Visitor};
use crate::account::{self, Identifier, StoredPassword};
use crate::app::App;
use crate::audit::{self, Event, Origin};
use crate::ctx::Ctx;
use crate::error::{Error, Fault, Notice, Result};
use crate::limit::{self, Rule, Verdict};
use crate::page::note;
use entity::{Severity, Texts, UserId};
use std::time::Duration;
use zeroize::Zeroizing;

pub(super) struct Attempt {
    pub identifier: String,
    pub password: Zeroizing<String>,
    pub remember: bool,
    /// Only this person will do.
    pub as_user: Option<UserId>,
}

pub(super) enum Proved {
    Yes(SignedIn),
    No { notice: &'static str, retry_after: Option<Duration> },
}

/// The `acr` of a single factor.
pub const ACR: &str = "1fa";

pub(super) async fn prove(
    app: &App,
    ctx: &Ctx,
    visitor: &Visitor,
    (row, attempt): (&mut Row, Attempt),
) -> Result<Proved> {
    let conn = app.db().read();
    let by = Identifier::typed(&attempt.identifier);
    let typed = match &by {
        Some(by) => account::find(conn, ctx.tenant.id, by).await?,
        None => None,
    };
    // Where it must be one person, nobody else is found, whatever was typed.
    let found = typed.filter(|user| attempt.as_user.is_none_or(|only| only == *user));

    let nobody = UserId(uuid::Uuid::nil());
    let user = found.unwrap_or(nobody);
    let browser = visitor.browser.clone().ok_or_else(|| Error::internal("a flow without a browser"))?;
    let known = session::knows(conn, ctx.tenant.id, user, &browser).await?;
    let keys = keys(app, ctx, (user, by.as_ref()), known.then_some(&browser.0));
    if let Some(refused) = count(app, ctx, found, keys.clone()).await? {
        return Ok(refused);
    }
    let stored = account::password_of(conn, ctx.tenant.id, user).await?;
    let verdict = match app.passwords.verify(&attempt.password, stored.as_ref().map(|s| s.phc.as_str())).await {
        Ok(verdict) => verdict,
        Err(Error::Ours(cause)) if cause.kind == Fault::Busy => {
            // Nothing was compared, so nothing is held against anybody.
            let tenant = ctx.tenant.id;
            app.db().write(async move |tx| limit::give_back(tx, tenant, &keys).await).await?;
            return Ok(Proved::No { notice: note::BUSY, retry_after: Some(Duration::from_secs(2)) });
        }
        Err(e) => return Err(e),
    };
    let fresh = match verdict.ok && verdict.rehash {
        true => Some(app.passwords.hash(&attempt.password).await?),
        false => None,
    };
    write(app, ctx, visitor, Outcome { row, found, stored, right: verdict.ok, fresh, keys, remember: attempt.remember })
        .await
}

struct Outcome<'a> {
    row: &'a mut Row,
    found: Option<UserId>,
    stored: Option<StoredPassword>,
    right: bool,
    /// A hash with current parameters, when the stored one has older ones.
    fresh: Option<String>,
    keys: Vec<(Rule, Vec<u8>)>,
    remember: bool,
}

async fn write(app: &App, ctx: &Ctx, visitor: &Visitor, outcome: Outcome<'_>) -> Result<Proved> {
    let Outcome { row, found, stored, right, fresh, keys, remember } = outcome;
    let (inner, here, store) = (ctx.clone(), visitor.clone(), app.store.clone());
    let (flow, evidence) = ((row.id, row.version), row.evidence.clone());
    let written = app
        .db()
        .write(async move |tx| {
            let (ctx, now) = (&inner, store.now());
            let origin = Origin::from(ctx);
            let failed = |reason| {
                let event = Event::failure(audit::kind::USER_LOGIN_FAILED).because(reason);
                match found {
                    Some(user) => event.on(user),
                    None => event,
                }
            };
            let user = match (found, &stored, right) {
                (Some(user), Some(_), true) => user,
                (found, _, _) => {
                    audit::record(tx, &origin, failed(if found.is_some() { "wrong_password" } else { "unknown" }))
                        .await?;
                    return Ok(None);
                }
            };
            let act = Act {
                tenant: &ctx.tenant,
                client: None,
                user: Some(user),
                session: None,
                since: now,
                now,
                hold: Hold::Row,
            };
            if let Err(denied) = may_act(tx, act).await? {
                audit::record(tx, &origin, failed(denied.as_str())).await?;
                return Ok(None);
            }
            // Read once the person's row is held, so that a change of the password is seen or waits.
            let kept = account::password_of(tx, ctx.tenant.id, user).await?;
            let same = kept.map(|k| k.phc) == stored.as_ref().map(|s| s.phc.clone());
            if !same {
                audit::record(tx, &origin, failed("password_changed_meanwhile")).await?;
                return Ok(None);
            }
            let proof = Proof { user, amr: Texts(vec!["pwd".into()]), acr: ACR, remember };
            let signed_in = session::start(tx, ctx, &here, &proof).await?;
            let evidence = Evidence { proved: Some(signed_in.session), chosen: None, ..evidence.clone() };
            if !stepped(tx, ctx.tenant.id, flow, &document(&evidence)?).await? {
                return Err(Notice::FlowExpired.into());
            }
            if let (Some(old), Some(fresh)) = (&stored, &fresh) {
                account::rehashed(tx, ctx.tenant.id, old, fresh).await?;
            }
            limit::give_back(tx, ctx.tenant.id, &keys).await?;
            ctx.tenant.mark_issued(tx, now).await?;
            let event = Event::success(audit::kind::USER_LOGIN)
                .by(user)
                .on(user)
                .with(serde_json::json!({ "method": "password" }));
            audit::record(tx, &origin, event).await?;
            Ok(Some((signed_in, evidence)))
        })
        .await?;
    Ok(match written {
        Some((signed_in, evidence)) => {
            ctx.tenant.note_issued();
            row.version += 1;
            row.evidence = evidence;
            Proved::Yes(signed_in)
        }
        None => Proved::No { notice: note::WRONG, retry_after: None },
    })
}

/// Raises the counters; what is over its limit ends the attempt before anything is compared.
async fn count(app: &App, ctx: &Ctx, found: Option<UserId>, keys: Vec<(Rule, Vec<u8>)>) -> Result<Option<Proved>> {
    let (inner, store) = (ctx.clone(), app.store.clone());
    let verdict = app
        .db()
        .write(async move |tx| {
            let verdict = limit::count(tx, inner.tenant.id, &keys, store.now()).await?;
            if let Verdict::Exceeded { rule, count, first: true, .. } = &verdict {
                let mut event =
                    Event::failure(audit::kind::RATE_LIMIT_EXCEEDED).graded(Severity::High).because("sign_in");
                if let Some(user) = found {
                    event = event.on(user);
                }
                let details = serde_json::json!({ "rule": rule.name, "count": count, "endpoint": "/login" });
                audit::record(tx, &Origin::from(&inner), event.with(details)).await?;
            }
            Ok(verdict)
        })
        .await?;
    Ok(match verdict {
        Verdict::Allowed => None,
        Verdict::Exceeded { retry_after, .. } => {
            Some(Proved::No { notice: note::THROTTLED, retry_after: Some(retry_after) })
        }
    })
}

/// What an attempt is counted by. A browser that the person is known in has counters of its own, so that strangers
/// cannot lock it out.
fn keys(
    app: &App,
    ctx: &Ctx,
    (user, by): (UserId, Option<&Identifier>),
    known: Option<&Vec<u8>>,
) -> Vec<(Rule, Vec<u8>)> {
    let limits = &app.config().limits;
    let window = limits.sign_in_window.0;
    let prefix = limit::prefix(ctx.ip);
    // At one address what was typed counts, so that nobody learns which names are one person's; from everywhere the
    // person does, so that all spellings share a counter.
    let typed = by.map_or_else(|| "none".to_owned(), |by| format!("{}:{}", by.kind.as_str(), by.key));
    let account = if user.0.is_nil() { typed.clone() } else { user.to_string() };
    let Some(browser) = known else {
        // From what a stranger cannot vary to what they can: see `limit::count`.
        let both = format!("{typed}/{prefix}").into_bytes();
        return vec![
            (Rule { name: "sign-in/address", limit: limits.sign_in_per_address, window }, prefix.into_bytes()),
            (Rule { name: "sign-in/account+address", limit: limits.sign_in_attempts, window }, both),
            (Rule { name: "sign-in/account", limit: limits.sign_in_per_account, window }, account.into_bytes()),
        ];
    };
    // Neither other addresses nor others at this one can lock it out.
    let both = [account.as_bytes(), b"/", browser].concat();
    vec![(Rule { name: "sign-in/account+browser", limit: limits.sign_in_attempts, window }, both)]
}
