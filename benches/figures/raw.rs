//! What the work costs by itself: the cryptography of one request, and the statements of one request on the same kind of
//! database, without HTTP, policy and audit. CPU of this process, in milliseconds.

use argon2::{Algorithm, Argon2, Params, Version};
use entity::{BrowserSessionId, GrantId, Hash, Scopes, SessionId, SigningAlg, Texts, browser_session, session};
use keyward::account::profile::Profile;
use keyward::account::{self, Identifier, NewPerson};
use keyward::app::App;
use keyward::client::{self, Registration, standard_scopes};
use keyward::clock::Clock;
use keyward::config::Sources;
use keyward::grant::{self, Bound, Redemption, Terms};
use keyward::jose::{Signer, Verifier, generate};
use keyward::serve;
use keyward::tenant::Tenant;
use sea_orm::{ActiveValue::Set, EntityTrait};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub struct Raw {
    pub rs256: f64,
    pub es256: f64,
    pub es256_verify: f64,
    pub argon2: f64,
    /// A code written, read, spent, and its grant written.
    pub code_rows: f64,
    /// A grant read, its token rotated, its person read.
    pub refresh_rows: f64,
    /// A grant, a revocation and a person looked up.
    pub look_ups: f64,
}

fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 10.0
}

/// CPU per call over a second and a half.
fn each(mut work: impl FnMut()) -> f64 {
    work();
    let (began, before, mut count) = (Instant::now(), cpu(), 0);
    while began.elapsed() < Duration::from_millis(1500) {
        work();
        count += 1;
    }
    (cpu() - before) / f64::from(count)
}

pub fn measure() -> Raw {
    let key = |alg| generate(alg, 2048).ok().unwrap();
    let (rsa, ec) = (key(SigningAlg::Rs256), key(SigningAlg::Es256));
    let signer = |alg, private: &str| Signer::new(alg, private).ok().unwrap();
    let (rs256, es256) = (signer(SigningAlg::Rs256, &rsa.private), signer(SigningAlg::Es256, &ec.private));
    let claims = serde_json::json!({ "iss": "https://id.example.com", "sub": "app.7jF7dUyy46G9b3u", "exp": 1_795_580_880, "scope": "api" });
    let token = es256.sign("at+jwt", &claims).ok().unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature).unwrap();
    let verifier = Verifier::new(&ec.public).unwrap();
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(19_456, 2, 1, Some(32)).unwrap());
    let mut out = [0; 32];
    let (code_rows, refresh_rows, look_ups) = actix_web::rt::System::new().block_on(rows());
    Raw {
        rs256: each(|| drop(rs256.sign("at+jwt", &claims).ok().unwrap())),
        es256: each(|| drop(es256.sign("at+jwt", &claims).ok().unwrap())),
        es256_verify: each(|| assert!(verifier.proves(SigningAlg::Es256, message.as_bytes(), &signature))),
        argon2: each(|| {
            argon.hash_password_into(b"seven quiet llamas by the sea", b"sixteen bytes of", &mut out).unwrap()
        }),
        code_rows,
        refresh_rows,
        look_ups,
    }
}

/// The statements alone, by as many callers at once as the load has connections.
async fn rows() -> (f64, f64, f64) {
    let dir = tempfile::tempdir().unwrap();
    let environment = HashMap::from([("KEYWARD__SERVER__DATA_DIR".to_owned(), dir.path().display().to_string())]);
    let (config, _) = Sources { file: None, environment, flags: vec![] }.load().unwrap();
    let app = serve::prepare(config, Clock::default()).await.ok().unwrap().app;
    let tenant = app.tenants.by_slug(&app.store, "default").await.ok().unwrap().unwrap();
    let bound = furnish(&app, &tenant).await;
    let terms = Terms {
        now: app.store.now(),
        refresh: true,
        offline: true,
        refresh_idle: Duration::from_secs(3600),
        refresh_max: Duration::from_secs(7200),
        access_token: Duration::from_secs(900),
    };
    let code = many(async || {
        let (t, b) = (tenant.clone(), bound.clone());
        let redemption = Redemption { redirect_uri: Some("https://app.example/cb".into()), code_challenge: None };
        let code = app
            .db()
            .write(async move |tx| {
                grant::put_code(tx, t.id, b.clone(), redemption.clone(), (terms.now, terms.now.plus(t.settings.code)))
                    .await
            })
            .await
            .ok()
            .unwrap();
        let row = grant::find_code(app.db().read(), tenant.id, &code).await.ok().unwrap().unwrap();
        let (t, b, id) = (tenant.clone(), bound.clone(), GrantId::new());
        let write = app.db().write(async move |tx| {
            assert!(grant::spend_code(tx, &row, id, terms.now).await?);
            account::held(tx, t.id, b.user).await?;
            grant::put_grant(tx, &t, id, &b, terms).await
        });
        drop(write.await.ok().unwrap());
    })
    .await;
    let refresh = many(async || {
        let (t, b, id) = (tenant.clone(), bound.clone(), GrantId::new());
        let token =
            app.db().write(async move |tx| grant::put_grant(tx, &t, id, &b, terms).await).await.ok().unwrap().unwrap();
        let presented = grant::present(&tenant, &token).unwrap();
        grant::find_grant(app.db().read(), tenant.id, id).await.ok().unwrap();
        let (t, user) = (tenant.clone(), bound.user);
        let write = app.db().write(async move |tx| {
            let rotated = grant::rotate(tx, &t, &t.settings, &presented, terms.now).await?;
            account::held(tx, t.id, user).await?;
            Ok(rotated)
        });
        drop(write.await.ok().unwrap());
    })
    .await;
    let put = many(async || {
        let (t, b, id) = (tenant.clone(), bound.clone(), GrantId::new());
        drop(app.db().write(async move |tx| grant::put_grant(tx, &t, id, &b, terms).await).await.ok().unwrap());
    })
    .await;
    let look = many(async || {
        grant::find_grant(app.db().read(), tenant.id, GrantId::new()).await.ok().unwrap();
        grant::is_revoked(app.db().read(), tenant.id, "jti").await.ok().unwrap();
        account::user(app.db().read(), tenant.id, bound.user).await.ok().unwrap();
    })
    .await;
    // A grant had to be made for each rotation; that is no part of one.
    (code, refresh - put, look)
}

