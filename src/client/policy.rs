//! What applications that register by software may ask for.

use super::{Metadata, RedirectUri, Registration, ResponseType, standard_scopes};
use crate::client::metadata::field;
use crate::config;
use crate::feature::{Feature, Features};
use entity::{ClientAuth, GrantType, Hash, JwsAlg, PkceRule, Scopes, SigningAlg};
use serde_json::{Map, Value};

/// Why a registration is refused (RFC 7591 section 3.2.2).
#[derive(Debug, PartialEq)]
pub enum Refused {
    RedirectUri(String),
    Metadata(String),
}

impl Refused {
    pub fn says(&self) -> &str {
        match self {
            Refused::RedirectUri(says) | Refused::Metadata(says) => says,
        }
    }
}

/// Reads a registration as the standards have it, with their defaults, within the tenant's policy.
///
/// # Errors
/// Which field, and why.
pub fn read(
    given: &Map<String, Value>,
    (policy, features): (&config::Registration, &Features),
    (approved, token): (bool, Option<Hash>),
) -> Result<Registration, Refused> {
    let bad = |says: String| Refused::Metadata(says);
    let redirect_uris: Vec<String> = field(given, "redirect_uris").map_err(bad)?.unwrap_or_default();
    for uri in &redirect_uris {
        RedirectUri::parse(uri).map_err(|why| Refused::RedirectUri(format!("{uri:.200}: {why}")))?;
        let host = url::Url::parse(uri).ok().and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default();
        if !policy.hosts.0.is_empty() && !policy.hosts.0.contains(&host) {
            return Err(Refused::RedirectUri(format!("{uri:.200}: this host is not allowed here")));
        }
    }
    let mut metadata = Metadata::read(given).map_err(bad)?;
    within(features, &mut metadata)?;
    let method = field(given, "token_endpoint_auth_method").map_err(bad)?.unwrap_or(ClientAuth::Basic);
    let grant_types: Vec<GrantType> = match field::<Vec<String>>(given, "grant_types").map_err(bad)? {
        Some(names) => {
            let known = names.iter().map(|n| GrantType::parse(n)).collect::<Option<Vec<_>>>();
            known.ok_or_else(|| bad("grant_types: one of them is not supported".into()))?
        }
        // RFC 7591 section 2; the response types say the rest.
        None if metadata.response_types().iter().any(|t| t.is_front()) => {
            vec![GrantType::AuthorizationCode, GrantType::Implicit]
        }
        None => vec![GrantType::AuthorizationCode],
    };
    for grant in &grant_types {
        if !policy.grant_types.0.contains(grant) || !features.grants_by(*grant) {
            return Err(bad(format!("grant_types: {grant} is not allowed here")));
        }
    }
    let allowed = match policy.scopes.0.is_empty() {
        true => standard_scopes(),
        false => Scopes(policy.scopes.0.iter().cloned().collect()),
    };
    let scopes = match field::<String>(given, "scope").map_err(bad)? {
        Some(text) => {
            Scopes::parse(&text).ok_or_else(|| bad("scope: characters that are not allowed".into()))?.and(&allowed)
        }
        None => allowed,
    };
    let id_token: Option<JwsAlg> = field(given, "id_token_signed_response_alg").map_err(bad)?;
    let name = field::<String>(given, "client_name").map_err(bad)?;
    let text = |name: &str| field::<String>(given, name).map_err(bad);
    let registration = Registration {
        // Without a name people see the host.
        name: name.filter(|n| !n.trim().is_empty()).unwrap_or_else(|| host_name(&redirect_uris)),
        redirect_uris,
        post_logout_redirect_uris: field(given, "post_logout_redirect_uris").map_err(bad)?.unwrap_or_default(),
        allowed_origins: vec![],
        token_endpoint_auth_method: method,
        grant_types,
        scopes,
        pkce: if method == ClientAuth::None { PkceRule::Required } else { policy.pkce },
        jwks: field(given, "jwks").map_err(bad)?,
        id_token_signed_response_alg: id_token.unwrap_or(JwsAlg::Rs256),
        access_token_signed_response_alg: None::<SigningAlg>,
        first_party: false,
        approved,
        client_uri: text("client_uri")?,
        logo_uri: text("logo_uri")?,
        policy_uri: text("policy_uri")?,
        tos_uri: text("tos_uri")?,
        metadata,
        registration_token: token,
    };
    registration.check().map_err(bad)?;
    Ok(registration)
}

fn host_name(redirect_uris: &[String]) -> String {
    let host = redirect_uris.first().and_then(|u| url::Url::parse(u).ok());
    host.and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_else(|| "Application".into())
}

/// What is switched off is not registered: left out where it is a wish, refused where it is a need.
fn within(features: &Features, m: &mut Metadata) -> Result<(), Refused> {
    if !features.has(Feature::FrontchannelLogout) {
        (m.frontchannel_logout_uri, m.frontchannel_logout_session_required) = (None, false);
    }
    if !features.has(Feature::BackchannelLogout) {
        (m.backchannel_logout_uri, m.backchannel_logout_session_required) = (None, false);
    }
    if !features.has(Feature::RequestObjects) {
        m.request_uris.clear();
        if m.require_signed_request_object || m.request_object_signing_alg.is_some() {
            return Err(Refused::Metadata("request_object_signing_alg: request objects are not supported".into()));
        }
    }
    if m.pairwise() && !features.has(Feature::PairwiseSubjects) {
        return Err(Refused::Metadata("subject_type: pairwise is not supported".into()));
    }
    if !features.has(Feature::Implicit) && m.response_types().iter().any(|t| *t != ResponseType::CODE) {
        return Err(Refused::Metadata("response_types: code alone is supported".into()));
    }
    Ok(())
}
