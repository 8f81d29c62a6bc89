//! Appendix C of the attack corpus, row by row; interoperability; the vectors of the RFCs.

#![allow(non_snake_case, clippy::cloned_ref_to_slice_refs)]

use super::*;
use entity::{JwsAlg, Micros};
use josekit::jwk::Jwk;
use josekit::jws::{self, JwsSigner, JwsVerifier};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;
use std::time::Duration;

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://id.example";
const API: &str = "https://id.example/api";

struct Made {
    pair: KeyPair,
    key: Verifier,
}

fn made(alg: SigningAlg) -> Made {
    let pair = generate(alg, 2048).unwrap();
    let key = Verifier::new(&pair.public).unwrap();
    Made { pair, key }
}

static ES256: LazyLock<Made> = LazyLock::new(|| made(SigningAlg::Es256));
static RS256: LazyLock<Made> = LazyLock::new(|| made(SigningAlg::Rs256));
static ED: LazyLock<Made> = LazyLock::new(|| made(SigningAlg::EdDsa));

fn expect(keys: &[Verifier]) -> Expect<'_> {
    Expect {
        typ: Typ::Exact("at+jwt"),
        issuers: &[ISSUER],
        unaddressed: false,
        audience: Audience::OneOf(&[API]),
        algs: SigningAlg::ALL,
        keys,
        secrets: &[],
        now: Micros::from_seconds(NOW),
        late: Duration::ZERO,
        early: Duration::ZERO,
        expiry: Expiry::Required,
        max_chars: Expect::MAX_CHARS,
    }
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": API, "sub": "anna", "iat": NOW, "exp": NOW + 900 })
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": ES256.pair.kid, "typ": "at+jwt" })
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn es256_of(made: &Made) -> impl JwsSigner + use<> {
    jws::ES256.signer_from_jwk(&Jwk::from_bytes(made.pair.private.as_bytes()).unwrap()).unwrap()
}

/// A token whose signature holds, whatever its header and payload say.
fn forge(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let signed = format!("{}.{}", b64(header), b64(payload));
    let signature = es256_of(&ES256).sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", b64(signature))
}

fn with_header(name: &str, value: Value) -> String {
    let mut header = header();
    header[name] = value;
    forge(header.to_string(), claims().to_string())
}

fn with_claim(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    forge(header().to_string(), claims.to_string())
}

fn without_claim(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    forge(header().to_string(), claims.to_string())
}

fn judge(token: &str) -> Result<Verified, Refusal> {
    verify(token, &expect(&[ES256.key.clone()]))
}

#[track_caller]
fn refused(token: &str, why: Refusal) {
    assert_eq!(judge(token).err(), Some(why), "{}", &token[..token.len().min(200)]);
}

fn good() -> String {
    forge(header().to_string(), claims().to_string())
}

#[test]
fn a_good_token_is_believed() {
    let verified = judge(&good()).unwrap();
    assert_eq!((verified.text("sub"), verified.alg), (Some("anna"), JwsAlg::Es256));
    assert_eq!((verified.typ.as_deref(), verified.kid.as_deref()), (Some("at+jwt"), ES256.key.kid()));
    assert_eq!(verified.expires, Some(Micros::from_seconds(NOW + 900)));
    assert_eq!(unproven(&good(), "iss").unwrap(), ISSUER);
    assert_eq!(unproven(&good(), "nothing").unwrap_err(), Refusal::Claims);
}

#[test]
fn alg_is_one_that_the_use_allows__rfc8725_3_1() {
    for alg in [
        json!("none"),
        json!("None"),
        json!("nOnE"),
        json!("NONE"),
        json!(""),
        json!("es256"),
        json!("HS256"),
        json!("ES256K"),
        json!("PS128"),
        json!(" ES256"),
        json!("RSA-OAEP"),
        json!("dir"),
    ] {
        refused(&with_header("alg", alg.clone()), Refusal::Algorithm);
        let head = b64(json!({ "alg": alg, "kid": ES256.pair.kid, "typ": "at+jwt" }).to_string());
        let bare = format!("{head}.{}", b64(claims().to_string()));
        refused(&format!("{bare}."), Refusal::Algorithm);
        refused(&format!("{bare}.AAAA"), Refusal::Algorithm);
    }
    for alg in [json!(null), json!(0), json!(["ES256"]), json!({})] {
        refused(&with_header("alg", alg), Refusal::Header);
    }
    refused(
        &forge(json!({ "kid": ES256.pair.kid, "typ": "at+jwt" }).to_string(), claims().to_string()),
        Refusal::Algorithm,
    );
    let keys = [ES256.key.clone()];
    let only_rs = Expect { algs: &[SigningAlg::Rs256], ..expect(&keys) };
    assert_eq!(verify(&good(), &only_rs).unwrap_err(), Refusal::Algorithm);
    assert_eq!(verify(&good(), &Expect { algs: &[], ..expect(&keys) }).unwrap_err(), Refusal::Algorithm);
}

