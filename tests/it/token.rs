//! The token endpoint: codes, client authentication, client credentials, and how it answers.

use crate::support::browser::http;
use crate::support::rp::{self, Answer, VERIFIER, answered, post, post_to, redeem, userinfo};
use crate::support::{CALLBACK, Registered, Server, jwt};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use entity::{ClientAuth, PkceRule, Scopes, SigningAlg, Status};
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;

async fn begin() -> (Server, Registered) {
    let server = Server::start().await;
    server.person().await;
    let client = server.client_with(|c| c.first_party = true).await;
    (server, client)
}

/// Redeems with these parameters instead of the usual ones; an empty value leaves one out.
async fn redeem_with(server: &Server, client: &Registered, code: &str, changes: &[(&str, &str)]) -> Answer {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    for (name, value) in changes {
        form.retain(|(n, _)| n != name);
        if !value.is_empty() {
            form.push((name, value));
        }
    }
    post(server, "/oauth2/token", client, &form).await
}

// Codes

#[tokio::test]
async fn a_code_works_once_and_its_replay_revokes_what_came_of_it__rfc6749_4_1_2() {
    let (server, client) = begin().await;
    let code = rp::code(&server, &client, &[]).await;
    let first = redeem(&server, &client, &code).await;
    assert_eq!(first.status, 200);
    assert_eq!(userinfo(&server, &first.text_of("access_token")).await.status, 200);
    assert_eq!(redeem(&server, &client, &code).await.error(), "invalid_grant");
    assert_eq!(userinfo(&server, &first.text_of("access_token")).await.error(), "invalid_token");
    assert_eq!(rp::refresh(&server, &client, &first.text_of("refresh_token")).await.error(), "invalid_grant");
    assert_eq!(server.audited("code.reuse").await, 1);
}

#[tokio::test]
async fn of_sixteen_at_once_one_gets_tokens_and_the_replays_revoke_them__rfc6749_4_1_2() {
    let (server, client) = begin().await;
    let code = rp::code(&server, &client, &[]).await;
    let answers = join_all((0..16).map(|_| redeem(&server, &client, &code))).await;
    let won: Vec<_> = answers.iter().filter(|a| a.status == 200).collect();
    assert_eq!(won.len(), 1, "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
    assert!(answers.iter().all(|a| a.status == 200 || a.error() == "invalid_grant"));
    assert_eq!(userinfo(&server, &won[0].text_of("access_token")).await.error(), "invalid_token");
    assert_eq!(server.grants().await.len(), 1);
}

#[tokio::test]
async fn a_code_is_spent_once_over_two_nodes__asvs_15_4_2() {
    let (server, client) = begin().await;
    if server.on_a_file() {
        return;
    }
    let second = server.second().await;
    let url = format!("http://127.0.0.1:{}/oauth2/token", second.port);
    let host = server.issuer.trim_start_matches("http://");
    for _ in 0..5 {
        let code = rp::code(&server, &client, &[]).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let there = http().post(&url).header("host", host).basic_auth(&client.id, client.secret.as_ref()).form(&form);
        let (here, there) = tokio::join!(redeem(&server, &client, &code), answered(there));
        assert_eq!(
            [here.status, there.status].iter().filter(|s| **s == 200).count(),
            1,
            "{} {}",
            here.text,
            there.text
        );
    }
}

#[tokio::test]
async fn a_replay_that_proves_less_revokes_nothing__oauth2_1_7_5() {
    let (server, client) = begin().await;
    let other = server.client().await;
    let code = rp::code(&server, &client, &[]).await;
    let first = redeem(&server, &client, &code).await;
    let wrong = "b".repeat(43);
    assert_eq!(redeem_with(&server, &client, &code, &[("code_verifier", "")]).await.error(), "invalid_grant");
    assert_eq!(redeem_with(&server, &client, &code, &[("code_verifier", &wrong)]).await.error(), "invalid_grant");
    assert_eq!(
        redeem_with(&server, &client, &code, &[("redirect_uri", "https://x.test")]).await.error(),
        "invalid_grant"
    );
    assert_eq!(redeem(&server, &other, &code).await.error(), "invalid_grant");
    let guess = Registered { id: client.id.clone(), secret: Some("kw_cs_guess".into()) };
    assert_eq!(redeem(&server, &guess, &code).await.error(), "invalid_client");
    assert_eq!(userinfo(&server, &first.text_of("access_token")).await.status, 200);
}

#[tokio::test]
async fn a_wrong_attempt_leaves_the_code_to_its_owner__rfc9700_4_5() {
    let (server, client) = begin().await;
    let other = server.client().await;
    let code = rp::code(&server, &client, &[]).await;
    let (wrong, short, odd) = ("b".repeat(43), "b".repeat(42), format!("{}ä", "b".repeat(50)));
    let attempts: [(&[(&str, &str)], &str); 9] = [
        (&[("code_verifier", &wrong)], "invalid_grant"),
        (&[("code_verifier", "")], "invalid_grant"),
        (&[("code_verifier", &short)], "invalid_request"),
        (&[("code_verifier", &odd)], "invalid_request"),
        (&[("redirect_uri", "https://app.example.com/cb/")], "invalid_grant"),
        (&[("redirect_uri", "")], "invalid_grant"),
        (&[("resource", "https://api.test")], "invalid_target"),
        (&[("code", "kw_ac_none")], "invalid_grant"),
        (&[("code", "")], "invalid_request"),
    ];
    for (changes, error) in attempts {
        let answer = redeem_with(&server, &client, &code, changes).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, error), "{changes:?}");
    }
    assert_eq!(redeem(&server, &other, &code).await.error(), "invalid_grant");
    for near in [code.to_uppercase(), code[..code.len() - 1].to_owned(), format!("{code}A"), format!("{code} ")] {
        assert_eq!(redeem(&server, &client, &near).await.error(), "invalid_grant");
    }
    assert_eq!(redeem(&server, &client, &code).await.status, 200);
}

