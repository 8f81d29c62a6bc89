//! `tenant create`, `list`, `move`; `keys list`, `rotate`, `revoke`.

use super::{Common, Done, Failure, Of, failed, note, opened, say, say_json, table, tenant_of};
use crate::audit::{self, Event, Origin};
use crate::keys::{self, Start};
use crate::serve;
use crate::tenant::{self, DEFAULT, Keep, NewTenant, valid_slug};
use clap::{Args, Subcommand};
use entity::Micros;
use serde_json::json;
use std::time::Duration;

#[derive(Subcommand)]
pub enum Tenants {
    /// Make a tenant: its own people, applications, keys and pages
    #[command(after_help = "Example:\n  keyward tenant create --slug acme --name Acme")]
    Create(Create),
    /// Show all tenants
    #[command(after_help = "Example:\n  keyward tenant list")]
    List {
        /// For scripts
        #[arg(long)]
        json: bool,
    },
    /// Give the deployment another public URL; issuers that tokens name stay served
    #[command(after_help = "Example:\n  keyward tenant move --to https://id.example.com")]
    Move {
        /// The new public URL, as it will stand in the configuration
        #[arg(long, value_name = "URL")]
        to: String,
    },
}

#[derive(Args)]
pub struct Create {
    /// Part of its address: lower-case letters, digits, hyphens
    #[arg(long)]
    slug: String,
    /// What people see it called
    #[arg(long)]
    name: String,
    /// Its own address [default: the public URL and /t/SLUG]
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// For scripts
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
pub enum SigningKeys {
    /// Show the signing keys and what they are doing
    #[command(after_help = "Example:\n  keyward keys list --tenant acme")]
    List {
        #[command(flatten)]
        of: Of,
        /// For scripts
        #[arg(long)]
        json: bool,
    },
    /// Publish successors; they sign once everybody has had time to see them
    #[command(after_help = "Example:\n  keyward keys rotate")]
    Rotate {
        #[command(flatten)]
        of: Of,
        /// Let the new keys sign at once
        #[arg(long)]
        now: bool,
    },
    /// A key has leaked: nothing that it signed counts any more, from now on
    #[command(after_help = "Example:\n  keyward keys revoke KID")]
    Revoke {
        #[command(flatten)]
        of: Of,
        /// The key's id; it may begin with a hyphen
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

pub async fn run(common: &Common, call: Tenants) -> Done {
    match call {
        Tenants::Create(call) => create(common, call).await,
        Tenants::List { json } => list(common, json).await,
        Tenants::Move { to } => shift(common, &to).await,
    }
}

/// An issuer: https (or this machine), without query, fragment or trailing slash (OpenID Connect Discovery section 3).
fn issuer(text: &str) -> Result<String, Failure> {
    let wrong =
        || Failure::Call(format!("{text:?} must be an https URL (or http on localhost) without query and fragment"));
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    let safe = url.scheme() == "https" || (url.scheme() == "http" && crate::config::loopback(&url));
    if !safe || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.path() != "/" {
        return Err(wrong());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

async fn create(common: &Common, call: Create) -> Done {
    if !valid_slug(&call.slug) {
        return Err(Failure::Call(
            "--slug: 2 to 63 lower-case letters, digits and inner hyphens, and no word of the address itself".into(),
        ));
    }
    let name = call.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(Failure::Call("--name: 1 to 200 characters without control characters".into()));
    }
    let app = opened(common).await?;
    let home = tenant_of(&app, &Of { tenant: DEFAULT.into() }).await?;
    let issuer = match &call.issuer {
        Some(url) => issuer(url)?,
        None => format!("{}/t/{}", tenant::primary_issuer(app.db().read(), home.id).await?, call.slug),
    };
    if tenant::taken(app.db().read(), &call.slug, &issuer).await? {
        return Err(failed("this slug or address belongs to another tenant"));
    }
    let new = NewTenant { slug: call.slug.clone(), name, issuer: issuer.clone() };
    let store = app.store.clone();
    let id = app
        .db()
        .write(async move |tx| {
            let id = tenant::create(tx, &store, &new).await?;
            let event = Event::success(audit::kind::TENANT_CREATE)
                .with(json!({ "slug": new.slug, "issuer": new.issuer, "by": "command line" }));
            audit::record(tx, &Origin::of_process(id, store.now()), event).await?;
            Ok(id)
        })
        .await?;
    serve::begin(&app, id).await?;
    match call.json {
        true => say_json(&json!({ "id": id, "slug": call.slug, "issuer": issuer })),
        false => say(format_args!("issuer:    {issuer}\ndiscovery: {issuer}/.well-known/openid-configuration")),
    }
}

async fn list(common: &Common, json: bool) -> Done {
    let app = opened(common).await?;
    let rows = tenant::list(app.db().read()).await?;
    if json {
        let told = |(t, i): &(entity::tenant::Model, Option<entity::issuer::Model>)| json!({ "id": t.id, "slug": t.slug, "name": t.name, "status": t.status, "issuer": i.as_ref().map(|i| &i.url) });
        return say_json(&rows.iter().map(told).collect());
    }
    let line = |(t, i): &(entity::tenant::Model, Option<entity::issuer::Model>)| {
        vec![
            t.slug.clone(),
            t.name.clone(),
            t.status.to_string(),
            i.as_ref().map(|i| i.url.clone()).unwrap_or_default(),
        ]
    };
    table(&["SLUG", "NAME", "STATUS", "ISSUER"], &rows.iter().map(line).collect::<Vec<_>>())
}

async fn shift(common: &Common, to: &str) -> Done {
    let to = issuer(to)?;
    let app = opened(common).await?;
    let home = tenant_of(&app, &Of { tenant: DEFAULT.into() }).await?;
    let from = tenant::primary_issuer(app.db().read(), home.id).await?;
    if from == to {
        return say(format_args!("the public URL is {to} already"));
    }
    let (store, old, new) = (app.store.clone(), from.clone(), to.clone());
    let moved = app
        .db()
        .write(async move |tx| {
            let now = store.now();
            let moved = tenant::move_issuers(tx, (&old, &new), Keep::Served, now).await?;
            let event = Event::success(audit::kind::TENANT_UPDATE)
                .with(json!({ "from": old, "to": new, "by": "command line" }));
            audit::record(tx, &Origin::of_process(home.id, now), event).await?;
            Ok(moved)
        })
        .await?;
    say(format_args!("{moved} issuer(s) moved from {from} to {to}"))?;
    note(format_args!(
        "Set public_url to {to} and restart the server with it. The old address stays served for as long as it leads here; applications can change over one by one."
    ));
    Ok(())
}

pub async fn keys(common: &Common, call: SigningKeys) -> Done {
    match call {
        SigningKeys::List { of, json } => list_keys(common, &of, json).await,
        SigningKeys::Rotate { of, now } => rotate(common, &of, if now { Start::Now } else { Start::Published }).await,
        SigningKeys::Revoke { of, kid } => revoke(common, &of, &kid).await,
    }
}

async fn list_keys(common: &Common, of: &Of, json: bool) -> Done {
    let app = opened(common).await?;
    let tenant = tenant_of(&app, of).await?;
    let set = app.keys.set(&app.store, &tenant).await?;
    let now = app.store.now();
    if json {
        let told = |k: &keys::Key| json!({ "kid": k.kid, "alg": k.alg, "state": set.state(k, now).as_str(), "active_at": k.active_at.seconds(), "gone_at": k.gone_at.map(Micros::seconds) });
        return say_json(&set.keys().iter().map(told).collect());
    }
    let line = |k: &keys::Key| {
        vec![
            k.alg.to_string(),
            set.state(k, now).as_str().to_owned(),
            k.kid.clone(),
            day(k.active_at),
            k.gone_at.map(day).unwrap_or_default(),
        ]
    };
    table(&["ALG", "STATE", "KID", "SIGNS FROM", "PUBLISHED UNTIL"], &set.keys().iter().map(line).collect::<Vec<_>>())
}

fn day(at: Micros) -> String {
    crate::locale::Locale::En.date_and_time(at)
}

async fn rotate(common: &Common, of: &Of, start: Start) -> Done {
    let app = opened(common).await?;
    let tenant = tenant_of(&app, of).await?;
    let made = keys::rotate(&app.store, tenant.id, start, Duration::ZERO).await?;
    if made.is_empty() {
        return say("every key has a successor already; --now lets them sign at once");
    }
    for (alg, kid) in &made {
        match start {
            Start::Now => say(format_args!("{alg} {kid} signs now"))?,
            Start::Published => say(format_args!("{alg} {kid} is published and will sign in time"))?,
        }
    }
    Ok(())
}

async fn revoke(common: &Common, of: &Of, kid: &str) -> Done {
    let app = opened(common).await?;
    let tenant = tenant_of(&app, of).await?;
    if !keys::revoke(&app.store, tenant.id, kid).await? {
        return Err(failed(format_args!(
            "there is no key {kid:?} that could be revoked; `keyward keys list` shows them"
        )));
    }
    say(format_args!("{kid} is revoked: what it signed is refused"))
}