#[test]
fn a_public_key_is_never_a_secret__cve_2016_10555() {
    let jwk = RS256.pair.public.clone();
    let part = |name: &str| decode(jwk[name].as_str().unwrap()).unwrap();
    let rsa = openssl::rsa::Rsa::from_public_components(
        openssl::bn::BigNum::from_slice(&part("n")).unwrap(),
        openssl::bn::BigNum::from_slice(&part("e")).unwrap(),
    )
    .unwrap();
    let pem = rsa.public_key_to_pem().unwrap();
    let secrets = [
        pem.clone(),
        pem.trim_ascii_end().to_vec(),
        [b" ", &pem[..]].concat(),
        rsa.public_key_to_pem_pkcs1().unwrap(),
        rsa.public_key_to_der().unwrap(),
        rsa.public_key_to_der_pkcs1().unwrap(),
        jwk.to_string().into_bytes(),
        part("n"),
        RS256.pair.kid.clone().into_bytes(),
        vec![0],
        jwk["n"].to_string().into_bytes(),
    ];
    for (alg, digest) in
        [("HS256", MessageDigest::sha256()), ("HS384", MessageDigest::sha384()), ("HS512", MessageDigest::sha512())]
    {
        for secret in &secrets {
            let head = json!({ "alg": alg, "kid": RS256.pair.kid, "typ": "at+jwt" });
            let signed = format!("{}.{}", b64(head.to_string()), b64(claims().to_string()));
            let key = openssl::pkey::PKey::hmac(secret).unwrap();
            let mac = openssl::sign::Signer::new(digest, &key).unwrap().sign_oneshot_to_vec(signed.as_bytes()).unwrap();
            let token = format!("{signed}.{}", b64(mac));
            assert_eq!(verify(&token, &expect(&[RS256.key.clone()])).unwrap_err(), Refusal::Algorithm);
        }
    }
}

#[test]
fn a_key_signs_only_with_what_fits_it__rfc8725_3_4() {
    let p384 = made(SigningAlg::Es384);
    let all = [&*ES256, &*RS256, &*ED, &p384];
    for own in all {
        let alg = own.pair.public["alg"].as_str().unwrap();
        for claimed in SigningAlg::ALL {
            let head = json!({ "alg": claimed.as_str(), "kid": own.pair.kid, "typ": "at+jwt" });
            let token = format!("{}.{}.{}", b64(head.to_string()), b64(claims().to_string()), b64([1; 256]));
            let why = if claimed.as_str() == alg { Refusal::Signature } else { Refusal::KeyMismatch };
            assert_eq!(verify(&token, &expect(&[own.key.clone()])).unwrap_err(), why, "{alg} as {claimed}");
        }
    }
    // The same RSA key without `alg`: RS256 and PS256 are each other's signatures never.
    let mut free = RS256.pair.public.clone();
    free.as_object_mut().unwrap().remove("alg");
    let free = Verifier::new(&free).unwrap();
    let token = Signer::new(SigningAlg::Rs256, &RS256.pair.private).unwrap().sign("at+jwt", &claims()).unwrap();
    assert!(verify(&token, &expect(&[free.clone()])).is_ok());
    let (_, rest) = token.split_once('.').unwrap();
    let head = json!({ "alg": "PS256", "kid": RS256.pair.kid, "typ": "at+jwt" });
    let swapped = format!("{}.{rest}", b64(head.to_string()));
    assert_eq!(verify(&swapped, &expect(&[free.clone()])).unwrap_err(), Refusal::Signature);
    let signature = decode(token.rsplit('.').next().unwrap()).unwrap();
    let signed = token.rsplit_once('.').unwrap().0.as_bytes();
    assert!(free.proves(SigningAlg::Rs256, signed, &signature));
    for alg in [SigningAlg::Ps256, SigningAlg::Rs384, SigningAlg::Es256, SigningAlg::EdDsa] {
        assert!(!free.proves(alg, signed, &signature));
    }
    for wrong in [
        &signature[1..],
        &[&signature[..], &[0]].concat(),
        &[&[0], &signature[..]].concat(),
        &[],
        &[0; 256],
        &[255; 256],
    ] {
        assert!(!free.proves(SigningAlg::Rs256, signed, wrong));
        assert!(!free.proves(SigningAlg::Ps256, signed, wrong));
    }
}

