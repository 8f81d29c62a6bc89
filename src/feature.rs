//! What a tenant serves: each feature can be switched off, and then nothing new starts with it. Its routes answer 404,
//! its grants are unsupported, discovery does not name it; what it issued can still be introspected and revoked.

use entity::GrantType;
use std::collections::BTreeSet;

macro_rules! features {
    ($($(#[doc = $doc:literal])* $variant:ident = $id:literal, $spec:literal, [$($path:literal),*], [$($grant:ident),*];)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Feature { $($(#[doc = $doc])* $variant),* }

        impl Feature {
            pub const ALL: &'static [Feature] = &[$(Feature::$variant),*];

            pub fn id(self) -> &'static str { match self { $(Feature::$variant => $id),* } }

            /// The text that defines it.
            pub fn spec(self) -> &'static str { match self { $(Feature::$variant => $spec),* } }

            pub fn parse(id: &str) -> Option<Self> { match id { $($id => Some(Feature::$variant),)* _ => None } }

            /// Its routes.
            pub fn paths(self) -> &'static [&'static str] { match self { $(Feature::$variant => &[$($path),*]),* } }

            pub fn grants(self) -> &'static [GrantType] { match self { $(Feature::$variant => &[$(GrantType::$grant),*]),* } }
        }
    };
}

features! {
    /// Applications register by themselves, as far as `registration.mode` lets them.
    DynamicRegistration = "dynamic_registration", "RFC 7591, RFC 7592", ["/oauth2/register"], [];
    RefreshTokens = "refresh_tokens", "RFC 6749 section 6", [], [RefreshToken];
    ClientCredentials = "client_credentials", "RFC 6749 section 4.4", [], [ClientCredentials];
    /// Response types with id_token or token.
    Implicit = "implicit", "OpenID Connect Core sections 3.2 and 3.3", [], [Implicit];
    RequestObjects = "request_objects", "OpenID Connect Core section 6, RFC 9101", [], [];
    ClaimsParameter = "claims_parameter", "OpenID Connect Core section 5.5", [], [];
    PairwiseSubjects = "pairwise_subjects", "OpenID Connect Core section 8.1", [], [];
    Introspection = "introspection", "RFC 7662", ["/oauth2/introspect"], [];
    Revocation = "revocation", "RFC 7009", ["/oauth2/revoke"], [];
    RpInitiatedLogout = "rp_initiated_logout", "OpenID Connect RP-Initiated Logout 1.0", ["/oauth2/logout"], [];
    FrontchannelLogout = "frontchannel_logout", "OpenID Connect Front-Channel Logout 1.0", [], [];
    BackchannelLogout = "backchannel_logout", "OpenID Connect Back-Channel Logout 1.0", [], [];
    SessionManagement = "session_management", "OpenID Connect Session Management 1.0", ["/oauth2/check_session"], [];
}

/// The features that are on.
#[derive(Clone, Debug, PartialEq)]
pub struct Features(BTreeSet<Feature>);

impl Features {
    pub fn without(off: &[Feature]) -> Self {
        Self(Feature::ALL.iter().copied().filter(|f| !off.contains(f)).collect())
    }

    pub fn has(&self, feature: Feature) -> bool {
        self.0.contains(&feature)
    }

    /// Whether what stands at this path is served; what belongs to no feature always is.
    pub fn serves(&self, path: &str) -> bool {
        let below = |own: &str| path == own || path.strip_prefix(own).is_some_and(|rest| rest.starts_with('/'));
        Feature::ALL.iter().filter(|f| f.paths().iter().any(|own| below(own))).all(|f| self.has(*f))
    }

    pub fn grants(&self) -> impl Iterator<Item = GrantType> {
        GrantType::ALL.iter().copied().filter(|grant| self.grants_by(*grant))
    }

    pub fn grants_by(&self, grant: GrantType) -> bool {
        Feature::ALL.iter().filter(|f| f.grants().contains(&grant)).all(|f| self.has(*f))
    }
}
