//! `client create`, `list`, `show`, `rotate-secret`, `disable`, `enable`, `delete`.

use super::{Common, Done, Failure, Of, failed, note, opened, say, say_json, table, tenant_of};
use crate::app::App;
use crate::audit::{self, Event, Origin};
use crate::client::{self, Metadata, Registration, ResponseType, standard_scopes};
use crate::jose::parse_client_jwks;
use crate::queue;
use crate::tenant::{self, Tenant};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use entity::{ClientAuth, GrantType, JobKind, JwsAlg, PkceRule, Scopes, SigningAlg, Status, client as row};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Subcommand)]
pub enum Client {
    /// Register an application; prints client_id and secret once
    #[command(after_help = "Example:\n  keyward client create --name Wiki --redirect-uri https://wiki.example/cb")]
    Create(Box<Create>),
    /// Make a token that lets somebody register applications by software (RFC 7591)
    #[command(after_help = "Example:\n  keyward client registration-token --name CI --uses 10")]
    RegistrationToken(RegistrationToken),
    /// Show all applications
    #[command(after_help = "Example:\n  keyward client list --json")]
    List {
        #[command(flatten)]
        of: Of,
        /// For scripts
        #[arg(long)]
        json: bool,
    },
    /// Show one application
    #[command(after_help = "Example:\n  keyward client show CLIENT_ID")]
    Show {
        #[command(flatten)]
        which: Which,
        /// For scripts
        #[arg(long)]
        json: bool,
    },
    /// Make a new secret; the one before goes on for a while
    #[command(after_help = "Example:\n  keyward client rotate-secret CLIENT_ID --overlap-hours 1")]
    RotateSecret {
        #[command(flatten)]
        which: Which,
        /// How many hours the secret before goes on; 0 ends it at once
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(0..=8760))]
        overlap_hours: u64,
        /// For scripts
        #[arg(long)]
        json: bool,
    },
    /// Refuse an application everything until it is enabled again
    #[command(after_help = "Example:\n  keyward client disable CLIENT_ID")]
    Disable(Which),
    /// Let a disabled application go on
    #[command(after_help = "Example:\n  keyward client enable CLIENT_ID")]
    Enable(Which),
    /// Remove an application with its grants and consents
    #[command(after_help = "Example:\n  keyward client delete CLIENT_ID")]
    Delete(Which),
}

#[derive(Args)]
pub struct RegistrationToken {
    #[command(flatten)]
    of: Of,
    /// What it is for
    #[arg(long)]
    name: String,
    /// How many registrations it is good for
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    uses: u32,
    /// How long it is good for, in hours
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=87_600))]
    hours: u64,
    /// For scripts
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Which {
    #[command(flatten)]
    of: Of,
    /// The client_id
    client_id: String,
}

#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    of: Of,
    /// What people see it called
    #[arg(long)]
    name: String,
    /// Where people are sent back to; may be given several times
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Where people may be sent after signing out
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    post_logout_redirect_uris: Vec<String>,
    /// Origin of scripts that call the token endpoint, such as https://app.example
    #[arg(long = "allowed-origin", value_name = "ORIGIN")]
    allowed_origins: Vec<String>,
    /// For single-page and native applications: no secret, always PKCE
    #[arg(long, conflicts_with_all = ["token_endpoint_auth_method", "jwks"])]
    public: bool,
    /// How it proves who it is [default: client_secret_basic]
    #[arg(long, value_name = "METHOD", value_parser = word(ClientAuth::ALL, ClientAuth::as_str))]
    token_endpoint_auth_method: Option<ClientAuth>,
    /// How it gets tokens; may be given several times [default: authorization_code and refresh_token]
    #[arg(long = "grant", value_name = "GRANT", value_parser = word(GrantType::ALL, GrantType::as_str))]
    grants: Vec<GrantType>,
    /// A scope that it may ask for; may be given several times [default: the standard ones; none for client_credentials alone]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Whether it must use PKCE
    #[arg(long, value_parser = word(PkceRule::ALL, PkceRule::as_str), default_value = "required")]
    pkce: PkceRule,
    /// Its public keys, a JWK Set, for private_key_jwt
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// What its ID tokens are signed with
    #[arg(long, value_parser = word(JwsAlg::ALL, JwsAlg::as_str), default_value = "RS256")]
    id_token_signed_response_alg: JwsAlg,
    /// What its access tokens are signed with [default: ES256]
    #[arg(long, value_parser = word(SigningAlg::ALL, SigningAlg::as_str))]
    access_token_signed_response_alg: Option<SigningAlg>,
    /// An application of your own: people are not asked for consent
    #[arg(long)]
    first_party: bool,
    /// Its home page
    #[arg(long, value_name = "URL")]
    client_uri: Option<String>,
    /// A response type such as "code id_token"; may be given several times [default: code]
    #[arg(long = "response-type", value_name = "TYPES", value_parser = ResponseType::read)]
    response_types: Vec<ResponseType>,
    /// A JSON file with any other client metadata of OpenID Connect Registration, such as {"subject_type": "pairwise"}
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
    /// For scripts
    #[arg(long)]
    json: bool,
}