#[test]
fn an_ecdsa_signature_is_two_numbers_in_range__cve_2022_21449() {
    use openssl::bn::{BigNum, BigNumContext};
    let p521 = made(SigningAlg::Es512);
    let p384 = made(SigningAlg::Es384);
    for (own, alg, curve) in [
        (&*ES256, SigningAlg::Es256, Curve::P256),
        (&p384, SigningAlg::Es384, Curve::P384),
        (&p521, SigningAlg::Es512, Curve::P521),
    ] {
        let token = Signer::new(alg, &own.pair.private).unwrap().sign("at+jwt", &claims()).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = decode(signature).unwrap();
        let (r, s) = signature.split_at(curve.len());
        let len = curve.len();
        let group = openssl::ec::EcGroup::from_curve_name(curve.nid()).unwrap();
        let (mut n, mut cx) = (BigNum::new().unwrap(), BigNumContext::new().unwrap());
        group.order(&mut n, &mut cx).unwrap();
        let order = n.to_vec_padded(len as i32).unwrap();
        let mut high = BigNum::new().unwrap();
        high.checked_sub(&n, &BigNum::from_slice(s).unwrap()).unwrap();
        let high = high.to_vec_padded(len as i32).unwrap();
        let zero = vec![0; len];
        let ff = vec![255; len];
        let one = [&zero[1..], &[1]].concat();
        let pair = |r: &[u8], s: &[u8]| [r, s].concat();
        let proves = |signature: &[u8]| own.key.proves(alg, signed.as_bytes(), signature);
        assert!(proves(&signature));
        assert!(proves(&pair(r, &high)), "high s is allowed by RFC 7518");
        let der = openssl::ecdsa::EcdsaSig::from_private_components(
            BigNum::from_slice(r).unwrap(),
            BigNum::from_slice(s).unwrap(),
        )
        .unwrap()
        .to_der()
        .unwrap();
        let bad = [
            pair(&zero, &zero),
            pair(&ff, &ff),
            pair(&zero, s),
            pair(r, &zero),
            pair(&order, s),
            pair(r, &order),
            pair(&order, &order),
            pair(&one, &one),
            pair(&zero, &one),
            pair(s, r),
            pair(&ff, s),
            pair(r, &ff),
            der,
            signature[1..].to_vec(),
            signature[..2 * len - 1].to_vec(),
            pair(&signature, &[0]),
            pair(&[0], &signature),
            vec![],
            vec![0],
            pair(&pair(&[0], r), &pair(&[0], s)),
            pair(&[1], &signature),
        ];
        for bytes in bad {
            assert!(!proves(&bytes), "{alg}: {bytes:?}");
            let token = format!("{signed}.{}", b64(&bytes));
            let why = if bytes.is_empty() { Refusal::Form } else { Refusal::Signature };
            assert_eq!(verify(&token, &expect(&[own.key.clone()])).unwrap_err(), why);
        }
    }
}

