//! Modules of the four logout plans.

use super::world::{REDIRECT, Rp, World, unproven};
use crate::support::Browser;
use crate::support::browser::Page;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

const BYE: &str = "https://rp.example.com/bye";
const SAID: &str = "kYZ1~!@#$%^&*()_+{}|:\"<>?[];',./`= 0123456789abcdefg";

struct There {
    world: World,
    rp: Rp,
    browser: Browser,
    hint: String,
}

impl There {
    async fn new(changes: Value) -> Self {
        let world = World::new().await;
        let mut all = json!({ "post_logout_redirect_uris": [BYE] });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let rp = world.rp(("code", None), all).await;
        let mut browser = Browser::new(&world.server);
        let given = world.ask(&mut browser, &rp, &[]).await;
        let hint = world.redeem(&rp, &given["code"]).await.text_of("id_token");
        Self { world, rp, browser, hint }
    }

    async fn logout(&mut self, pairs: &[(&str, &str)]) -> Page {
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.browser.get(&self.world.server.url(&format!("/oauth2/logout?{query}"))).await
    }

    async fn signed_in(&mut self) -> bool {
        let page = self.browser.get(&self.world.request(&self.rp, &[("prompt", "none")])).await;
        page.returned().contains_key("code")
    }
}

/// A page of ours, wherever somebody wanted the browser to go.
fn stays(page: &Page) {
    assert!(page.location().is_none() && [200, 400].contains(&page.status.as_u16()), "{}", page.status);
}

async fn supported(names: &[&str]) {
    let document = World::new().await.discovery().await;
    for name in names {
        let value = &document[*name];
        assert!(*value == json!(true) || value.as_str().is_some_and(|u| u.starts_with("http")), "{name}: {value}");
    }
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_discovery_endpoint_verification() {
    supported(&["end_session_endpoint"]).await;
}

#[tokio::test]
async fn oidcc_rp_initiated_logout() {
    let mut there = There::new(json!({})).await;
    let hint = there.hint.clone();
    let page = there.logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE), ("state", SAID)]).await;
    assert!(page.location().unwrap().starts_with(BYE));
    assert_eq!(page.returned().into_iter().collect::<Vec<_>>(), [("state".to_owned(), SAID.to_owned())]);
    let page = there.browser.get(&there.world.request(&there.rp, &[("prompt", "none")])).await;
    assert_eq!(page.returned()["error"], "login_required");
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_bad_post_logout_redirect_uri() {
    let mut there = There::new(json!({})).await;
    let hint = there.hint.clone();
    stays(&there.logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", "https://rp.example.com/x")]).await);
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_modified_id_token_hint() {
    let mut there = There::new(json!({})).await;
    let payload = there.hint.split('.').nth(1).unwrap().to_owned();
    let tampered = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
    stays(&there.logout(&[("id_token_hint", &tampered), ("post_logout_redirect_uri", BYE)]).await);
    assert!(there.signed_in().await);
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_no_id_token_hint() {
    let mut there = There::new(json!({})).await;
    stays(&there.logout(&[("post_logout_redirect_uri", BYE)]).await);
    assert!(there.signed_in().await, "nobody is signed out unasked");
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_no_params() {
    let mut there = There::new(json!({})).await;
    let page = there.logout(&[]).await;
    stays(&page);
    stays(&there.browser.answer_once(&page, &[("decision", "sign-out")]).await);
    assert!(!there.signed_in().await);
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_no_post_logout_redirect_uri() {
    let mut there = There::new(json!({})).await;
    let hint = there.hint.clone();
    stays(&there.logout(&[("id_token_hint", &hint)]).await);
    assert!(!there.signed_in().await);
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_no_state() {
    let mut there = There::new(json!({})).await;
    let hint = there.hint.clone();
    let page = there.logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)]).await;
    assert_eq!(page.location().as_deref(), Some(BYE));
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_only_state() {
    let mut there = There::new(json!({})).await;
    stays(&there.logout(&[("state", "x")]).await);
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri() {
    let mut there = There::new(json!({})).await;
    let (hint, added) = (there.hint.clone(), format!("{BYE}?foo=bar"));
    stays(&there.logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", &added)]).await);
}

#[tokio::test]
async fn oidcc_rp_initiated_logout_bad_id_token_hint() {
    let mut there = There::new(json!({})).await;
    let forged = there.rp.key.sign("JWT", &unproven(&there.hint));
    stays(&there.logout(&[("id_token_hint", &forged), ("post_logout_redirect_uri", BYE)]).await);
    assert!(there.signed_in().await);
}

#[tokio::test]
async fn oidcc_session_management_discovery_endpoint_verification() {
    supported(&["check_session_iframe"]).await;
}

/// What the frame's script computes; a real browser does it in `tests/browser`.
fn same(there: &There, session_state: &str) -> bool {
    let state = there.browser.cookies.iter().find(|(name, _)| name.contains("state-")).map_or("", |(_, v)| v.as_str());
    let (hash, salt) = session_state.split_once('.').unwrap();
    let origin = url::Url::parse(REDIRECT).unwrap().origin().ascii_serialization();
    URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{} {origin} {state} {salt}", there.rp.id))) == hash
}

#[tokio::test]
async fn oidcc_session_management_rp_initiated_logout() {
    let mut there = There::new(json!({})).await;
    let page = there.browser.get(&there.world.request(&there.rp, &[("prompt", "none")])).await;
    let session_state = page.returned()["session_state"].clone();
    assert!(same(&there, &session_state), "unchanged");
    let frame = there.browser.get(&there.world.server.url("/oauth2/check_session")).await;
    let csp = frame.headers["content-security-policy"].to_str().unwrap().to_owned();
    assert!(csp.contains("script-src 'sha256-") && csp.contains("frame-ancestors *"), "{csp}");
    let hint = there.hint.clone();
    there.logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)]).await;
    assert!(!same(&there, &session_state), "changed");
}

#[tokio::test]
async fn oidcc_frontchannel_rp_initiated_logout_discovery_endpoint_verification() {
    supported(&["frontchannel_logout_supported", "frontchannel_logout_session_supported"]).await;
}

#[tokio::test]
async fn oidcc_frontchannel_rp_initiated_logout() {
    let out = "https://rp.example.com/out?x=1";
    let mut there =
        There::new(json!({ "frontchannel_logout_uri": out, "frontchannel_logout_session_required": true })).await;
    let hint = there.hint.clone();
    let page = there.logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE), ("state", "s")]).await;
    let frame = page.body.split("<iframe").nth(1).unwrap().split("src=\"").nth(1).unwrap().split('"').next().unwrap();
    let frame = url::Url::parse(&frame.replace("&amp;", "&").replace("&#x3D;", "=")).unwrap();
    let said: std::collections::BTreeMap<_, _> = frame.query_pairs().into_owned().collect();
    assert_eq!(said["iss"], there.world.server.issuer);
    assert_eq!(json!(said["sid"]), unproven(&hint)["sid"]);
    assert_eq!(said["x"], "1");
    let csp = page.headers["content-security-policy"].to_str().unwrap();
    assert!(csp.contains("frame-src https://rp.example.com") && csp.contains("'sha256-"), "{csp}");
    // Once the frames are loaded the page goes on by itself; without scripts there is a link.
    let body = page.body.replace("&#x3D;", "=");
    assert!(body.contains("window.location.replace") && body.contains(&format!("href=\"{BYE}?state=s\"")), "{body}");
    assert!(!there.signed_in().await);
}

