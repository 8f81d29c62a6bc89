//! Modules of the config, dynamic and third-party-initiated login plans.

use super::world::{NONCE, REDIRECT, Rp, STATE, World, unproven};
use crate::support::Browser;
use crate::support::browser::http;
use crate::support::jwt::Key;
use crate::support::rp::answered;
use crate::support::site::Says;
use entity::SigningAlg;
use keyward::keys::{self, Start};
use serde_json::{Value, json};
use std::time::Duration;

const PRIVATE: &str = "private_key_jwt";

async fn registered(world: &World, changes: Value) -> Rp {
    let mut all = json!({ "token_endpoint_auth_method": PRIVATE });
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    world.rp(("code", None), all).await
}

#[tokio::test]
async fn oidcc_discovery_endpoint_verification() {
    let world = World::new().await;
    let document = world.discovery().await;
    assert_eq!(document["issuer"], world.server.issuer);
    for (name, value) in document.as_object().unwrap() {
        if name.ends_with("_endpoint") || name.ends_with("_uri") || name == "check_session_iframe" {
            let url = value.as_str().unwrap();
            assert!(url::Url::parse(url).is_ok() && url.starts_with(&world.server.issuer), "{name}");
        }
        if name.ends_with("_supported") && !value.is_boolean() {
            assert!(
                value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string)),
                "{name}"
            );
        }
    }
    let has = |list: &str, value: &str| document[list].as_array().unwrap().contains(&json!(value));
    for (list, value) in [
        ("subject_types_supported", "public"),
        ("id_token_signing_alg_values_supported", "RS256"),
        ("response_types_supported", "code"),
        ("response_types_supported", "id_token"),
        ("response_types_supported", "id_token token"),
        ("grant_types_supported", "authorization_code"),
        ("grant_types_supported", "implicit"),
        ("scopes_supported", "openid"),
        ("request_object_signing_alg_values_supported", "RS256"),
    ] {
        assert!(has(list, value), "{list}: {value}");
    }
    let methods = &document["token_endpoint_auth_methods_supported"];
    assert!(methods.as_array().unwrap().contains(&json!("client_secret_jwt")));
    let keys = world.jwks().await["keys"].as_array().unwrap().clone();
    let kids: std::collections::BTreeSet<&str> = keys.iter().map(|k| k["kid"].as_str().unwrap()).collect();
    assert_eq!(kids.len(), keys.len());
    assert!(keys.iter().all(|k| ["RSA", "EC", "OKP"].contains(&k["kty"].as_str().unwrap()) && k.get("d").is_none()));
}

#[tokio::test]
async fn oidcc_idtoken_rs256() {
    let world = World::new().await;
    let rp = registered(&world, json!({ "id_token_signed_response_alg": "RS256" })).await;
    assert_eq!(rp.answer["id_token_signed_response_alg"], "RS256");
    world.happy(&rp, &[]).await;
}

#[tokio::test]
async fn oidcc_userinfo_rs256() {
    let world = World::new().await;
    let offered = world.discovery().await["userinfo_signing_alg_values_supported"].clone();
    assert!(offered.as_array().unwrap().contains(&json!("RS256")));
    let rp = registered(&world, json!({ "userinfo_signed_response_alg": "RS256" })).await;
    let (told, access) = world.happy(&rp, &[]).await;
    let answer = world.userinfo(&access.unwrap()).await;
    assert_eq!(answer.headers["content-type"], "application/jwt");
    let info = unproven(&answer.text);
    assert_eq!((&info["iss"], &info["aud"]), (&json!(world.server.issuer), &json!(rp.id)));
    assert!(info["sub"] == told["sub"] && info.get("nonce").is_none());
}

#[tokio::test]
async fn oidcc_ensure_redirect_uri_in_authorization_request() {
    let world = World::new().await;
    let rp = registered(&world, json!({ "redirect_uris": [REDIRECT, "https://rp.example.com/other"] })).await;
    Browser::new(&world.server).get(&world.request(&rp, &[("redirect_uri", "")])).await.is_error_page(400);
}

#[tokio::test]
async fn oidcc_redirect_uri_query_OK() {
    let world = World::new().await;
    let uri = format!("{REDIRECT}?foo=bar");
    let rp = registered(&world, json!({ "redirect_uris": [uri] })).await;
    let given = world.ask(&mut Browser::new(&world.server), &rp, &[("redirect_uri", &uri)]).await;
    assert_eq!(given["foo"], "bar");
    let form = [("grant_type", "authorization_code"), ("code", given["code"].as_str()), ("redirect_uri", &uri)];
    assert_eq!(world.token(&rp, &form).await.status, 200);
}

