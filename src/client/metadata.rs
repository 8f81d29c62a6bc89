//! What an application may register beyond the columns of its row, under the names of the standards.
//!
//! OpenID Connect Registration section 2, the three logout specifications, RFC 7591, RFC 9101. A field that stands here
//! is honoured somewhere; what is not honoured is not kept, and so never told back.

use super::RedirectUri;
use entity::{ApplicationType, ContentEnc, JwsAlg, KeyAlg, SigningAlg, SubjectType};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A set of `code`, `id_token` and `token`: the order of the words says nothing (OAuth 2.0 Multiple Response Types section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ResponseType {
    pub code: bool,
    pub id_token: bool,
    pub token: bool,
}

impl ResponseType {
    pub const CODE: Self = Self { code: true, id_token: false, token: false };
    /// Those of OpenID Connect; `token` alone is none, and RFC 9700 section 2.1.2 warns of it.
    pub const ALL: [Self; 6] = [
        Self::CODE,
        Self { code: false, id_token: true, token: false },
        Self { code: false, id_token: true, token: true },
        Self { code: true, id_token: true, token: false },
        Self { code: true, id_token: false, token: true },
        Self { code: true, id_token: true, token: true },
    ];

    /// `None` for an unknown word, a word that is said twice, or a set that no specification knows.
    pub fn parse(text: &str) -> Option<Self> {
        let mut set = Self { code: false, id_token: false, token: false };
        for word in text.split(' ') {
            let member = match word {
                "code" => &mut set.code,
                "id_token" => &mut set.id_token,
                "token" => &mut set.token,
                _ => return None,
            };
            if std::mem::replace(member, true) {
                return None;
            }
        }
        Self::ALL.contains(&set).then_some(set)
    }

    /// For the command line.
    ///
    /// # Errors
    /// A sentence that lists what is known.
    pub fn read(text: &str) -> Result<Self, String> {
        let known: Vec<String> = Self::ALL.iter().map(ToString::to_string).collect();
        Self::parse(text).ok_or_else(|| format!("is none of: {}", known.join(", ")))
    }

    /// Whether something comes from the authorization endpoint that must not stand in a query.
    pub fn is_front(self) -> bool {
        self.id_token || self.token
    }
}

impl fmt::Display for ResponseType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.code, "code"), (self.id_token, "id_token"), (self.token, "token")];
        let words: Vec<&str> = words.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        f.write_str(&words.join(" "))
    }
}

impl From<ResponseType> for String {
    fn from(set: ResponseType) -> String {
        set.to_string()
    }
}

impl TryFrom<String> for ResponseType {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a response type that is supported")
    }
}

