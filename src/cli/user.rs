//! `user create`, `list`, `set-password`, `disable`, `enable`.

use super::{Common, Done, Failure, Of, failed, note, opened, say, say_json, table, tenant_of};
use crate::account::profile::Profile;
use crate::account::{self, Identifier, NewPerson, Person};
use crate::app::App;
use crate::audit::{self, Event, Origin};
use crate::flow;
use crate::hash::{acceptable, in_words};
use crate::tenant::Tenant;
use clap::{Args, Subcommand};
use entity::{Role, Status, UserId};
use serde_json::json;
use std::io::Read;
use std::path::PathBuf;
use zeroize::Zeroizing;

#[derive(Subcommand)]
pub enum User {
    /// Make a person
    #[command(
        after_help = "Example:\n  printf %s 'a long pass phrase' | keyward user create --email ada@example.com --name 'Ada Lovelace' --password-stdin --email-verified"
    )]
    Create(Create),
    /// Show the newest people
    #[command(after_help = "Example:\n  keyward user list --limit 20")]
    List {
        #[command(flatten)]
        of: Of,
        /// For scripts
        #[arg(long)]
        json: bool,
        /// How many at most
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
        limit: u64,
    },
    /// Give somebody another password; their sessions and tokens end at once
    #[command(
        after_help = "Example:\n  printf %s 'a long pass phrase' | keyward user set-password --email ada@example.com --password-stdin"
    )]
    SetPassword(SetPassword),
    /// Let somebody in no more: sessions and tokens end at once
    #[command(after_help = "Example:\n  keyward user disable ada@example.com")]
    Disable(Who),
    /// Let somebody in again; what ended stays ended
    #[command(after_help = "Example:\n  keyward user enable ada@example.com")]
    Enable(Who),
}

#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    of: Of,
    /// E-mail address
    #[arg(long)]
    email: String,
    /// Full name
    #[arg(long)]
    name: String,
    /// User name, to sign in with beside the e-mail address
    #[arg(long)]
    username: Option<String>,
    /// Phone number in international form, such as +4930123456
    #[arg(long)]
    phone: Option<String>,
    /// Read the password from standard input (one line)
    #[arg(long)]
    password_stdin: bool,
    /// Make an administrator
    #[arg(long)]
    admin: bool,
    /// The address is known to be theirs
    #[arg(long)]
    email_verified: bool,
    /// Further standard claims as a JSON object, such as {"given_name":"Ada","birthdate":"1815-12-10"}
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// For scripts
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct SetPassword {
    #[command(flatten)]
    of: Of,
    /// E-mail address
    #[arg(long)]
    email: String,
    /// Read the password from standard input (one line)
    #[arg(long, required = true)]
    password_stdin: bool,
}

#[derive(Args)]
pub struct Who {
    #[command(flatten)]
    of: Of,
    /// E-mail address or user name
    who: String,
}

pub async fn run(common: &Common, call: User) -> Done {
    match call {
        User::Create(call) => create(common, call).await,
        User::List { of, json, limit } => list(common, &of, (json, limit)).await,
        User::SetPassword(call) => set_password(common, call).await,
        User::Disable(who) => set(common, who, Status::Disabled).await,
        User::Enable(who) => set(common, who, Status::Active).await,
    }
}

async fn create(common: &Common, call: Create) -> Done {
    let wrong = |says: &str| Failure::Call(says.to_owned());
    let email = Identifier::email(&call.email).ok_or_else(|| wrong("--email: this is no e-mail address"))?;
    let name = call.name.trim().to_owned();
    if !account::is_name(&name) {
        return Err(wrong("--name: 1 to 200 characters without control characters"));
    }
    let username = match &call.username {
        Some(text) => Some((
            Identifier::username(text).ok_or_else(|| wrong("--username: 3 to 20 of letters, digits, _ . -"))?,
            text.clone(),
        )),
        None => None,
    };
    let phone = match &call.phone {
        Some(text) => {
            let by = Identifier::phone(text).ok_or_else(|| wrong("--phone: a plus and 7 to 15 digits"))?;
            let shown = by.key.clone();
            Some((by, shown))
        }
        None => None,
    };
    let profile = match &call.claims {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|e| failed(format_args!("--claims {}: {e}", path.display())))?;
            let profile: Profile =
                serde_json::from_str(&text).map_err(|e| Failure::Call(format!("--claims {}: {e}", path.display())))?;
            profile.check().map_err(|e| Failure::Call(format!("--claims: {e}")))?;
            profile
        }
        None => Profile::default(),
    };
    let password = if call.password_stdin { Some(from_stdin()?) } else { None };
    let app = opened(common).await?;
    let tenant = tenant_of(&app, &call.of).await?;
    let phc = match &password {
        Some(password) => Some(hashed(&app, password, &[&call.email, &name, &tenant.brand.name]).await?),
        None => None,
    };
    let role = match (call.admin, tenant.is_default()) {
        (false, _) => Role::User,
        (true, true) => Role::SuperAdmin,
        (true, false) => Role::Admin,
    };
    let person = NewPerson {
        name,
        email: Some((email, call.email.trim().to_owned())),
        email_verified: call.email_verified,
        username,
        phone,
        phc,
        role,
        profile,
    };
    let (store, id) = (app.store.clone(), tenant.id);
    let made = app
        .db()
        .write(async move |tx| {
            let now = store.now();
            let made = account::create(tx, id, &person, now).await?;
            if let Ok(user) = made {
                let event = Event::success(audit::kind::USER_SIGNUP)
                    .on(user)
                    .with(json!({ "role": role, "by": "command line" }));
                audit::record(tx, &Origin::of_process(id, now), event).await?;
            }
            Ok(made)
        })
        .await?;
    let user = made.map_err(|_| failed("somebody is found by this address, user name or phone number already"))?;
    let person =
        account::by_id(app.db().read(), tenant.id, user).await?.ok_or_else(|| failed("the person is gone again"))?;
    match call.json {
        true => say_json(&shown(&person)),
        false => say(format_args!("made {} ({}), subject {}", person.user.name, person.handle(), person.user.sub)),
    }?;
    if password.is_none() {
        note(format_args!(
            "There is no password yet, so that nobody can sign in; to set one: keyward user set-password --email {} --password-stdin",
            person.handle()
        ));
    }
    Ok(())
}

