//! Public keys: proven once when they are loaded, then used for every algorithm that fits.

use super::{Curve, Kind, LEAST_RSA_BITS, MAX_KID, MOST_RSA_BITS, decode};
use entity::SigningAlg;
use josekit::jwk::Jwk;
use josekit::jws::{self, JwsVerifier};
use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcKey};
use serde_json::{Map, Value};
use std::sync::{Arc, OnceLock};

/// The public half of a key. Cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    kid: Option<String>,
    /// The key says that it is for this algorithm alone (RFC 7517 section 4.4).
    only: Option<SigningAlg>,
    shape: Shape,
    /// Its mathematical members and nothing else, for josekit.
    bare: Jwk,
    ready: [OnceLock<Option<Box<dyn JwsVerifier>>>; SigningAlg::ALL.len()],
}

/// What a signature must look like before any arithmetic.
enum Shape {
    Rsa { len: usize },
    Ec { curve: Curve, order: Vec<u8> },
    Ed25519,
}

/// Members that only a private or a symmetric key has (RFC 7518 section 6, RFC 8037 section 2).
const PRIVATE: [&str; 10] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv", "seed"];

impl Verifier {
    /// A key of our own that must be usable. The error is a constant text for the log.
    pub fn new(public: &Value) -> Result<Self, &'static str> {
        let jwk = public.as_object().ok_or("a key is not an object")?;
        Self::read(jwk)?.ok_or("the key is not for signatures that we know")
    }

    /// None: a key that is fine and not for us, such as one for encryption or of an unknown type (RFC 7517 section 5).
    pub(super) fn read(jwk: &Map<String, Value>) -> Result<Option<Self>, &'static str> {
        let text = |name: &str| match jwk.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err("a member of a key has the wrong type"),
        };
        // KJ-14: whoever publishes such a key has lost it.
        if PRIVATE.iter().any(|name| jwk.contains_key(*name)) || text("kty")? == Some("oct") {
            return Err("a key is private or symmetric");
        }
        let kid = text("kid")?;
        if kid.is_some_and(|kid| kid.len() > MAX_KID) {
            return Err("a key id is too long");
        }
        let (alg, kty, usage, crv) =
            (text("alg")?, text("kty")?.ok_or("a key has no kty")?, text("use")?, text("crv")?);
        // KJ-02: `use` and `key_ops` (RFC 7517 sections 4.2 and 4.3).
        if usage.is_some_and(|u| u != "sig") || !may_verify(jwk.get("key_ops"))? {
            return Ok(None);
        }
        let only = match alg.map(SigningAlg::parse) {
            Some(None) => return Ok(None),
            Some(known) => known,
            None => None,
        };
        let member = |name: &str| text(name)?.and_then(decode).ok_or("a member of a key is missing or not base64url");
        let (shape, names): (Shape, &[&str]) = match (kty, crv) {
            ("RSA", _) => (rsa(&member("n")?, &member("e")?)?, &["n", "e"]),
            ("EC", Some("P-256")) => (ec(Curve::P256, &member("x")?, &member("y")?)?, &["crv", "x", "y"]),
            ("EC", Some("P-384")) => (ec(Curve::P384, &member("x")?, &member("y")?)?, &["crv", "x", "y"]),
            ("EC", Some("P-521")) => (ec(Curve::P521, &member("x")?, &member("y")?)?, &["crv", "x", "y"]),
            ("OKP", Some("Ed25519")) => (ed25519(&member("x")?)?, &["crv", "x"]),
            ("EC" | "OKP", None) => return Err("a key has no crv"),
            _ => return Ok(None),
        };
        if only.is_some_and(|alg| Kind::of(alg) != shape.kind()) {
            return Err("the alg of a key does not fit its type");
        }
        let mut bare = Jwk::new(kty);
        for name in names {
            bare.set_parameter(name, jwk.get(*name).cloned()).map_err(|_| "a key cannot be loaded")?;
        }
        let kid = kid.map(str::to_owned);
        Ok(Some(Self(Arc::new(Inner { kid, only, shape, bare, ready: Default::default() }))))
    }

    pub fn kid(&self) -> Option<&str> {
        self.0.kid.as_deref()
    }

    /// Whether the key is of the type that the algorithm needs, and not for another one alone (KJ-02).
    pub fn fits(&self, alg: SigningAlg) -> bool {
        Kind::of(alg) == self.0.shape.kind() && self.0.only.is_none_or(|only| only == alg)
    }

    /// Whether `signature` is this key's for `message` under `alg`; false for an algorithm that does not fit.
    pub fn proves(&self, alg: SigningAlg, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(alg) || !self.0.shape.holds(signature) {
            return false;
        }
        let Some(ready) = SigningAlg::ALL.iter().position(|a| *a == alg).map(|at| &self.0.ready[at]) else {
            return false;
        };
        let verifier = ready.get_or_init(|| load(alg, &self.0.bare));
        verifier.as_ref().is_some_and(|v| v.verify(message, signature).is_ok())
    }
}

