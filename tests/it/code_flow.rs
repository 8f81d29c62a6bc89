//! The main job: an application signs people in, with the `openidconnect` crate as it comes.

use crate::support::browser::http;
use crate::support::{Browser, CALLBACK, Server, rp};
use entity::{ClientAuth, PkceRule, SigningAlg};
use keyward::keys::{self, Start};
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, RedirectUrl, Scope, TokenResponse,
};
use std::time::Duration;

/// The crate's own way to send HTTP, over this test's client.
async fn send(request: openidconnect::HttpRequest) -> Result<openidconnect::HttpResponse, reqwest::Error> {
    let (parts, body) = request.into_parts();
    let response = http().request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body).send().await?;
    let mut answer = openidconnect::http::Response::builder().status(response.status());
    for (name, value) in response.headers() {
        answer = answer.header(name, value);
    }
    Ok(answer.body(response.bytes().await?.to_vec()).unwrap())
}

async fn signs_in(alg: SigningAlg, public: bool) {
    let server = Server::start().await;
    server.person().await;
    let client = server
        .client_with(|c| {
            c.id_token_signed_response_alg = alg.into();
            if public {
                c.token_endpoint_auth_method = ClientAuth::None;
            }
        })
        .await;
    let metadata =
        CoreProviderMetadata::discover_async(IssuerUrl::new(server.issuer.clone()).unwrap(), &send).await.unwrap();
    let rp = CoreClient::from_provider_metadata(
        metadata,
        ClientId::new(client.id.clone()),
        client.secret.clone().map(ClientSecret::new),
    )
    .set_redirect_uri(RedirectUrl::new(CALLBACK.into()).unwrap());
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = rp
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scopes(["profile", "email", "address", "phone", "offline_access"].map(|s| Scope::new(s.into())))
        .set_pkce_challenge(challenge)
        .url();

    let mut browser = Browser::new(&server);
    let page = browser.follow(url.as_str()).await;
    assert!(
        page.body.contains("Wiki") && page.body.replace("<wbr>", "").contains("app.example.com"),
        "the page names the application: {}",
        page.body
    );
    let page = browser.sign_in(&page).await;
    assert!(page.has("decision", Some("allow")) && page.has("decision", Some("deny")), "{}", page.body);
    let page = browser.answer(&page, &[("decision", "allow")]).await;
    let returned = page.returned();
    assert_eq!(returned["state"], *state.secret());
    assert_eq!(returned["iss"], server.issuer, "RFC 9207");

    let tokens = rp
        .exchange_code(AuthorizationCode::new(returned["code"].clone()))
        .unwrap()
        .set_pkce_verifier(verifier)
        .request_async(&send)
        .await
        .unwrap();
    let id_token = tokens.id_token().unwrap();
    let verifier = rp.id_token_verifier();
    let claims = id_token.claims(&verifier, &nonce).unwrap();
    assert!(claims.auth_time().is_some());
    let hash = AccessTokenHash::from_token(
        tokens.access_token(),
        id_token.signing_alg().unwrap(),
        id_token.signing_key(&verifier).unwrap(),
    )
    .unwrap();
    assert_eq!(Some(&hash), claims.access_token_hash());

    let info: CoreUserInfoClaims = rp
        .user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
        .unwrap()
        .request_async(&send)
        .await
        .unwrap();
    assert_eq!(info.email().unwrap().as_str(), "ada@example.com");
    assert_eq!(info.email_verified(), Some(true));
    assert!(info.address().is_some() && info.phone_number().is_some() && info.birthdate().is_some());

    // A key rotation in between: what was signed before still verifies, and what is signed now does too.
    keys::rotate(&server.app.store, server.tenant, Start::Now, Duration::ZERO).await.unwrap();
    let refreshed =
        rp.exchange_refresh_token(tokens.refresh_token().unwrap()).unwrap().request_async(&send).await.unwrap();
    assert_ne!(refreshed.refresh_token().unwrap().secret(), tokens.refresh_token().unwrap().secret());
    let metadata =
        CoreProviderMetadata::discover_async(IssuerUrl::new(server.issuer.clone()).unwrap(), &send).await.unwrap();
    let rp = CoreClient::from_provider_metadata(
        metadata,
        ClientId::new(client.id.clone()),
        client.secret.clone().map(ClientSecret::new),
    );
    let verifier = rp.id_token_verifier();
    id_token.claims(&verifier, &nonce).unwrap();
    let again = refreshed
        .id_token()
        .unwrap()
        .claims(&verifier, |n: Option<&Nonce>| n.map_or(Ok(()), |_| Err("a nonce".into())))
        .unwrap();
    assert_eq!(again.subject(), claims.subject());

    let page = browser
        .get(&format!(
            "{}?id_token_hint={id_token}&post_logout_redirect_uri=https://app.example.com/bye&state=x",
            server.url("/oauth2/logout")
        ))
        .await;
    assert_eq!(page.location().as_deref(), Some("https://app.example.com/bye?state=x"));
    let page = browser.follow(&rp::authorize(&server, &client, &[("prompt", "none")])).await;
    assert_eq!(page.returned()["error"], "login_required");
}

#[tokio::test]
async fn the_openidconnect_crate_signs_in_as_a_confidential_client() {
    signs_in(SigningAlg::Rs256, false).await;
}

#[tokio::test]
async fn the_openidconnect_crate_signs_in_as_a_public_client_with_es256() {
    signs_in(SigningAlg::Es256, true).await;
}

#[tokio::test]
async fn a_second_request_needs_no_page() {
    let server = Server::start().await;
    server.person().await;
    let client = server.client_with(|c| c.pkce = PkceRule::Optional).await;
    let mut browser = Browser::new(&server);
    rp::code_in(&server, &client, &mut browser, &[]).await;
    let page = browser.get(&rp::authorize(&server, &client, &[])).await;
    assert_eq!(page.status, 303);
    assert!(page.returned().contains_key("code"));
}
