//! `kill -9` between any two steps of the code flow, and under load: nothing acknowledged is lost, nobody is let in.
//!
//! The driver writes a line to its journal, with fsync, before each request and after each answer. A request without an
//! answer may have happened or not, but must settle one way and stay so (requirements/reliability.md section 1).
//!
//! `KEYWARD_CRASH_ROUNDS=100 cargo test --test it crash` runs the long form.

use crate::support::browser::{Browser, Page, http};
use crate::support::process::{House, PASSWORD, Serving};
use crate::support::{CALLBACK, Registered, database, rp};
use entity::{Hash, authorization_code, token_grant};
use reqwest::Method;
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Ready again after a plain restart (reliability.md, I9).
const READY: Duration = Duration::from_secs(10);
const PEOPLE: usize = 3;

#[allow(clippy::disallowed_methods)]
fn rounds(short: usize) -> usize {
    std::env::var("KEYWARD_CRASH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(short)
}

fn chance(below: u64) -> u64 {
    (uuid::Uuid::new_v4().as_u128() % u128::from(below)) as u64
}

/// The connection broke before the answer was whole: the outcome is unknown.
#[derive(Debug)]
struct Cut;

/// The journal: on disk before a request leaves and after its answer has come.
#[derive(Clone)]
struct Journal(Arc<Mutex<(File, Vec<String>)>>);

impl Journal {
    fn note(&self, line: String) {
        let mut inner = self.0.lock().unwrap();
        writeln!(inner.0, "{line}").unwrap();
        inner.0.sync_data().unwrap();
        inner.1.push(line);
    }

    fn tail(&self) -> String {
        let lines = &self.0.lock().unwrap().1;
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

struct World {
    house: House,
    client: Registered,
    journal: Journal,
    kills: AtomicUsize,
    unanswered: AtomicUsize,
    slowest_ms: AtomicU64,
}

impl World {
    async fn new() -> (Arc<Self>, Serving) {
        let mut house = House::new().await;
        for (name, value) in [
            // Attempts that a kill cut off stay counted, as they must; here they are thousands from one address.
            ("KEYWARD__LIMITS__SIGN_IN_ATTEMPTS", "1000000"),
            ("KEYWARD__LIMITS__SIGN_IN_PER_ADDRESS", "1000000"),
            ("KEYWARD__LIMITS__SIGN_IN_PER_ACCOUNT", "1000000"),
            ("KEYWARD__LIMITS__FLOWS_PER_ADDRESS", "1000000"),
            // Longer than a restart on a busy machine.
            ("KEYWARD__TOKENS__REFRESH_GRACE", "60s"),
            ("KEYWARD__TOKENS__CODE", "10m"),
            ("KEYWARD__LOG__LEVEL", "error"),
        ] {
            house.set(name, value);
        }
        let serving = house.serve();
        for n in 0..PEOPLE {
            house.person(&format!("p{n}@example.com"), &[]);
        }
        let made = house.run(&[
            "client",
            "create",
            "--name",
            "Wiki",
            "--redirect-uri",
            CALLBACK,
            "--grant",
            "authorization_code",
            "--grant",
            "refresh_token",
            "--grant",
            "client_credentials",
            "--scope",
            "openid",
            "--scope",
            "profile",
            "--scope",
            "email",
            "--scope",
            "offline_access",
            "--scope",
            "api",
            "--json",
        ]);
        let made = made.json();
        let client = Registered {
            id: made["client_id"].as_str().unwrap().to_owned(),
            secret: made["client_secret"].as_str().map(str::to_owned),
        };
        let journal = Journal(Arc::new(Mutex::new((tempfile::tempfile().unwrap(), vec![]))));
        let world = Self { house, client, journal, kills: 0.into(), unanswered: 0.into(), slowest_ms: 0.into() };
        (Arc::new(world), serving)
    }

    /// Kills, looks through what it said, and starts it again.
    fn again(&self, serving: Serving) -> Serving {
        self.journal.note("kill -9".into());
        let log = serving.kill();
        assert!(!log.contains("panicked"), "{log}");
        let began = Instant::now();
        let serving = self.house.serve();
        let took = began.elapsed();
        assert!(took < READY, "ready after {took:?}");
        self.kills.fetch_add(1, Ordering::Relaxed);
        self.slowest_ms.fetch_max(took.as_millis() as u64, Ordering::Relaxed);
        serving
    }

    /// What no crash may leave behind (I4).
    async fn is_whole(&self) {
        let db = self.house.connect().await;
        if db.get_database_backend() == DbBackend::Sqlite {
            for (pragma, well) in [("integrity_check", Some("ok")), ("foreign_key_check", None)] {
                let rows = db
                    .query_all_raw(Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {pragma}")))
                    .await
                    .unwrap();
                let first: Option<String> = rows.first().map(|r| r.try_get_by_index(0).unwrap());
                assert_eq!(first.as_deref(), well, "{pragma}");
            }
        }
        db.close().await.unwrap();
    }

    /// Whether anything that came of this code is still alive.
    async fn alive(&self, code: &str) -> bool {
        let db = self.house.connect().await;
        let hash = Hash(Sha256::digest(code).to_vec());
        let row = authorization_code::Entity::find().filter(authorization_code::Column::Hash.eq(hash)).one(&db).await;
        let grant = row.unwrap().unwrap_or_else(|| panic!("a code that was acknowledged is gone")).grant_id;
        let alive = match grant {
            Some(id) => {
                let row = token_grant::Entity::find().filter(token_grant::Column::Id.eq(id)).one(&db).await.unwrap();
                row.is_some_and(|g| g.revoked_at.is_none())
            }
            None => false,
        };
        db.close().await.unwrap();
        alive
    }

    async fn call(&self, path: &str, form: &[(&str, &str)]) -> Result<(u16, Value), Cut> {
        self.journal.note(format!("send {path} {form:?}"));
        let cut = |_| {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            self.journal.note(format!("cut  {path}"));
            Cut
        };
        let request = http()
            .post(format!("{}{path}", self.house.issuer()))
            .basic_auth(&self.client.id, self.client.secret.as_ref())
            .form(form);
        let response = request.send().await.map_err(cut)?;
        let status = response.status().as_u16();
        let text = response.text().await.map_err(cut)?;
        self.journal.note(format!("got  {path} {status} {text}"));
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    async fn redeem(&self, code: &str) -> Result<(u16, Value), Cut> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", rp::VERIFIER),
        ];
        self.call("/oauth2/token", &form).await
    }

    async fn refresh(&self, token: &str) -> Result<(u16, Value), Cut> {
        self.call("/oauth2/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn active(&self, token: &str) -> bool {
        let (status, told) = self.call("/oauth2/introspect", &[("token", token)]).await.unwrap();
        assert_eq!(status, 200, "{told}");
        told["active"].as_bool().unwrap()
    }

    fn visitor(self: &Arc<Self>) -> Visitor {
        let person = format!("p{}@example.com", chance(PEOPLE as u64));
        Visitor { world: self.clone(), browser: Browser::unpooled(&self.house.issuer()), person }
    }

    fn told(&self) -> String {
        format!(
            "{} kills, {} requests without an answer, slowest restart {} ms",
            self.kills.load(Ordering::Relaxed),
            self.unanswered.load(Ordering::Relaxed),
            self.slowest_ms.load(Ordering::Relaxed)
        )
    }
}

/// A person with a browser.
struct Visitor {
    world: Arc<World>,
    browser: Browser,
    person: String,
}

impl Visitor {
    async fn send(&mut self, method: Method, url: &str, form: Option<&[(&str, &str)]>) -> Result<Page, Cut> {
        self.world.journal.note(format!("send {method} {url}"));
        match self.browser.try_send(method, url, form).await {
            Ok(page) => {
                self.world.journal.note(format!("got  {} {:?}", page.status, page.location()));
                Ok(page)
            }
            Err(_) => {
                self.world.unanswered.fetch_add(1, Ordering::Relaxed);
                self.world.journal.note("cut".into());
                Err(Cut)
            }
        }
    }

    async fn get(&mut self, url: &str) -> Result<Page, Cut> {
        self.send(Method::GET, url, None).await
    }

    async fn answer(&mut self, page: &Page, fields: &[(&str, &str)]) -> Result<Page, Cut> {
        let mut form = page.hidden();
        form.extend(fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let form: Vec<(&str, &str)> = form.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        self.send(Method::POST, &page.action(), Some(&form)).await
    }

    async fn signed_in(&mut self) -> Result<bool, Cut> {
        let url = format!("{}/account", self.world.house.issuer());
        Ok(self.get(&url).await?.status == 200)
    }
}

/// The steps of the code flow, and what may follow.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Step {
    Authorize,
    LoginPage,
    SignIn,
    ConsentPage,
    Consent,
    Redeem,
    Refresh,
    Introspect,
    Revoke,
    SignOut,
}

const STEPS: [Step; 10] = [
    Step::Authorize,
    Step::LoginPage,
    Step::SignIn,
    Step::ConsentPage,
    Step::Consent,
    Step::Redeem,
    Step::Refresh,
    Step::Introspect,
    Step::Revoke,
    Step::SignOut,
];

/// One walk through the code flow, with what was acknowledged so far.
struct Walk {
    visitor: Visitor,
    page: Option<Page>,
    code: String,
    access: String,
    refresh: String,
    old_refresh: String,
    before_sign_out: Option<Browser>,
}

impl Walk {
    fn new(world: &Arc<World>) -> Self {
        Self {
            visitor: world.visitor(),
            page: None,
            code: String::new(),
            access: String::new(),
            refresh: String::new(),
            old_refresh: String::new(),
            before_sign_out: None,
        }
    }

    fn next_url(&self) -> String {
        self.page.as_ref().unwrap().location().unwrap_or_else(|| panic!("{}", self.page.as_ref().unwrap().body))
    }

    /// Takes one step; an answer that is not the right one fails the test.
    async fn take(&mut self, step: Step) -> Result<(), Cut> {
        let world = self.visitor.world.clone();
        let expect = |page: &Page, status: u16| {
            assert_eq!(page.status.as_u16(), status, "{step:?}\n{}\n{}", page.body, world.journal.tail())
        };
        match step {
            Step::Authorize => {
                let url = rp::authorize_at(&world.house.issuer(), &world.client, &[("prompt", "consent")]);
                let page = self.visitor.get(&url).await?;
                expect(&page, 303);
                self.page = Some(page);
            }
            Step::LoginPage | Step::ConsentPage => {
                let page = self.visitor.get(&self.next_url()).await?;
                expect(&page, 200);
                let name = if step == Step::LoginPage { "password" } else { "decision" };
                assert!(page.has(name, None), "{step:?}\n{}", page.body);
                self.page = Some(page);
            }
            Step::SignIn => {
                let fields = [("identifier", self.visitor.person.as_str()), ("password", PASSWORD)]
                    .map(|(k, v)| (k, v.to_owned()));
                let fields: Vec<(&str, &str)> = fields.iter().map(|(k, v)| (*k, v.as_str())).collect();
                let form = self.page.take().unwrap();
                let page = self.visitor.answer(&form, &fields).await?;
                expect(&page, 303);
                self.page = Some(page);
            }
            Step::Consent => {
                let form = self.page.take().unwrap();
                let page = self.visitor.answer(&form, &[("decision", "allow")]).await?;
                expect(&page, 303);
                self.code = page.returned()["code"].clone();
                self.page = Some(page);
            }
            Step::Redeem => {
                let (status, told) = world.redeem(&self.code).await?;
                assert_eq!(status, 200, "{told}\n{}", world.journal.tail());
                self.keep(&told);
            }
            Step::Refresh => {
                let (status, told) = world.refresh(&self.refresh).await?;
                assert_eq!(status, 200, "{told}\n{}", world.journal.tail());
                self.keep(&told);
            }
            Step::Introspect => {
                let (status, told) = world.call("/oauth2/introspect", &[("token", &self.access)]).await?;
                assert!(status == 200 && told["active"] == true, "{told}\n{}", world.journal.tail());
            }
            Step::Revoke => {
                let (status, _) = world.call("/oauth2/revoke", &[("token", &self.refresh)]).await?;
                assert_eq!(status, 200);
            }
            Step::SignOut => {
                let url = format!("{}/account", world.house.issuer());
                let page = self.visitor.get(&url).await?;
                expect(&page, 200);
                let mut before = Browser::unpooled(&world.house.issuer());
                before.cookies = self.visitor.browser.cookies.clone();
                self.before_sign_out = Some(before);
                let csrf = page.hidden().into_iter().find(|(name, _)| name == "csrf").unwrap().1;
                let url = format!("{}/signout", world.house.issuer());
                let page = self.visitor.send(Method::POST, &url, Some(&[("csrf", &csrf)])).await?;
                expect(&page, 200);
            }
        }
        Ok(())
    }

    fn keep(&mut self, told: &Value) {
        let text = |name: &str| told[name].as_str().unwrap_or_else(|| panic!("no {name} in {told}")).to_owned();
        self.old_refresh = std::mem::replace(&mut self.refresh, text("refresh_token"));
        self.access = text("access_token");
    }

    /// After a restart: what was acknowledged up to this step is there, and what ended has ended.
    async fn holds(&mut self, done: Step) {
        let world = self.visitor.world.clone();
        let journal = world.journal.clone();
        let fail = |what: &str| format!("{what} after {done:?}\n{}", journal.tail());
        if (Step::SignIn..Step::SignOut).contains(&done) {
            assert!(self.visitor.signed_in().await.unwrap(), "{}", fail("the session is lost"));
        }
        if (Step::Redeem..Step::Revoke).contains(&done) {
            assert!(world.active(&self.access).await, "{}", fail("the access token is lost"));
            assert!(world.active(&self.refresh).await, "{}", fail("the refresh token is lost"));
        }
        if done >= Step::Revoke {
            assert!(!world.active(&self.access).await, "{}", fail("the access token came back"));
            assert!(!world.active(&self.refresh).await, "{}", fail("the refresh token came back"));
            assert_eq!(world.refresh(&self.refresh).await.unwrap().0, 400, "{}", fail("a revoked grant was refreshed"));
        }
        if done == Step::SignOut {
            let page = self.before_sign_out.as_mut().unwrap().get("/account").await;
            assert_eq!(page.status, 303, "{}", fail("a signed-out browser was let in"));
        }
        if done >= Step::Redeem {
            let (status, told) = world.redeem(&self.code).await.unwrap();
            assert_eq!(
                (status, told["error"].as_str()),
                (400, Some("invalid_grant")),
                "{}",
                fail("a code worked twice")
            );
            assert!(!world.alive(&self.code).await, "{}", fail("a replay left tokens alive"));
            assert!(!world.active(&self.refresh).await);
        }
    }

    /// After a restart: a step without an answer has happened or not, and stays so.
    async fn settles(&mut self, step: Step) {
        let world = self.visitor.world.clone();
        match step {
            Step::Authorize | Step::LoginPage | Step::ConsentPage | Step::Introspect => {}
            Step::SignIn => {
                // The cookie was never told, so that whoever has this browser is nobody.
                if !self.visitor.browser.cookies.keys().any(|name| name.starts_with("sid-")) {
                    assert!(!self.visitor.signed_in().await.unwrap(), "{}", world.journal.tail());
                }
            }
            Step::Consent => {}
            Step::Redeem => {
                let (status, told) = world.redeem(&self.code).await.unwrap();
                match status {
                    200 => {
                        self.keep(&told);
                        assert!(world.active(&self.access).await);
                        assert_eq!(world.redeem(&self.code).await.unwrap().0, 400);
                    }
                    _ => assert_eq!(told["error"], "invalid_grant"),
                }
                assert!(
                    !world.alive(&self.code).await,
                    "tokens that nobody was told live on\n{}",
                    world.journal.tail()
                );
            }
            Step::Refresh => {
                let (status, first) = world.refresh(&self.refresh).await.unwrap();
                assert_eq!(status, 200, "a lost answer ended the family: {first}\n{}", world.journal.tail());
                let (status, second) = world.refresh(&self.refresh).await.unwrap();
                assert_eq!(status, 200, "{second}");
                assert_eq!(first["refresh_token"], second["refresh_token"], "two successors");
                // Further on the line, the grandparent is no longer welcome and takes the family with it.
                let (_, third) = world.refresh(first["refresh_token"].as_str().unwrap()).await.unwrap();
                assert_eq!(world.refresh(&self.refresh).await.unwrap().0, 400);
                assert_eq!(world.refresh(third["refresh_token"].as_str().unwrap()).await.unwrap().0, 400);
            }
            Step::Revoke => {
                let alive = world.active(&self.refresh).await;
                assert_eq!(world.active(&self.refresh).await, alive);
                assert_eq!(world.active(&self.access).await, alive, "half revoked\n{}", world.journal.tail());
                assert_eq!(world.refresh(&self.refresh).await.unwrap().0, if alive { 200 } else { 400 });
            }
            Step::SignOut => {
                if let Some(before) = &mut self.before_sign_out {
                    let first = before.get("/account").await.status;
                    assert_eq!(before.get("/account").await.status, first);
                }
            }
        }
        // Whatever happened, the person gets through in the end.
        let mut walk = Walk::new(&world);
        for step in STEPS {
            walk.take(step).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_kill_between_any_two_steps_of_the_code_flow_loses_nothing_and_lets_nobody_in() {
    let (world, mut serving) = World::new().await;
    for pass in 0..rounds(1) {
        for (at, step) in STEPS.into_iter().enumerate() {
            // After its answer: looked at right there, or after the rest of the way.
            let mut walk = Walk::new(&world);
            for before in &STEPS[..=at] {
                walk.take(*before).await.unwrap();
            }
            serving = world.again(serving);
            if (at + pass) % 2 == 0 {
                walk.holds(step).await;
            } else {
                for after in &STEPS[at + 1..] {
                    walk.take(*after).await.unwrap();
                }
                walk.holds(Step::SignOut).await;
            }

            // In the middle of it.
            let mut walk = Walk::new(&world);
            for before in &STEPS[..at] {
                walk.take(*before).await.unwrap();
            }
            let pause = Duration::from_micros(chance(if step == Step::SignIn { 40_000 } else { 12_000 }));
            let (outcome, next) = tokio::join!(walk.take(step), async {
                tokio::time::sleep(pause).await;
                world.again(serving)
            });
            serving = next;
            match outcome {
                Ok(()) => walk.holds(step).await,
                Err(Cut) => walk.settles(step).await,
            }
        }
        world.is_whole().await;
    }
    println!("between the steps: {}", world.told());
}

/// What a worker was told, to be looked at after the crash.
enum Fact {
    Session { browser: Browser, now: Known },
    Code { code: String, redeemed: Known },
    Grant { code: String, access: String, line: Vec<String>, refreshing: bool, revoked: Known },
    Token { access: String, revoked: Known },
}

/// Whether something was done: acknowledged, never asked for, or asked for without an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    Yes,
    No,
    Unknown,
}

/// What all workers were told, in numbers that the audit events must bear out (I7).
#[derive(Default)]
struct Counts {
    logins: usize,
    logins_unanswered: usize,
    sign_outs: usize,
    sign_outs_unanswered: usize,
    facts: usize,
}

/// Works until the server is gone.
async fn worker(world: Arc<World>, killed: Arc<AtomicBool>) -> (Vec<Fact>, Counts) {
    let (mut facts, mut counts) = (vec![], Counts::default());
    // Whoever was between two requests goes on with the new process to the end of the round.
    while round(&world, &mut facts, &mut counts).await.is_ok() && !killed.load(Ordering::Relaxed) {}
    (facts, counts)
}

async fn round(world: &Arc<World>, facts: &mut Vec<Fact>, counts: &mut Counts) -> Result<(), Cut> {
    match chance(4) {
        0 => {
            let (status, told) =
                world.call("/oauth2/token", &[("grant_type", "client_credentials"), ("scope", "api")]).await?;
            assert_eq!(status, 200, "{told}");
            let access = told["access_token"].as_str().unwrap().to_owned();
            let mut revoked = Known::No;
            let mut outcome = Ok(());
            if chance(2) == 0 {
                (revoked, outcome) = match world.call("/oauth2/revoke", &[("token", &access)]).await {
                    Ok((200, _)) => (Known::Yes, Ok(())),
                    Ok((503, _)) => (Known::Unknown, Ok(())),
                    Ok((status, told)) => panic!("{status} {told}"),
                    Err(Cut) => (Known::Unknown, Err(Cut)),
                };
            }
            facts.push(Fact::Token { access, revoked });
            outcome
        }
        kind => walk(world, kind, facts, counts).await,
    }
}

/// A person signs in; then signs out again, or goes on to the application.
async fn walk(world: &Arc<World>, kind: u64, facts: &mut Vec<Fact>, counts: &mut Counts) -> Result<(), Cut> {
    let mut walk = Walk::new(world);
    walk.take(Step::Authorize).await?;
    walk.take(Step::LoginPage).await?;
    let page = walk.page.take().unwrap();
    let person = walk.visitor.person.clone();
    let answered = walk.visitor.answer(&page, &[("identifier", &person), ("password", PASSWORD)]).await;
    let page = match answered {
        Ok(page) if page.status == 303 => page,
        // Too many hashes wait: nothing was compared.
        Ok(page) if page.status == 503 => return Ok(()),
        Ok(page) => panic!("{} {}", page.status, page.body),
        Err(Cut) => {
            counts.logins_unanswered += 1;
            if !walk.visitor.browser.cookies.keys().any(|name| name.starts_with("sid-")) {
                facts.push(Fact::Session { browser: walk.visitor.browser, now: Known::No });
            }
            return Err(Cut);
        }
    };
    counts.logins += 1;
    walk.page = Some(page);
    if kind == 1 {
        let outcome = walk.take(Step::SignOut).await;
        let now = match (&outcome, &walk.before_sign_out) {
            (Ok(()), _) => {
                counts.sign_outs += 1;
                Known::No
            }
            (Err(Cut), Some(_)) => {
                counts.sign_outs_unanswered += 1;
                Known::Unknown
            }
            (Err(Cut), None) => Known::Yes,
        };
        facts.push(Fact::Session { browser: walk.before_sign_out.unwrap_or(walk.visitor.browser), now });
        return outcome;
    }
    let outcome = application(&mut walk, facts).await;
    facts.push(Fact::Session { browser: walk.visitor.browser, now: Known::Yes });
    outcome
}

async fn application(walk: &mut Walk, facts: &mut Vec<Fact>) -> Result<(), Cut> {
    walk.take(Step::ConsentPage).await?;
    walk.take(Step::Consent).await?;
    let code = walk.code.clone();
    if chance(6) == 0 {
        facts.push(Fact::Code { code, redeemed: Known::No });
        return Ok(());
    }
    if walk.take(Step::Redeem).await.is_err() {
        facts.push(Fact::Code { code, redeemed: Known::Unknown });
        return Err(Cut);
    }
    let mut line = vec![walk.refresh.clone()];
    let (mut revoked, mut outcome) = (Known::No, Ok(()));
    for _ in 0..chance(4) {
        if walk.take(Step::Refresh).await.is_err() {
            facts.push(Fact::Grant { code, access: walk.access.clone(), line, refreshing: true, revoked });
            return Err(Cut);
        }
        line.push(walk.refresh.clone());
    }
    if chance(3) == 0 {
        outcome = walk.take(Step::Revoke).await;
        revoked = if outcome.is_ok() { Known::Yes } else { Known::Unknown };
    }
    facts.push(Fact::Grant { code, access: walk.access.clone(), line, refreshing: false, revoked });
    outcome
}

impl Fact {
    async fn holds(&mut self, world: &World) {
        let tail = || world.journal.tail();
        match self {
            Fact::Session { browser, now } => {
                let status = browser.get("/account").await.status.as_u16();
                match now {
                    Known::Yes => assert_eq!(status, 200, "a session was lost\n{}", tail()),
                    Known::No => assert_eq!(status, 303, "somebody was let in\n{}", tail()),
                    Known::Unknown => assert_eq!(browser.get("/account").await.status.as_u16(), status),
                }
            }
            Fact::Code { code, redeemed } => {
                let (status, told) = world.redeem(code).await.unwrap();
                match redeemed {
                    Known::No => assert_eq!(status, 200, "a code was lost: {told}\n{}", tail()),
                    _ => assert!(status == 200 || told["error"] == "invalid_grant", "{told}"),
                }
                assert_eq!(world.redeem(code).await.unwrap().0, 400, "a code worked twice\n{}", tail());
                assert!(!world.alive(code).await, "a replay left tokens alive\n{}", tail());
            }
            Fact::Grant { code, access, line, refreshing, revoked } => {
                let newest = line.last().unwrap();
                match (revoked, refreshing) {
                    (Known::Yes, _) => {
                        assert!(
                            !world.active(access).await && !world.active(newest).await,
                            "a revoked token came back\n{}",
                            tail()
                        );
                        assert_eq!(world.refresh(newest).await.unwrap().0, 400);
                    }
                    (Known::Unknown, _) => {
                        let alive = world.active(newest).await;
                        assert_eq!(world.active(access).await, alive, "half revoked\n{}", tail());
                        assert_eq!(world.refresh(newest).await.unwrap().0, if alive { 200 } else { 400 });
                    }
                    (Known::No, true) => {
                        let (status, first) = world.refresh(newest).await.unwrap();
                        assert_eq!(status, 200, "a family was lost: {first}\n{}", tail());
                        let (_, second) = world.refresh(newest).await.unwrap();
                        assert_eq!(first["refresh_token"], second["refresh_token"], "two successors\n{}", tail());
                    }
                    (Known::No, false) => {
                        assert!(
                            world.active(access).await && world.active(newest).await,
                            "a token was lost\n{}",
                            tail()
                        );
                    }
                }
                if line.len() > 2 && chance(2) == 0 {
                    assert_eq!(world.refresh(&line[0]).await.unwrap().0, 400, "reuse was not seen\n{}", tail());
                } else {
                    assert_eq!(world.redeem(code).await.unwrap().0, 400, "a code worked twice\n{}", tail());
                }
                assert!(!world.alive(code).await && !world.active(newest).await, "reuse left tokens alive\n{}", tail());
            }
            Fact::Token { access, revoked } => {
                let alive = world.active(access).await;
                match revoked {
                    Known::Yes => assert!(!alive, "a revoked token came back\n{}", tail()),
                    Known::No => assert!(alive, "a token does not verify\n{}", tail()),
                    Known::Unknown => assert_eq!(world.active(access).await, alive),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_kill_under_load_loses_nothing_and_lets_nobody_in() {
    let (world, mut serving) = World::new().await;
    let mut sum = Counts::default();
    for _ in 0..rounds(3) {
        let killed = Arc::new(AtomicBool::new(false));
        let workers: Vec<_> = (0..6).map(|_| tokio::spawn(worker(world.clone(), killed.clone()))).collect();
        tokio::time::sleep(Duration::from_millis(150 + chance(1_500))).await;
        serving = world.again(serving);
        killed.store(true, Ordering::Relaxed);
        let mut told = vec![];
        for worker in workers {
            told.push(worker.await.unwrap());
        }
        for (facts, counts) in &mut told {
            sum.logins += counts.logins;
            sum.logins_unanswered += counts.logins_unanswered;
            sum.sign_outs += counts.sign_outs;
            sum.sign_outs_unanswered += counts.sign_outs_unanswered;
            sum.facts += facts.len();
            for fact in facts {
                fact.holds(&world).await;
            }
        }
        world.is_whole().await;
    }
    let events = world.house.events().await;
    let count = |kind: &str| events.iter().filter(|e| e.kind == kind).count();
    let within = |rows: usize, told: usize, unanswered: usize, what: &str| {
        assert!(
            (told..=told + unanswered).contains(&rows),
            "{what}: {rows} events for {told} and {unanswered} unanswered"
        );
    };
    within(count("user.login"), sum.logins, sum.logins_unanswered, "sign-ins");
    within(count("user.logout"), sum.sign_outs, sum.sign_outs_unanswered, "sign-outs");
    println!(
        "under load ({}): {}; {} facts, {} sign-ins looked at",
        if database::server_url().is_some() { "server" } else { "SQLite" },
        world.told(),
        sum.facts,
        sum.logins
    );
}