macro_rules! metadata {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Metadata { $($(#[$doc])* #[serde(skip_serializing_if = "is_default")] pub $name: $type,)* }

        impl Metadata {
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];

            /// Reads the fields that are there; a null counts as absent (RFC 7591 section 2).
            ///
            /// # Errors
            /// A sentence that names the field.
            pub fn read(given: &serde_json::Map<String, serde_json::Value>) -> Result<Self, String> {
                Ok(Self { $($name: field(given, stringify!($name))?.unwrap_or_default(),)* })
            }
        }
    };
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One field of a registration.
///
/// # Errors
/// A sentence that names it.
pub fn field<T: for<'de> Deserialize<'de>>(
    given: &serde_json::Map<String, serde_json::Value>,
    name: &str,
) -> Result<Option<T>, String> {
    match given.get(name) {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(value) => T::deserialize(value).map(Some).map_err(|_| format!("{name}: not a value that is supported")),
    }
}

metadata! {
    /// None: `code` alone.
    response_types: Vec<ResponseType>,
    application_type: Option<ApplicationType>,
    contacts: Vec<String>,
    jwks_uri: Option<String>,
    sector_identifier_uri: Option<String>,
    subject_type: Option<SubjectType>,
    id_token_encrypted_response_alg: Option<KeyAlg>,
    id_token_encrypted_response_enc: Option<ContentEnc>,
    userinfo_signed_response_alg: Option<SigningAlg>,
    userinfo_encrypted_response_alg: Option<KeyAlg>,
    userinfo_encrypted_response_enc: Option<ContentEnc>,
    request_object_signing_alg: Option<JwsAlg>,
    request_object_encryption_alg: Option<KeyAlg>,
    request_object_encryption_enc: Option<ContentEnc>,
    /// RFC 9101 section 10.5
    require_signed_request_object: bool,
    token_endpoint_auth_signing_alg: Option<JwsAlg>,
    default_max_age: Option<u32>,
    require_auth_time: bool,
    default_acr_values: Vec<String>,
    initiate_login_uri: Option<String>,
    request_uris: Vec<String>,
    frontchannel_logout_uri: Option<String>,
    frontchannel_logout_session_required: bool,
    backchannel_logout_uri: Option<String>,
    backchannel_logout_session_required: bool,
    software_id: Option<String>,
    software_version: Option<String>,
}

impl Metadata {
    pub fn response_types(&self) -> &[ResponseType] {
        match self.response_types.is_empty() {
            true => &[ResponseType::CODE],
            false => &self.response_types,
        }
    }

    pub fn pairwise(&self) -> bool {
        self.subject_type == Some(SubjectType::Pairwise)
    }

    /// Whether it wants to hear of the end of sessions.
    pub fn hears_of_logout(&self) -> bool {
        self.frontchannel_logout_uri.is_some() || self.backchannel_logout_uri.is_some()
    }

    /// The host whose clients share subjects (OpenID Connect Core section 8.1).
    pub fn sector(&self, redirect_uris: &[RedirectUri]) -> Option<String> {
        let host = |uri: &str| url::Url::parse(uri).ok().and_then(|u| u.host_str().map(str::to_owned));
        match &self.sector_identifier_uri {
            Some(uri) => host(uri),
            None => redirect_uris.first().and_then(|u| host(u.as_str())),
        }
    }

    /// What can be said without fetching anything.
    ///
    /// # Errors
    /// A sentence that names the field.
    pub fn check(&self, redirect_uris: &[String]) -> Result<(), String> {
        let https = |name: &str, uri: &Option<String>| match uri {
            Some(uri) => https(uri).map_err(|why| format!("{name}: {why}")),
            None => Ok(()),
        };
        https("jwks_uri", &self.jwks_uri)?;
        https("sector_identifier_uri", &self.sector_identifier_uri)?;
        https("initiate_login_uri", &self.initiate_login_uri)?;
        https("frontchannel_logout_uri", &self.frontchannel_logout_uri)?;
        https("backchannel_logout_uri", &self.backchannel_logout_uri)?;
        for (name, count) in [
            ("response_types", self.response_types.len()),
            ("contacts", self.contacts.len()),
            ("default_acr_values", self.default_acr_values.len()),
            ("request_uris", self.request_uris.len()),
        ] {
            if count > 100 {
                return Err(format!("{name}: at most 100"));
            }
        }
        for uri in &self.request_uris {
            // A fragment is the hash of the document (OpenID Connect Core section 6.2).
            let plain = uri.split('#').next().unwrap_or(uri);
            self::https(plain).map_err(|why| format!("request_uris: {why}"))?;
        }
        let texts = self.contacts.iter().chain(&self.default_acr_values);
        if texts.chain(self.software_id.iter()).chain(self.software_version.iter()).any(|t| !plain(t)) {
            return Err(
                "contacts, default_acr_values, software_id, software_version: at most 255 characters each".into()
            );
        }
        // Back-Channel and Front-Channel Logout section 2: without a fragment.
        for (name, uri) in [
            ("frontchannel_logout_uri", &self.frontchannel_logout_uri),
            ("backchannel_logout_uri", &self.backchannel_logout_uri),
        ] {
            if uri.as_ref().is_some_and(|u| u.contains('#')) {
                return Err(format!("{name}: without a fragment"));
            }
        }
        // Front-Channel Logout section 2: scheme, host and port of a redirect URI.
        if let Some(uri) = &self.frontchannel_logout_uri {
            let origin = |uri: &str| url::Url::parse(uri).map(|u| u.origin());
            if !redirect_uris.iter().any(|r| origin(r).ok() == origin(uri).ok()) {
                return Err("frontchannel_logout_uri: on the host of a redirect URI".into());
            }
        }
        for (name, alg, enc) in [
            ("id_token", self.id_token_encrypted_response_alg, self.id_token_encrypted_response_enc),
            ("userinfo", self.userinfo_encrypted_response_alg, self.userinfo_encrypted_response_enc),
            ("request_object", self.request_object_encryption_alg, self.request_object_encryption_enc),
        ] {
            // OpenID Connect Registration section 2: the content encryption is never there alone.
            if enc.is_some() && alg.is_none() {
                return Err(format!("{name}: an enc without its alg"));
            }
        }
        if self.pairwise() && self.sector_identifier_uri.is_none() {
            // Core section 8.1: several hosts need a document that joins them.
            let mut hosts: Vec<_> = redirect_uris
                .iter()
                .map(|u| url::Url::parse(u).ok().and_then(|u| u.host_str().map(str::to_owned)))
                .collect();
            hosts.dedup();
            if hosts.len() != 1 || hosts[0].is_none() {
                return Err("sector_identifier_uri: pairwise subjects over several hosts need one".into());
            }
        }
        Ok(())
    }
}

fn plain(text: &str) -> bool {
    text.chars().count() <= 255 && !text.chars().any(char::is_control)
}

/// An https address that can be asked.
pub(super) fn https(uri: &str) -> Result<(), &'static str> {
    let parsed = url::Url::parse(uri).map_err(|_| "not a URL")?;
    if uri.len() > 2_000 {
        return Err("longer than 2000 characters");
    }
    if parsed.scheme() != "https" || !parsed.has_host() || !parsed.username().is_empty() || parsed.password().is_some()
    {
        return Err("an https URL without a user name");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_type_is_a_set__multiple_response_types_3() {
        for set in ResponseType::ALL {
            assert_eq!(ResponseType::parse(&set.to_string()), Some(set));
        }
        assert_eq!(ResponseType::parse("token id_token"), ResponseType::parse("id_token token"));
        assert_eq!(ResponseType::parse("token code id_token"), Some(ResponseType::ALL[5]));
        for none in ["", "token", "none", "code code", "code  token", " code", "CODE", "code token x"] {
            assert_eq!(ResponseType::parse(none), None, "{none:?}");
        }
    }
}
