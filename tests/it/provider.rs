//! Applications that register by themselves, what they publish, and what they want signed and encrypted.

use crate::conformance::world::{REDIRECT, Rp, World, unproven};
use crate::support::browser::http;
use crate::support::jwt::Key;
use crate::support::rp::answered;
use crate::support::site::Says;
use crate::support::{Browser, CALLBACK, Server};
use entity::{ContentEnc, GrantType, KeyAlg, SigningAlg};
use keyward::feature::Feature;
use keyward::jose::{Decrypter, Recipient, decrypt, generate, key_shape};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn code(world: &World, changes: Value) -> Rp {
    world.rp(("code", None), changes).await
}

#[tokio::test]
async fn a_registration_is_read_replaced_and_removed_by_its_own_token__rfc7592_2() {
    let world = World::new().await;
    let rp = code(&world, json!({ "client_name": "Wiki", "logo_uri": "https://rp.example.com/l.png" })).await;
    let (place, token) = rp.manage();
    let read = answered(http().get(&place).bearer_auth(&token)).await.json();
    assert_eq!((&read["client_name"], &read["client_id"]), (&json!("Wiki"), &json!(rp.id)));
    assert!(read.get("client_secret").is_none(), "told once");
    let mut document = read.as_object().unwrap().clone();
    for own in ["registration_access_token", "registration_client_uri", "client_id_issued_at"] {
        document.remove(own);
    }
    document.insert("client_name".into(), json!("Team Wiki"));
    document.remove("logo_uri");
    let put =
        async |document: &Value, token: &str| answered(http().put(&place).bearer_auth(token).json(document)).await;
    let changed = put(&Value::Object(document.clone()), &token).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let changed = changed.json();
    assert!(changed["client_name"] == "Team Wiki" && changed.get("logo_uri").is_none());
    world.happy(&rp, &[]).await;
    assert_eq!(world.server.audited("client.update").await, 1);
    document.insert("client_id".into(), json!("app.another"));
    assert_eq!(put(&Value::Object(document.clone()), &token).await.error(), "invalid_client_metadata");
    document.insert("client_id".into(), json!(rp.id));
    document.insert("client_secret".into(), json!("kw_cs_mine"));
    assert_eq!(put(&Value::Object(document), &token).await.error(), "invalid_client_metadata");
    let other = code(&world, json!({})).await.manage().1;
    assert_eq!(put(&read, &other).await.status, 401);
    assert_eq!(answered(http().delete(&place).bearer_auth(&other)).await.status, 401);
}

#[tokio::test]
async fn who_may_register_is_the_tenants_choice__rfc7591_3() {
    let document = json!({ "redirect_uris": [REDIRECT] });
    let send = async |world: &World, token: Option<&str>| {
        let request = http().post(world.server.url("/oauth2/register")).json(&document);
        answered(token.into_iter().fold(request, |r, t| r.bearer_auth(t))).await
    };
    let closed = World::new().await;
    assert_eq!(send(&closed, None).await.status, 401);
    assert_eq!(send(&closed, Some("kw_ia_wrong")).await.error(), "invalid_token");
    assert_eq!(send(&closed, Some(&closed.initial)).await.status, 201);

    let open = World::with(&[("KEYWARD__REGISTRATION__MODE", "open"), ("KEYWARD__REGISTRATION__PER_HOUR", "3")]).await;
    let made = send(&open, None).await;
    assert_eq!(made.status, 201);
    // Nobody vouches for it: errors are no redirects before a person acts, and a person is asked each time.
    let id = made.text_of("client_id");
    let url = format!(
        "{}/oauth2/authorize?response_type=code&client_id={id}&scope=openid&prompt=none&redirect_uri={REDIRECT}",
        open.server.issuer
    );
    let page = Browser::new(&open.server).get(&url).await;
    assert!(page.status == 400 && page.body.contains("id=\"next\""));
    assert_eq!(send(&open, None).await.status, 201);
    assert_eq!(send(&open, None).await.status, 201);
    let limited = send(&open, None).await;
    assert!(limited.status == 429 && limited.headers.contains_key("retry-after"));

    let off = World::with(&[("KEYWARD__REGISTRATION__MODE", "off")]).await;
    assert_eq!(send(&off, Some(&off.initial)).await.status, 404);
    assert!(off.discovery().await.get("registration_endpoint").is_none());
}