#[tokio::test]
async fn a_code_lives_a_minute__rfc6749_4_1_2() {
    let (server, client) = begin().await;
    let code = rp::code(&server, &client, &[]).await;
    server.clock.advance(Duration::from_secs(50));
    let late = rp::code(&server, &client, &[]).await;
    assert_eq!(redeem(&server, &client, &code).await.status, 200);
    server.clock.advance(Duration::from_secs(61));
    assert_eq!(redeem(&server, &client, &late).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_verifier_without_a_challenge_is_refused__rfc9700_4_8_2() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client_with(|c| c.pkce = PkceRule::Optional).await;
    let code = rp::code(&server, &client, &[("code_challenge", ""), ("code_challenge_method", "")]).await;
    assert_eq!(redeem(&server, &client, &code).await.error(), "invalid_grant");
    assert_eq!(redeem_with(&server, &client, &code, &[("code_verifier", "")]).await.status, 200);
}

#[tokio::test]
async fn a_code_dies_with_its_session__rfc9700_4_14_2() {
    let (server, client) = begin().await;
    let mut browser = crate::support::Browser::signed_in(&server).await;
    let code = rp::code_in(&server, &client, &mut browser, &[]).await;
    let page = browser.get("/account").await;
    let csrf = page.hidden().into_iter().find(|(n, _)| n == "csrf").unwrap().1;
    assert_eq!(browser.post("/signout", &[("csrf", &csrf)]).await.status, 200);
    assert_eq!(redeem(&server, &client, &code).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_failed_commit_gives_nobody_tokens() {
    let (server, client) = begin().await;
    let code = rp::code(&server, &client, &[]).await;
    server.fail_next_commit().await;
    let answer = redeem(&server, &client, &code).await;
    assert_eq!((answer.status, answer.error().as_str()), (503, "temporarily_unavailable"));
}

// Client authentication

/// Asks for a client credentials token with whatever is presented.
async fn present(server: &Server, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Answer {
    let mut all = vec![("grant_type", "client_credentials"), ("scope", "api")];
    all.extend_from_slice(form);
    let request = http().post(server.url("/oauth2/token")).form(&all);
    answered(headers.iter().fold(request, |r, (name, value)| r.header(*name, *value))).await
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

#[tokio::test]
async fn a_client_uses_its_registered_method_and_no_other__oauth2_1_2_4() {
    let server = Server::start().await;
    let key = jwt::Key::new(SigningAlg::Es256);
    for registered in [ClientAuth::None, ClientAuth::Basic, ClientAuth::Post, ClientAuth::PrivateKeyJwt] {
        let client = server
            .client_with(|c| {
                c.token_endpoint_auth_method = registered;
                c.jwks = (registered == ClientAuth::PrivateKeyJwt).then(|| key.jwks());
            })
            .await;
        let secret = client.secret.clone().unwrap_or_else(|| "kw_cs_none".into());
        let assertion = key.assertion(&server.issuer, &client.id);
        let with_basic = present(&server, &[("authorization", &basic(&client.id, &secret))], &[]).await;
        let with_post = present(&server, &[], &[("client_id", &client.id), ("client_secret", &secret)]).await;
        let with_key =
            present(&server, &[], &[("client_assertion_type", jwt::BEARER), ("client_assertion", &assertion)]).await;
        let with_id = present(&server, &[], &[("client_id", &client.id)]).await;
        for (method, answer) in [
            (ClientAuth::Basic, with_basic),
            (ClientAuth::Post, with_post),
            (ClientAuth::PrivateKeyJwt, with_key),
            (ClientAuth::None, with_id),
        ] {
            match (method == registered, registered) {
                // RFC 6749 section 4.4: public clients have no such grant.
                (true, ClientAuth::None) => assert_eq!(answer.error(), "unauthorized_client"),
                (true, _) => assert_eq!(answer.status, 200, "{registered:?}: {}", answer.text),
                (false, _) => {
                    assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_client"), "{method:?}")
                }
            }
        }
    }
}

#[tokio::test]
async fn credentials_never_stand_in_the_address__rfc6749_2_3_1() {
    let server = Server::start().await;
    let client = server.client_with(|c| c.token_endpoint_auth_method = ClientAuth::Post).await;
    let secret = client.secret.clone().unwrap();
    for query in
        [format!("client_id={}&client_secret={secret}", client.id), "client_assertion=x".into(), "code=x".into()]
    {
        let url = format!("{}?{query}", server.url("/oauth2/token"));
        let answer = post_to(&url, None, &[("grant_type", "client_credentials")]).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_request"), "{query}");
    }
}

#[tokio::test]
async fn two_methods_at_once_are_refused__rfc6749_2_3() {
    let server = Server::start().await;
    let client = server.client().await;
    let secret = client.secret.clone().unwrap();
    let header = basic(&client.id, &secret);
    let both = present(&server, &[("authorization", &header)], &[("client_secret", &secret)]).await;
    assert_eq!(both.error(), "invalid_request");
    let both = present(
        &server,
        &[("authorization", &header)],
        &[("client_assertion", "x"), ("client_assertion_type", jwt::BEARER)],
    )
    .await;
    assert_eq!(both.error(), "invalid_request");
    let other = present(&server, &[("authorization", &header)], &[("client_id", "another")]).await;
    assert_eq!(other.error(), "invalid_request");
    let same = present(&server, &[("authorization", &header)], &[("client_id", &client.id)]).await;
    assert_eq!(same.status, 200);
}

#[tokio::test]
async fn basic_is_read_strictly_and_form_decoded__rfc6749_2_3_1() {
    let server = Server::start().await;
    let client = server.client().await;
    let secret = client.secret.clone().unwrap();
    let encoded = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
    let good = STANDARD.encode(format!("{}:{}", encoded(&client.id), encoded(&secret)));
    for scheme in ["Basic", "basic", "BASIC"] {
        assert_eq!(present(&server, &[("authorization", &format!("{scheme} {good}"))], &[]).await.status, 200);
    }
    let bad = [
        "%%%".to_owned(),
        STANDARD.encode("no colon"),
        STANDARD.encode(format!("{}:%zz", client.id)),
        STANDARD.encode(format!("{}:{secret}%", client.id)),
        STANDARD.encode(b"\xff\xfe:x"),
        String::new(),
    ];
    for bad in bad {
        let answer = present(&server, &[("authorization", &format!("Basic {bad}"))], &[]).await;
        assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_client"), "{bad}");
        assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
    }
    let answer = present(&server, &[("authorization", &basic(&client.id, "wrong"))], &[]).await;
    assert_eq!(answer.status, 401);
    assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "), "RFC 6749 section 5.2");
}

#[tokio::test]
async fn two_authorization_headers_are_refused() {
    let server = Server::start().await;
    let (client, other) = (server.client().await, server.client().await);
    let headers = [client, other].map(|c| basic(&c.id, &c.secret.unwrap()));
    let headers = [("authorization", headers[0].as_str()), ("authorization", headers[1].as_str())];
    assert_eq!(present(&server, &headers, &[]).await.status, 400);
}

#[tokio::test]
async fn unknown_disabled_and_mistaken_clients_hear_the_same() {
    let server = Server::start().await;
    let client = server.client().await;
    let mistaken = present(&server, &[("authorization", &basic(&client.id, "kw_cs_wrong"))], &[]).await;
    let unknown = present(&server, &[("authorization", &basic("app.unknown", "kw_cs_wrong"))], &[]).await;
    server.client_status(&client, Status::Disabled).await;
    let right = basic(&client.id, client.secret.as_deref().unwrap());
    let disabled = present(&server, &[("authorization", &right)], &[]).await;
    for answer in [&unknown, &disabled] {
        assert_eq!((answer.status, &answer.text), (mistaken.status, &mistaken.text));
    }
    server.client_status(&client, Status::Active).await;
    assert_eq!(present(&server, &[("authorization", &right)], &[]).await.status, 200);
}

#[tokio::test]
async fn two_secrets_are_good_while_one_takes_over_from_the_other() {
    let server = Server::start().await;
    let client = server.client().await;
    let row = keyward::client::by_client_id(server.app.db().read(), server.tenant, &client.id).await.unwrap().unwrap();
    let store = server.app.store.clone();
    let overlap = Duration::from_secs(3600);
    let rotate = async move |tx: &keyward::db::Tx| keyward::client::rotate_secret(tx, &store, &row, overlap).await;
    let new = server.app.db().write(rotate).await.unwrap();
    server.app.store.cache.changed_here();
    let old = basic(&client.id, client.secret.as_deref().unwrap());
    let new = basic(&client.id, &new);
    for secret in [&old, &new] {
        assert_eq!(present(&server, &[("authorization", secret)], &[]).await.status, 200);
    }
    server.clock.advance(overlap);
    assert_eq!(present(&server, &[("authorization", &old)], &[]).await.error(), "invalid_client");
    assert_eq!(present(&server, &[("authorization", &new)], &[]).await.status, 200);
}

#[tokio::test]
async fn many_failures_are_slowed_down_and_the_right_secret_still_passes__oauth2_1_2_4_1() {
    let server = Server::start().await;
    let (client, other) = (server.client().await, server.client().await);
    let wrong = basic(&client.id, "kw_cs_wrong");
    let mut statuses = vec![];
    for _ in 0..25 {
        statuses.push(present(&server, &[("authorization", &wrong)], &[]).await.status);
    }
    assert_eq!((statuses[0], statuses[24]), (401, 429), "{statuses:?}");
    let slow = present(&server, &[("authorization", &wrong)], &[]).await;
    assert!(slow.error() == "slow_down" && slow.headers.contains_key("retry-after"));
    let right = basic(&client.id, client.secret.as_deref().unwrap());
    assert_eq!(present(&server, &[("authorization", &right)], &[]).await.status, 200);
    assert_eq!(present(&server, &[("authorization", &basic(&other.id, "kw_cs_wrong"))], &[]).await.status, 401);
    server.clock.advance(Duration::from_secs(61));
    assert_eq!(present(&server, &[("authorization", &wrong)], &[]).await.status, 401);
}

// Assertions (RFC 7523)

async fn assertion_client(server: &Server, key: &jwt::Key) -> Registered {
    server
        .client_with(|c| {
            c.token_endpoint_auth_method = ClientAuth::PrivateKeyJwt;
            c.jwks = Some(key.jwks());
        })
        .await
}

async fn present_assertion(server: &Server, assertion: &str) -> Answer {
    present(server, &[], &[("client_assertion_type", jwt::BEARER), ("client_assertion", assertion)]).await
}

#[tokio::test]
async fn an_assertion_is_for_the_issuer_or_the_token_endpoint_alone__rfc7523_3() {
    let server = Server::start().await;
    let key = jwt::Key::new(SigningAlg::Es256);
    let client = assertion_client(&server, &key).await;
    let (issuer, endpoint) = (server.issuer.clone(), server.url("/oauth2/token"));
    let rows = [
        (json!(issuer), true),
        (json!(endpoint), true),
        (json!([issuer]), true),
        (json!([issuer, "https://other.test"]), false),
        (json!([issuer, endpoint]), false),
        (json!([]), false),
        (json!({ "a": issuer }), false),
        (json!(null), false),
        (json!(format!("{issuer}/")), false),
        (json!(server.url("/oauth2/introspect")), false),
        (json!(server.url("/t/other")), false),
        (json!(issuer.to_uppercase()), false),
        (json!(&issuer[..issuer.len() - 1]), false),
    ];
    for (audience, good) in rows {
        let claims = key.claims(&issuer, &client.id, &[("aud", audience.clone())]);
        let answer = present_assertion(&server, &key.sign("JWT", &claims)).await;
        assert_eq!(answer.status, if good { 200 } else { 401 }, "{audience} {}", answer.text);
    }
}

#[tokio::test]
async fn an_assertion_needs_its_claims_and_a_short_life__rfc7523_3() {
    let server = Server::start().await;
    let key = jwt::Key::new(SigningAlg::Es256);
    let client = assertion_client(&server, &key).await;
    let now = server.now().seconds();
    let rows = [
        ("exp", json!(now + 290), true),
        ("exp", json!(now + 400), false),
        ("exp", json!(now - 60), false),
        ("exp", json!(null), false),
        ("exp", json!((now + 60).to_string()), false),
        ("exp", json!(-1), false),
        ("nbf", json!(now + 100), false),
        ("iat", json!(now + 100), false),
        ("jti", json!(null), false),
        ("jti", json!(""), false),
        ("jti", json!(7), false),
        ("jti", json!("j".repeat(400)), false),
        ("iss", json!("another"), false),
        ("iss", json!(null), false),
        ("sub", json!("app.another"), false),
        ("sub", json!(null), false),
    ];
    for (name, value, good) in rows {
        let claims = key.claims(&server.issuer, &client.id, &[(name, value.clone())]);
        let answer = present_assertion(&server, &key.sign("JWT", &claims)).await;
        assert_eq!(answer.status, if good { 200 } else { 401 }, "{name}={value} {}", answer.text);
    }
    for (typ, good) in [("client-authentication+jwt", true), ("jwt", true), ("at+jwt", false), ("dpop+jwt", false)] {
        let answer = present_assertion(&server, &key.sign(typ, &key.claims(&server.issuer, &client.id, &[]))).await;
        assert_eq!(answer.status, if good { 200 } else { 401 }, "{typ} {}", answer.text);
    }
    let form = [("client_assertion", key.assertion(&server.issuer, &client.id))];
    let form = [("client_assertion", form[0].1.as_str()), ("client_assertion_type", "urn:other")];
    assert_eq!(present(&server, &[], &form).await.error(), "invalid_request");
}

#[tokio::test]
async fn an_assertion_works_once_also_at_once__rfc7523_3() {
    let server = Server::start().await;
    let key = jwt::Key::new(SigningAlg::EdDsa);
    let client = assertion_client(&server, &key).await;
    let assertion = key.assertion(&server.issuer, &client.id);
    let answers = join_all((0..8).map(|_| present_assertion(&server, &assertion))).await;
    assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1);
    assert_eq!(present_assertion(&server, &assertion).await.error(), "invalid_client");
    // The same jti of another client is another's.
    let other = assertion_client(&server, &key).await;
    let jti = rp::claims(&assertion)["jti"].clone();
    let claims = key.claims(&server.issuer, &other.id, &[("jti", jti)]);
    assert_eq!(present_assertion(&server, &key.sign("JWT", &claims)).await.status, 200);
}

#[tokio::test]
async fn an_assertion_works_once_over_two_nodes__asvs_15_4_2() {
    let server = Server::start().await;
    if server.on_a_file() {
        return;
    }
    let second = server.second().await;
    let key = jwt::Key::new(SigningAlg::Es256);
    let client = assertion_client(&server, &key).await;
    let assertion = key.assertion(&server.issuer, &client.id);
    assert_eq!(present_assertion(&server, &assertion).await.status, 200);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", jwt::BEARER),
        ("client_assertion", assertion.as_str()),
    ];
    let host = server.issuer.trim_start_matches("http://");
    let there = http().post(format!("http://127.0.0.1:{}/oauth2/token", second.port)).header("host", host).form(&form);
    assert_eq!(answered(there).await.error(), "invalid_client");
}

#[tokio::test]
async fn an_assertion_is_signed_by_a_registered_key_and_nothing_else__rfc8725_3() {
    let server = Server::start().await;
    let (key, stranger) = (jwt::Key::new(SigningAlg::Es256), jwt::Key::new(SigningAlg::Es256));
    let client = assertion_client(&server, &key).await;
    let claims = || key.claims(&server.issuer, &client.id, &[]);
    let public = key.jwks()["keys"][0].clone();
    let headers = [
        json!({ "alg": "none" }),
        json!({ "alg": "None" }),
        json!({ "alg": "" }),
        json!({ "alg": null }),
        json!({}),
        json!({ "alg": ["ES256"] }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "HS256", "kid": key.kid() }),
        json!({ "alg": "RS256", "kid": key.kid() }),
        json!({ "alg": "ES384", "kid": key.kid() }),
        json!({ "alg": "ES256", "kid": "../../dev/null" }),
        json!({ "alg": "ES256", "kid": "' OR 1=1--" }),
        json!({ "alg": "ES256", "kid": "k".repeat(1_000) }),
        json!({ "alg": "ES256", "kid": 1 }),
        json!({ "alg": "ES256", "kid": stranger.kid() }),
        json!({ "alg": "ES256", "kid": key.kid(), "jwk": public }),
        json!({ "alg": "ES256", "kid": key.kid(), "jku": "https://evil.test/jwks" }),
        json!({ "alg": "ES256", "kid": key.kid(), "x5u": "https://evil.test/x" }),
        json!({ "alg": "ES256", "kid": key.kid(), "crit": [] }),
        json!({ "alg": "ES256", "kid": key.kid(), "crit": ["b64"], "b64": false }),
    ];
    for header in headers {
        // Under the client's own good signature as well: the header alone is the reason.
        for token in [key.forge(&header, &claims(), b"x"), key.forge(&header, &claims(), b"")] {
            let answer = present_assertion(&server, &token).await;
            assert!([401, 429].contains(&answer.status), "{header} {}", answer.text);
        }
    }
    let good = key.sign("JWT", &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let bent = [
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}.x"),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{good}="),
        format!("{} .{}.{}", parts[0], parts[1], parts[2]),
        stranger.sign("JWT", &claims()),
        ".".repeat(5_000),
        "x".to_owned(),
        format!("{}.{}.{}", parts[0], "e30", parts[2]),
    ];
    for token in bent {
        assert!([401, 429].contains(&present_assertion(&server, &token).await.status), "{token}");
    }
    assert_eq!(present_assertion(&server, &good).await.status, 200, "none of them used its jti up");
}

#[tokio::test]
async fn an_assertion_may_lack_a_kid__rfc7515_4_1_4() {
    let server = Server::start().await;
    let key = jwt::Key::new(SigningAlg::Es256);
    let client = assertion_client(&server, &key).await;
    let token = key.sign_without_kid(&key.claims(&server.issuer, &client.id, &[]));
    assert_eq!(present_assertion(&server, &token).await.status, 200);
}

// Client credentials, and the endpoint itself

#[tokio::test]
async fn client_credentials_give_scopes_of_the_client_and_none_of_a_person__rfc6749_4_4() {
    let server = Server::start().await;
    let client = server.client_with(|c| c.scopes = c.scopes.or(&Scopes::of(["b"]))).await;
    let ask = async |scope: &str| {
        post(&server, "/oauth2/token", &client, &[("grant_type", "client_credentials"), ("scope", scope)]).await
    };
    let all = ask("").await;
    assert_eq!(all.text_of("scope"), "api b introspection");
    assert_eq!(ask("b").await.text_of("scope"), "b");
    for beyond in ["other", "openid", "api profile", "offline_access", "a\"b"] {
        assert_eq!(ask(beyond).await.error(), "invalid_scope", "{beyond}");
    }
    let body = all.json();
    assert!(body.get("refresh_token").is_none() && body.get("id_token").is_none());
    assert_eq!((body["token_type"].as_str(), body["expires_in"].as_u64()), (Some("Bearer"), Some(900)));
    let claims = rp::claims(&all.text_of("access_token"));
    assert_eq!((claims["sub"].as_str(), claims["client_id"].as_str()), (Some(&*client.id), Some(&*client.id)));
    assert_eq!((claims["iss"].as_str(), claims["aud"].as_str()), (Some(&*server.issuer), Some(&*server.issuer)));
    assert!(client.id.contains('.'), "no person's subject can be it (RFC 9068 section 5)");
}

#[tokio::test]
async fn an_unknown_or_foreign_grant_type_is_refused__rfc6749_5_2() {
    let server = Server::start().await;
    let client = server.client_with(|c| c.grant_types = vec![entity::GrantType::ClientCredentials]).await;
    let ask = async |grant: &str| {
        let answer = post(&server, "/oauth2/token", &client, &[("grant_type", grant)]).await;
        assert_eq!(answer.status, 400);
        answer.error()
    };
    for grant in ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "AUTHORIZATION_CODE"] {
        assert_eq!(ask(grant).await, "unsupported_grant_type", "{grant}");
    }
    assert_eq!(ask("authorization_code").await, "unauthorized_client");
    assert_eq!(ask("refresh_token").await, "unauthorized_client");
    assert_eq!(ask("").await, "invalid_request");
}