#[test]
fn eddsa_is_strict__kj_11() {
    let token = Signer::new(SigningAlg::EdDsa, &ED.pair.private).unwrap().sign("at+jwt", &claims()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = decode(signature).unwrap();
    let proves = |bytes: &[u8]| ED.key.proves(SigningAlg::EdDsa, signed.as_bytes(), bytes);
    assert!(proves(&signature));
    // S + L is the same number to a careless reader (RFC 8032 section 8.4).
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut malleable = signature.clone();
    let mut carry = 0;
    for at in 0..32 {
        let sum = u16::from(malleable[32 + at]) + u16::from(order[at]) + carry;
        malleable[32 + at] = sum as u8;
        carry = sum >> 8;
    }
    for bad in [&malleable[..], &[0; 64], &[255; 64], &signature[1..], &[&signature[..], &[0]].concat(), &[]] {
        assert!(!proves(bad));
    }
    let ed = |hex: &str| {
        let x: Vec<u8> = (0..32).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
        Verifier::new(&json!({ "kty": "OKP", "crv": "Ed25519", "x": b64(x) })).err()
    };
    for (low, middle, high) in [
        ("00", "00", "00"),
        ("00", "00", "80"),
        ("01", "00", "00"),
        ("01", "00", "80"),
        ("ec", "ff", "7f"),
        ("ec", "ff", "ff"),
        ("ed", "ff", "7f"),
        ("ed", "ff", "ff"),
        ("ee", "ff", "7f"),
        ("ee", "ff", "ff"),
        ("ff", "ff", "ff"),
    ] {
        assert!(ed(&format!("{low}{}{high}", middle.repeat(30))).unwrap().contains("small order"), "{low}..{high}");
    }
    for small in [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    ] {
        assert!(ed(small).unwrap().contains("small order"), "{small}");
    }
}

#[test]
fn the_header_brings_no_key_and_no_extension__rfc8725_3_10() {
    for (name, value) in [
        ("jwk", ES256.pair.public.clone()),
        ("jku", json!("https://collector.example/")),
        ("x5u", json!("https://collector.example/")),
        ("x5c", json!(["MIIB"])),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
        ("p2c", json!(2147483647u32)),
        ("epk", json!({})),
    ] {
        refused(&with_header(name, value), Refusal::Foreign);
        refused(&with_header(name, Value::Null), Refusal::Foreign);
    }
    for crit in [json!([]), json!(["b64"]), json!(["exp"]), json!(["bork"]), json!(["alg"]), json!("b64"), json!(null)]
    {
        refused(&with_header("crit", crit), Refusal::Critical);
    }
    refused(&with_header("b64", json!(false)), Refusal::Critical);
    refused(&with_header("b64", json!(true)), Refusal::Critical);
    refused(&with_header("cty", json!("JWT")), Refusal::Header);
    // Unknown members are ignored (RFC 7515 section 4).
    assert!(judge(&with_header("x5t", json!("AAAA"))).is_ok() && judge(&with_header("hello", json!([1]))).is_ok());
}

#[test]
fn kid_is_a_text_in_one_set__kj_04() {
    for kid in [
        "../../dev/null",
        "' OR 1=1--",
        "",
        "\0",
        &ES256.pair.kid.to_uppercase(),
        &ES256.pair.kid[..42],
        &format!("{} ", ES256.pair.kid),
    ] {
        refused(&with_header("kid", json!(kid)), Refusal::Key);
    }
    refused(&with_header("kid", json!("k".repeat(257))), Refusal::Key);
    refused(&with_header("kid", json!("k".repeat(1 << 20))), Refusal::TooLong);
    for kid in [json!(1), json!(null), json!([ES256.pair.kid]), json!({})] {
        refused(&with_header("kid", kid), Refusal::Header);
    }
    let bare = forge(json!({ "alg": "ES256", "typ": "at+jwt" }).to_string(), claims().to_string());
    assert!(judge(&bare).is_ok(), "without a kid, the keys that fit are tried");
    // Another tenant's key, also under the same kid.
    let other = made(SigningAlg::Es256);
    assert_eq!(verify(&good(), &expect(&[other.key.clone()])).unwrap_err(), Refusal::Key);
    assert_eq!(verify(&bare, &expect(&[other.key.clone()])).unwrap_err(), Refusal::Signature);
    let mut same = other.pair.public.clone();
    same["kid"] = json!(ES256.pair.kid);
    let same = Verifier::new(&same).unwrap();
    assert_eq!(verify(&good(), &expect(&[same.clone()])).unwrap_err(), Refusal::Signature);
    assert!(
        verify(&good(), &expect(&[same, ES256.key.clone()])).is_ok(),
        "two keys may share a kid (RFC 7517 section 4.5)"
    );
    assert_eq!(verify(&good(), &expect(&[])).unwrap_err(), Refusal::Key);
    // The number of tries is bounded.
    let many: Vec<_> = std::iter::repeat_n(other.key.clone(), 8).chain([ES256.key.clone()]).collect();
    assert_eq!(verify(&bare, &expect(&many)).unwrap_err(), Refusal::Signature);
    assert!(verify(&bare, &expect(&many[1..])).is_ok());
}

#[test]
fn each_type_is_refused_at_the_doors_of_the_others__rfc8725_3_11() {
    let types = [
        "at+jwt",
        "logout+jwt",
        "client-authentication+jwt",
        "dpop+jwt",
        "oauth-authz-req+jwt",
        "token-introspection+jwt",
        "JWT",
    ];
    let keys = [ES256.key.clone()];
    let at = |typ: Option<&str>, door: Typ| {
        let mut header = json!({ "alg": "ES256", "kid": ES256.pair.kid });
        if let Some(typ) = typ {
            header["typ"] = json!(typ);
        }
        verify(&forge(header.to_string(), claims().to_string()), &Expect { typ: door, ..expect(&keys) }).map(|_| ())
    };
    for typ in types {
        for door in types {
            let right = if typ == door { Ok(()) } else { Err(Refusal::Type) };
            assert_eq!(at(Some(typ), Typ::Exact(door)), right, "{typ} at {door}");
            assert_eq!(at(Some(&format!("application/{typ}")), Typ::Exact(door)), right);
            assert_eq!(at(Some(&format!("Application/{}", typ.to_uppercase())), Typ::Exact(door)), right);
        }
        assert_eq!(at(Some(typ), Typ::Plain).is_ok(), typ == "JWT");
        assert_eq!(
            at(Some(typ), Typ::PlainOr("client-authentication+jwt")).is_ok(),
            typ == "JWT" || typ.starts_with("client")
        );
        assert_eq!(at(None, Typ::Exact(typ)), Err(Refusal::Type));
    }
    assert!(at(None, Typ::Plain).is_ok() && at(None, Typ::PlainOr("x")).is_ok());
    for odd in [
        "",
        "application/",
        "application/application/at+jwt",
        "text/at+jwt",
        "at+jwt ",
        "at+jwt;x=y",
        "äpplication/at+jwt",
    ] {
        assert_eq!(at(Some(odd), Typ::Exact("at+jwt")), Err(Refusal::Type), "{odd}");
        assert_eq!(at(Some(odd), Typ::Plain), Err(Refusal::Type));
    }
    for typ in [json!(null), json!(1), json!(["at+jwt"])] {
        refused(&with_header("typ", typ), Refusal::Header);
    }
}

#[test]
fn no_member_comes_twice__kj_06() {
    let kid = &ES256.pair.kid;
    let twice = format!("{{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"{kid}\",\"typ\":\"at+jwt\"}}");
    refused(&forge(twice, claims().to_string()), Refusal::Header);
    let text = claims().to_string();
    let open = text.trim_end_matches('}');
    for tail in [",\"sub\":\"bob\"}", ",\"\\u0073ub\":\"bob\"}", ",\"x\":{\"y\":1,\"y\":1}}"] {
        refused(&forge(header().to_string(), format!("{open}{tail}")), Refusal::Claims);
    }
}

#[test]
fn the_payload_is_one_object() {
    let text = claims().to_string();
    let deep = format!("{},\"x\":{}{}}}", text.trim_end_matches('}'), "[".repeat(1000), "]".repeat(1000));
    let number = |n: &str| format!("{},\"x\":{n}}}", text.trim_end_matches('}'));
    for payload in [
        "[]",
        "\"x\"",
        "1",
        "null",
        "true",
        "",
        &format!("[{text}]"),
        &format!("\u{feff}{text}"),
        &format!("{text}{text}"),
        &number("NaN"),
        &number("1e400"),
        &number("-Infinity"),
        &deep,
        &good(),
    ] {
        refused(&forge(header().to_string(), payload), Refusal::Claims);
    }
    refused(&forge(header().to_string(), b"\xff\xfe"), Refusal::Claims);
    for head in ["[]", "null", "", "\u{feff}{}", "{\"alg\":\"ES256\""] {
        refused(&forge(head, &text), Refusal::Header);
    }
    assert!(judge(&forge(format!(" {} ", header()), format!("\n{text}\n"))).is_ok(), "white space inside JSON is JSON");
}

#[test]
fn dates_are_numbers__kj_08() {
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!(NOW.to_string()),
            json!("never"),
            json!(null),
            json!(-1),
            json!(-1.5),
            json!(u64::MAX),
            json!(9223372036854775808u64),
            json!(1e300),
            json!([NOW]),
            json!({}),
            json!(true),
            json!(253402300800i64),
        ] {
            refused(&with_claim(name, value), Refusal::Claims);
        }
    }
    refused(&without_claim("exp"), Refusal::Claims);
    for (name, value, why) in [
        ("exp", NOW, Refusal::Expired),
        ("exp", NOW - 1, Refusal::Expired),
        ("exp", 0, Refusal::Expired),
        ("nbf", NOW + 1, Refusal::NotYet),
        ("iat", NOW + 1, Refusal::NotYet),
    ] {
        refused(&with_claim(name, json!(value)), why);
    }
    assert!(
        judge(&with_claim("exp", json!(NOW as f64 + 0.5))).is_ok()
            && judge(&with_claim("exp", json!(253402300799i64))).is_ok()
    );
    refused(&with_claim("exp", json!(NOW as f64 - 0.5)), Refusal::Expired);
    assert!(
        judge(&with_claim("nbf", json!(NOW))).is_ok()
            && judge(&with_claim("nbf", json!(0))).is_ok()
            && judge(&without_claim("iat")).is_ok()
    );
    let keys = [ES256.key.clone()];
    let lenient = || Expect { late: Duration::from_secs(10), early: Duration::from_secs(10), ..expect(&keys) };
    for (name, value, fine) in [
        ("exp", NOW - 9, true),
        ("exp", NOW - 10, false),
        ("iat", NOW + 10, true),
        ("iat", NOW + 11, false),
        ("nbf", NOW + 10, true),
        ("nbf", NOW + 11, false),
    ] {
        assert_eq!(verify(&with_claim(name, json!(value)), &lenient()).is_ok(), fine, "{name} {}", value - NOW);
    }
    let hint = || Expect { expiry: Expiry::MayBePast, ..expect(&keys) };
    assert!(verify(&with_claim("exp", json!(1)), &hint()).is_ok());
    assert_eq!(verify(&without_claim("exp"), &hint()).unwrap_err(), Refusal::Claims);
    assert_eq!(verify(&with_claim("exp", json!("1")), &hint()).unwrap_err(), Refusal::Claims);
    let loose = || Expect { expiry: Expiry::IfPresent, ..expect(&keys) };
    assert!(verify(&without_claim("exp"), &loose()).is_ok());
    assert_eq!(verify(&with_claim("exp", json!(1)), &loose()).unwrap_err(), Refusal::Expired);
}