/// What is kept of a new password, once it may be one.
async fn hashed(app: &App, password: &str, names: &[&str]) -> Result<String, Failure> {
    let least = app.config().password.min_length;
    acceptable(password, names, least).map_err(|id| Failure::Call(in_words(id, least)))?;
    Ok(app.passwords.hash(password).await?)
}

async fn set_password(common: &Common, call: SetPassword) -> Done {
    let password = from_stdin()?;
    let app = opened(common).await?;
    let tenant = tenant_of(&app, &call.of).await?;
    let user = find(&app, &tenant, &call.email).await?;
    let person = account::by_id(app.db().read(), tenant.id, user).await?;
    let name = person.map(|p| p.user.name).unwrap_or_default();
    let phc = hashed(&app, &password, &[&call.email, &name, &tenant.brand.name]).await?;
    let (store, id, inner) = (app.store.clone(), tenant.id, tenant.clone());
    app.db()
        .write(async move |tx| {
            let now = store.now();
            account::reset_password(tx, id, user, (&phc, now)).await?;
            flow::end_all_of(tx, &inner, user, now).await?;
            let event = Event::success(audit::kind::PASSWORD_CHANGE).on(user).with(json!({ "by": "command line" }));
            audit::record(tx, &Origin::of_process(id, now), event).await
        })
        .await?;
    say(format_args!("{} has another password; whoever was signed in with the old one is signed out", call.email))
}

/// One line; what ends it is no part of the password.
fn from_stdin() -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .take(64 * 1024)
        .read_to_string(&mut text)
        .map_err(|e| failed(format_args!("standard input: {e}")))?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    if text.is_empty() { Err(Failure::Call("--password-stdin: standard input is empty".into())) } else { Ok(text) }
}

fn shown(person: &Person) -> serde_json::Value {
    json!({
        "id": person.user.id,
        "sub": person.user.sub,
        "name": person.user.name,
        "status": person.user.status,
        "role": person.user.role,
        "identifiers": person.identifiers.iter().map(|i| json!({ "kind": i.kind, "value": i.value, "verified": i.verified_at.is_some() })).collect::<Vec<_>>(),
        "created_at": person.user.created_at.seconds(),
    })
}

async fn list(common: &Common, of: &Of, (json, limit): (bool, u64)) -> Done {
    let app = opened(common).await?;
    let tenant = tenant_of(&app, of).await?;
    let people = account::list(app.db().read(), tenant.id, limit).await?;
    if json {
        return say_json(&people.iter().map(shown).collect());
    }
    if people.is_empty() {
        return say("nobody yet; `keyward user create --help` shows how to make somebody");
    }
    let row = |p: &Person| {
        vec![p.handle(), p.user.name.clone(), p.user.role.to_string(), p.user.status.to_string(), p.user.sub.clone()]
    };
    table(&["FOUND BY", "NAME", "ROLE", "STATUS", "SUBJECT"], &people.iter().map(row).collect::<Vec<_>>())
}

async fn find(app: &App, tenant: &Tenant, who: &str) -> Result<UserId, Failure> {
    let by = Identifier::typed(who)
        .ok_or_else(|| Failure::Call(format!("{who:?} is neither an e-mail address nor a user name")))?;
    account::find(app.db().read(), tenant.id, &by)
        .await?
        .ok_or_else(|| failed(format_args!("nobody is found by {who:?}")))
}

async fn set(common: &Common, call: Who, status: Status) -> Done {
    let app = opened(common).await?;
    let tenant = tenant_of(&app, &call.of).await?;
    let user = find(&app, &tenant, &call.who).await?;
    let (store, id, inner) = (app.store.clone(), tenant.id, tenant.clone());
    let done = app
        .db()
        .write(async move |tx| {
            let now = store.now();
            if status == Status::Disabled && account::is_last_administrator(tx, id, user).await? {
                return Ok(false);
            }
            account::set_status(tx, id, user, status, now).await?;
            if status == Status::Disabled {
                flow::end_all_of(tx, &inner, user, now).await?;
            }
            let event = match status {
                Status::Disabled => {
                    Event::success(audit::kind::USER_BANNED).on(user).with(json!({ "by": "command line" }))
                }
                Status::Active => Event::success(audit::kind::USER_UPDATE)
                    .on(user)
                    .with(json!({ "status": "active", "by": "command line" })),
            };
            audit::record(tx, &Origin::of_process(id, now), event).await?;
            Ok(true)
        })
        .await?;
    if !done {
        return Err(failed(format_args!(
            "{} is the last active administrator; make another one first: keyward user create --admin",
            call.who
        )));
    }
    say(format_args!("{} is {status}", call.who))
}
