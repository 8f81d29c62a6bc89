//! Which scripts of other sites may read answers.

use crate::support::browser::http;
use crate::support::rp::{self, Answer, answered};
use crate::support::{Registered, Server};
use entity::ClientAuth;
use reqwest::Method;

const APP: &str = "https://spa.example.com";
const SHARED: &[(&str, &str)] = &[
    ("POST", "/oauth2/token"),
    ("POST", "/oauth2/revoke"),
    ("GET", "/oauth2/userinfo"),
    ("POST", "/oauth2/userinfo"),
    ("GET", "/oauth2/jwks"),
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/.well-known/oauth-authorization-server"),
];

async fn begin() -> (Server, Registered) {
    let server = Server::start().await;
    server.person().await;
    let client = server
        .client_with(|c| {
            c.token_endpoint_auth_method = ClientAuth::None;
            c.allowed_origins = vec![APP.into()];
            c.first_party = true;
        })
        .await;
    (server, client)
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.headers.get("access-control-allow-origin").map(|v| v.to_str().unwrap())
}

async fn preflight(server: &Server, path: &str, method: &str, origin: &str) -> Answer {
    let request = http().request(Method::OPTIONS, server.url(path)).header("origin", origin);
    let request = request.header("access-control-request-method", method);
    answered(request.header("access-control-request-headers", "authorization,content-type")).await
}

#[tokio::test]
async fn a_preflight_is_answered_for_registered_origins_alone__rfc9700_2_6() {
    let (server, _) = begin().await;
    for (method, path) in SHARED {
        let answer = preflight(&server, path, method, APP).await;
        assert_eq!((answer.status, allowed(&answer)), (204, Some(APP)), "{path}");
        assert!(answer.headers["access-control-allow-methods"].to_str().unwrap().contains(method));
        assert!(answer.headers["access-control-allow-headers"].to_str().unwrap().contains("Authorization"));
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
        assert_eq!(answer.headers["vary"], "Origin");
        for other in [
            "https://evil.test",
            "null",
            "https://spa.example.com.evil.test",
            "http://spa.example.com",
            "https://SPA.example.com",
        ] {
            assert_eq!(allowed(&preflight(&server, path, method, other).await), None, "{path} {other}");
        }
    }
}

#[tokio::test]
async fn scripts_get_nothing_of_what_is_for_people_and_servers__rfc9700_2_6() {
    let (server, _) = begin().await;
    for (method, path) in keyward::routes::ROUTES {
        if SHARED.contains(&(method, path)) {
            continue;
        }
        let answer = preflight(&server, path, method, APP).await;
        assert!(answer.headers.keys().all(|n| !n.as_str().starts_with("access-control-")), "{method} {path}");
        let request = http().request(method.parse().unwrap(), server.url(path)).header("origin", APP);
        let answer = answered(request).await;
        assert!(answer.headers.keys().all(|n| !n.as_str().starts_with("access-control-")), "{method} {path}");
    }
}

#[tokio::test]
async fn answers_and_errors_are_for_the_origins_of_the_very_client() {
    let (server, client) = begin().await;
    let other = server
        .client_with(|c| {
            c.token_endpoint_auth_method = ClientAuth::None;
            c.allowed_origins = vec!["https://other.example.com".into()];
        })
        .await;
    let code = rp::code(&server, &client, &[]).await;
    let send = async |client: &Registered, origin: &str, code: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &client.id),
            ("code", code),
            ("redirect_uri", crate::support::CALLBACK),
            ("code_verifier", rp::VERIFIER),
        ];
        answered(http().post(server.url("/oauth2/token")).header("origin", origin).form(&form)).await
    };
    let wrong = send(&client, APP, "kw_ac_x").await;
    assert_eq!((wrong.status, allowed(&wrong)), (400, Some(APP)), "an error is readable too");
    assert_eq!(allowed(&send(&other, APP, &code).await), None);
    assert_eq!(allowed(&send(&client, "https://other.example.com", "kw_ac_x").await), None);
    assert_eq!(allowed(&send(&client, "null", "kw_ac_x").await), None);
    let unknown = Registered { id: "app.unknown".into(), secret: None };
    assert_eq!(allowed(&send(&unknown, APP, "kw_ac_x").await), Some(APP), "somebody's origin, and no secret in it");
    let good = send(&client, APP, &code).await;
    assert_eq!((good.status, allowed(&good)), (200, Some(APP)));
    assert!(!good.headers.contains_key("access-control-allow-credentials"));
    let token = good.text_of("access_token");
    for (origin, seen) in [(APP, Some(APP)), ("https://other.example.com", None), ("null", None)] {
        let url = server.url("/oauth2/userinfo");
        let answer = answered(http().get(&url).bearer_auth(&token).header("origin", origin)).await;
        assert_eq!((answer.status, allowed(&answer)), (200, seen), "{origin}");
    }
    let answer = answered(http().get(server.url("/oauth2/userinfo")).header("origin", APP)).await;
    assert_eq!((answer.status, allowed(&answer)), (401, Some(APP)));
    assert!(answer.headers["access-control-expose-headers"].to_str().unwrap().contains("WWW-Authenticate"));
    for path in ["/oauth2/jwks", "/.well-known/openid-configuration"] {
        let answer = answered(http().get(server.url(path)).header("origin", APP)).await;
        assert_eq!((answer.status, allowed(&answer)), (200, Some(APP)));
        assert_eq!(answer.headers["vary"], "Origin", "caches keep answers apart");
    }
}

#[tokio::test]
async fn a_disabled_client_has_no_origins() {
    let (server, client) = begin().await;
    server.client_status(&client, entity::Status::Disabled).await;
    assert_eq!(allowed(&preflight(&server, "/oauth2/token", "POST", APP).await), None);
}