#[tokio::test]
async fn an_initial_access_token_is_good_for_so_many_and_two_at_once_take_two__rfc7591_3() {
    let world = World::new().await;
    let (tenant, now) = (world.server.tenant, world.server.now());
    let until = now.plus(Duration::from_secs(60));
    let make =
        async move |tx: &keyward::db::Tx| keyward::client::initial::make(tx, tenant, ("one", 1), (now, until)).await;
    let one = world.server.app.db().write(make).await.unwrap().to_string();
    let send = || {
        let request = http().post(world.server.url("/oauth2/register")).bearer_auth(&one);
        answered(request.json(&json!({ "redirect_uris": [REDIRECT] })))
    };
    let (a, b) = tokio::join!(send(), send());
    let mut both = [a.status, b.status];
    both.sort_unstable();
    assert_eq!(both, [201, 401]);
}

#[tokio::test]
async fn a_registration_that_cannot_be_is_refused_with_its_field_named__rfc7591_3_2_2() {
    let world = World::new().await;
    let bad = [
        json!({}),
        json!({ "redirect_uris": [] }),
        json!({ "redirect_uris": "https://rp.example.com/cb" }),
        json!({ "redirect_uris": [REDIRECT], "grant_types": ["client_credentials"] }),
        json!({ "redirect_uris": [REDIRECT], "grant_types": ["password"] }),
        json!({ "redirect_uris": [REDIRECT], "response_types": ["id_token"], "grant_types": ["authorization_code"] }),
        json!({ "redirect_uris": [REDIRECT], "response_types": ["token"] }),
        json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "tls_client_auth" }),
        json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "private_key_jwt" }),
        json!({ "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none", "id_token_signed_response_alg": "HS256" }),
        json!({ "redirect_uris": [REDIRECT], "jwks": { "keys": [{ "kty": "oct", "k": "AAAA" }] } }),
        json!({ "redirect_uris": [REDIRECT], "jwks": Key::new(SigningAlg::Es256).jwks(), "jwks_uri": world.site.url("/k") }),
        json!({ "redirect_uris": [REDIRECT], "jwks_uri": "http://rp.example.com/k" }),
        json!({ "redirect_uris": [REDIRECT], "logo_uri": "javascript:alert(1)" }),
        json!({ "redirect_uris": [REDIRECT], "client_name": "a\u{1b}[2J" }),
        json!({ "redirect_uris": [REDIRECT], "subject_type": "private" }),
        json!({ "redirect_uris": [REDIRECT], "id_token_encrypted_response_enc": "A256GCM" }),
        json!({ "redirect_uris": [REDIRECT], "id_token_encrypted_response_alg": "RSA1_5" }),
        json!({ "redirect_uris": [REDIRECT], "default_max_age": -1 }),
        json!({ "redirect_uris": [REDIRECT], "backchannel_logout_uri": "https://rp.example.com/b#f" }),
        json!({ "redirect_uris": [REDIRECT], "frontchannel_logout_uri": "https://evil.example.com/f" }),
        json!({ "redirect_uris": [REDIRECT], "software_statement": "e30.e30." }),
        json!({ "redirect_uris": (0..101).map(|n| format!("{REDIRECT}/{n}")).collect::<Vec<_>>() }),
    ];
    for document in bad {
        let answer = world.send(&document).await;
        assert_eq!(answer.status, 400, "{document}: {}", answer.text);
        let error = answer.error();
        assert!(
            ["invalid_client_metadata", "invalid_redirect_uri", "unapproved_software_statement"]
                .contains(&error.as_str()),
            "{document}: {error}"
        );
        assert!(!answer.text_of("error_description").is_empty());
    }
    for uri in [
        "javascript:alert(1)",
        "data:text/html,x",
        "http://rp.example.com/cb",
        "https://a@rp.example.com/cb",
        "//x",
        "",
    ] {
        let answer = world.send(&json!({ "redirect_uris": [uri] })).await;
        assert_eq!((answer.status, answer.error().as_str()), (400, "invalid_redirect_uri"), "{uri}");
    }
    // Ten thousand addresses and five megabytes: refused before any of it is read.
    let many: Vec<String> = (0..10_000).map(|n| format!("{REDIRECT}/{n}")).collect();
    let began = Instant::now();
    assert_eq!(world.send(&json!({ "redirect_uris": many })).await.status, 413);
    assert_eq!(world.send(&json!({ "client_name": "x".repeat(5_000_000) })).await.status, 413);
    assert!(began.elapsed() < Duration::from_secs(5));
    for (kind, body) in [
        ("text/plain", "{}"),
        ("application/json", "[]"),
        ("application/json", "{\"a\":1,\"a\":2}"),
        ("application/json", "{"),
    ] {
        let request = http().post(world.server.url("/oauth2/register")).bearer_auth(&world.initial);
        let answer = answered(request.header("content-type", kind).body(body)).await;
        assert!([400, 415].contains(&answer.status), "{kind} {body}");
    }
}