#[test]
fn audience_issuer_and_subject_are_compared_as_they_stand() {
    for aud in [
        json!("other"),
        json!([]),
        json!(["other"]),
        json!("https://id.example/ap"),
        json!("https://id.example/api/"),
        json!("HTTPS://id.example/api"),
        json!(""),
    ] {
        let why = if aud == json!([]) { Refusal::Claims } else { Refusal::Audience };
        refused(&with_claim("aud", aud), why);
    }
    for aud in
        [json!({}), json!({ API: 1 }), json!(null), json!(1), json!([API, 1]), json!([[API]]), json!([null, API])]
    {
        refused(&with_claim("aud", aud), Refusal::Claims);
    }
    refused(&without_claim("aud"), Refusal::Claims);
    let keys = [ES256.key.clone()];
    let only = || Expect { audience: Audience::Only(&[API, "https://id.example"]), ..expect(&keys) };
    for (aud, one_of, alone) in [
        (json!([API]), true, true),
        (json!(["other", API]), true, false),
        (json!([API, API]), true, false),
        (json!(API), true, true),
        (json!(ISSUER), false, true),
    ] {
        let token = with_claim("aud", aud);
        assert_eq!((judge(&token).is_ok(), verify(&token, &only()).is_ok()), (one_of, alone));
    }
    let anyone = || Expect { audience: Audience::Anyone, ..expect(&keys) };
    assert!(verify(&with_claim("aud", json!("other")), &anyone()).is_ok());
    assert_eq!(verify(&without_claim("aud"), &anyone()).unwrap_err(), Refusal::Claims);
    for iss in ["https://id.example/", "https://ID.example", "http://id.example", "https://id.example/t/other", ""] {
        refused(&with_claim("iss", json!(iss)), Refusal::Issuer);
    }
    for iss in [json!(null), json!([ISSUER]), json!(1)] {
        refused(&with_claim("iss", iss), Refusal::Claims);
    }
    refused(&without_claim("iss"), Refusal::Claims);
    for bad in [json!(""), json!(null), json!(7), json!(["anna"])] {
        refused(&with_claim("sub", bad.clone()), Refusal::Claims);
        refused(&with_claim("jti", bad), Refusal::Claims);
    }
    assert!(judge(&without_claim("sub")).is_ok());
}

