//! A provider with dynamic registration, a site of an application, and the way from one to the other.

use crate::support::browser::http;
use crate::support::jwt::Key;
use crate::support::rp::{Answer, VERIFIER, answered, challenge, claims};
use crate::support::site::Site;
use crate::support::{Browser, Server};
use entity::SigningAlg;
use keyward::jose::{Audience, Expect, Expiry, Typ, Verifier, parse_client_jwks, verify};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub const REDIRECT: &str = "https://rp.example.com/cb";
pub const NONCE: &str = "n-0S6_WzA2Mj";
pub const STATE: &str = "af0ifjsldkj";

pub struct World {
    pub server: Server,
    pub site: Site,
    _dir: tempfile::TempDir,
    pub initial: String,
}

/// A registered client, with everything that it was answered.
pub struct Rp {
    pub id: String,
    pub secret: Option<String>,
    pub answer: Map<String, Value>,
    pub key: Key,
    pub kind: String,
    pub mode: Option<&'static str>,
}

/// What an application knows after the authorization endpoint.
pub type Given = BTreeMap<String, String>;

/// Response type and mode of every certification plan for an OP's core.
pub const PLANS: &[(&str, Option<&str>)] = &[
    ("code", None),
    ("id_token", None),
    ("id_token token", None),
    ("code id_token", None),
    ("code token", None),
    ("code id_token token", None),
    ("code", Some("form_post")),
    ("id_token", Some("form_post")),
    ("id_token token", Some("form_post")),
    ("code id_token", Some("form_post")),
    ("code token", Some("form_post")),
    ("code id_token token", Some("form_post")),
];

impl World {
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(options: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::start(dir.path()).await;
        let authority = site.authority.display().to_string();
        let mut all = vec![
            ("KEYWARD__FETCH__EXTRA_CA", authority.as_str()),
            ("KEYWARD__FETCH__PRIVATE_ADDRESSES", "127.0.0.0/8, ::1/128"),
            ("KEYWARD__REGISTRATION__GRANT_TYPES", "authorization_code, refresh_token, implicit"),
            ("KEYWARD__REGISTRATION__PER_HOUR", "1000"),
            ("KEYWARD__FETCH__TIMEOUT", "2s"),
        ];
        all.extend(options);
        let server = Server::start_with(&all).await;
        server.person().await;
        let (tenant, now) = (server.tenant, server.now());
        let until = now.plus(Duration::from_secs(365 * 86_400));
        let make = async move |tx: &keyward::db::Tx| {
            keyward::client::initial::make(tx, tenant, ("tests", 1_000), (now, until)).await
        };
        let initial = server.app.db().write(make).await.unwrap().to_string();
        Self { server, site, _dir: dir, initial }
    }

    /// Sends a registration.
    pub async fn send(&self, document: &Value) -> Answer {
        let request = http().post(self.server.url("/oauth2/register")).bearer_auth(&self.initial).json(document);
        answered(request).await
    }

