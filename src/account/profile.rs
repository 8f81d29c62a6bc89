//! The standard claims about a person (OpenID Connect Core section 5.1), and which scope tells which (section 5.4).

use crate::account::{Person, is_name};
use entity::{IdentifierKind, Scopes};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What a person's row holds beyond name, e-mail, user name and phone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthdate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoneinfo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
}

/// OpenID Connect Core section 5.1.1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Address {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

impl Profile {
    /// # Errors
    /// A sentence that names the claim and what it must be.
    pub fn check(&self) -> Result<(), String> {
        let texts = [
            ("given_name", &self.given_name),
            ("family_name", &self.family_name),
            ("middle_name", &self.middle_name),
            ("nickname", &self.nickname),
            ("gender", &self.gender),
            ("zoneinfo", &self.zoneinfo),
            ("locale", &self.locale),
        ];
        for (name, text) in texts {
            if text.as_deref().is_some_and(|t| !is_name(t)) {
                return Err(format!("{name}: 1 to 200 characters without control characters"));
            }
        }
        for (name, text) in [("profile", &self.profile), ("picture", &self.picture), ("website", &self.website)] {
            let web = |t: &str| {
                t.len() <= 2000
                    && url::Url::parse(t).is_ok_and(|u| matches!(u.scheme(), "https" | "http") && u.has_host())
            };
            if text.as_deref().is_some_and(|t| !web(t)) {
                return Err(format!("{name}: an http or https URL"));
            }
        }
        if self.birthdate.as_deref().is_some_and(|b| !birthdate(b)) {
            return Err("birthdate: YYYY-MM-DD, 0000-MM-DD or YYYY".into());
        }
        Ok(())
    }
}

/// ISO 8601 date; year 0000 when it is not told, or the year alone (OpenID Connect Core section 5.1).
fn birthdate(text: &str) -> bool {
    let digits = |t: &str, n: usize| t.len() == n && t.bytes().all(|b| b.is_ascii_digit());
    match text.split('-').collect::<Vec<_>>()[..] {
        [year] => digits(year, 4) && year > "1849",
        [year, month, day] => {
            digits(year, 4)
                && digits(month, 2)
                && digits(day, 2)
                && (1..=12).contains(&month.parse().unwrap_or(0))
                && (1..=31).contains(&day.parse().unwrap_or(0))
        }
        _ => false,
    }
}

/// What these scopes tell about a person; nothing empty, nothing unknown.
pub fn claims(person: &Person, scopes: &Scopes) -> Map<String, Value> {
    let mut claims = Map::new();
    let stored: Profile = serde_json::from_value(person.user.profile.0.clone()).unwrap_or_default();
    let mut say = |name: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|v| !v.is_null() && v.as_str() != Some("")) {
            claims.insert(name.to_owned(), value);
        }
    };
    let text = |t: &Option<String>| t.clone().map(Value::String);
    if scopes.has("profile") {
        say("name", Some(Value::String(person.user.name.clone())));
        say("given_name", text(&stored.given_name));
        say("family_name", text(&stored.family_name));
        say("middle_name", text(&stored.middle_name));
        say("nickname", text(&stored.nickname));
        say("preferred_username", person.of_kind(IdentifierKind::Username).map(|i| i.value.clone().into()));
        say("profile", text(&stored.profile));
        say("picture", text(&stored.picture));
        say("website", text(&stored.website));
        say("gender", text(&stored.gender));
        say("birthdate", text(&stored.birthdate));
        say("zoneinfo", text(&stored.zoneinfo));
        say("locale", text(&stored.locale));
        say("updated_at", Some(person.user.updated_at.seconds().into()));
    }
    if scopes.has("email")
        && let Some(email) = person.of_kind(IdentifierKind::Email)
    {
        say("email", Some(email.value.clone().into()));
        say("email_verified", Some(email.verified_at.is_some().into()));
    }
    if scopes.has("phone")
        && let Some(phone) = person.of_kind(IdentifierKind::Phone)
    {
        say("phone_number", Some(phone.value.clone().into()));
        say("phone_number_verified", Some(phone.verified_at.is_some().into()));
    }
    if scopes.has("address") {
        say("address", stored.address.and_then(|a| serde_json::to_value(a).ok()).filter(|a| *a != json!({})));
    }
    claims
}