async fn many(work: impl AsyncFn()) -> f64 {
    let round = async || {
        let eight = (0..8).map(|_| work());
        futures_util::future::join_all(eight).await;
    };
    round().await;
    let (began, before, mut count) = (Instant::now(), cpu(), 0);
    while began.elapsed() < Duration::from_secs(2) {
        round().await;
        count += 8;
    }
    (cpu() - before) / f64::from(count)
}

/// A client, a person and a session to hang codes on.
async fn furnish(app: &Arc<App>, tenant: &Arc<Tenant>) -> Bound {
    let (id, now) = (tenant.id, app.store.now());
    let registration = Registration {
        name: "w".into(),
        redirect_uris: vec!["https://app.example/cb".into()],
        post_logout_redirect_uris: vec![],
        allowed_origins: vec![],
        token_endpoint_auth_method: entity::ClientAuth::Basic,
        grant_types: vec![entity::GrantType::AuthorizationCode],
        scopes: standard_scopes(),
        pkce: entity::PkceRule::Required,
        jwks: None,
        id_token_signed_response_alg: entity::JwsAlg::Rs256,
        access_token_signed_response_alg: None,
        first_party: true,
        approved: true,
        client_uri: None,
        logo_uri: None,
        policy_uri: None,
        tos_uri: None,
        metadata: Default::default(),
        registration_token: None,
    };
    let person = NewPerson {
        name: "Bench".into(),
        email: Some((Identifier::email("a@example.com").unwrap(), "a@example.com".into())),
        email_verified: true,
        username: None,
        phone: None,
        phc: None,
        role: entity::Role::User,
        profile: Profile::default(),
    };
    let store = app.store.clone();
    let made = app.db().write(async move |tx| {
        let client = client::register(tx, &store, id, &registration).await?;
        let user = account::create(tx, id, &person, now).await?.unwrap();
        let (browser, session_id) = (BrowserSessionId::new(), SessionId::new());
        let row = browser_session::ActiveModel {
            tenant_id: Set(id),
            id: Set(browser),
            secret: Set(Hash(vec![1; 32])),
            browser: Set(Hash(vec![2; 32])),
            created_at: Set(now),
            ended_at: Set(None),
        };
        browser_session::Entity::insert(row).exec_without_returning(tx).await?;
        let row = session::ActiveModel {
            tenant_id: Set(id),
            id: Set(session_id),
            browser_session: Set(browser),
            user_id: Set(user),
            browser: Set(Hash(vec![2; 32])),
            auth_time: Set(now),
            amr: Set(Texts::default()),
            acr: Set("1fa".into()),
            remember: Set(false),
            ip: Set("127.0.0.1".into()),
            user_agent: Set(String::new()),
            created_at: Set(now),
            last_used_at: Set(now),
            idle_expires_at: Set(now.plus(Duration::from_secs(3600))),
            expires_at: Set(now.plus(Duration::from_secs(3600))),
            ended_at: Set(None),
        };
        session::Entity::insert(row).exec_without_returning(tx).await?;
        Ok((client.key, user, session_id))
    });
    let (client, user, session) = made.await.ok().unwrap();
    Bound {
        client,
        user,
        session,
        issuer: "http://localhost:8080".into(),
        claims: None,
        scopes: Scopes::of(["openid"]),
        nonce: None,
        auth_time: now,
        amr: Texts::default(),
        acr: "1fa".into(),
    }
}