/// A word of our vocabulary; help and refusals list them all.
fn word<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let known = PossibleValuesParser::new(all.iter().map(|word| name(*word)));
    known.try_map(move |text| all.iter().copied().find(|word| name(*word) == text).ok_or("is not known"))
}

pub async fn run(common: &Common, call: Client) -> Done {
    match call {
        Client::Create(call) => create(common, *call).await,
        Client::RegistrationToken(call) => registration_token(common, &call).await,
        Client::List { of, json } => list(common, &of, json).await,
        Client::Show { which, json } => {
            let (app, tenant, row) = find(common, &which).await?;
            show(&app, &tenant, (&row, json)).await
        }
        Client::RotateSecret { which, overlap_hours, json } => rotate(common, &which, (overlap_hours, json)).await,
        Client::Disable(which) => set(common, &which, Status::Disabled).await,
        Client::Enable(which) => set(common, &which, Status::Active).await,
        Client::Delete(which) => delete(common, &which).await,
    }
}

fn registration(call: &Create) -> Result<Registration, Failure> {
    let jwks = call.jwks.as_deref().map(|path| json_file("--jwks", path)).transpose()?;
    if let (Some(jwks), Some(path)) = (&jwks, &call.jwks) {
        let wrong = |e| {
            let wanted = "a JWK Set is wanted, such as {\"keys\": [...]}";
            Failure::Call(format!("--jwks {}: {e}; {wanted}", path.display()))
        };
        parse_client_jwks(&jwks.to_string()).map_err(wrong)?;
    }
    let more = call.metadata.as_deref().map(|path| json_file("--metadata", path)).transpose()?;
    let more = match more {
        Some(Value::Object(more)) => more,
        Some(_) => return Err(Failure::Call("--metadata: a JSON object is wanted".into())),
        None => serde_json::Map::new(),
    };
    // A file that somebody wrote by hand: what would be passed over is a slip.
    if let Some(name) = more.keys().find(|n| !Metadata::NAMES.contains(&n.as_str()) && !LINKS.contains(&n.as_str())) {
        let known = [Metadata::NAMES, &LINKS].concat().join(", ");
        return Err(Failure::Call(format!("--metadata: {name} is none of: {known}")));
    }
    let mut metadata = Metadata::read(&more).map_err(Failure::Call)?;
    if !call.response_types.is_empty() {
        metadata.response_types.clone_from(&call.response_types);
    }
    let text = |name: &str| client::metadata::field(&more, name).map_err(Failure::Call);
    let method = match (call.public, call.token_endpoint_auth_method, &jwks) {
        (true, ..) => ClientAuth::None,
        (false, Some(method), _) => method,
        (false, None, Some(_)) => ClientAuth::PrivateKeyJwt,
        (false, None, None) if metadata.jwks_uri.is_some() => ClientAuth::PrivateKeyJwt,
        (false, None, None) => ClientAuth::Basic,
    };
    if method == ClientAuth::PrivateKeyJwt && jwks.is_none() {
        return Err(Failure::Call("private_key_jwt needs the application's public keys: --jwks FILE".into()));
    }
    let scopes = match call.scopes[..] {
        // The standard ones are about people.
        [] if call.grants == [GrantType::ClientCredentials] => Scopes::default(),
        [] => standard_scopes(),
        _ => Scopes::parse(&call.scopes.join(" "))
            .ok_or_else(|| Failure::Call("--scope: a scope has characters that are not allowed".into()))?,
    };
    let grant_types = match (&call.grants[..], call.redirect_uris.is_empty()) {
        ([], false) if metadata.response_types().iter().any(|t| t.is_front()) => {
            vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::Implicit]
        }
        ([], false) => vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        ([], true) => {
            return Err(Failure::Call(
                "--redirect-uri is missing; for an application without people: --grant client_credentials".into(),
            ));
        }
        (grants, _) => grants.to_vec(),
    };
    let registration = Registration {
        name: call.name.clone(),
        redirect_uris: call.redirect_uris.clone(),
        post_logout_redirect_uris: call.post_logout_redirect_uris.clone(),
        allowed_origins: call.allowed_origins.clone(),
        token_endpoint_auth_method: method,
        grant_types,
        scopes,
        pkce: call.pkce,
        jwks,
        id_token_signed_response_alg: call.id_token_signed_response_alg,
        access_token_signed_response_alg: call.access_token_signed_response_alg,
        first_party: call.first_party,
        approved: true,
        client_uri: call.client_uri.clone(),
        logo_uri: text("logo_uri")?,
        policy_uri: text("policy_uri")?,
        tos_uri: text("tos_uri")?,
        metadata,
        registration_token: None,
    };
    registration.check().map_err(Failure::Call)?;
    Ok(registration)
}