#[tokio::test]
async fn what_nobody_ever_signed_in_through_is_swept_and_what_is_in_use_stays() {
    let world = World::new().await;
    let (used, unused) = (code(&world, json!({})).await, code(&world, json!({})).await);
    world.happy(&used, &[]).await;
    let later = world.server.now().plus(Duration::from_secs(31 * 86_400));
    let unused_for = Duration::from_secs(30 * 86_400);
    assert_eq!(keyward::client::registration::sweep(world.server.app.db(), unused_for, later).await.unwrap(), 1);
    let (place, token) = unused.manage();
    // Every process hears of it within two seconds; this one at once.
    world.server.app.store.cache.changed_here();
    assert_eq!(answered(http().get(place).bearer_auth(token)).await.status, 401);
    world.happy(&used, &[]).await;
}

#[tokio::test]
async fn documents_that_lie_in_wait_cost_little_and_harm_nobody__rfc7591_5() {
    let world = World::new().await;
    let good = code(&world, json!({})).await;
    world.site.json("/sector", &json!([REDIRECT]));
    let key = Key::new(SigningAlg::Es256);
    world.site.says("/redirect", Says::Redirect(world.site.url("/keys")));
    world.site.json("/keys", &key.jwks());
    world.site.says("/slow", Says::Slow(Duration::from_secs(30)));
    world.site.says("/endless", Says::Endless);
    world.site.says("/huge", Says::This("application/json", vec![b' '; 200_000]));
    world.site.says("/text", Says::This("text/html", b"<html>".to_vec()));
    world.site.json("/private", &json!({ "keys": [{ "kty": "oct", "k": "AAAA" }] }));
    for path in ["/redirect", "/slow", "/endless", "/huge", "/text", "/private", "/missing"] {
        let changes = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": world.site.url(path) });
        let rp = world.rp_with(Key::new(SigningAlg::Es256), ("code", None), changes).await;
        let began = Instant::now();
        let (answer, fine) = tokio::join!(
            world.token(&rp, &[("grant_type", "authorization_code"), ("code", "x")]),
            world.token(&good, &[("grant_type", "authorization_code"), ("code", "x")])
        );
        assert_eq!((answer.status, answer.error().as_str()), (401, "invalid_client"), "{path}");
        assert_eq!(fine.error(), "invalid_grant", "others go on meanwhile");
        assert!(began.elapsed() < Duration::from_secs(6), "{path}: {:?}", began.elapsed());
    }
    assert!(world.site.heard("/keys").is_empty(), "no redirect is followed");
    for path in ["/redirect", "/slow", "/huge", "/text", "/missing"] {
        let document = json!({
            "redirect_uris": [REDIRECT], "subject_type": "pairwise", "sector_identifier_uri": world.site.url(path),
        });
        assert_eq!(world.send(&document).await.error(), "invalid_client_metadata", "{path}");
    }
}

#[tokio::test]
async fn nothing_inside_is_asked_for_anybody__rfc7591_5() {
    let world = World::with(&[("KEYWARD__FETCH__PRIVATE_ADDRESSES", "")]).await;
    let here = world.site.url("/sector");
    for uri in [
        here.as_str(),
        "https://127.0.0.1/x",
        "https://[::1]/x",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/",
        "https://[::ffff:127.0.0.1]/",
        "https://0/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://localhost.localdomain/",
    ] {
        let document = json!({ "redirect_uris": [REDIRECT], "subject_type": "pairwise", "sector_identifier_uri": uri });
        assert_eq!(world.send(&document).await.error(), "invalid_client_metadata", "{uri}");
    }
    assert!(world.site.heard("/sector").is_empty());
}

