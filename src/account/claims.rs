//! The `claims` parameter: single claims that an application asks for (OpenID Connect Core section 5.5).

use super::Person;
use super::profile::claims;
use entity::Scopes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Bytes of the parameter, and claims in each half, at most.
const LONGEST: usize = 8 * 1024;
const MOST: usize = 100;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: BTreeMap<String, Wish>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: BTreeMap<String, Wish>,
}

/// How one claim is wished for (section 5.5.1).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wish {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    /// `value` or `values`; empty: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

impl ClaimsRequest {
    /// # Errors
    /// A constant text for the application.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("claims is longer than 8192 bytes");
        }
        let given: Value = serde_json::from_str(text).map_err(|_| "claims is not JSON")?;
        let given = given.as_object().ok_or("claims is not a JSON object")?;
        // Members that are not understood are ignored (section 5.5).
        Ok(Self { userinfo: half(given, "userinfo")?, id_token: half(given, "id_token")? })
    }

    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }

    /// The scopes that tell what is asked for: what a person has to allow beside the scopes themselves.
    pub fn scopes(&self) -> Scopes {
        let names = self.userinfo.keys().chain(self.id_token.keys());
        Scopes(names.filter_map(|name| scope_of(name)).map(str::to_owned).collect())
    }

    /// The same without what these scopes do not cover: an application gets no claim whose scope it may not ask for.
    pub fn within(mut self, scopes: &Scopes) -> Self {
        let may = |name: &String| scope_of(name).is_none_or(|scope| scopes.has(scope));
        self.userinfo.retain(|name, _| may(name));
        self.id_token.retain(|name, _| may(name));
        self
    }

    /// Authentication context classes of which one is demanded, not only wished for (section 5.5.1.1).
    pub fn essential_acr(&self) -> Vec<String> {
        let wish = self.id_token.get("acr").filter(|wish| wish.essential);
        wish.map(|w| w.values.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
    }

    /// The one person who will do.
    pub fn sub(&self) -> Option<&str> {
        let wish = self.id_token.get("sub").or_else(|| self.userinfo.get("sub"))?;
        wish.values.first()?.as_str()
    }
}

fn half(given: &Map<String, Value>, name: &str) -> Result<BTreeMap<String, Wish>, &'static str> {
    let Some(half) = given.get(name).filter(|h| !h.is_null()) else { return Ok(BTreeMap::new()) };
    let half = half.as_object().ok_or("a half of claims is not a JSON object")?;
    if half.len() > MOST {
        return Err("claims asks for more than 100 claims");
    }
    half.iter().map(|(name, wish)| Ok((name.clone(), self::wish(wish)?))).collect()
}

fn wish(given: &Value) -> Result<Wish, &'static str> {
    if given.is_null() {
        return Ok(Wish::default());
    }
    let given = given.as_object().ok_or("a claim is asked for by neither null nor an object")?;
    let essential = match given.get("essential") {
        None => false,
        Some(value) => value.as_bool().ok_or("essential is neither true nor false")?,
    };
    let values = match (given.get("value"), given.get("values")) {
        (Some(value), _) => vec![value.clone()],
        (None, Some(Value::Array(values))) if values.len() <= MOST => values.clone(),
        (None, Some(_)) => return Err("values is not a list of at most 100"),
        (None, None) => vec![],
    };
    Ok(Wish { essential, values })
}

/// The scope that tells a claim (section 5.4); `None` for claims about the sign-in, which cost nobody's leave.
fn scope_of(claim: &str) -> Option<&'static str> {
    Some(match claim {
        "name" | "family_name" | "given_name" | "middle_name" | "nickname" | "preferred_username" | "profile"
        | "picture" | "website" | "gender" | "birthdate" | "zoneinfo" | "locale" | "updated_at" => "profile",
        "email" | "email_verified" => "email",
        "phone_number" | "phone_number_verified" => "phone",
        "address" => "address",
        _ => return None,
    })
}

/// What an application is told about a person: what its scopes tell, and what it asked for by name. A claim whose value
/// is another than the one that was asked for is left out (section 5.5.1).
pub fn told(person: &Person, scopes: &Scopes, wishes: &BTreeMap<String, Wish>) -> Map<String, Value> {
    let mut told = claims(person, scopes);
    if wishes.is_empty() {
        return told;
    }
    let needed = Scopes(wishes.keys().filter_map(|name| scope_of(name)).map(str::to_owned).collect());
    for (name, value) in claims(person, &needed) {
        if let Some(wish) = wishes.get(&name)
            && (wish.values.is_empty() || wish.values.contains(&value))
        {
            told.insert(name, value);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_for_claims_is_read_as_the_standard_has_it__oidc_core_5_5() {
        let text = r#"{"userinfo":{"given_name":{"essential":true},"nickname":null,"email":{"value":"a@b.c"},"x":{"y":1}},
            "id_token":{"auth_time":{"essential":true},"acr":{"essential":true,"values":["2fa","1fa"]},"sub":{"value":"s"}},"other":1}"#;
        let request = ClaimsRequest::parse(text).unwrap();
        assert!(request.userinfo["given_name"].essential && !request.userinfo["nickname"].essential);
        assert_eq!(request.userinfo["email"].values, [json!("a@b.c")]);
        assert_eq!(request.essential_acr(), ["2fa", "1fa"]);
        assert_eq!(request.sub(), Some("s"));
        assert_eq!(request.scopes(), Scopes::of(["profile", "email"]));
        let less = request.clone().within(&Scopes::of(["openid", "profile"]));
        assert!(!less.userinfo.contains_key("email") && less.userinfo.contains_key("nickname"));
        let again: ClaimsRequest = serde_json::from_value(serde_json::to_value(&request).unwrap()).unwrap();
        assert_eq!(again, request);
        for bad in [
            "",
            "[]",
            "1",
            "{\"userinfo\":[]}",
            "{\"userinfo\":{\"name\":1}}",
            "{\"id_token\":{\"a\":{\"essential\":1}}}",
        ] {
            assert!(ClaimsRequest::parse(bad).is_err(), "{bad}");
        }
        let many: Map<String, Value> = (0..101).map(|n| (n.to_string(), Value::Null)).collect();
        assert!(ClaimsRequest::parse(&json!({ "userinfo": many }).to_string()).is_err());
        assert!(ClaimsRequest::parse(&format!("{{\"a\":\"{}\"}}", "x".repeat(LONGEST))).is_err());
    }
}