#[tokio::test]
async fn oidcc_backchannel_rp_initiated_logout_discovery_endpoint_verification() {
    supported(&["backchannel_logout_supported", "backchannel_logout_session_supported"]).await;
}

#[tokio::test]
async fn oidcc_backchannel_rp_initiated_logout() {
    let world = World::new().await;
    world.site.says("/backchannel", crate::support::site::Says::This("text/plain", vec![]));
    let changes = json!({
        "post_logout_redirect_uris": [BYE], "backchannel_logout_uri": world.site.url("/backchannel"),
        "backchannel_logout_session_required": true,
    });
    let rp = world.rp(("code", None), changes).await;
    let mut browser = Browser::new(&world.server);
    let given = world.ask(&mut browser, &rp, &[]).await;
    let hint = world.redeem(&rp, &given["code"]).await.text_of("id_token");
    let mut there = There { world, rp, browser, hint };
    let hint = there.hint.clone();
    let page = there.logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", BYE)]).await;
    assert_eq!(page.location().as_deref(), Some(BYE));
    let mut heard = vec![];
    for _ in 0..200 {
        heard = there.world.site.heard("/backchannel");
        if !heard.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let form: std::collections::BTreeMap<_, _> =
        url::form_urlencoded::parse(heard[0].as_bytes()).into_owned().collect();
    let told = there.world.proven_as(&there.rp, &form["logout_token"], "logout+jwt").await;
    let id = unproven(&hint);
    assert_eq!((&told["sub"], &told["sid"]), (&id["sub"], &id["sid"]));
    assert_eq!(told["events"], json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    assert!(told["jti"].is_string() && told.get("nonce").is_none());
}
