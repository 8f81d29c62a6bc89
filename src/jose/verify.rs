//! Believing tokens: the only function that does (ST-07).
//!
//! The order is fixed: size, form, header, algorithm, key, signature, and only then a look at the claims.

use super::{MAX_KID, Verifier, decode, json};
use entity::{JwsAlg, Micros, SigningAlg};
use josekit::jws::{self, JwsVerifier};
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// What the caller expects of a token. Every field is a decision; none has a default.
pub struct Expect<'a> {
    pub typ: Typ<'a>,
    /// `iss` is one of these, byte for byte.
    pub issuers: &'a [&'a str],
    /// `iss` and `aud` may be missing: request objects alone (OpenID Connect Core section 6.1: "SHOULD").
    pub unaddressed: bool,
    pub audience: Audience<'a>,
    /// What may have signed it: fixed by the use, never by the token (RFC 8725 section 3.1).
    pub algs: &'a [SigningAlg],
    /// The keys of that one issuer or client (KJ-04).
    pub keys: &'a [Verifier],
    /// Secrets that HS256 counts with; empty where a shared secret proves nothing.
    pub secrets: &'a [Zeroizing<String>],
    pub now: Micros,
    /// How far the signer's clock may run behind ours: counts for `exp`. Zero for tokens of our own.
    pub late: Duration,
    /// How far it may run ahead: counts for `nbf` and `iat`.
    pub early: Duration,
    pub expiry: Expiry,
    /// Characters of the whole token at most; see [`Expect::MAX_CHARS`].
    pub max_chars: usize,
}

impl Expect<'_> {
    /// The usual limit (KJ-09); introspection takes 4 KiB.
    pub const MAX_CHARS: usize = 16 * 1024;
    /// How far the clocks of two nodes may be apart: what one has just signed counts at the other.
    pub const NODES: Duration = Duration::from_secs(5);
}

/// Which `typ` a token must have (RFC 8725 section 3.11). Compared without case and with or without `application/`.
#[derive(Clone, Copy)]
pub enum Typ<'a> {
    /// Such as `at+jwt` (RFC 9068 section 4).
    Exact(&'a str),
    /// None, or `JWT`: ID tokens, and assertions of clients that know no better.
    Plain,
    /// Either.
    PlainOr(&'a str),
}

/// Which `aud` a token must have; always a text or a list of texts (RFC 7519 section 4.1.3).
#[derive(Clone, Copy)]
pub enum Audience<'a> {
    /// It names at least one of these.
    OneOf(&'a [&'a str]),
    /// It names one of these and nobody else.
    Only(&'a [&'a str]),
    /// It names somebody; the caller looks at whom.
    Anyone,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// `exp` must be there and in the future.
    Required,
    /// `exp` must be in the future if it is there.
    IfPresent,
    /// `exp` must be there and may be past: `id_token_hint` (OpenID Connect Core section 3.1.2.1).
    MayBePast,
}

/// What was proven.
#[derive(Debug)]
pub struct Verified {
    pub alg: JwsAlg,
    /// As it stood in the header.
    pub typ: Option<String>,
    pub kid: Option<String>,
    pub claims: Map<String, Value>,
    pub expires: Option<Micros>,
    pub issued: Option<Micros>,
}

impl Verified {
    /// A claim that is a text.
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str)
    }
}

macro_rules! refusals {
    ($($variant:ident = $text:literal;)*) => {
        /// Why a token is not believed. For the log; what the peer hears is the caller's constant.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal { $($variant),* }

        impl Refusal {
            pub fn as_str(self) -> &'static str { match self { $(Refusal::$variant => $text),* } }
        }
    };
}