#[test]
fn the_form_is_compact_and_canonical__kj_06() {
    let token = good();
    let [head, body, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let bad = [
        format!("{head}.{body}"),
        format!("{token}."),
        format!("{token}.x.y"),
        format!("{token}.x.y.z"),
        format!(".{token}"),
        format!("{head}.{body}."),
        String::new(),
        ".".repeat(5),
        "x".into(),
        format!("{token}="),
        format!("{token}=="),
        format!("{head}=.{body}.{signature}"),
        format!("{token}\n"),
        format!("{token} "),
        format!(" {token}"),
        format!("\u{feff}{token}"),
        format!("{head}\n.{body}.{signature}"),
        json!({ "protected": head, "payload": body, "signature": signature }).to_string(),
        json!({ "payload": body, "signatures": [{ "protected": head, "signature": signature }] }).to_string(),
        json!({ "payload": body, "signatures": [] }).to_string(),
        format!("{head}.{}.AAAA.AAAA.AAAA", b64("key")),
    ];
    for form in bad {
        refused(&form, Refusal::Form);
    }
    for form in
        [format!("{head}.{body}=.{signature}"), format!("{head}.{body} .{signature}"), format!("{head}..{signature}")]
    {
        assert!(judge(&form).is_err(), "{form}");
    }
    refused(&format!(".{body}.{signature}"), Refusal::Header);
    refused("..", Refusal::Header);
    refused(&format!("{}.{body}.{signature}", ".".repeat(1 << 20)), Refusal::TooLong);
    refused(&format!("{head}.{}.{signature}", "A".repeat(1 << 20)), Refusal::TooLong);
    let keys = [ES256.key.clone()];
    assert!(verify(&token, &Expect { max_chars: token.len(), ..expect(&keys) }).is_ok());
    assert_eq!(verify(&token, &Expect { max_chars: token.len() - 1, ..expect(&keys) }).unwrap_err(), Refusal::TooLong);
    // 64 bytes end in a character of which two bits count: of the 16 that decode alike, one is canonical.
    let (start, last) = signature.split_at(85);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for other in alphabet.chars().filter(|c| !last.starts_with(*c)) {
        assert!(judge(&format!("{head}.{body}.{start}{other}")).is_err());
    }
    // The other alphabet, under a signature that holds for the text as it stands.
    let standard = base64::engine::general_purpose::STANDARD_NO_PAD;
    let payload = format!("{{\"x\":\"{}\",{}", "?>~ÿ".repeat(9), &claims().to_string()[1..]);
    let (url, plain) = (b64(&payload), standard.encode(&payload));
    assert_ne!(url, plain);
    let padded = format!("{}=", b64(claims().to_string() + " ").trim_end_matches('='));
    let spaced = format!("{}\n", b64(claims().to_string()));
    for (text, fine) in [(url, true), (plain, false), (padded, false), (spaced, false), (String::new(), false)] {
        let signed = format!("{head}.{text}");
        let token = format!("{signed}.{}", b64(es256_of(&ES256).sign(signed.as_bytes()).unwrap()));
        assert_eq!(judge(&token).is_ok(), fine);
    }
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(judge(std::str::from_utf8(&bytes).unwrap()).is_err(), "character {at} counts");
    }
}

#[test]
fn nothing_that_is_cut_or_mixed_panics() {
    let token = good();
    for at in 0..token.len() {
        assert!(judge(&token[..at]).is_err() && judge(&token[at + 1..]).is_err());
    }
    let mut state = 1u64;
    for _ in 0..3000 {
        let mut bytes = token.clone().into_bytes();
        for _ in 0..4 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] = b".{}\"=A-_ \n0"[(state >> 20) as usize % 11];
        }
        if bytes != token.as_bytes() {
            assert!(judge(&String::from_utf8(bytes).unwrap()).is_err());
        }
    }
}

