//! A server per test, with a database of its own and a clock that the test holds.

pub mod browser;
pub mod database;
pub mod hand;
pub mod jwt;
pub mod process;
pub mod rp;
pub mod site;
pub mod vectors;

pub use browser::Browser;

use entity::{ClientAuth, GrantType, JwsAlg, Micros, PkceRule, Role, Scopes, TenantId, UserId};
use keyward::account::profile::Profile;
use keyward::account::{self, Identifier, NewPerson};
use keyward::app::App;
use keyward::client::{self, Metadata, Registration, standard_scopes};
use keyward::clock::Clock;
use keyward::config::Sources;
use keyward::serve::{self, Jobs};
use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;

pub const EMAIL: &str = "ada@example.com";
pub const PASSWORD: &str = "correct horse battery staple";
pub const CALLBACK: &str = "https://app.example.com/cb";

/// One node: what `serve` runs, in this process.
pub struct Server {
    pub app: Arc<App>,
    pub tenant: TenantId,
    pub issuer: String,
    pub setup_url: Option<String>,
    pub clock: Clock,
    pub port: u16,
    stop: actix_web::dev::ServerHandle,
    ended: Option<tokio::sync::oneshot::Receiver<keyward::error::Result<()>>>,
    dir: Arc<TempDir>,
    database: Arc<database::Database>,
    environment: HashMap<String, String>,
}

/// What outlives a process: data directory, database, environment.
type House = (Arc<TempDir>, Arc<database::Database>, HashMap<String, String>);

/// Where a node listens (0: anywhere), what it is reached as, and how long its connections may stand still.
#[derive(Default)]
struct At {
    port: u16,
    public: Option<String>,
    patience: Option<Duration>,
}

/// A registered application, as it knows itself.
#[derive(Clone, Debug)]
pub struct Registered {
    pub id: String,
    pub secret: Option<String>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With options from the environment, such as `("KEYWARD__TOKENS__ACCESS", "1m")`.
    pub async fn start_with(options: &[(&str, &str)]) -> Self {
        Self::start_at(options, At::default()).await
    }

    /// One that closes connections which stand still for so long.
    pub async fn start_within(patience: Duration) -> Self {
        Self::start_at(&[], At { patience: Some(patience), ..At::default() }).await
    }