    /// Registers a client as the suite does, for one response type.
    pub async fn rp(&self, (kind, mode): (&str, Option<&'static str>), changes: Value) -> Rp {
        self.rp_with(Key::new(SigningAlg::Rs256), (kind, mode), changes).await
    }

    pub async fn rp_with(&self, key: Key, (kind, mode): (&str, Option<&'static str>), changes: Value) -> Rp {
        let mut grants = vec![];
        if kind.split(' ').any(|w| w == "code") {
            grants.extend(["authorization_code", "refresh_token"]);
        }
        if kind.split(' ').any(|w| w != "code") {
            grants.push("implicit");
        }
        // A key without a name, as in most modules.
        let mut jwks = key.jwks();
        jwks["keys"][0].as_object_mut().unwrap().remove("kid");
        let mut document = json!({
            "client_name": "Suite", "redirect_uris": [REDIRECT], "response_types": [kind], "grant_types": grants,
            "token_endpoint_auth_method": "client_secret_basic", "jwks": jwks, "contacts": ["suite@example.com"],
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        if document["jwks_uri"].is_string() {
            document.as_object_mut().unwrap().remove("jwks");
        }
        let answer = self.send(&document).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/json"));
        let answer = answer.json().as_object().unwrap().clone();
        let secret = answer.get("client_secret").map(|s| s.as_str().unwrap().to_owned());
        assert_eq!(secret.is_some(), answer.contains_key("client_secret_expires_at"));
        let id = answer["client_id"].as_str().unwrap().to_owned();
        Rp { id, secret, answer, key, kind: kind.to_owned(), mode }
    }

    /// The address of an authorization request; later pairs replace earlier ones, an empty value leaves one out.
    pub fn request(&self, rp: &Rp, changes: &[(&str, &str)]) -> String {
        let mut pairs: Vec<(&str, &str)> = vec![
            ("client_id", &rp.id),
            ("redirect_uri", REDIRECT),
            ("response_type", &rp.kind),
            ("scope", "openid"),
            ("state", STATE),
            ("nonce", NONCE),
        ];
        pairs.extend(rp.mode.map(|mode| ("response_mode", mode)));
        for (name, value) in changes {
            pairs.retain(|(n, _)| n != name);
            if !value.is_empty() {
                pairs.push((name, value));
            }
        }
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("{}/oauth2/authorize?{query}", self.server.issuer)
    }

    /// Goes the whole way in a browser, and reads what reaches the application.
    pub async fn ask(&self, browser: &mut Browser, rp: &Rp, changes: &[(&str, &str)]) -> Given {
        let (given, _) = self.watch(browser, rp, changes).await;
        given
    }

    /// The same, and whether somebody had to prove themselves on the way.
    pub async fn watch(&self, browser: &mut Browser, rp: &Rp, changes: &[(&str, &str)]) -> (Given, bool) {
        let mut page = browser.follow(&self.request(rp, changes)).await;
        let mut proved = false;
        for _ in 0..4 {
            if page.has("password", None) {
                proved = true;
                page = browser.sign_in(&page).await;
            } else if page.has("decision", Some("allow")) {
                page = browser.answer(&page, &[("decision", "allow")]).await;
            }
        }
        (self.arrived(rp, &page), proved)
    }

    /// What a page hands to the application: in the query, the fragment, or a form that posts itself.
    pub fn arrived(&self, rp: &Rp, page: &crate::support::browser::Page) -> Given {
        if rp.mode == Some("form_post") {
            assert_eq!((page.status.as_u16(), page.action().as_str()), (200, REDIRECT), "{}", page.body);
            assert!(page.body.contains("<script>document.forms[0].submit()</script>"));
            let csp = page.headers["content-security-policy"].to_str().unwrap();
            assert!(csp.contains("'sha256-") && !csp.contains("unsafe") && !csp.contains("form-action"));
            return page.hidden().into_iter().collect();
        }
        let location = page.location().unwrap_or_else(|| panic!("no redirect: {} {}", page.status, page.body));
        let url = url::Url::parse(&location).unwrap();
        if rp.kind == "code" {
            assert!(url.fragment().is_none());
        } else {
            assert!(url.query().is_none(), "nothing leaks into the query: {location}");
        }
        page.returned()
    }

    /// The token request of a code, as the client registered to authenticate.
    pub async fn redeem(&self, rp: &Rp, code: &str) -> Answer {
        self.token(rp, &[("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)]).await
    }

    pub async fn token(&self, rp: &Rp, form: &[(&str, &str)]) -> Answer {
        let mut form: Vec<(&str, &str)> = form.to_vec();
        let url = self.server.url("/oauth2/token");
        let method = rp.answer["token_endpoint_auth_method"].as_str().unwrap();
        let secret = rp.secret.clone().unwrap_or_default();
        let assertion;
        let mut request = http().post(url);
        match method {
            "client_secret_basic" => request = request.basic_auth(&rp.id, Some(&secret)),
            "client_secret_post" => form.extend([("client_id", rp.id.as_str()), ("client_secret", secret.as_str())]),
            "client_secret_jwt" | "private_key_jwt" => {
                let own = rp.key.claims(&self.server.issuer, &rp.id, &[]);
                assertion = match method {
                    "client_secret_jwt" => keyward::jose::sign_with_secret(&secret, "JWT", &own).unwrap(),
                    _ => rp.key.sign("JWT", &own),
                };
                form.push(("client_assertion_type", crate::support::jwt::BEARER));
                form.push(("client_assertion", &assertion));
            }
            _ => form.push(("client_id", &rp.id)),
        }
        answered(request.form(&form)).await
    }

    pub async fn userinfo(&self, token: &str) -> Answer {
        answered(http().get(self.server.url("/oauth2/userinfo")).bearer_auth(token)).await
    }

    pub async fn discovery(&self) -> Value {
        answered(http().get(self.server.url("/.well-known/openid-configuration"))).await.json()
    }

    pub async fn jwks(&self) -> Value {
        answered(http().get(self.server.url("/oauth2/jwks"))).await.json()
    }

    /// Proves a token as an application would.
    pub async fn proven_as(&self, rp: &Rp, token: &str, typ: &str) -> Map<String, Value> {
        let keys: Vec<Verifier> = parse_client_jwks(&self.jwks().await.to_string()).unwrap();
        let (issuers, audience) = ([self.server.issuer.as_str()], [rp.id.as_str()]);
        let expect = Expect {
            typ: Typ::Exact(typ),
            issuers: &issuers,
            unaddressed: false,
            audience: Audience::Only(&audience),
            algs: SigningAlg::ALL,
            keys: &keys,
            secrets: &rp.secret.clone().map(zeroize::Zeroizing::new).into_iter().collect::<Vec<_>>(),
            now: self.server.now(),
            late: Duration::ZERO,
            early: Duration::ZERO,
            expiry: Expiry::Required,
            max_chars: Expect::MAX_CHARS,
        };
        verify(token, &expect).unwrap_or_else(|e| panic!("{e}: {token}")).claims
    }

    /// An ID token, with what the suite looks at in every one.
    pub async fn proven(&self, rp: &Rp, token: &str) -> Map<String, Value> {
        let told = self.proven_as(rp, token, "JWT").await;
        assert!(told["sub"].as_str().is_some_and(|s| !s.is_empty() && s.len() <= 255 && s.is_ascii()));
        let usual = [
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "acr",
            "amr",
            "azp",
            "at_hash",
            "c_hash",
            "nbf",
            "jti",
            "sid",
            "s_hash",
            "txn",
        ];
        if rp.kind != "id_token" {
            assert!(told.keys().all(|name| usual.contains(&name.as_str())), "{told:?}");
        }
        told
    }

    /// Everything that a response type gives, proven: the ID token's claims (of the token endpoint where there is one) and an
    /// access token.
    pub async fn tokens(&self, rp: &Rp, given: &Given) -> (Map<String, Value>, Option<String>) {
        assert!(!given.contains_key("error"), "{given:?}");
        assert_eq!(given["iss"], self.server.issuer, "RFC 9207 section 2");
        let mut access = given.get("access_token").cloned();
        let mut first = None;
        if let Some(token) = given.get("id_token") {
            let told = self.proven(rp, token).await;
            let half = |value: &str| keyward::jose::half_hash(entity::JwsAlg::Rs256, value).unwrap();
            if let Some(access) = &access {
                assert_eq!(told["at_hash"], half(access), "OpenID Connect Core section 3.2.2.10");
            }
            if let Some(code) = given.get("code") {
                assert_eq!(told["c_hash"], half(code), "section 3.3.2.11");
            }
            first = Some(told);
        }
        if let Some(code) = given.get("code") {
            let answer = self.redeem(rp, code).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            assert_eq!(answer.headers["cache-control"], "no-store");
            let body = answer.json();
            assert_eq!(body["token_type"], "Bearer");
            assert!(body["expires_in"].as_u64().is_some());
            let told = self.proven(rp, body["id_token"].as_str().unwrap()).await;
            if let Some(first) = &first {
                assert_eq!((&first["iss"], &first["sub"]), (&told["iss"], &told["sub"]), "section 3.3.3.6");
            }
            access = Some(body["access_token"].as_str().unwrap().to_owned());
            first = Some(told);
        }
        (first.expect("an ID token"), access)
    }

    /// The whole happy path for one plan.
    pub async fn happy(&self, rp: &Rp, changes: &[(&str, &str)]) -> (Map<String, Value>, Option<String>) {
        let given = self.ask(&mut Browser::new(&self.server), rp, changes).await;
        assert_eq!(given["state"], STATE);
        self.tokens(rp, &given).await
    }

    /// Claims about the person, from where this response type tells them.
    pub async fn person(&self, rp: &Rp, (told, access): &(Map<String, Value>, Option<String>)) -> Map<String, Value> {
        match access {
            Some(access) => {
                let answer = self.userinfo(access).await;
                assert_eq!(answer.status, 200);
                assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/json"));
                let info = answer.json().as_object().unwrap().clone();
                assert_eq!(info["sub"], told["sub"]);
                info
            }
            None => {
                assert_eq!(rp.kind, "id_token");
                told.clone()
            }
        }
    }
}

impl Rp {
    pub fn manage(&self) -> (String, String) {
        let text = |name: &str| self.answer[name].as_str().unwrap().to_owned();
        (text("registration_client_uri"), text("registration_access_token"))
    }
}

/// A code challenge for [`VERIFIER`].
pub fn pkce() -> String {
    challenge(VERIFIER)
}

pub fn unproven(token: &str) -> Value {
    claims(token)
}