#[tokio::test]
async fn oidcc_redirect_uri_query_mismatch() {
    let world = World::new().await;
    let rp = registered(&world, json!({ "redirect_uris": [format!("{REDIRECT}?foo=bar")] })).await;
    for other in ["?foo=baz", "?foo=bar&x=y", "", "?"] {
        let url = world.request(&rp, &[("redirect_uri", &format!("{REDIRECT}{other}"))]);
        Browser::new(&world.server).get(&url).await.is_error_page(400);
    }
}

#[tokio::test]
async fn oidcc_redirect_uri_query_added() {
    let world = World::new().await;
    let rp = registered(&world, json!({})).await;
    let url = world.request(&rp, &[("redirect_uri", &format!("{REDIRECT}?foo=bar"))]);
    Browser::new(&world.server).get(&url).await.is_error_page(400);
}

#[tokio::test]
async fn oidcc_redirect_uri_regfrag() {
    let world = World::new().await;
    let answer = world.send(&json!({ "redirect_uris": [format!("{REDIRECT}#foo=bar")] })).await;
    assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_redirect_uri"));
}

/// The sign-in page of a client that registered such a thing.
async fn sign_in_page(world: &World, rp: &Rp) -> String {
    Browser::new(&world.server).follow(&world.request(rp, &[])).await.body
}

