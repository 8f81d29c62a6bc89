//! Applications: the unmodified `openidconnect` crate, and a bare one that can say anything.

use super::browser::http;
use super::{Browser, CALLBACK, Registered, Server};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest, Sha256};

pub const VERIFIER: &str = "a-verifier-of-more-than-forty-three-characters-0123456789";

pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// The address of an authorization request; later pairs replace earlier ones, an empty value leaves one out.
pub fn authorize(server: &Server, client: &Registered, changes: &[(&str, &str)]) -> String {
    authorize_at(&server.issuer, client, changes)
}

pub fn authorize_at(issuer: &str, client: &Registered, changes: &[(&str, &str)]) -> String {
    let challenge = challenge(VERIFIER);
    let mut pairs: Vec<(&str, &str)> = vec![
        ("response_type", "code"),
        ("client_id", &client.id),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile email offline_access"),
        ("state", "s t&a=te"),
        ("nonce", "n-0S6_WzA2Mj"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        pairs.retain(|(n, _)| n != name);
        if !value.is_empty() {
            pairs.push((name, value));
        }
    }
    format!(
        "{issuer}/oauth2/authorize?{}",
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    )
}

/// An answer of a JSON endpoint.
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.text))
    }

    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_else(|| panic!("no error: {} {}", self.status, self.text)).to_owned()
    }

    pub fn text_of(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name}: {} {}", self.status, self.text)).to_owned()
    }
}

/// Posts a form, as a client that authenticates by Basic (or by its id alone when it is public).
pub async fn post(server: &Server, path: &str, client: &Registered, form: &[(&str, &str)]) -> Answer {
    post_to(&server.url(path), Some(client), form).await
}

pub async fn post_to(url: &str, client: Option<&Registered>, form: &[(&str, &str)]) -> Answer {
    let mut form: Vec<(&str, &str)> = form.to_vec();
    let mut request = http().post(url);
    match client {
        Some(Registered { id, secret: Some(secret) }) => request = request.basic_auth(id, Some(secret)),
        Some(Registered { id, secret: None }) => form.push(("client_id", id)),
        None => {}
    }
    answered(request.form(&form)).await
}

pub async fn answered(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    }
}

pub async fn redeem(server: &Server, client: &Registered, code: &str) -> Answer {
    post(
        server,
        "/oauth2/token",
        client,
        &[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ],
    )
    .await
}

pub async fn refresh(server: &Server, client: &Registered, token: &str) -> Answer {
    post(server, "/oauth2/token", client, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

pub async fn userinfo(server: &Server, token: &str) -> Answer {
    answered(http().get(server.url("/oauth2/userinfo")).bearer_auth(token)).await
}

pub async fn introspect(server: &Server, client: &Registered, token: &str) -> Value {
    let answer = post(server, "/oauth2/introspect", client, &[("token", token)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// Signs in with a fresh browser, allows everything, and returns the code.
pub async fn code(server: &Server, client: &Registered, changes: &[(&str, &str)]) -> String {
    let mut browser = Browser::new(server);
    code_in(server, client, &mut browser, changes).await
}

pub async fn code_in(server: &Server, client: &Registered, browser: &mut Browser, changes: &[(&str, &str)]) -> String {
    let mut page = browser.follow(&authorize(server, client, changes)).await;
    for _ in 0..4 {
        if page.has("password", None) {
            page = browser.sign_in(&page).await;
        } else if page.has("decision", Some("allow")) {
            page = browser.answer(&page, &[("decision", "allow")]).await;
        } else {
            break;
        }
    }
    page.returned().get("code").unwrap_or_else(|| panic!("no code: {:?}", page.location())).clone()
}

/// The whole way to tokens.
pub async fn tokens(server: &Server, client: &Registered) -> Answer {
    let code = code(server, client, &[]).await;
    let answer = redeem(server, client, &code).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

/// What a token says, unproven.
pub fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// An authorization request whose query is written out in full.
pub fn authorize_raw(server: &Server, query: &str) -> String {
    format!("{}/oauth2/authorize?{query}", server.issuer)
}

/// Redeems what a browser came back with and reads the ID token.
pub async fn id_claims(server: &Server, client: &Registered, code: &str) -> Value {
    claims(&redeem(server, client, code).await.text_of("id_token"))
}