#[tokio::test]
async fn what_is_registered_is_how_tokens_are_signed_and_encrypted__oidc_core_10() {
    let world = World::new().await;
    let hmac = code(&world, json!({ "id_token_signed_response_alg": "HS256" })).await;
    world.happy(&hmac, &[]).await;
    for alg in KeyAlg::ALL {
        for enc in ContentEnc::ALL {
            let pair = generate(key_shape(*alg), 2048).unwrap();
            let mut public = pair.public.clone();
            (public["use"], public["alg"]) = (json!("enc"), json!(alg.as_str()));
            let rp = code(
                &world,
                json!({
                    "jwks": { "keys": [public] },
                    "id_token_encrypted_response_alg": alg.as_str(), "id_token_encrypted_response_enc": enc.as_str(),
                    "userinfo_encrypted_response_alg": alg.as_str(), "userinfo_encrypted_response_enc": enc.as_str(),
                }),
            )
            .await;
            let given = world.ask(&mut Browser::new(&world.server), &rp, &[]).await;
            let answer = world.redeem(&rp, &given["code"]).await;
            let open = [Decrypter::new(*alg, &pair.private).unwrap()];
            let id = decrypt(&answer.text_of("id_token"), &open).unwrap();
            let told = world.proven(&rp, &id).await;
            let info = world.userinfo(&answer.text_of("access_token")).await;
            assert_eq!(info.headers["content-type"], "application/jwt");
            assert_eq!(unproven(&decrypt(&info.text, &open).unwrap())["sub"], told["sub"]);
        }
    }
}

