//! Discovery and keys: what is published is what is served.

use crate::support::browser::http;
use crate::support::rp::{self, Answer, answered, userinfo};
use crate::support::{Registered, Server};
use entity::SigningAlg;
use keyward::keys::{self, Start};
use keyward::routes::ROUTES;
use serde_json::Value;
use std::time::Duration;

const DISCOVERY: &str = "/.well-known/openid-configuration";

async fn get(url: &str) -> Answer {
    answered(http().get(url)).await
}

fn endpoints(document: &Value) -> Vec<(String, String)> {
    let named = |name: &str| name.ends_with("_endpoint") || ["jwks_uri", "check_session_iframe"].contains(&name);
    let all = document.as_object().unwrap().iter().filter(|(name, _)| named(name));
    all.map(|(name, url)| (name.clone(), url.as_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn every_endpoint_in_the_document_is_a_route_that_answers__rfc8414_2() {
    let server = Server::start().await;
    let second = server.tenant("acme").await;
    for issuer in [&server.issuer, &second.issuer] {
        let document = get(&format!("{issuer}{DISCOVERY}")).await.json();
        assert_eq!(document["issuer"], *issuer.as_str(), "OpenID Connect Discovery section 4.3");
        let listed = endpoints(&document);
        assert_eq!(listed.len(), 9);
        for (name, url) in listed {
            let path = url.strip_prefix(issuer.as_str()).unwrap_or_else(|| panic!("{name} {url}"));
            let methods: Vec<_> = ROUTES.iter().filter(|(_, p)| *p == path).map(|(m, _)| *m).collect();
            assert!(!methods.is_empty(), "{name} {path}");
            for method in methods {
                let status = answered(http().request(method.parse().unwrap(), &url)).await.status;
                assert!(![404, 405].contains(&status) && status < 500, "{method} {url}: {status}");
            }
        }
    }
    // And the other way round: what is for applications is in the document.
    let document = get(&server.url(DISCOVERY)).await.json();
    let listed: Vec<String> = endpoints(&document).into_iter().map(|(_, url)| url).collect();
    let own = ["/oauth2/logo", "/oauth2/register/{client_id}"];
    for (_, path) in ROUTES.iter().filter(|(_, p)| p.starts_with("/oauth2/") && !own.contains(p)) {
        assert!(listed.contains(&server.url(path)), "{path}");
    }
}

#[tokio::test]
async fn both_documents_stand_where_each_specification_says__rfc8414_3_1() {
    let server = Server::start().await;
    let second = server.tenant("acme").await;
    let root = &server.issuer;
    let first = get(&server.url(DISCOVERY)).await.json();
    assert_eq!(get(&server.url("/.well-known/oauth-authorization-server")).await.json(), first);
    let theirs = get(&format!("{}{DISCOVERY}", second.issuer)).await.json();
    assert_eq!(theirs["issuer"], *second.issuer.as_str());
    for path in ["/.well-known/oauth-authorization-server/t/acme", "/.well-known/openid-configuration/t/acme"] {
        assert_eq!(get(&format!("{root}{path}")).await.json(), theirs, "{path}");
    }
    assert_eq!(get(&format!("{}/.well-known/oauth-authorization-server", second.issuer)).await.json(), theirs);
    for path in [
        "/t/nobody/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/t/nobody",
        "/.well-known/oauth-authorization-server/x",
    ] {
        let answer = get(&format!("{root}{path}")).await;
        assert_eq!((answer.status, answer.error().as_str()), (404, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn the_document_has_what_is_required_and_only_what_is_on__oidc_discovery_3() {
    let server = Server::start().await;
    let answer = get(&server.url(DISCOVERY)).await;
    let document = answer.json();
    assert!(answer.headers["cache-control"].to_str().unwrap().starts_with("public, max-age="));
    assert_eq!(
        document["response_types_supported"],
        serde_json::json!(["code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"])
    );
    assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["request_uri_parameter_supported"], true);
    assert!(document["id_token_signing_alg_values_supported"].as_array().unwrap().contains(&"RS256".into()));
    let text = answer.text;
    assert!(!text.contains("plain") && !text.contains("RSA1_5"));
    let algs = document["id_token_signing_alg_values_supported"].as_array().unwrap().clone();
    assert!(!algs.contains(&"none".into()));
}

#[tokio::test]
async fn every_published_algorithm_signs_an_id_token_that_the_keys_verify__oidc_core_3_1_3_7() {
    let server = Server::start().await;
    server.person().await;
    for alg in SigningAlg::ALL {
        let client = server
            .client_with(|c| {
                c.id_token_signed_response_alg = (*alg).into();
                c.access_token_signed_response_alg = Some(*alg);
                c.first_party = true;
            })
            .await;
        let tokens = rp::tokens(&server, &client).await;
        assert_eq!(userinfo(&server, &tokens.text_of("access_token")).await.status, 200, "{}", alg.as_str());
        let kid = kid(&tokens.text_of("id_token"));
        assert!(kids(&server).await.contains(&kid), "{}", alg.as_str());
    }
}

#[tokio::test]
async fn the_key_set_holds_public_keys_with_distinct_ids__rfc7517_5() {
    let server = Server::start().await;
    let mut answer = get(&server.url("/oauth2/jwks")).await;
    // An RSA key takes its time on a machine that does much else.
    for _ in 0..20 {
        if answer.text.contains("RSA") {
            break;
        }
        answer = get(&server.url("/oauth2/jwks")).await;
    }
    assert!(answer.headers["cache-control"].to_str().unwrap().starts_with("public, max-age="));
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    let mut seen = vec![];
    for key in &keys {
        let key = key.as_object().unwrap();
        assert!(["d", "p", "q", "dp", "dq", "qi", "k", "oth"].iter().all(|private| !key.contains_key(*private)));
        assert_eq!(key["use"], "sig");
        assert_eq!(key["kid"].as_str().unwrap(), keyward::jose::thumbprint(key).unwrap(), "RFC 7638");
        assert!(!seen.contains(&key["kid"]));
        seen.push(key["kid"].clone());
    }
    let types: Vec<_> = keys.iter().map(|k| k["kty"].as_str().unwrap().to_owned()).collect();
    assert!(["RSA", "EC"].iter().all(|t| types.iter().any(|have| have == t)), "{types:?}");
}

// Rotation

fn kid(token: &str) -> String {
    use base64::Engine;
    let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&head).unwrap()["kid"].as_str().unwrap().to_owned()
}

async fn kids(server: &Server) -> Vec<String> {
    let keys = get(&server.url("/oauth2/jwks")).await.json();
    keys["keys"].as_array().unwrap().iter().map(|k| k["kid"].as_str().unwrap().to_owned()).collect()
}

async fn begin() -> (Server, Registered) {
    let server = Server::start().await;
    server.person().await;
    let client = server.client_with(|c| c.first_party = true).await;
    (server, client)
}

#[tokio::test]
async fn a_new_key_is_published_a_day_before_it_signs_and_the_old_one_goes_when_its_tokens_have__km_03() {
    let (server, client) = begin().await;
    let before = rp::tokens(&server, &client).await;
    let (access, id) = (before.text_of("access_token"), before.text_of("id_token"));
    let made = keys::rotate(&server.app.store, server.tenant, Start::Published, Duration::ZERO).await.unwrap();
    let next: Vec<String> = made.into_iter().map(|(_, kid)| kid).collect();
    assert!(!next.is_empty());
    let published = kids(&server).await;
    assert!(next.iter().all(|kid| published.contains(kid)), "published");
    let again = rp::tokens(&server, &client).await;
    assert_eq!((kid(&again.text_of("id_token")), kid(&again.text_of("access_token"))), (kid(&id), kid(&access)));
    server.clock.advance(Duration::from_secs(86_400 - 600));
    let last = rp::tokens(&server, &client).await;
    assert_eq!(kid(&last.text_of("id_token")), kid(&id), "not yet");
    server.clock.advance(Duration::from_secs(601));
    let promoted = rp::tokens(&server, &client).await;
    assert!(
        next.contains(&kid(&promoted.text_of("id_token"))) && next.contains(&kid(&promoted.text_of("access_token")))
    );
    assert_eq!(userinfo(&server, &last.text_of("access_token")).await.status, 200, "the old key's tokens hold");
    assert!(kids(&server).await.contains(&kid(&id)));
    server.clock.advance(Duration::from_secs(3600 + 86_400 + 1));
    let published = kids(&server).await;
    assert!(!published.contains(&kid(&id)) && !published.contains(&kid(&access)), "gone");
    // As a hint, an old ID token is still recognised (OpenID Connect Core section 3.1.2.1).
    let hint = rp::authorize(&server, &client, &[("prompt", "none"), ("id_token_hint", &id)]);
    let page = crate::support::Browser::new(&server).get(&hint).await;
    assert_eq!(page.redirected_error(&server.issuer), "login_required");
}

#[tokio::test]
async fn rotating_at_once_promotes_what_was_published() {
    let (server, client) = begin().await;
    rp::tokens(&server, &client).await;
    let next = keys::rotate(&server.app.store, server.tenant, Start::Published, Duration::ZERO).await.unwrap();
    let now = keys::rotate(&server.app.store, server.tenant, Start::Now, Duration::ZERO).await.unwrap();
    let ids = |made: &[(SigningAlg, String)]| made.iter().map(|(_, kid)| kid.clone()).collect::<Vec<_>>();
    for (alg, kid) in &next {
        assert!(now.iter().any(|(a, k)| a == alg && k == kid), "{:?} {:?}", ids(&next), ids(&now));
    }
    let token = rp::tokens(&server, &client).await.text_of("id_token");
    assert!(ids(&now).contains(&kid(&token)));
}

#[tokio::test]
async fn a_revoked_key_vanishes_and_its_tokens_die__km_05() {
    let (server, client) = begin().await;
    let before = rp::tokens(&server, &client).await;
    let (access, id) = (before.text_of("access_token"), before.text_of("id_token"));
    for leaked in [kid(&access), kid(&id)] {
        assert!(keys::revoke(&server.app.store, server.tenant, &leaked).await.unwrap());
        assert!(!keys::revoke(&server.app.store, server.tenant, &leaked).await.unwrap(), "once");
        assert!(!kids(&server).await.contains(&leaked));
    }
    assert_eq!(userinfo(&server, &access).await.error(), "invalid_token");
    assert_eq!(rp::introspect(&server, &client, &access).await["active"], false);
    let hint = rp::authorize(&server, &client, &[("prompt", "none"), ("id_token_hint", &id)]);
    let page = crate::support::Browser::new(&server).get(&hint).await;
    assert_eq!(page.redirected_error(&server.issuer), "invalid_request");
    let after = rp::tokens(&server, &client).await;
    assert!(kid(&after.text_of("access_token")) != kid(&access) && kid(&after.text_of("id_token")) != kid(&id));
    assert_eq!(userinfo(&server, &after.text_of("access_token")).await.status, 200);
    assert!(kids(&server).await.contains(&kid(&after.text_of("id_token"))));
}