/// What a metadata file may name beside [`Metadata::NAMES`].
const LINKS: [&str; 3] = ["logo_uri", "policy_uri", "tos_uri"];

fn json_file(flag: &str, path: &Path) -> Result<Value, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| failed(format_args!("{flag} {}: {e}", path.display())))?;
    serde_json::from_str(&text).map_err(|e| Failure::Call(format!("{flag} {}: not JSON: {e}", path.display())))
}

async fn registration_token(common: &Common, call: &RegistrationToken) -> Done {
    let app = opened(common).await?;
    let tenant = tenant_of(&app, &call.of).await?;
    let (now, id, name, uses) = (app.store.now(), tenant.id, call.name.clone(), call.uses);
    let until = now.plus(Duration::from_secs(call.hours * 3600));
    let token = app
        .db()
        .write(async move |tx| {
            let token = client::initial::make(tx, id, (&name, uses), (now, until)).await?;
            let event = Event::success(audit::kind::SETTINGS_UPDATE);
            let event = event.with(json!({ "initial_access_token": name, "uses": uses, "by": "command line" }));
            audit::record(tx, &Origin::of_process(id, now), event).await?;
            Ok(token)
        })
        .await?;
    let issuer = tenant::primary_issuer(app.db().read(), tenant.id).await?;
    if call.json {
        return say_json(
            &json!({ "initial_access_token": *token, "registration_endpoint": format!("{issuer}/oauth2/register") }),
        );
    }
    say(format_args!("initial_access_token:  {}", *token))?;
    say(format_args!("registration_endpoint: {issuer}/oauth2/register"))?;
    note(format_args!("Keep the token now: it is not shown again. It is sent as `Authorization: Bearer ...`."));
    Ok(())
}

async fn create(common: &Common, call: Create) -> Done {
    let registration = registration(&call)?;
    let method = registration.token_endpoint_auth_method;
    let app = opened(common).await?;
    let tenant = tenant_of(&app, &call.of).await?;
    let (store, id) = (app.store.clone(), tenant.id);
    let made = app
        .db()
        .write(async move |tx| {
            let now = store.now();
            let made = client::register(tx, &store, id, &registration).await?;
            let event = Event::success(audit::kind::CLIENT_CREATE)
                .client(made.key)
                .with(json!({ "name": registration.name, "by": "command line" }));
            audit::record(tx, &Origin::of_process(id, now), event).await?;
            Ok(made)
        })
        .await?;
    let issuer = tenant::primary_issuer(app.db().read(), tenant.id).await?;
    if call.json {
        let mut told = json!({ "client_id": made.client_id, "issuer": issuer });
        if let Some(secret) = &made.secret {
            told["client_secret"] = Value::String(secret.to_string());
        }
        return say_json(&told);
    }
    say(format_args!("client_id:      {}", made.client_id))?;
    if let Some(secret) = &made.secret {
        say(format_args!("client_secret:  {}", **secret))?;
    }
    say(format_args!("authentication: {method}"))?;
    say(format_args!("issuer:         {issuer}"))?;
    say(format_args!("discovery:      {issuer}/.well-known/openid-configuration"))?;
    if made.secret.is_some() {
        note("Keep the secret now: it is not shown again.");
    }
    Ok(())
}

fn told(row: &row::Model) -> Value {
    json!({
        "client_id": row.client_id,
        "client_name": row.name,
        "status": row.status,
        "token_endpoint_auth_method": row.token_endpoint_auth_method,
        "grant_types": row.grant_types,
        "redirect_uris": row.redirect_uris,
        "post_logout_redirect_uris": row.post_logout_redirect_uris,
        "allowed_origins": row.allowed_origins,
        "scope": row.scopes.to_string(),
        "pkce": row.pkce,
        "id_token_signed_response_alg": row.id_token_signed_response_alg,
        "access_token_signed_response_alg": row.access_token_signed_response_alg,
        "first_party": row.first_party,
        "client_uri": row.client_uri,
        "created_at": row.created_at.seconds(),
    })
}

async fn list(common: &Common, of: &Of, json: bool) -> Done {
    let app = opened(common).await?;
    let tenant = tenant_of(&app, of).await?;
    let rows = client::list(app.db().read(), tenant.id).await?;
    if json {
        return say_json(&rows.iter().map(told).collect());
    }
    if rows.is_empty() {
        return say("no application yet; `keyward client create --help` shows how to register one");
    }
    let line = |r: &row::Model| {
        vec![r.client_id.clone(), r.name.clone(), r.token_endpoint_auth_method.to_string(), r.status.to_string()]
    };
    table(&["CLIENT_ID", "NAME", "AUTHENTICATION", "STATUS"], &rows.iter().map(line).collect::<Vec<_>>())
}