#[test]
fn all_ten_algorithms_are_read_by_another_library() {
    fn read<V: JwsVerifier>(verifier: Result<V, josekit::JoseError>, token: &str) -> (Value, Value) {
        let (payload, header) = josekit::jwt::decode_with_verifier(token, &verifier.unwrap()).unwrap();
        let claims = serde_json::to_value(payload.claims_set()).unwrap();
        (claims, serde_json::to_value(header.claims_set()).unwrap())
    }
    use SigningAlg::*;
    for alg in SigningAlg::ALL.iter().copied() {
        let own = made(alg);
        let signer = Signer::new(alg, &own.pair.private).unwrap();
        let jwk = Jwk::from_map(own.pair.public.as_object().unwrap().clone()).unwrap();
        for typ in ["at+jwt", "JWT", "secevent+jwt"] {
            let token = signer.sign(typ, &claims()).unwrap();
            let (claims_read, header) = match alg {
                Rs256 => read(jws::RS256.verifier_from_jwk(&jwk), &token),
                Rs384 => read(jws::RS384.verifier_from_jwk(&jwk), &token),
                Rs512 => read(jws::RS512.verifier_from_jwk(&jwk), &token),
                Ps256 => read(jws::PS256.verifier_from_jwk(&jwk), &token),
                Ps384 => read(jws::PS384.verifier_from_jwk(&jwk), &token),
                Ps512 => read(jws::PS512.verifier_from_jwk(&jwk), &token),
                Es256 => read(jws::ES256.verifier_from_jwk(&jwk), &token),
                Es384 => read(jws::ES384.verifier_from_jwk(&jwk), &token),
                Es512 => read(jws::ES512.verifier_from_jwk(&jwk), &token),
                EdDsa => read(jws::EdDSA.verifier_from_jwk(&jwk), &token),
            };
            assert_eq!(claims_read, claims());
            assert_eq!(header, json!({ "alg": alg.as_str(), "kid": own.pair.kid, "typ": typ }));
            let keys = [own.key.clone()];
            assert!(verify(&token, &Expect { typ: Typ::Exact(typ), ..expect(&keys) }).is_ok());
        }
        assert_eq!((signer.kid.as_str(), signer.alg), (own.pair.kid.as_str(), alg));
        let public = own.pair.public.as_object().unwrap();
        let private: Map<String, Value> = serde_json::from_str(&own.pair.private).unwrap();
        assert_eq!(
            (thumbprint(public), thumbprint(&private)),
            (Some(own.pair.kid.clone()), Some(own.pair.kid.clone()))
        );
        assert!(
            public.iter().all(|(name, value)| private[name] == *value)
                && !public.contains_key("d")
                && private.contains_key("d")
        );
        assert!(parse_client_jwks(&json!({ "keys": [own.pair.public] }).to_string()).unwrap()[0].fits(alg));
        for other in SigningAlg::ALL.iter().filter(|o| **o != alg) {
            assert!(Signer::new(*other, &own.pair.private).is_err(), "a key for {alg} does not sign {other}");
        }
    }
    for bits in [0, 1024, 2047, 2049, 8200, 16384] {
        assert!(generate(Rs256, bits).is_err());
    }
    for text in ["", "{}", "{\"kty\":\"EC\"}", "null"] {
        assert!(Signer::new(Es256, text).is_err());
    }
}

#[test]
fn a_signer_is_shared_by_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let signer = Signer::new(SigningAlg::Es256, &ES256.pair.private).unwrap();
    shared(&signer);
    shared(&ES256.key);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| assert!((0..20).all(|_| judge(&signer.sign("at+jwt", &claims()).unwrap()).is_ok())));
        }
    });
}

#[test]
fn a_key_set_of_a_client_is_public_and_bounded__kj_14() {
    let set = |keys: Vec<Value>| parse_client_jwks(&json!({ "keys": keys }).to_string()).map(|keys| keys.len());
    let changed = |key: &Value, name: &str, value: Value| {
        let mut key = key.clone();
        key[name] = value;
        key
    };
    let (ec, rsa, ed) = (&ES256.pair.public, &RS256.pair.public, &ED.pair.public);
    assert_eq!(set(vec![ec.clone(), rsa.clone(), ed.clone()]), Ok(3));
    assert_eq!(set(vec![]), Ok(0));
    // Fine, and not for us.
    for (name, value) in [
        ("use", json!("enc")),
        ("alg", json!("ES256K")),
        ("alg", json!("ECDH-ES")),
        ("key_ops", json!(["deriveKey"])),
        ("key_ops", json!([])),
        ("crv", json!("secp256k1")),
        ("kty", json!("AKP")),
    ] {
        assert_eq!(set(vec![changed(ec, name, value)]), Ok(0), "{name}");
    }
    assert_eq!(set(vec![json!({ "kty": "OKP", "crv": "X25519", "x": "AAAA" })]), Ok(0));
    assert_eq!(
        set(vec![changed(ec, "key_ops", json!(["verify"])), changed(ec, "x5u", json!("https://collector.example/"))]),
        Ok(2)
    );
    // Private and symmetric, wherever they hide.
    let private: Value = serde_json::from_str(&ES256.pair.private).unwrap();
    let secret = json!({ "kty": "oct", "k": "AAAA" });
    let mut bad = vec![
        private,
        secret,
        json!({ "kty": "oct" }),
        changed(ec, "use", json!("enc")),
        changed(ec, "kty", json!("XYZ")),
        rsa.clone(),
    ];
    bad[3]["d"] = json!("AAAA");
    bad[4]["k"] = json!("AAAA");
    bad[5]["qi"] = json!("AAAA");
    for key in bad {
        assert_eq!(set(vec![ec.clone(), key]), Err("a key is private or symmetric"));
    }
    // Broken.
    let n = decode(rsa["n"].as_str().unwrap()).unwrap();
    let even = {
        let mut n = n.clone();
        n[255] &= 0xfe;
        n
    };
    let y = decode(ec["y"].as_str().unwrap()).unwrap();
    let off = {
        let mut y = y.clone();
        y[31] ^= 1;
        y
    };
    let broken = [
        changed(rsa, "n", json!(b64(&n[1..]))),
        changed(rsa, "n", json!(b64([&[0], &n[..]].concat()))),
        changed(rsa, "n", json!(b64([0xff; 1025]))),
        changed(rsa, "n", json!(b64(even))),
        changed(rsa, "n", json!("")),
        changed(rsa, "e", json!("Aw")),
        changed(rsa, "e", json!("AQ")),
        changed(rsa, "e", json!("AQAA")),
        changed(rsa, "e", json!("AAEAAQ")),
        changed(rsa, "e", json!(b64([1; 5]))),
        changed(rsa, "e", json!("AQAB=")),
        changed(rsa, "e", json!(65537)),
        changed(rsa, "alg", json!("ES256")),
        changed(ec, "alg", json!("ES384")),
        changed(ec, "alg", json!("EdDSA")),
        changed(ec, "y", json!(b64(off))),
        changed(ec, "y", json!(b64(&y[1..]))),
        changed(ec, "y", json!(b64([&[0], &y[..]].concat()))),
        changed(ec, "y", json!(b64([0; 32]))),
        changed(ec, "x", json!(b64([0xff; 32]))),
        changed(ec, "crv", json!("P-384")),
        changed(ec, "kid", json!("k".repeat(257))),
        changed(ec, "kid", json!(1)),
        changed(ec, "use", json!(["sig"])),
        changed(ec, "key_ops", json!("verify")),
        changed(ec, "key_ops", json!([1])),
        changed(ed, "x", json!(b64([9; 31]))),
        changed(ed, "x", json!(b64([9; 33]))),
        json!({ "kty": "RSA" }),
        json!({ "kty": "EC" }),
        json!({ "kty": 1 }),
        json!({}),
        json!("x"),
        json!(null),
    ];
    for key in broken {
        assert!(set(vec![key.clone()]).is_err(), "{key}");
    }
    // Bounds and form.
    assert_eq!(set(vec![ec.clone(); 100]), Ok(100));
    assert_eq!(set(vec![ec.clone(); 101]), Err("the key set has too many keys"));
    assert_eq!(
        parse_client_jwks(&format!("{{\"keys\":[]{}}}", " ".repeat(65 * 1024))).err(),
        Some("the key set is too large")
    );
    for text in [
        "",
        "[]",
        "null",
        "{}",
        "{\"keys\":{}}",
        "{\"keys\":null}",
        "{\"keys\":[],\"keys\":[]}",
        "{\"keys\":[{\"kty\":\"EC\",\"kty\":\"RSA\"}]}",
        "\u{feff}{\"keys\":[]}",
    ] {
        assert!(parse_client_jwks(text).is_err(), "{text}");
    }
}

