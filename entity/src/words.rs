//! Newtypes and enumerations that stand in columns, tokens and configuration alike.

use sea_orm::sea_query::StringLen;
use sea_orm::{DbErr, DeriveActiveEnum, DeriveValueType, EnumIter, FromJsonQueryResult, TryFromU64};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new UUIDv7: sorts by time, is no secret, and is never shown as one.
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, DbErr> {
                Err(DbErr::ConvertFromU64(stringify!($name)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(s).map(Self)
            }
        }
    )*};
}

ids! {
    /// An isolated issuer: its own users, clients, keys, settings.
    TenantId,
    /// A person or a machine that signs in.
    UserId,
    /// A registered application, by its row; what the outside sees is its `client_id`.
    ClientKey,
    /// One browser, signed in to with any number of accounts.
    BrowserSessionId,
    /// One account signed in to in one browser.
    SessionId,
    /// What a person (or nobody) gave a client, from which tokens come.
    GrantId,
    /// Any other row.
    RowId,
}

/// An instant: microseconds since 1970-01-01 UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, DeriveValueType, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// Whole seconds since 1970, as JWTs carry them (RFC 7519 section 2, NumericDate).
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    pub fn plus(self, span: std::time::Duration) -> Self {
        Self(self.0.saturating_add(span.as_micros() as i64))
    }

    pub fn minus(self, span: std::time::Duration) -> Self {
        Self(self.0.saturating_sub(span.as_micros() as i64))
    }

    /// How long from `self` until `later`; zero when `later` is not later.
    pub fn until(self, later: Micros) -> std::time::Duration {
        std::time::Duration::from_micros(later.0.saturating_sub(self.0).max(0) as u64)
    }
}

/// The SHA-256 of a secret of at least 256 random bits, or a keyed hash of a shorter one.
#[derive(Clone, PartialEq, Eq, Hash, DeriveValueType)]
pub struct Hash(pub Vec<u8>);

impl TryFromU64 for Hash {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("Hash"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash(..)")
    }
}

/// Bytes that only the master key opens.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct Sealed(pub Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

/// A set of scope tokens (RFC 6749 section 3.3), written in one order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct Scopes(pub BTreeSet<String>);

impl Scopes {
    /// Reads a space-separated list; `None` when a token has a character that RFC 6749 section 3.3 does not allow.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |b: u8| b == 0x21 || (0x23..=0x5b).contains(&b) || (0x5d..=0x7e).contains(&b);
        let tokens: BTreeSet<String> = text.split(' ').filter(|t| !t.is_empty()).map(str::to_owned).collect();
        tokens.iter().all(|t| t.bytes().all(allowed)).then_some(Self(tokens))
    }

    pub fn of<const N: usize>(tokens: [&str; N]) -> Self {
        Self(tokens.into_iter().map(str::to_owned).collect())
    }

    pub fn has(&self, scope: &str) -> bool {
        self.0.contains(scope)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn within(&self, other: &Scopes) -> bool {
        self.0.is_subset(&other.0)
    }

    pub fn and(&self, other: &Scopes) -> Scopes {
        Scopes(self.0.intersection(&other.0).cloned().collect())
    }

    pub fn or(&self, other: &Scopes) -> Scopes {
        Scopes(self.0.union(&other.0).cloned().collect())
    }

    pub fn without(mut self, scope: &str) -> Scopes {
        self.0.remove(scope);
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for scope in &self.0 {
            if !first {
                f.write_str(" ")?;
            }
            first = false;
            f.write_str(scope)?;
        }
        Ok(())
    }
}

/// A list of strings in one JSON column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct Texts(pub Vec<String>);

impl Texts {
    pub fn has(&self, text: &str) -> bool {
        self.0.iter().any(|t| t == text)
    }
}

