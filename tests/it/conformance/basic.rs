//! Modules of the basic, implicit and hybrid plans and their form_post twins.

use super::world::{Given, NONCE, PLANS, REDIRECT, Rp, STATE, World, pkce, unproven};
use crate::support::browser::http;
use crate::support::rp::{VERIFIER, answered};
use crate::support::{Browser, EMAIL};
use serde_json::{Map, Value, json};
use std::time::Duration;

const NOTHING: Value = Value::Null;

fn nothing() -> Value {
    json!({})
}

/// Runs a module for each plan with a client of its own.
async fn each(world: &World, mut run: impl AsyncFnMut(&World, Rp)) {
    for plan in PLANS {
        run(world, world.rp(*plan, nothing()).await).await;
    }
}

/// The plans whose answers bring an access token somewhere.
async fn each_with_token(world: &World, mut run: impl AsyncFnMut(&World, Rp, String)) {
    for plan in PLANS.iter().filter(|(kind, _)| *kind != "id_token") {
        let rp = world.rp(*plan, nothing()).await;
        let (_, access) = world.happy(&rp, &[]).await;
        run(world, rp, access.unwrap()).await;
    }
}

fn text<'a>(told: &'a Map<String, Value>, name: &str) -> &'a str {
    told[name].as_str().unwrap()
}

/// An error as it reaches the application, wherever its answers go.
async fn error(world: &World, rp: &Rp, changes: &[(&str, &str)]) -> Given {
    let page = Browser::new(&world.server).get(&world.request(rp, changes)).await;
    let given = world.arrived(rp, &page);
    let allowed = ["error", "error_description", "error_uri", "state", "session_state", "iss"];
    assert!(given.keys().all(|name| allowed.contains(&name.as_str())), "{given:?}");
    assert!(!given["error_description"].contains(['\r', '\n', '\t']));
    given
}

#[tokio::test]
async fn oidcc_server() {
    let world = World::new().await;
    each(&world, async |world, rp| {
        let given = world.ask(&mut Browser::new(&world.server), &rp, &[]).await;
        assert_eq!(given["state"], STATE);
        for name in ["code", "access_token"] {
            if let Some(value) = given.get(name) {
                let different: std::collections::BTreeSet<char> = value.chars().collect();
                assert!(value.len() >= 43 && different.len() > 16, "{name} of 128 bits and more: {value}");
            }
        }
        if let Some(token) = given.get("id_token") {
            assert_eq!(unproven(token)["nonce"], NONCE);
        }
        let (told, _) = world.tokens(&rp, &given).await;
        let now = world.server.now().seconds();
        assert!((now - told["iat"].as_i64().unwrap()).abs() < 300);
        assert!(told["auth_time"].as_i64().unwrap() <= now && told["nonce"] == NONCE);
    })
    .await;
}

#[tokio::test]
async fn oidcc_response_type_missing() {
    let world = World::new().await;
    for kind in ["code", "id_token token"] {
        let rp = world.rp((kind, None), nothing()).await;
        let page = Browser::new(&world.server).get(&world.request(&rp, &[("response_type", "")])).await;
        assert!(["invalid_request", "unsupported_response_type"].contains(&page.returned()["error"].as_str()));
        assert_eq!(page.returned()["state"], STATE);
    }
}

#[tokio::test]
async fn oidcc_idtoken_signature() {
    let world = World::new().await;
    each(&world, async |world, rp| {
        let given = world.ask(&mut Browser::new(&world.server), &rp, &[]).await;
        let token = match given.get("id_token") {
            Some(token) => token.clone(),
            None => world.redeem(&rp, &given["code"]).await.text_of("id_token"),
        };
        let head = token.split('.').next().unwrap();
        use base64::Engine;
        let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(head).unwrap();
        let head: Value = serde_json::from_slice(&head).unwrap();
        assert_eq!(head["alg"], "RS256");
        let keys = world.jwks().await;
        assert!(keys["keys"].as_array().unwrap().iter().any(|k| k["kid"] == head["kid"] && k["kty"] == "RSA"));
    })
    .await;
}

#[tokio::test]
async fn oidcc_idtoken_unsigned() {
    let world = World::new().await;
    // Not offered, so the module is skipped; whoever asks all the same is refused.
    let offered = world.discovery().await["id_token_signing_alg_values_supported"].clone();
    assert!(!offered.as_array().unwrap().contains(&json!("none")));
    let answer = world.send(&json!({ "redirect_uris": [REDIRECT], "id_token_signed_response_alg": "none" })).await;
    assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_client_metadata"));
}