#[test]
fn the_vectors_of_the_rfcs_hold() {
    // RFC 7638 section 3.1.
    let jwk = json!({ "kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
    assert_eq!(thumbprint(jwk.as_object().unwrap()).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    let proves = |alg: SigningAlg, jwk: Value, token: &str| {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        Verifier::new(&jwk).unwrap().proves(alg, signed.as_bytes(), &decode(signature).unwrap())
    };
    // RFC 8037 appendix A.1 to A.4.
    let ed = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    assert_eq!(thumbprint(ed.as_object().unwrap()).unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(proves(SigningAlg::EdDsa, ed.clone(), token));
    let private = Jwk::from_bytes(
        json!({ "kty": "OKP", "crv": "Ed25519", "x": ed["x"], "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" })
            .to_string(),
    )
    .unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    assert_eq!(b64(jws::EdDSA.signer_from_jwk(&private).unwrap().sign(signed.as_bytes()).unwrap()), signature);
    // RFC 7515 appendix A.3.
    let ec = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
    let body = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let token = format!(
        "eyJhbGciOiJFUzI1NiJ9.{body}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    );
    assert!(proves(SigningAlg::Es256, ec, &token));
    // RFC 7515 appendix A.2.
    let rsa = json!({ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" });
    let token = format!(
        "eyJhbGciOiJSUzI1NiJ9.{body}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    assert!(proves(SigningAlg::Rs256, rsa, &token));
    // OpenID Connect Core appendix A.4 and A.6: c_hash and at_hash of the examples there.
    assert_eq!(
        half_hash(JwsAlg::Rs256, "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y").unwrap(),
        "77QmUPtjPfzWtF2AnpK9RQ"
    );
    assert_eq!(
        half_hash(JwsAlg::Rs256, "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk").unwrap(),
        "LDktKdoQak3Pk0cnXxCltA"
    );
    let lengths = |alg| half_hash(alg, "x").unwrap().len();
    assert_eq!(
        (lengths(JwsAlg::Ps256), lengths(JwsAlg::Es384), lengths(JwsAlg::Es512), lengths(JwsAlg::EdDsa)),
        (22, 32, 43, 43)
    );
}

#[test]
fn numbers_of_a_signature_with_leading_zeros_hold() {
    let signer = Signer::new(SigningAlg::Es256, &ES256.pair.private).unwrap();
    let mut short = 0;
    for _ in 0..1000 {
        let token = signer.sign("at+jwt", &claims()).unwrap();
        let signature = decode(token.rsplit('.').next().unwrap()).unwrap();
        short += usize::from(signature.len() == 64 && (signature[0] == 0 || signature[32] == 0));
        assert!(judge(&token).is_ok());
    }
    assert!(short > 0, "one in 128 has such a number");
}