/// A JSON document in a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(transparent)]
pub struct Document(pub serde_json::Value);

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
        #[sea_orm(rs_type = "String", db_type = "String(StringLen::N(40))")]
        pub enum $name {
            $(#[sea_orm(string_value = $text)] #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

words! {
    /// Whether a tenant, user or client may act.
    Status { Active = "active", Disabled = "disabled" }

    /// Grant types (RFC 6749, OpenID Connect).
    GrantType {
        AuthorizationCode = "authorization_code", RefreshToken = "refresh_token", ClientCredentials = "client_credentials",
        Implicit = "implicit",
    }

    /// How a client proves who it is (OpenID Connect Core section 9, RFC 7591 section 2).
    ClientAuth {
        None = "none", Basic = "client_secret_basic", Post = "client_secret_post", SecretJwt = "client_secret_jwt",
        PrivateKeyJwt = "private_key_jwt",
    }

    /// Whether a client must send a code challenge (RFC 7636).
    PkceRule { Required = "required", Optional = "optional" }

    /// Which family of rules a client follows; the families contradict each other, so a client is of one.
    Profile { Oidc = "oidc", Oauth21 = "oauth21" }

    /// JWS algorithms that Keyward signs with (RFC 7518 section 3.1, RFC 8037).
    SigningAlg {
        Rs256 = "RS256", Rs384 = "RS384", Rs512 = "RS512", Ps256 = "PS256", Ps384 = "PS384", Ps512 = "PS512",
        Es256 = "ES256", Es384 = "ES384", Es512 = "ES512", EdDsa = "EdDSA",
    }

    /// JWS algorithms that Keyward knows: its own, and HS256 with a client's secret as the key (OpenID Connect Core section
    /// 10.1).
    JwsAlg {
        Rs256 = "RS256", Rs384 = "RS384", Rs512 = "RS512", Ps256 = "PS256", Ps384 = "PS384", Ps512 = "PS512",
        Es256 = "ES256", Es384 = "ES384", Es512 = "ES512", EdDsa = "EdDSA", Hs256 = "HS256",
    }

    /// JWE key management (RFC 7518 section 4.1). RSA1_5 is a padding oracle and stays out.
    KeyAlg { RsaOaep256 = "RSA-OAEP-256", EcdhEs = "ECDH-ES", EcdhEsA256Kw = "ECDH-ES+A256KW" }

    /// JWE content encryption (RFC 7518 section 5.1).
    ContentEnc { A256Gcm = "A256GCM", A128CbcHs256 = "A128CBC-HS256" }

    /// Whether a person's subject is the same for all clients (OpenID Connect Core section 8).
    SubjectType { Public = "public", Pairwise = "pairwise" }

    /// OpenID Connect Registration section 2.
    ApplicationType { Web = "web", Native = "native" }

    /// What a person may do in the administration of a tenant. `super_admin` counts in the default tenant only.
    Role { User = "user", Auditor = "auditor", Support = "support", Admin = "admin", SuperAdmin = "super_admin" }

    /// What a person can be found by.
    IdentifierKind { Email = "email", Username = "username", Phone = "phone" }

    /// What a link or code that was handed to a person is for.
    LinkPurpose { Setup = "setup" }

    /// How grave an audit event is.
    Severity { Low = "low", Medium = "medium", High = "high", Critical = "critical" }

    /// How an audited act ended.
    Outcome { Success = "success", Failure = "failure" }

    /// Work that nobody waits for.
    JobKind {
        MakeKey = "make_key", RotateKeys = "rotate_keys", Sweep = "sweep", BackchannelLogout = "backchannel_logout",
        FetchLogo = "fetch_logo",
    }

    /// What a cached kind of configuration is.
    CacheKind { Tenant = "tenant", Client = "client", Key = "key" }
}

impl JwsAlg {
    /// The one of Keyward's own keys; `None` for HS256.
    pub fn signing(self) -> Option<SigningAlg> {
        SigningAlg::parse(self.as_str())
    }
}

impl From<SigningAlg> for JwsAlg {
    fn from(alg: SigningAlg) -> Self {
        JwsAlg::parse(alg.as_str()).unwrap_or(JwsAlg::Rs256)
    }
}