    async fn start_at(options: &[(&str, &str)], at: At) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let database = Arc::new(database::Database::new(dir.path()).await);
        let environment = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let node = Self::node((dir, database, environment), Clock::default(), at).await;
        node.unwrap_or_else(|e| panic!("the server did not start: {e}"))
    }

    /// A second node on the same database and data directory, with a clock and cache of its own; reached as the first.
    pub async fn second(&self) -> Self {
        assert!(!self.database.is_file(), "two servers cannot share a SQLite file");
        let house = (self.dir.clone(), self.database.clone(), self.environment.clone());
        let at = At { public: Some(self.issuer.clone()), ..At::default() };
        Self::node(house, Clock::default(), at).await.unwrap_or_else(|e| panic!("the second node did not start: {e}"))
    }

    /// Stops it, as SIGTERM does, and starts it again where it was, with the same clock.
    pub async fn restart(self) -> Self {
        self.restart_with(&[]).await.unwrap_or_else(|e| panic!("the server did not start again: {e}"))
    }

    /// The same with other options; a start that fails gives the line that it says.
    pub async fn restart_with(mut self, options: &[(&str, &str)]) -> Result<Self, String> {
        let mut environment = self.environment.clone();
        environment.extend(options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let house = (self.dir.clone(), self.database.clone(), environment);
        let (clock, at) =
            (self.clock.clone(), At { port: self.port, public: Some(self.issuer.clone()), patience: None });
        if self.ended.is_some() {
            self.stop.stop(true).await;
            self.end().await.ok();
        }
        drop(self);
        Self::node(house, clock, at).await
    }

    /// Makes the next commit fail, once nothing but the test writes: the worker of the jobs is done with the first ones.
    pub async fn fail_next_commit(&self) {
        let began = std::time::Instant::now();
        while keyward::queue::next_due(self.app.db()).await.unwrap().is_some() {
            assert!(began.elapsed().as_secs() < 20, "the jobs are never done");
            tokio::task::yield_now().await;
        }
        self.app.db().fail_next_commit();
    }

    /// Waits until `serve` has ended by itself, and says how.
    pub async fn end(&mut self) -> keyward::error::Result<()> {
        self.ended.take().expect("it was waited for").await.unwrap()
    }

    /// Every audit event, oldest first.
    pub async fn events(&self) -> Vec<entity::audit_event::Model> {
        use sea_orm::{EntityTrait, QueryOrder};
        let all = entity::audit_event::Entity::find().order_by_asc(entity::audit_event::Column::At);
        all.all(self.app.db().read()).await.unwrap()
    }

    /// How often something happened.
    pub async fn count(&self, kind: &str) -> usize {
        self.events().await.iter().filter(|e| e.kind == kind).count()
    }

    async fn node(house: House, clock: Clock, at: At) -> Result<Self, String> {
        let (dir, database, environment) = house;
        let (public, patience) = (at.public, at.patience);
        let listener = TcpListener::bind(("127.0.0.1", at.port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let public = public.unwrap_or_else(|| format!("http://localhost:{port}"));
        let mut all = HashMap::from([
            ("KEYWARD__SERVER__DATA_DIR".to_owned(), dir.path().display().to_string()),
            ("KEYWARD__SERVER__LISTEN".to_owned(), format!("127.0.0.1:{port}")),
            ("KEYWARD__SERVER__PUBLIC_URL".to_owned(), public.clone()),
            ("KEYWARD__SERVER__WORKERS".to_owned(), "2".to_owned()),
            ("KEYWARD__PASSWORD__MEMORY_KIB".to_owned(), "7168".to_owned()),
            ("KEYWARD__PASSWORD__ITERATIONS".to_owned(), "1".to_owned()),
            ("KEYWARD__DATABASE__POOL_SIZE".to_owned(), "8".to_owned()),
            ("DATABASE_URL".to_owned(), database.url()),
        ]);
        all.extend(environment.clone());
        let (config, _) =
            Sources { file: None, environment: all, flags: vec![] }.load().unwrap_or_else(|p| panic!("{p:?}"));
        let issuer = config.public_url();
        let (told, hear) = tokio::sync::oneshot::channel();
        let (over, ended) = tokio::sync::oneshot::channel();
        let held = clock.clone();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let ready = serve::prepare(config, held).await;
                match ready {
                    Ok(ready) => {
                        let app = ready.app.clone();
                        let (server, handle) = match patience {
                            Some(patience) => serve::server_within(app, listener, patience),
                            None => serve::server(app, listener),
                        }
                        .unwrap();
                        let _ = told.send(Ok((ready, handle)));
                        let outcome = serve::run(server, Jobs::Here).await;
                        let _ = over.send(outcome);
                    }
                    Err(e) => drop(told.send(Err(e))),
                }
            });
        });
        let (ready, stop) = hear.await.unwrap().map_err(|e| e.to_string())?;
        Ok(Self {
            app: ready.app,
            tenant: ready.tenant,
            issuer,
            setup_url: ready.setup_url,
            clock,
            port,
            stop,
            ended: Some(ended),
            dir,
            database,
            environment,
        })
    }

    /// Whether the database is a file that only one node can have.
    pub fn on_a_file(&self) -> bool {
        self.database.is_file()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    pub fn now(&self) -> Micros {
        self.clock.now()
    }

    /// A person with a password and every standard claim.
    pub async fn person(&self) -> UserId {
        self.person_named(EMAIL, "Ada Lovelace", Role::User).await
    }

    pub async fn person_named(&self, email: &str, name: &str, role: Role) -> UserId {
        self.person_of(self.tenant, (email, name), role).await
    }

    pub async fn person_of(&self, tenant: TenantId, (email, name): (&str, &str), role: Role) -> UserId {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let profile = serde_json::json!({
            "given_name": "Ada", "family_name": "Lovelace", "middle_name": "King", "nickname": "Addie",
            "profile": "https://example.com/ada", "picture": "https://example.com/ada.png", "website": "https://ada.example.com",
            "gender": "female", "birthdate": "1815-12-10", "zoneinfo": "Europe/London", "locale": "en-GB",
            "address": { "street_address": "12 St James's Square", "locality": "London", "postal_code": "SW1Y 4JH", "country": "UK" }
        });
        let profile: Profile = serde_json::from_value(profile).unwrap();
        let username = format!("ada.{number}");
        let phone = format!("+4420794{number:05}");
        let person = NewPerson {
            name: name.to_owned(),
            email: Some((Identifier::email(email).unwrap(), email.to_owned())),
            email_verified: true,
            username: Some((Identifier::username(&username).unwrap(), username)),
            phone: Some((Identifier::phone(&phone).unwrap(), phone)),
            phc: Some(self.app.passwords.hash(PASSWORD).await.unwrap()),
            role,
            profile,
        };
        let now = self.now();
        self.app.db().write(async move |tx| account::create(tx, tenant, &person, now).await).await.unwrap().unwrap()
    }

    /// A confidential application with everything that is usual.
    pub async fn client(&self) -> Registered {
        self.client_with(|_| {}).await
    }

    pub async fn client_with(&self, change: impl FnOnce(&mut Registration)) -> Registered {
        self.client_of(self.tenant, change).await
    }

    pub async fn client_of(&self, tenant: TenantId, change: impl FnOnce(&mut Registration)) -> Registered {
        let mut registration = Registration {
            name: "Wiki".into(),
            redirect_uris: vec![CALLBACK.into()],
            post_logout_redirect_uris: vec!["https://app.example.com/bye".into()],
            allowed_origins: vec![],
            token_endpoint_auth_method: ClientAuth::Basic,
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials],
            scopes: standard_scopes().or(&Scopes::of(["api", "introspection"])),
            pkce: PkceRule::Required,
            jwks: None,
            id_token_signed_response_alg: JwsAlg::Rs256,
            access_token_signed_response_alg: None,
            first_party: false,
            approved: true,
            client_uri: Some("https://app.example.com/".into()),
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            metadata: Metadata::default(),
            registration_token: None,
        };
        change(&mut registration);
        if registration.token_endpoint_auth_method == ClientAuth::None {
            registration.grant_types.retain(|g| *g != GrantType::ClientCredentials);
        }
        registration.check().unwrap();
        let store = self.app.store.clone();
        let made = self
            .app
            .db()
            .write(async move |tx| client::register(tx, &store, tenant, &registration).await)
            .await
            .unwrap();
        self.app.store.cache.changed_here();
        Registered { id: made.client_id, secret: made.secret.map(|s| s.to_string()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.stop(false));
    }
}