impl Shape {
    fn kind(&self) -> Kind {
        match self {
            Shape::Rsa { .. } => Kind::Rsa,
            Shape::Ec { curve, .. } => Kind::Ec(*curve),
            Shape::Ed25519 => Kind::Ed25519,
        }
    }

    fn holds(&self, signature: &[u8]) -> bool {
        match self {
            // RFC 8017 sections 8.1.2 and 8.2.2, step 1.
            Shape::Rsa { len } => signature.len() == *len,
            // RFC 7518 section 3.4: two numbers of full length; FIPS 186-5 section 6.4.2: each from 1 to n - 1 (KJ-11).
            Shape::Ec { curve, order } => {
                let (r, s) = signature.split_at(signature.len() / 2);
                let fine = |half: &[u8]| half.len() == curve.len() && half < &order[..] && half.iter().any(|b| *b != 0);
                fine(r) && fine(s)
            }
            // RFC 8032 section 5.1.7; OpenSSL refuses S >= L.
            Shape::Ed25519 => signature.len() == 64,
        }
    }
}

fn load(alg: SigningAlg, bare: &Jwk) -> Option<Box<dyn JwsVerifier>> {
    fn boxed<V: JwsVerifier + 'static>(loaded: Result<V, josekit::JoseError>) -> Option<Box<dyn JwsVerifier>> {
        loaded.ok().map(|v| Box::new(v) as Box<dyn JwsVerifier>)
    }
    match alg {
        SigningAlg::Rs256 => boxed(jws::RS256.verifier_from_jwk(bare)),
        SigningAlg::Rs384 => boxed(jws::RS384.verifier_from_jwk(bare)),
        SigningAlg::Rs512 => boxed(jws::RS512.verifier_from_jwk(bare)),
        SigningAlg::Ps256 => boxed(jws::PS256.verifier_from_jwk(bare)),
        SigningAlg::Ps384 => boxed(jws::PS384.verifier_from_jwk(bare)),
        SigningAlg::Ps512 => boxed(jws::PS512.verifier_from_jwk(bare)),
        SigningAlg::Es256 => boxed(jws::ES256.verifier_from_jwk(bare)),
        SigningAlg::Es384 => boxed(jws::ES384.verifier_from_jwk(bare)),
        SigningAlg::Es512 => boxed(jws::ES512.verifier_from_jwk(bare)),
        SigningAlg::EdDsa => boxed(jws::EdDSA.verifier_from_jwk(bare)),
    }
}

fn may_verify(key_ops: Option<&Value>) -> Result<bool, &'static str> {
    match key_ops {
        None => Ok(true),
        Some(Value::Array(ops)) if ops.iter().all(Value::is_string) => Ok(ops.iter().any(|op| op == "verify")),
        Some(_) => Err("key_ops is not a list of texts"),
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Result<Shape, &'static str> {
    // RFC 7518 section 6.3.1: no leading zeros, so that a key has one thumbprint.
    let (Some(first), Some(last)) = (n.first().filter(|b| **b != 0), n.last()) else {
        return Err("an RSA modulus is not written as it must be");
    };
    let bits = n.len() * 8 - first.leading_zeros() as usize;
    if bits < LEAST_RSA_BITS {
        return Err("an RSA key is too short");
    }
    if bits > MOST_RSA_BITS {
        return Err("an RSA key is too long");
    }
    let exponent = e.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
    // FIPS 186-5 section A.1.1 from below; from above, a large exponent makes each check as dear as a signature.
    if last & 1 == 0 || e.len() > 4 || e.first() == Some(&0) || exponent < 65537 || exponent & 1 == 0 {
        return Err("an RSA key has an exponent or modulus that none should have");
    }
    Ok(Shape::Rsa { len: n.len() })
}

fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Shape, &'static str> {
    // RFC 7518 section 6.2.1.2.
    if x.len() != curve.len() || y.len() != curve.len() {
        return Err("an EC coordinate has the wrong length");
    }
    let order = || -> Result<Vec<u8>, openssl::error::ErrorStack> {
        let group = EcGroup::from_curve_name(curve.nid())?;
        // The point is on the curve, or there is no key (CVE-2016-9121).
        let (x, y) = (BigNum::from_slice(x)?, BigNum::from_slice(y)?);
        EcKey::from_public_key_affine_coordinates(&group, &x, &y)?.check_key()?;
        let (mut order, mut context) = (BigNum::new()?, BigNumContext::new()?);
        group.order(&mut order, &mut context)?;
        order.to_vec_padded(curve.len() as i32)
    };
    order().map(|order| Shape::Ec { curve, order }).map_err(|_| "an EC point is not on its curve")
}

/// p = 2^255 - 19, little-endian.
const P: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// The y of the points of order 8; their sign is the highest bit, which is masked before comparing.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// A key of small order has signatures that hold for many messages: refused, as is any y that is not below p (KJ-11).
fn ed25519(x: &[u8]) -> Result<Shape, &'static str> {
    let mut y: [u8; 32] = x.try_into().map_err(|_| "an Ed25519 key has the wrong length")?;
    y[31] &= 0x7f;
    // y = p - 1, 1 and 0 are of order 2, 1 and 4.
    let ends = |low: u8| y[0] == low && y[1..].iter().all(|b| *b == 0);
    let not_below = |least: u8| y[0] >= least && y[1..] == P[1..];
    if ends(0) || ends(1) || not_below(P[0] - 1) || ORDER_8.contains(&y) {
        return Err("an Ed25519 key is of small order or not canonical");
    }
    Ok(Shape::Ed25519)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::bn::BigNumRef;

    /// Points of order 8 double to y = 0, so d y^4 + 2 y^2 = 1 on the curve -x^2 + y^2 = 1 + d x^2 y^2 (RFC 8032).
    #[test]
    fn the_points_of_order_eight_are_those_of_the_curve() {
        let mut cx = BigNumContext::new().unwrap();
        let p = BigNum::from_slice(&P.iter().rev().copied().collect::<Vec<_>>()).unwrap();
        let number = |n: u32| BigNum::from_u32(n).unwrap();
        let mul = |a: &BigNumRef, b: &BigNumRef, cx: &mut BigNumContext| {
            let mut r = BigNum::new().unwrap();
            r.mod_mul(a, b, &p, cx).unwrap();
            r
        };
        let mut inverse = BigNum::new().unwrap();
        inverse.mod_inverse(&number(121666), &p, &mut cx).unwrap();
        let positive = mul(&number(121665), &inverse, &mut cx);
        for bytes in ORDER_8 {
            let y = BigNum::from_slice(&bytes.iter().rev().copied().collect::<Vec<_>>()).unwrap();
            let y2 = mul(&y, &y, &mut cx);
            let y4 = mul(&y2, &y2, &mut cx);
            // 2 y^2 - (121665/121666) y^4 - 1 = 0 mod p.
            let left = mul(&number(2), &y2, &mut cx);
            let mut right = BigNum::new().unwrap();
            let product = mul(&positive, &y4, &mut cx);
            right.mod_add(&product, &number(1), &p, &mut cx).unwrap();
            assert_eq!(left, right);
        }
    }
}