#[tokio::test]
async fn a_request_object_may_be_encrypted_to_us_and_signed_with_a_secret__oidc_core_6_1() {
    let world = World::new().await;
    for alg in KeyAlg::ALL {
        let rp = code(
            &world,
            json!({
                "request_object_signing_alg": "HS256", "request_object_encryption_alg": alg.as_str(),
                "request_object_encryption_enc": "A256GCM",
            }),
        )
        .await;
        let mut to = None;
        for _ in 0..200 {
            to = Recipient::find(&world.jwks().await, *alg);
            if to.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let object = json!({ "iss": rp.id, "aud": world.server.issuer, "client_id": rp.id, "state": "signed" });
        let signed =
            keyward::jose::sign_with_secret(rp.secret.as_ref().unwrap(), "oauth-authz-req+jwt", &object).unwrap();
        let sealed = to.unwrap().encrypt(ContentEnc::A256Gcm, &signed).unwrap();
        let given = world.ask(&mut Browser::new(&world.server), &rp, &[("request", &sealed)]).await;
        assert_eq!(given["state"], "signed");
        world.tokens(&rp, &given).await;
        let plain = Browser::new(&world.server).get(&world.request(&rp, &[("request", &signed)])).await;
        assert_eq!(plain.returned()["error"], "invalid_request_object", "it said that it would encrypt");
    }
}

#[tokio::test]
async fn a_request_object_that_lies_is_refused__rfc9101_6_3() {
    let world = World::new().await;
    let (rp, other) = (code(&world, json!({})).await, code(&world, json!({})).await);
    let fine = json!({ "iss": rp.id, "aud": world.server.issuer, "client_id": rp.id, "state": "inner" });
    let with = |name: &str, value: Value| {
        let mut object = fine.clone();
        object[name] = value;
        rp.key.sign("JWT", &object)
    };
    let mut bad = vec![
        with("client_id", json!(other.id)),
        with("response_type", json!("id_token")),
        with("iss", json!(other.id)),
        with("aud", json!("https://another.example.com")),
        with("exp", json!(world.server.now().seconds() - 60)),
        with("request_uri", json!("https://rp.example.com/r")),
        with("state", json!(["a", "b"])),
        other.key.sign("JWT", &fine),
        "e30.e30.".to_owned(),
        "a.b.c.d.e".to_owned(),
    ];
    bad.push(format!("{}x", rp.key.sign("JWT", &fine)));
    for object in bad {
        let page = Browser::new(&world.server).get(&world.request(&rp, &[("request", &object)])).await;
        assert_eq!(page.returned()["error"], "invalid_request_object", "{}", unproven_or(&object));
    }
    let outer = world.request(&rp, &[("request", &rp.key.sign("JWT", &fine)), ("prompt", "none")]);
    assert_eq!(Browser::new(&world.server).get(&outer).await.returned()["state"], "inner");
    let strict = code(&world, json!({ "require_signed_request_object": true })).await;
    let page = Browser::new(&world.server).get(&world.request(&strict, &[("prompt", "none")])).await;
    assert_eq!(page.returned()["error"], "invalid_request");
}

fn unproven_or(token: &str) -> String {
    token.chars().take(300).collect()
}

#[tokio::test]
async fn claims_that_are_demanded_and_cannot_be_are_a_failure__oidc_core_5_5_1_1() {
    let world = World::new().await;
    let rp = code(&world, json!({})).await;
    let mut browser = Browser::new(&world.server);
    world.ask(&mut browser, &rp, &[]).await;
    let claims = |id: Value| json!({ "id_token": id }).to_string();
    let ask = async |browser: &mut Browser, claims: String| {
        browser.get(&world.request(&rp, &[("prompt", "none"), ("claims", &claims)])).await.returned()
    };
    let demanded = claims(json!({ "acr": { "essential": true, "values": ["phr"] } }));
    assert_eq!(ask(&mut browser, demanded).await["error"], "unmet_authentication_requirements");
    let met = claims(json!({ "acr": { "essential": true, "values": ["phr", "1fa"] } }));
    assert!(ask(&mut browser, met).await.contains_key("code"));
    let wished = claims(json!({ "acr": { "values": ["phr"] } }));
    assert!(ask(&mut browser, wished).await.contains_key("code"));
    let nobody = claims(json!({ "sub": { "value": "somebody-else" } }));
    assert_eq!(ask(&mut browser, nobody).await["error"], "login_required");
    let page = browser.get(&world.request(&rp, &[("claims", "{not json")])).await;
    assert_eq!(page.returned()["error"], "invalid_request");
    // What is asked for by name needs a person's leave as its scope does.
    let more = claims(json!({ "phone_number": null }));
    assert_eq!(ask(&mut browser, more).await["error"], "consent_required");
}

#[tokio::test]
async fn a_feature_that_is_off_is_nowhere__rfc8414_2() {
    for feature in Feature::ALL {
        let server = Server::start_with(&[("KEYWARD__FEATURES__OFF", feature.id())]).await;
        let document = answered(http().get(server.url("/.well-known/openid-configuration"))).await.json();
        for path in feature.paths() {
            let url = server.url(path);
            assert!(!document.as_object().unwrap().values().any(|v| *v == json!(url)), "{}", feature.id());
            for request in [http().get(&url), http().post(&url)] {
                assert_eq!(answered(request).await.status, 404, "{path}");
            }
        }
        let client = server.client().await;
        for grant in feature.grants() {
            let listed = document["grant_types_supported"].as_array().unwrap();
            assert!(!listed.contains(&json!(grant.as_str())));
            let form = [("grant_type", grant.as_str())];
            let answer = crate::support::rp::post(&server, "/oauth2/token", &client, &form).await;
            assert_eq!(answer.error(), "unsupported_grant_type", "{grant}");
        }
        let gone: &[&str] = match feature {
            Feature::FrontchannelLogout => &["frontchannel_logout_supported", "frontchannel_logout_session_supported"],
            Feature::BackchannelLogout => &["backchannel_logout_supported", "backchannel_logout_session_supported"],
            Feature::RequestObjects => &["request_object_signing_alg_values_supported"],
            _ => &[],
        };
        assert!(gone.iter().all(|name| document.get(*name).is_none()), "{}", feature.id());
        let no = |name: &str| assert_eq!(document[name], false, "{name}");
        match feature {
            Feature::ClaimsParameter => no("claims_parameter_supported"),
            Feature::RequestObjects => {
                no("request_parameter_supported");
                no("request_uri_parameter_supported");
            }
            Feature::Implicit => assert_eq!(document["response_types_supported"], json!(["code"])),
            Feature::PairwiseSubjects => assert_eq!(document["subject_types_supported"], json!(["public"])),
            _ => {}
        }
    }
    // And what is on is there.
    let server = Server::start().await;
    let document = answered(http().get(server.url("/.well-known/openid-configuration"))).await.json();
    for path in Feature::ALL.iter().flat_map(|f| f.paths()) {
        assert!(document.as_object().unwrap().values().any(|v| *v == json!(server.url(path))), "{path}");
    }
    assert_eq!(document["grant_types_supported"].as_array().unwrap().len(), GrantType::ALL.len());
}

#[tokio::test]
async fn a_feature_that_is_off_starts_nothing_at_the_authorization_endpoint() {
    let ask = async |off: &str, changes: &[(&str, &str)]| {
        let server = Server::start_with(&[("KEYWARD__FEATURES__OFF", off)]).await;
        let client = server
            .client_with(|c| {
                c.grant_types.push(GrantType::Implicit);
                c.metadata.response_types = keyward::client::ResponseType::ALL.to_vec();
            })
            .await;
        let url = crate::support::rp::authorize(&server, &client, changes);
        let page = Browser::new(&server).get(&url).await;
        assert!(page.location().unwrap().starts_with(CALLBACK));
        page.returned()["error"].clone()
    };
    assert_eq!(ask("implicit", &[("response_type", "id_token")]).await, "unsupported_response_type");
    assert_eq!(ask("request_objects", &[("request", "e30.e30.")]).await, "request_not_supported");
    assert_eq!(
        ask("request_objects", &[("request_uri", "https://a.example.com/r")]).await,
        "request_uri_not_supported"
    );
    let demanded = json!({ "id_token": { "acr": { "essential": true, "value": "phr" } } }).to_string();
    assert_eq!(ask("claims_parameter", &[("claims", &demanded), ("prompt", "none")]).await, "login_required");
}

#[tokio::test]
async fn a_logout_waits_for_no_application_and_is_told_again_until_it_is_heard__back_channel_2_8() {
    let world = World::new().await;
    let bye = "https://rp.example.com/bye";
    let changes = json!({
        "post_logout_redirect_uris": [bye], "backchannel_logout_uri": world.site.url("/out"),
    });
    let rp = code(&world, changes).await;
    let mut browser = Browser::new(&world.server);
    let given = world.ask(&mut browser, &rp, &[]).await;
    let hint = world.redeem(&rp, &given["code"]).await.text_of("id_token");
    world.site.says("/out", Says::Slow(Duration::from_secs(30)));
    let url = format!("/oauth2/logout?id_token_hint={hint}&post_logout_redirect_uri={bye}");
    let began = Instant::now();
    assert_eq!(browser.get(&world.server.url(&url)).await.location().as_deref(), Some(bye));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let heard = async |count: usize| {
        for _ in 0..200 {
            if world.site.heard("/out").len() >= count {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    };
    assert!(heard(1).await);
    world.site.says("/out", Says::This("text/plain", vec![]));
    let app = world.server.app.clone();
    let mut told = false;
    for _ in 0..100 {
        world.server.clock.advance(Duration::from_secs(10));
        app.work.notify_one();
        tokio::time::sleep(Duration::from_millis(100)).await;
        told = world.site.heard("/out").len() >= 2;
        if told {
            break;
        }
    }
    assert!(told, "it is told again");
    let tokens: Vec<String> = world.site.heard("/out").iter().map(|b| b.replace("logout_token=", "")).collect();
    assert_eq!(unproven(&tokens[0])["sid"], unproven(&tokens[1])["sid"]);
    assert_ne!(unproven(&tokens[0])["jti"], unproven(&tokens[1])["jti"]);
    let left = world.server.clock.now();
    assert!(unproven(&tokens[1])["exp"].as_i64().unwrap() - left.seconds() <= 120);
}

#[tokio::test]
async fn keys_to_encrypt_to_give_way_by_age_and_open_for_a_while__km_03() {
    let world = World::new().await;
    let (store, tenant) = (world.server.app.store.clone(), world.server.tenant);
    keyward::keys::decryption::ensure(&store, tenant, world.server.now()).await.unwrap();
    let published = async || {
        let keys = world.jwks().await["keys"].as_array().unwrap().clone();
        keys.into_iter()
            .filter(|k| k["use"] == "enc")
            .map(|k| k["kid"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let before = published().await;
    assert_eq!(before.len(), KeyAlg::ALL.len());
    let rp = code(&world, json!({})).await;
    let to = Recipient::find(&world.jwks().await, KeyAlg::EcdhEs).unwrap();
    world.server.clock.advance(Duration::from_secs(91 * 86_400));
    let age = Duration::from_secs(90 * 86_400);
    keyward::keys::decryption::rotate(&store, tenant, age, world.server.now()).await.unwrap();
    let after = published().await;
    assert!(after.len() == before.len() && !after.iter().any(|kid| before.contains(kid)));
    let object = json!({ "iss": rp.id, "aud": world.server.issuer, "client_id": rp.id, "state": "signed" });
    let sealed = to.encrypt(ContentEnc::A256Gcm, &rp.key.sign("JWT", &object)).unwrap();
    let ask = async || {
        let url = world.request(&rp, &[("request", &sealed), ("prompt", "none")]);
        Browser::new(&world.server).get(&url).await.returned()
    };
    assert_eq!(ask().await["state"], "signed");
    world.server.clock.advance(Duration::from_secs(8 * 86_400));
    keyward::keys::decryption::rotate(&store, tenant, age, world.server.now()).await.unwrap();
    world.server.app.store.cache.changed_here();
    keyward::keys::decryption::ensure(&store, tenant, world.server.now()).await.unwrap();
    assert_eq!(published().await, after);
}

#[tokio::test]
async fn a_pairwise_application_never_learns_the_public_subject__oidc_core_8_1() {
    let world = World::new().await;
    let rp = code(&world, json!({ "subject_type": "pairwise" })).await;
    let plain = code(&world, json!({})).await;
    let (public, _) = world.happy(&plain, &[]).await;
    let changes = [("scope", "openid offline_access"), ("prompt", "consent")];
    let given = world.ask(&mut Browser::new(&world.server), &rp, &changes).await;
    let answer = world.redeem(&rp, &given["code"]).await;
    let own = unproven(&answer.text_of("id_token"))["sub"].clone();
    assert_ne!(own, public["sub"]);
    for token in ["refresh_token", "access_token"] {
        let request = http().post(world.server.url("/oauth2/introspect")).basic_auth(&rp.id, rp.secret.as_ref());
        let told = answered(request.form(&[("token", answer.text_of(token))])).await.json();
        assert_eq!((&told["active"], &told["sub"]), (&json!(true), &own), "{token}");
    }
}

#[tokio::test]
async fn an_id_token_that_a_secret_signed_is_a_hint_as_good__oidc_core_10_1() {
    let world = World::new().await;
    let bye = "https://rp.example.com/bye";
    let changes = json!({ "id_token_signed_response_alg": "HS256", "post_logout_redirect_uris": [bye] });
    let (rp, other) = (code(&world, changes.clone()).await, code(&world, changes).await);
    let mut browser = Browser::new(&world.server);
    let given = world.ask(&mut browser, &rp, &[]).await;
    let hint = world.redeem(&rp, &given["code"]).await.text_of("id_token");
    let silent = |hint: &str| world.request(&rp, &[("prompt", "none"), ("id_token_hint", hint)]);
    assert!(browser.get(&silent(&hint)).await.returned().contains_key("code"));
    let forged = keyward::jose::sign_with_secret(other.secret.as_ref().unwrap(), "JWT", &unproven(&hint)).unwrap();
    assert_eq!(browser.get(&silent(&forged)).await.returned()["error"], "invalid_request");
    let out =
        |hint: &str| world.server.url(&format!("/oauth2/logout?id_token_hint={hint}&post_logout_redirect_uri={bye}"));
    browser.get(&out(&forged)).await.is_error_page(400);
    assert_eq!(browser.get(&out(&hint)).await.location().as_deref(), Some(bye));
}

#[tokio::test]
async fn a_registration_that_was_disabled_elsewhere_changes_nothing_any_more__rfc7592_2() {
    use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
    let world = World::new().await;
    let rp = code(&world, json!({ "client_name": "Before" })).await;
    let (place, token) = rp.manage();
    let mut document = answered(http().get(&place).bearer_auth(&token)).await.json().as_object().unwrap().clone();
    for own in ["registration_access_token", "registration_client_uri", "client_id_issued_at"] {
        document.remove(own);
    }
    document.insert("client_name".into(), json!("After"));
    // As another node does it: this one's cache has not heard yet.
    let id = rp.id.clone();
    let disable = async move |tx: &keyward::db::Tx| {
        entity::client::Entity::update_many()
            .col_expr(entity::client::Column::Status, sea_orm::sea_query::Expr::value("disabled"))
            .filter(entity::client::Column::ClientId.eq(id.clone()))
            .exec(tx)
            .await?;
        Ok(())
    };
    world.server.app.db().write(disable).await.unwrap();
    assert_eq!(answered(http().put(&place).bearer_auth(&token).json(&document)).await.status, 401);
    assert_eq!(answered(http().delete(&place).bearer_auth(&token)).await.status, 401);
    let row = keyward::client::by_client_id(world.server.app.db().read(), world.server.tenant, &rp.id).await.unwrap();
    assert_eq!(row.unwrap().name, "Before");
}

#[tokio::test]
async fn nothing_but_what_was_signed_counts_where_that_is_demanded__rfc9101_6_3() {
    let world = World::new().await;
    let rp = code(&world, json!({ "require_signed_request_object": true })).await;
    let object = json!({
        "iss": rp.id, "aud": world.server.issuer, "client_id": rp.id, "response_type": "code", "redirect_uri": REDIRECT,
        "scope": "openid", "state": "signed",
    });
    let signed = rp.key.sign("oauth-authz-req+jwt", &object);
    let asked = world.request(&rp, &[("request", &signed), ("scope", "openid email"), ("nonce", "unsigned")]);
    let mut browser = Browser::new(&world.server);
    let page = browser.follow(&asked).await;
    let page = browser.sign_in(&page).await;
    assert!(!page.body.contains("id=\"scope-email\"") && page.has("decision", Some("allow")));
    let page = browser.answer(&page, &[("decision", "allow")]).await;
    let answer = world.redeem(&rp, &page.returned()["code"]).await;
    assert_eq!(answer.text_of("scope"), "openid");
    assert!(unproven(&answer.text_of("id_token")).get("nonce").is_none());
    // An assertion that authenticates the client is no request that it made (RFC 9101 section 4).
    let assertion = rp.key.assertion(&world.server.issuer, &rp.id);
    let page = Browser::new(&world.server).get(&world.request(&rp, &[("request", &assertion)])).await;
    assert_eq!(page.returned()["error"], "invalid_request_object");
}

#[tokio::test]
async fn where_a_secret_is_the_key_no_document_is_asked_for__oidc_core_9() {
    let world = World::new().await;
    let changes = json!({
        "token_endpoint_auth_method": "client_secret_jwt", "request_object_signing_alg": "HS256",
        "jwks_uri": world.site.url("/missing"),
    });
    let rp = code(&world, changes).await;
    let object = json!({ "iss": rp.id, "aud": world.server.issuer, "client_id": rp.id, "state": "signed" });
    let signed = keyward::jose::sign_with_secret(rp.secret.as_ref().unwrap(), "JWT", &object).unwrap();
    let given = world.ask(&mut Browser::new(&world.server), &rp, &[("request", &signed)]).await;
    assert_eq!(given["state"], "signed");
    assert_eq!(world.redeem(&rp, &given["code"]).await.status, 200);
    assert!(world.site.heard("/missing").is_empty());
}

#[tokio::test]
async fn whoever_answers_slowly_keeps_nobody_else_from_being_asked() {
    let world = World::new().await;
    let other = crate::support::site::Site::start(tempfile::tempdir().unwrap().path()).await;
    world.site.json("/fine", &json!([]));
    other.says("/slow", Says::Slow(Duration::from_secs(20)));
    let fetch = &world.server.app.fetch;
    let slow = other.url("/slow");
    let many = (0..40).map(|_| fetch.get(&slow, "application/json", 1_000));
    let many = futures_util::future::join_all(many);
    let fine = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let began = Instant::now();
        let read = fetch.get(&world.site.url("/fine"), "application/json", 1_000).await;
        (read.map(|r| r.body), began.elapsed())
    };
    let (_, (read, took)) = tokio::join!(many, fine);
    assert_eq!(read.unwrap(), b"[]");
    assert!(took < Duration::from_millis(1_500), "{took:?}");
}

#[tokio::test]
async fn a_person_who_is_shut_out_is_signed_out_of_applications_too__back_channel_2() {
    let world = World::new().await;
    world.site.says("/out", Says::This("text/plain", vec![]));
    let rp = code(&world, json!({ "backchannel_logout_uri": world.site.url("/out") })).await;
    let mut browser = Browser::new(&world.server);
    world.ask(&mut browser, &rp, &[]).await;
    let app = world.server.app.clone();
    let tenant = app.tenants.get(&app.store, world.server.tenant).await.unwrap();
    let by = keyward::account::Identifier::email(crate::support::EMAIL).unwrap();
    let user = keyward::account::find(app.db().read(), tenant.id, &by).await.unwrap().unwrap();
    let now = world.server.now();
    let end = async move |tx: &keyward::db::Tx| keyward::flow::end_all_of(tx, &tenant, user, now).await;
    app.db().write(end).await.unwrap();
    app.work.notify_one();
    assert_eq!(world.server.live_sessions().await, 0);
    for _ in 0..200 {
        if !world.site.heard("/out").is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the application was not told");
}

#[tokio::test]
async fn without_session_management_nothing_of_it_is_in_an_answer() {
    let world = World::with(&[("KEYWARD__FEATURES__OFF", "session_management")]).await;
    let rp = code(&world, json!({})).await;
    let mut browser = Browser::new(&world.server);
    let given = world.ask(&mut browser, &rp, &[]).await;
    assert!(!given.contains_key("session_state"));
    assert!(!browser.cookies.keys().any(|name| name.contains("state-")), "{:?}", browser.cookies.keys());
}