refusals! {
    TooLong = "the token is too long";
    Form = "the token is not three parts of base64url";
    Header = "the header is not a JSON object with members of the right type";
    Critical = "the header demands an extension";
    Foreign = "the header brings or names a key, or says that the content is encrypted or compressed";
    Algorithm = "the algorithm is not allowed here";
    Type = "the token is of another type";
    Key = "the key set has no such key";
    KeyMismatch = "the key is not for this algorithm";
    Signature = "the signature does not hold";
    Claims = "a claim is missing or malformed";
    Issuer = "the token is of another issuer";
    Audience = "the token is for somebody else";
    Expired = "the token has expired";
    NotYet = "the token is not valid yet";
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Refusal {}

/// Signatures that one token without a `kid` (or with one that several keys share) can make us check.
const MAX_TRIES: usize = 8;

/// Numeric dates after the year 9999 are no dates.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Header members by which a token would choose its own key or form: refused, not ignored (KJ-03, KJ-10, RFC 8725
/// section 3.10).
const FOREIGN: [&str; 9] = ["jku", "x5u", "jwk", "x5c", "enc", "zip", "epk", "p2c", "p2s"];

/// Proves a compact JWS and its claims, or says why not. There is nothing between.
pub fn verify(token: &str, expect: &Expect) -> Result<Verified, Refusal> {
    let parts = Parts::split(token, expect.max_chars)?;
    let header = Header::read(parts.header)?;
    let allowed = match header.alg.signing() {
        Some(alg) => expect.algs.contains(&alg),
        None => !expect.secrets.is_empty(),
    };
    if !allowed {
        return Err(Refusal::Algorithm);
    }
    if !expect.typ.takes(header.typ.as_deref()) {
        return Err(Refusal::Type);
    }
    let signature = decode(parts.signature).filter(|s| !s.is_empty()).ok_or(Refusal::Form)?;
    match header.alg.signing() {
        Some(alg) => prove(parts.signed.as_bytes(), &signature, (alg, &header), expect.keys)?,
        None => prove_by_secret(parts.signed.as_bytes(), &signature, expect.secrets)?,
    }
    let claims = decode(parts.payload).as_deref().and_then(json::object).ok_or(Refusal::Claims)?;
    let dates = check(&claims, expect)?;
    let Header { alg, typ, kid } = header;
    Ok(Verified { alg, typ, kid, claims, expires: dates.expires, issued: dates.issued })
}

/// A claim of a token that proves nothing yet: only to find whose keys to verify it with, such as `iss` or `sub` of a
/// client's assertion. What comes back is what a stranger wrote.
pub fn unproven(token: &str, claim: &str) -> Result<String, Refusal> {
    let parts = Parts::split(token, Expect::MAX_CHARS)?;
    let mut claims = decode(parts.payload).as_deref().and_then(json::object).ok_or(Refusal::Claims)?;
    match claims.remove(claim) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(Refusal::Claims),
    }
}

/// The key id that a token names, before anything is proven: only to know which keys to look for.
pub fn kid(token: &str) -> Option<String> {
    let parts = Parts::split(token, Expect::MAX_CHARS).ok()?;
    Header::read(parts.header).ok()?.kid
}

struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// The first two with their dot (RFC 7515 section 5.2, step 8).
    signed: &'a str,
}

impl<'a> Parts<'a> {
    /// Measures and counts before anything is decoded or allocated (KJ-09). Five parts are a JWE (RFC 7516 section 9).
    fn split(token: &'a str, max_chars: usize) -> Result<Self, Refusal> {
        if token.len() > max_chars {
            return Err(Refusal::TooLong);
        }
        if token.bytes().filter(|b| *b == b'.').count() != 2 {
            return Err(Refusal::Form);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::Form)?;
        Ok(Self { header, payload, signature, signed })
    }
}

struct Header {
    alg: JwsAlg,
    typ: Option<String>,
    kid: Option<String>,
}

impl Header {
    fn read(encoded: &str) -> Result<Self, Refusal> {
        let bytes = decode(encoded).ok_or(Refusal::Form)?;
        let mut header = json::object(&bytes).ok_or(Refusal::Header)?;
        // We understand no extension, so none can be critical (RFC 7515 section 4.1.11); b64 is one (RFC 7797, KJ-05).
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(Refusal::Critical);
        }
        if FOREIGN.iter().any(|name| header.contains_key(*name)) {
            return Err(Refusal::Foreign);
        }
        let mut text = |name: &str| match header.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::Header),
        };
        let alg = text("alg")?.as_deref().and_then(JwsAlg::parse).ok_or(Refusal::Algorithm)?;
        let (typ, kid) = (text("typ")?, text("kid")?);
        // A token in a token is not ours (RFC 7519 section 5.2).
        if text("cty")?.is_some_and(|cty| same_type(&cty, "JWT")) {
            return Err(Refusal::Header);
        }
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(Refusal::Key);
        }
        Ok(Self { alg, typ, kid })
    }
}

impl Typ<'_> {
    fn takes(self, typ: Option<&str>) -> bool {
        let plain = || typ.is_none_or(|typ| same_type(typ, "JWT"));
        let exact = |wanted: &str| typ.is_some_and(|typ| same_type(typ, wanted));
        match self {
            Typ::Exact(wanted) => exact(wanted),
            Typ::Plain => plain(),
            Typ::PlainOr(wanted) => plain() || exact(wanted),
        }
    }
}

/// RFC 7515 section 4.1.9: a type without a slash is below `application/`; media types know no case.
fn same_type(typ: &str, wanted: &str) -> bool {
    const TREE: &str = "application/";
    let short = match typ.split_at_checked(TREE.len()) {
        Some((tree, rest)) if tree.eq_ignore_ascii_case(TREE) => rest,
        _ => typ,
    };
    short.eq_ignore_ascii_case(wanted)
}