#[tokio::test]
async fn a_token_answer_is_json_that_nobody_keeps__rfc6749_5_1() {
    let (server, client) = begin().await;
    let good = rp::tokens(&server, &client).await;
    let bad = post(&server, "/oauth2/token", &client, &[("grant_type", "x")]).await;
    for answer in [&good, &bad] {
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["pragma"], "no-cache");
        assert_eq!(answer.headers["content-type"], "application/json");
    }
    assert_eq!(bad.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["error", "error_description"]);
    for name in ["access_token", "refresh_token", "id_token", "scope", "token_type"] {
        assert!(good.json()[name].is_string(), "{name}");
    }
    let header = |token: &str| {
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let head = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<serde_json::Value>(&head).unwrap()
    };
    let (access, id) = (header(&good.text_of("access_token")), header(&good.text_of("id_token")));
    assert_eq!((access["typ"].as_str(), access["alg"].as_str()), (Some("at+jwt"), Some("ES256")), "RFC 9068");
    assert_eq!((id["typ"].as_str(), id["alg"].as_str()), (Some("JWT"), Some("RS256")), "OpenID Connect Core 15.1");
}

#[tokio::test]
async fn only_forms_of_bounded_size_are_read() {
    let server = Server::start().await;
    let client = server.client().await;
    let send = async |kind: Option<&str>, body: String| {
        let mut request = http().post(server.url("/oauth2/token")).basic_auth(&client.id, client.secret.as_ref());
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        answered(request.body(body)).await
    };
    let form = "application/x-www-form-urlencoded";
    let good = "grant_type=client_credentials".to_owned();
    for kind in [form, "application/x-www-form-urlencoded; charset=UTF-8", "APPLICATION/X-WWW-FORM-URLENCODED"] {
        assert_eq!(send(Some(kind), good.clone()).await.status, 200, "{kind}");
    }
    for kind in [Some("application/json"), Some("text/plain"), Some("multipart/form-data; boundary=x"), None] {
        let answer = send(kind, "{\"grant_type\":\"client_credentials\"}".into()).await;
        assert_eq!((answer.status, answer.error().as_str()), (415, "unsupported_media_type"), "{kind:?}");
    }
    let answer = send(Some(form), format!("{good}&x={}", "a".repeat(70_000))).await;
    assert_eq!((answer.status, answer.error().as_str()), (413, "request_too_large"));
    for bad in
        ["grant_type=%ff", "grant_type=a&grant_type=b", "%zz=1", "grant_type=client_credentials&scope=api&scope=api"]
    {
        let answer = send(Some(form), bad.into()).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_request"), "{bad}");
    }
    let get = answered(http().get(server.url("/oauth2/token"))).await;
    assert_eq!((get.status, get.error().as_str()), (405, "method_not_allowed"));
}