async fn find(common: &Common, which: &Which) -> Result<(Arc<App>, Arc<Tenant>, row::Model), Failure> {
    let app = opened(common).await?;
    let tenant = tenant_of(&app, &which.of).await?;
    let row = client::by_client_id(app.db().read(), tenant.id, &which.client_id).await?;
    let row = row.ok_or_else(|| {
        failed(format_args!("there is no client {:?}; `keyward client list` shows them", which.client_id))
    })?;
    Ok((app, tenant, row))
}

async fn show(app: &App, tenant: &Tenant, (row, json): (&row::Model, bool)) -> Done {
    if json {
        return say_json(&told(row));
    }
    let issuer = tenant::primary_issuer(app.db().read(), tenant.id).await?;
    say(format_args!("client_id:      {}", row.client_id))?;
    say(format_args!("name:           {}", row.name))?;
    say(format_args!("status:         {}", row.status))?;
    say(format_args!("authentication: {}", row.token_endpoint_auth_method))?;
    say(format_args!("grants:         {}", row.grant_types.0.join(" ")))?;
    say(format_args!("scopes:         {}", row.scopes))?;
    say(format_args!("pkce:           {}", row.pkce))?;
    for uri in &row.redirect_uris.0 {
        say(format_args!("redirect_uri:   {uri}"))?;
    }
    for uri in &row.post_logout_redirect_uris.0 {
        say(format_args!("post_logout_redirect_uri: {uri}"))?;
    }
    for origin in &row.allowed_origins.0 {
        say(format_args!("allowed_origin: {origin}"))?;
    }
    say(format_args!("discovery:      {issuer}/.well-known/openid-configuration"))?;
    for job in queue::failed(app.db(), tenant.id, JobKind::BackchannelLogout, 1_000).await? {
        if job.payload.0["client"] == json!(row.id) {
            let end = if job.dead_at.is_some() { "given up" } else { "tried again" };
            let why = job.last_error.unwrap_or_default();
            say(format_args!("logout not told: {} times, {end}: {why}", job.attempts))?;
        }
    }
    Ok(())
}

async fn rotate(common: &Common, which: &Which, (hours, json): (u64, bool)) -> Done {
    let (app, tenant, row) = find(common, which).await?;
    if !matches!(row.token_endpoint_auth_method, ClientAuth::Basic | ClientAuth::Post | ClientAuth::SecretJwt) {
        return Err(failed("this client has no secret"));
    }
    let (store, id) = (app.store.clone(), tenant.id);
    let secret = app
        .db()
        .write(async move |tx| {
            let now = store.now();
            let secret = client::rotate_secret(tx, &store, &row, Duration::from_secs(hours * 3600)).await?;
            let event =
                Event::success(audit::kind::CLIENT_SECRET_ROTATE).client(row.id).with(json!({ "by": "command line" }));
            audit::record(tx, &Origin::of_process(id, now), event).await?;
            Ok(secret)
        })
        .await?;
    if json {
        return say_json(&json!({ "client_id": which.client_id, "client_secret": *secret }));
    }
    say(format_args!("client_secret: {}", *secret))?;
    note(format_args!("The secret before goes on for {hours} hour(s). Keep the new one now: it is not shown again."));
    Ok(())
}

async fn set(common: &Common, which: &Which, status: Status) -> Done {
    let (app, tenant, row) = find(common, which).await?;
    let (store, id) = (app.store.clone(), tenant.id);
    app.db()
        .write(async move |tx| {
            let now = store.now();
            client::set_status(tx, &row, status, now).await?;
            let event = Event::success(audit::kind::CLIENT_UPDATE)
                .client(row.id)
                .with(json!({ "status": status, "by": "command line" }));
            audit::record(tx, &Origin::of_process(id, now), event).await
        })
        .await?;
    say(format_args!("{} is {status}", which.client_id))
}

async fn delete(common: &Common, which: &Which) -> Done {
    let (app, tenant, row) = find(common, which).await?;
    let (store, id) = (app.store.clone(), tenant.id);
    app.db()
        .write(async move |tx| {
            let now = store.now();
            client::delete(tx, &row, now).await?;
            let event = Event::success(audit::kind::CLIENT_DELETE)
                .with(json!({ "client_id": row.client_id, "name": row.name, "by": "command line" }));
            audit::record(tx, &Origin::of_process(id, now), event).await
        })
        .await?;
    say(format_args!("{} is gone", which.client_id))
}