/// HMAC with the whole secret as the key (OpenID Connect Core section 10.1; RFC 7518 section 3.2).
fn prove_by_secret(signed: &[u8], signature: &[u8], secrets: &[Zeroizing<String>]) -> Result<(), Refusal> {
    let holds = |secret: &Zeroizing<String>| {
        jws::HS256.verifier_from_bytes(secret.as_bytes()).is_ok_and(|v| v.verify(signed, signature).is_ok())
    };
    let held = secrets.iter().take(MAX_TRIES).any(holds);
    if held { Ok(()) } else { Err(Refusal::Signature) }
}

fn prove(
    signed: &[u8],
    signature: &[u8],
    (alg, header): (SigningAlg, &Header),
    keys: &[Verifier],
) -> Result<(), Refusal> {
    // A kid is a text to compare, in this set alone (KJ-04); where the token or the key has none, any that fits may be
    // meant (RFC 7515 section 6).
    let meant = |key: &&Verifier| header.kid.is_none() || key.kid().is_none() || header.kid.as_deref() == key.kid();
    if !keys.iter().any(|key| meant(&key)) {
        return Err(Refusal::Key);
    }
    let mut fitting = keys.iter().filter(meant).filter(|key| key.fits(alg)).take(MAX_TRIES).peekable();
    if fitting.peek().is_none() {
        return Err(Refusal::KeyMismatch);
    }
    let held = fitting.any(|key| key.proves(alg, signed, signature));
    if held { Ok(()) } else { Err(Refusal::Signature) }
}

struct Dates {
    expires: Option<Micros>,
    issued: Option<Micros>,
}

fn check(claims: &Map<String, Value>, expect: &Expect) -> Result<Dates, Refusal> {
    match claims.get("iss") {
        // RFC 7519 section 4.1.1, RFC 8725 section 3.8: equal as they stand.
        Some(Value::String(iss)) if expect.issuers.contains(&iss.as_str()) => {}
        Some(Value::String(_)) => return Err(Refusal::Issuer),
        None if expect.unaddressed => {}
        _ => return Err(Refusal::Claims),
    }
    // RFC 7519 sections 4.1.2 and 4.1.7: texts, if they are there.
    if ["sub", "jti"].iter().any(|name| claims.get(*name).is_some_and(|v| v.as_str().is_none_or(str::is_empty))) {
        return Err(Refusal::Claims);
    }
    match claims.get("aud") {
        None if expect.unaddressed => {}
        aud => check_audience(aud, expect.audience)?,
    }
    check_dates(claims, expect)
}

fn check_audience(aud: Option<&Value>, rule: Audience) -> Result<(), Refusal> {
    let list = match aud {
        Some(one @ Value::String(_)) => std::slice::from_ref(one),
        Some(Value::Array(many)) if !many.is_empty() => many,
        _ => return Err(Refusal::Claims),
    };
    if !list.iter().all(Value::is_string) {
        return Err(Refusal::Claims);
    }
    let ours = |value: &Value, names: &[&str]| value.as_str().is_some_and(|v| names.contains(&v));
    let fine = match rule {
        Audience::OneOf(names) => list.iter().any(|v| ours(v, names)),
        Audience::Only(names) => list.len() == 1 && ours(&list[0], names),
        Audience::Anyone => true,
    };
    if fine { Ok(()) } else { Err(Refusal::Audience) }
}

fn check_dates(claims: &Map<String, Value>, expect: &Expect) -> Result<Dates, Refusal> {
    let expires = date(claims, "exp")?;
    let not_before = date(claims, "nbf")?;
    let issued = date(claims, "iat")?;
    // RFC 7519 section 4.1.4: valid before `exp`, not at it.
    let past = expires.is_some_and(|exp| expect.now >= exp.plus(expect.late));
    match (expect.expiry, expires) {
        (Expiry::Required | Expiry::MayBePast, None) => return Err(Refusal::Claims),
        (Expiry::Required | Expiry::IfPresent, _) if past => return Err(Refusal::Expired),
        (Expiry::Required | Expiry::IfPresent | Expiry::MayBePast, _) => {}
    }
    let latest = expect.now.plus(expect.early);
    if not_before.is_some_and(|nbf| nbf > latest) || issued.is_some_and(|iat| iat > latest) {
        return Err(Refusal::NotYet);
    }
    Ok(Dates { expires, issued })
}

/// A NumericDate (RFC 7519 section 2): a number, never its text (KJ-08), from 1970 to 9999.
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<Micros>, Refusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|_| value.is_number()).ok_or(Refusal::Claims)?;
    if !(0.0..=LAST_SECOND).contains(&seconds) {
        return Err(Refusal::Claims);
    }
    Ok(Some(match value.as_i64() {
        Some(whole) => Micros::from_seconds(whole),
        None => Micros((seconds * 1e6) as i64),
    }))
}