#[tokio::test]
async fn oidcc_userinfo_get() {
    let world = World::new().await;
    each_with_token(&world, async |world, _, access| {
        let answer = world.userinfo(&access).await;
        assert_eq!(answer.status, 200);
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/json"));
    })
    .await;
}

#[tokio::test]
async fn oidcc_userinfo_post_header() {
    let world = World::new().await;
    each_with_token(&world, async |world, _, access| {
        let request = http().post(world.server.url("/oauth2/userinfo")).bearer_auth(&access);
        assert_eq!(answered(request).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn oidcc_userinfo_post_body() {
    let world = World::new().await;
    each_with_token(&world, async |world, _, access| {
        let request = http().post(world.server.url("/oauth2/userinfo")).form(&[("access_token", &access)]);
        assert_eq!(answered(request).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn oidcc_ensure_request_without_nonce_succeeds_for_code_flow() {
    let world = World::new().await;
    for kind in ["code", "code token"] {
        let rp = world.rp((kind, None), nothing()).await;
        let (told, _) = world.happy(&rp, &[("nonce", "")]).await;
        assert!(!told.contains_key("nonce"));
    }
}

#[tokio::test]
async fn oidcc_ensure_request_without_nonce_fails() {
    let world = World::new().await;
    for plan in PLANS.iter().filter(|(kind, _)| kind.contains("id_token")) {
        let rp = world.rp(*plan, nothing()).await;
        assert_eq!(error(&world, &rp, &[("nonce", "")]).await["error"], "invalid_request");
    }
}

/// What a scope tells stands in userinfo, and in the ID token only where nothing else could tell it.
async fn scope(name: &str, claims: &[&str]) {
    let world = World::new().await;
    each(&world, async |world, rp| {
        let result = world.happy(&rp, &[("scope", &format!("openid {name}"))]).await;
        let info = world.person(&rp, &result).await;
        for claim in claims {
            assert!(info.contains_key(*claim), "{}: {claim} of {info:?}", rp.kind);
            assert!(rp.kind == "id_token" || !result.0.contains_key(*claim), "{claim} is in the ID token");
        }
        well_formed(&info);
    })
    .await;
}

fn well_formed(info: &Map<String, Value>) {
    for (name, value) in info {
        assert!(!value.is_null() && *value != json!("") && *value != json!("null"), "{name}");
        match name.as_str() {
            "email_verified" | "phone_number_verified" => assert!(value.is_boolean()),
            "updated_at" => assert!(value.is_i64()),
            "birthdate" => assert_eq!(value.as_str().unwrap().len(), 10),
            "address" => assert!(value.as_object().unwrap().values().all(|v| !v.as_str().unwrap().trim().is_empty())),
            "picture" | "profile" | "website" => assert!(url::Url::parse(value.as_str().unwrap()).is_ok()),
            _ => {}
        }
    }
}

const PROFILE: [&str; 14] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "profile",
    "picture",
    "website",
    "gender",
    "birthdate",
    "zoneinfo",
    "locale",
    "updated_at",
    "preferred_username",
];

#[tokio::test]
async fn oidcc_scope_profile() {
    scope("profile", &PROFILE).await;
}

#[tokio::test]
async fn oidcc_scope_email() {
    scope("email", &["email", "email_verified"]).await;
}

#[tokio::test]
async fn oidcc_scope_address() {
    scope("address", &["address"]).await;
}

#[tokio::test]
async fn oidcc_scope_phone() {
    scope("phone", &["phone_number", "phone_number_verified"]).await;
}

#[tokio::test]
async fn oidcc_scope_all() {
    let all = ["address", "email", "email_verified", "phone_number", "phone_number_verified"];
    scope("profile email address phone", &[&PROFILE[..], &all].concat()).await;
}

#[tokio::test]
async fn oidcc_alternate_happy_flow() {
    let world = World::new().await;
    for kind in ["code", "id_token", "id_token token", "code id_token"] {
        let rp = world.rp((kind, None), nothing()).await;
        let url = world.request(&rp, &[("scope", "email openid")]);
        let (base, query) = url.split_once('?').unwrap();
        let mut parts: Vec<&str> = query.split('&').collect();
        parts.reverse();
        let turned: String = rp.kind.split(' ').rev().collect::<Vec<_>>().join("+");
        let query = parts
            .join("&")
            .replace(&format!("response_type={}", kind.replace(' ', "+")), &format!("response_type={turned}"));
        let mut browser = Browser::new(&world.server);
        let page = browser.follow(&format!("{base}?{query}")).await;
        let page = browser.sign_in(&page).await;
        let page = browser.answer(&page, &[("decision", "allow")]).await;
        let result = world.tokens(&rp, &world.arrived(&rp, &page)).await;
        assert!(world.person(&rp, &result).await.contains_key("email"));
    }
}

/// Parameters that change nothing must break nothing.
async fn harmless(name: &str, value: &str) {
    let world = World::new().await;
    each(&world, async |world, rp| {
        world.happy(&rp, &[(name, value)]).await;
    })
    .await;
}

#[tokio::test]
async fn oidcc_display_page() {
    harmless("display", "page").await;
}

#[tokio::test]
async fn oidcc_display_popup() {
    harmless("display", "popup").await;
}

#[tokio::test]
async fn oidcc_ensure_request_with_unknown_parameter_succeeds() {
    harmless("extra", "foobar").await;
}

#[tokio::test]
async fn oidcc_login_hint() {
    harmless("login_hint", "buffy@localhost").await;
}

#[tokio::test]
async fn oidcc_ui_locales() {
    harmless("ui_locales", "se").await;
}

#[tokio::test]
async fn oidcc_claims_locales() {
    harmless("claims_locales", "se").await;
}

#[tokio::test]
async fn oidcc_prompt_login() {
    let world = World::new().await;
    each(&world, async |world, rp| {
        let mut browser = Browser::new(&world.server);
        let first = world.ask(&mut browser, &rp, &[]).await;
        let (first, _) = world.tokens(&rp, &first).await;
        world.server.clock.advance(Duration::from_secs(2));
        let (second, proved) = world.watch(&mut browser, &rp, &[("prompt", "login")]).await;
        let (second, _) = world.tokens(&rp, &second).await;
        assert!(proved && second["auth_time"].as_i64() > first["auth_time"].as_i64());
    })
    .await;
}

#[tokio::test]
async fn oidcc_prompt_none_not_logged_in() {
    let world = World::new().await;
    let state = "s".repeat(128);
    each(&world, async |world, rp| {
        let given = error(world, &rp, &[("prompt", "none"), ("state", &state)]).await;
        assert_eq!((given["error"].as_str(), &given["state"]), ("login_required", &state));
    })
    .await;
}

#[tokio::test]
async fn oidcc_prompt_none_logged_in() {
    let world = World::new().await;
    each(&world, async |world, rp| {
        let mut browser = Browser::new(&world.server);
        let first = world.ask(&mut browser, &rp, &[]).await;
        let (first, _) = world.tokens(&rp, &first).await;
        let page = browser.get(&world.request(&rp, &[("prompt", "none")])).await;
        let (second, _) = world.tokens(&rp, &world.arrived(&rp, &page)).await;
        assert_eq!((&first["sub"], &first["auth_time"]), (&second["sub"], &second["auth_time"]));
    })
    .await;
}

#[tokio::test]
async fn oidcc_max_age_1() {
    let world = World::new().await;
    each(&world, async |world, rp| {
        let mut browser = Browser::new(&world.server);
        let first = world.ask(&mut browser, &rp, &[]).await;
        let (first, _) = world.tokens(&rp, &first).await;
        world.server.clock.advance(Duration::from_secs(2));
        let (second, proved) = world.watch(&mut browser, &rp, &[("max_age", "1")]).await;
        let (second, _) = world.tokens(&rp, &second).await;
        assert!(proved && second["auth_time"].as_i64() > first["auth_time"].as_i64());
    })
    .await;
}

#[tokio::test]
async fn oidcc_max_age_10000() {
    let world = World::new().await;
    each(&world, async |world, rp| {
        let mut browser = Browser::new(&world.server);
        let first = world.ask(&mut browser, &rp, &[("max_age", "15000")]).await;
        let (first, _) = world.tokens(&rp, &first).await;
        let (second, proved) = world.watch(&mut browser, &rp, &[("max_age", "10000")]).await;
        let (second, _) = world.tokens(&rp, &second).await;
        assert!(!proved && first["auth_time"] == second["auth_time"]);
    })
    .await;
}

#[tokio::test]
async fn oidcc_id_token_hint() {
    let world = World::new().await;
    each(&world, async |world, rp| {
        let mut browser = Browser::new(&world.server);
        let given = world.ask(&mut browser, &rp, &[]).await;
        let hint = match given.get("id_token") {
            Some(token) => token.clone(),
            None => world.redeem(&rp, &given["code"]).await.text_of("id_token"),
        };
        let page = browser.get(&world.request(&rp, &[("prompt", "none"), ("id_token_hint", &hint)])).await;
        let (told, _) = world.tokens(&rp, &world.arrived(&rp, &page)).await;
        assert_eq!(told["sub"], unproven(&hint)["sub"]);
    })
    .await;
}

#[tokio::test]
async fn oidcc_ensure_request_with_acr_values_succeeds() {
    let world = World::new().await;
    let offered = world.discovery().await["acr_values_supported"].clone();
    let offered: Vec<String> = serde_json::from_value(offered).unwrap();
    each(&world, async |world, rp| {
        let (told, _) = world.happy(&rp, &[("acr_values", &offered.join(" "))]).await;
        assert!(offered.iter().any(|acr| acr == text(&told, "acr")));
    })
    .await;
}

#[tokio::test]
async fn oidcc_codereuse() {
    let world = World::new().await;
    for plan in PLANS.iter().filter(|(kind, _)| kind.contains("code")) {
        let rp = world.rp(*plan, nothing()).await;
        let given = world.ask(&mut Browser::new(&world.server), &rp, &[]).await;
        let (one, two) = tokio::join!(world.redeem(&rp, &given["code"]), world.redeem(&rp, &given["code"]));
        let mut both = [one.status, two.status];
        both.sort_unstable();
        assert_eq!(both, [200, 400]);
        let second = if one.status == 400 { one } else { two };
        assert_eq!(second.error(), "invalid_grant");
    }
}

#[tokio::test]
async fn oidcc_codereuse_30seconds() {
    let world = World::new().await;
    for plan in PLANS.iter().filter(|(kind, _)| kind.contains("code")) {
        let rp = world.rp(*plan, nothing()).await;
        let given = world.ask(&mut Browser::new(&world.server), &rp, &[]).await;
        let access = world.redeem(&rp, &given["code"]).await.text_of("access_token");
        world.server.clock.advance(Duration::from_secs(30));
        let again = world.redeem(&rp, &given["code"]).await;
        assert_eq!((again.status, again.error().as_str()), (400, "invalid_grant"));
        assert_eq!(world.userinfo(&access).await.status, 401, "what came of the code is revoked");
    }
}

#[tokio::test]
async fn oidcc_ensure_registered_redirect_uri() {
    let world = World::new().await;
    each(&world, async |world, rp| {
        let other = format!("{REDIRECT}/x7Qa");
        let page = Browser::new(&world.server).get(&world.request(&rp, &[("redirect_uri", &other)])).await;
        page.is_error_page(400);
    })
    .await;
}

#[tokio::test]
async fn oidcc_ensure_post_request_succeeds() {
    let world = World::new().await;
    let rp = world.rp(("code", None), nothing()).await;
    let url = world.request(&rp, &[]);
    let form: Vec<(String, String)> =
        url::form_urlencoded::parse(url.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let mut browser = Browser::new(&world.server);
    let page = browser.post(&world.server.url("/oauth2/authorize"), &form).await;
    let page = browser.follow(&page.location().unwrap()).await;
    let page = browser.sign_in(&page).await;
    let page = browser.answer(&page, &[("decision", "allow")]).await;
    world.tokens(&rp, &world.arrived(&rp, &page)).await;
}

#[tokio::test]
async fn oidcc_server_client_secret_post() {
    let world = World::new().await;
    for plan in PLANS.iter().filter(|(kind, _)| kind.contains("code")) {
        for method in ["client_secret_post", "client_secret_jwt", "private_key_jwt"] {
            let rp = world.rp(*plan, json!({ "token_endpoint_auth_method": method })).await;
            world.happy(&rp, &[]).await;
        }
    }
}

/// `alg: none`, which is not offered: refused by name, and the module is skipped.
async fn unsigned(world: &World, name: &str, value: &str) {
    let offered = world.discovery().await["request_object_signing_alg_values_supported"].clone();
    assert!(!offered.as_array().unwrap().contains(&json!("none")));
    let rp = world.rp(("code", None), json!({ "request_uris": [world.site.url("/request")] })).await;
    let given = error(world, &rp, &[(name, value)]).await;
    assert!(["invalid_request_object", "request_not_supported"].contains(&given["error"].as_str()), "{given:?}");
}

fn without_signature(claims: &Value) -> String {
    use base64::Engine;
    let part = |v: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(v.to_string());
    format!("{}.{}.", part(&json!({ "alg": "none" })), part(claims))
}

#[tokio::test]
async fn oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported() {
    let world = World::new().await;
    let object = without_signature(&json!({ "scope": "openid" }));
    world.site.says("/request", crate::support::site::Says::This("application/jwt", object.into_bytes()));
    unsigned(&world, "request_uri", &world.site.url("/request")).await;
}

#[tokio::test]
async fn oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported() {
    let world = World::new().await;
    unsigned(&world, "request", &without_signature(&json!({ "scope": "openid", "state": STATE }))).await;
}

#[tokio::test]
async fn oidcc_claims_essential() {
    let world = World::new().await;
    let claims = json!({ "userinfo": { "name": { "essential": true } }, "id_token": { "email": NOTHING } }).to_string();
    each(&world, async |world, rp| {
        let mut browser = Browser::new(&world.server);
        let given = world.ask(&mut browser, &rp, &[("claims", &claims)]).await;
        let access = match given.get("code") {
            Some(code) => {
                let answer = world.redeem(&rp, code).await;
                assert_eq!(unproven(&answer.text_of("id_token"))["email"], EMAIL);
                Some(answer.text_of("access_token"))
            }
            None => {
                assert_eq!(unproven(&given["id_token"])["email"], EMAIL);
                given.get("access_token").cloned()
            }
        };
        if let Some(access) = access {
            let info = world.userinfo(&access).await.json();
            assert!(info["name"].is_string() && info.get("email").is_none(), "{info}");
        }
    })
    .await;
}

#[tokio::test]
async fn oidcc_ensure_request_object_with_redirect_uri() {
    let world = World::new().await;
    each(&world, async |world, rp| {
        let object = json!({
            "iss": rp.id, "aud": world.server.issuer, "client_id": rp.id, "redirect_uri": REDIRECT, "response_type": rp.kind,
            "scope": "openid", "state": STATE, "nonce": NONCE,
        });
        let object = rp.key.sign("JWT", &object);
        let outer = format!("{REDIRECT}_invalid");
        let given =
            world.ask(&mut Browser::new(&world.server), &rp, &[("redirect_uri", &outer), ("request", &object)]).await;
        world.tokens(&rp, &given).await;
    })
    .await;
}

#[tokio::test]
async fn oidcc_refresh_token() {
    let world = World::new().await;
    for plan in PLANS.iter().filter(|(kind, _)| kind.contains("code")) {
        let (rp, other) = (world.rp(*plan, nothing()).await, world.rp(*plan, nothing()).await);
        let changes = [("scope", "openid offline_access"), ("prompt", "consent")];
        let given = world.ask(&mut Browser::new(&world.server), &rp, &changes).await;
        let first = world.redeem(&rp, &given["code"]).await;
        let token = first.text_of("refresh_token");
        world.server.clock.advance(Duration::from_secs(2));
        let stolen = world.token(&other, &[("grant_type", "refresh_token"), ("refresh_token", &token)]).await;
        assert_eq!((stolen.status, stolen.error().as_str()), (400, "invalid_grant"));
        let second = world.token(&rp, &[("grant_type", "refresh_token"), ("refresh_token", &token)]).await;
        assert_eq!(second.status, 200, "{}", second.text);
        assert_eq!(second.headers["cache-control"], "no-store");
        let (before, after) = (unproven(&first.text_of("id_token")), unproven(&second.text_of("id_token")));
        for name in ["iss", "sub", "aud", "auth_time"] {
            assert_eq!(before[name], after[name], "{name}");
        }
        assert!(after["iat"].as_i64() > before["iat"].as_i64());
        assert!(after.get("nonce").is_none_or(|n| *n == before["nonce"]));
    }
}

#[tokio::test]
async fn oidcc_ensure_request_with_valid_pkce_succeeds() {
    let world = World::new().await;
    for plan in PLANS.iter().filter(|(kind, _)| kind.contains("code")) {
        let rp = world.rp(*plan, nothing()).await;
        let challenge = pkce();
        let changes = [("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")];
        let given = world.ask(&mut Browser::new(&world.server), &rp, &changes).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", given["code"].as_str()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        assert_eq!(world.token(&rp, &form[..3]).await.status, 400, "without its verifier it is worth nothing");
        assert_eq!(world.token(&rp, &form).await.status, 200);
    }
}