#[tokio::test]
async fn oidcc_registration_logo_uri() {
    let world = World::new().await;
    let png = b"\x89PNG\r\n\x1a\n and more".to_vec();
    world.site.says("/logo.png", Says::This("image/png", png.clone()));
    let rp = registered(&world, json!({ "logo_uri": world.site.url("/logo.png") })).await;
    assert_eq!(rp.answer["logo_uri"], world.site.url("/logo.png"));
    let mut body = String::new();
    for _ in 0..100 {
        body = sign_in_page(&world, &rp).await;
        if body.contains("/oauth2/logo") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let src = body.split("src=\"").find(|s| s.starts_with("/oauth2/logo")).unwrap().split('"').next().unwrap();
    assert!(!body.contains("/logo.png"), "never from the application's own server");
    let picture = http().get(world.server.url(&src.replace("&amp;", "&"))).send().await.unwrap();
    assert_eq!(picture.headers()["content-type"], "image/png");
    assert_eq!(picture.bytes().await.unwrap().to_vec(), png);
    assert_eq!(world.site.heard("/logo.png").len(), 1, "fetched once");
}

#[tokio::test]
async fn oidcc_registration_policy_uri() {
    let world = World::new().await;
    let rp = registered(&world, json!({ "policy_uri": "https://rp.example.com/policy" })).await;
    assert!(sign_in_page(&world, &rp).await.contains("href=\"https://rp.example.com/policy\""));
}

#[tokio::test]
async fn oidcc_registration_tos_uri() {
    let world = World::new().await;
    let rp = registered(&world, json!({ "tos_uri": "https://openid.net/tos" })).await;
    assert!(sign_in_page(&world, &rp).await.contains("href=\"https://openid.net/tos\""));
}

#[tokio::test]
async fn oidcc_registration_jwks_uri() {
    let world = World::new().await;
    let key = Key::new(SigningAlg::Rs256);
    world.site.json("/keys", &key.jwks());
    let changes = json!({ "token_endpoint_auth_method": PRIVATE, "jwks_uri": world.site.url("/keys") });
    let rp = world.rp_with(key, ("code", None), changes).await;
    world.happy(&rp, &[]).await;
    world.happy(&rp, &[]).await;
    assert_eq!(world.site.heard("/keys").len(), 1, "kept for a while");
}

#[tokio::test]
async fn oidcc_registration_sector_uri() {
    let world = World::new().await;
    let other = "https://elsewhere.example.com/cb";
    world.site.json("/sector", &json!([REDIRECT, other]));
    let pairwise = |uris: &[&str]| json!({ "redirect_uris": uris, "subject_type": "pairwise", "sector_identifier_uri": world.site.url("/sector") });
    let (one, two) =
        (registered(&world, pairwise(&[REDIRECT])).await, registered(&world, pairwise(&[REDIRECT, other])).await);
    let alone = registered(&world, json!({ "subject_type": "pairwise" })).await;
    let plain = registered(&world, json!({})).await;
    let mut subs = vec![];
    for rp in [&one, &two, &alone, &plain, &one] {
        let (told, access) = world.happy(rp, &[]).await;
        assert_eq!(world.userinfo(&access.unwrap()).await.json()["sub"], told["sub"]);
        subs.push(told["sub"].as_str().unwrap().to_owned());
    }
    assert!(subs[0] == subs[1] && subs[0] == subs[4], "one sector, one subject, for ever: {subs:?}");
    assert!(subs[0] != subs[2] && subs[0] != subs[3] && subs[2] != subs[3], "{subs:?}");
}

#[tokio::test]
async fn oidcc_registration_sector_bad() {
    let world = World::new().await;
    world.site.json("/sector", &json!(["https://rp.example.com/another"]));
    let document = json!({
        "redirect_uris": [REDIRECT], "subject_type": "pairwise", "sector_identifier_uri": world.site.url("/sector"),
    });
    let answer = world.send(&document).await;
    assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_client_metadata"));
}

#[tokio::test]
async fn oidcc_server_rotate_keys() {
    let world = World::new().await;
    let kids = async || {
        let keys = world.jwks().await["keys"].as_array().unwrap().clone();
        keys.iter().map(|k| k["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = kids().await;
    keys::rotate(&world.server.app.store, world.server.tenant, Start::Now, Duration::ZERO).await.unwrap();
    let after = kids().await;
    assert!(before.iter().all(|kid| after.contains(kid)), "what they signed can still be verified");
    assert!(after.len() > before.len());
}

#[tokio::test]
async fn oidcc_refresh_token_rp_key_rotation() {
    let world = World::new().await;
    let key = Key::new(SigningAlg::Rs256);
    world.site.json("/keys", &key.jwks());
    let changes = json!({ "token_endpoint_auth_method": PRIVATE, "jwks_uri": world.site.url("/keys") });
    let mut rp = world.rp_with(key, ("code", None), changes).await;
    let changes = [("scope", "openid offline_access"), ("prompt", "consent")];
    let given = world.ask(&mut Browser::new(&world.server), &rp, &changes).await;
    let token = world.redeem(&rp, &given["code"]).await.text_of("refresh_token");
    rp.key = Key::new(SigningAlg::Rs256);
    world.site.json("/keys", &rp.key.jwks());
    // The suite waits for at least a second; nobody makes us ask more often than every five.
    world.server.clock.advance(Duration::from_secs(6));
    let answer = world.token(&rp, &[("grant_type", "refresh_token"), ("refresh_token", &token)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

fn object(world: &World, rp: &Rp) -> Value {
    json!({
        "iss": rp.id, "aud": world.server.issuer, "client_id": rp.id, "response_type": "code", "redirect_uri": REDIRECT,
        "scope": "openid email", "state": STATE, "nonce": NONCE,
    })
}

#[tokio::test]
async fn oidcc_request_uri_unsigned() {
    // `none` is not offered, so the module is skipped.
    let world = World::new().await;
    let offered = world.discovery().await["request_object_signing_alg_values_supported"].clone();
    assert!(!offered.as_array().unwrap().contains(&json!("none")));
}

#[tokio::test]
async fn oidcc_request_uri_signed_rs256() {
    let world = World::new().await;
    let uri = format!("{}#hash-that-does-not-match", world.site.url("/request"));
    let changes = json!({ "request_uris": [uri], "request_object_signing_alg": "RS256" });
    let rp = registered(&world, changes).await;
    let signed = rp.key.sign("JWT", &object(&world, &rp));
    world.site.says("/request", Says::This("application/jwt", signed.into_bytes()));
    let changes = [("request_uri", uri.as_str()), ("scope", "openid"), ("state", ""), ("nonce", "")];
    let given = world.ask(&mut Browser::new(&world.server), &rp, &changes).await;
    assert_eq!(given["state"], STATE);
    let (_, access) = world.tokens(&rp, &given).await;
    assert!(world.userinfo(&access.unwrap()).await.json()["email"].is_string(), "what was signed counts");
    assert_eq!(world.site.heard("/request").len(), 1);
}

#[tokio::test]
async fn oidcc_ensure_client_assertion_with_iss_aud_succeeds() {
    let world = World::new().await;
    let rp = registered(&world, json!({})).await;
    // Assertions of these tests have the issuer as their audience.
    world.happy(&rp, &[]).await;
}

#[tokio::test]
async fn oidcc_3rd_party_init_login() {
    let world = World::new().await;
    let uri = "https://rp.example.com/start";
    let rp = registered(&world, json!({ "initiate_login_uri": uri })).await;
    assert_eq!(rp.answer["initiate_login_uri"], uri);
    let (place, token) = rp.manage();
    let answer = answered(http().get(&place).bearer_auth(&token)).await;
    assert_eq!((answer.status, &answer.json()["initiate_login_uri"]), (200, &json!(uri)));
    assert_eq!(answered(http().get(&place)).await.status, 401);
    assert_eq!(answered(http().get(&place).bearer_auth("kw_ra_wrong")).await.status, 401);
    let gone = answered(http().delete(&place).bearer_auth(&token)).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    assert_eq!(answered(http().get(&place).bearer_auth(&token)).await.status, 401);
    Browser::new(&world.server).get(&world.request(&rp, &[])).await.is_error_page(400);
}

#[tokio::test]
async fn oidcc_3rd_party_init_login_nohttps() {
    let world = World::new().await;
    let answer =
        world.send(&json!({ "redirect_uris": [REDIRECT], "initiate_login_uri": "http://rp.example.com/start" })).await;
    assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_client_metadata"));
}
