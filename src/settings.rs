//! Options by level: deployment, tenant, client. Merged once, when a tenant or a client is loaded.
//!
//! A lower level can shorten a lifetime, never lengthen it: what the deployment allows is the most there is.

use crate::config::Config;
use crate::feature::Feature;
use serde::Deserialize;
use std::time::Duration;

/// Lifetimes as they hold at one level.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Authorization codes.
    pub code: Duration,
    pub access_token: Duration,
    pub id_token: Duration,
    /// Refresh tokens, unused.
    pub refresh_idle: Duration,
    /// Refresh tokens, from the first of their family on.
    pub refresh_max: Duration,
    pub refresh_grace: Duration,
    pub session: Duration,
    pub session_idle: Duration,
    pub remembered: Duration,
    pub remembered_idle: Duration,
}

/// What a tenant or a client sets differently, in seconds: the JSON in its `settings` column.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    pub code_lifetime: Option<u64>,
    pub access_token_lifetime: Option<u64>,
    pub id_token_lifetime: Option<u64>,
    pub refresh_token_idle: Option<u64>,
    pub refresh_token_lifetime: Option<u64>,
    pub session_lifetime: Option<u64>,
    pub session_idle: Option<u64>,
    /// Features that this tenant does not serve.
    #[serde(deserialize_with = "features")]
    pub features_off: Vec<Feature>,
    /// The colour of a tenant's pages, `#rrggbb`.
    pub primary_color: Option<String>,
}

fn features<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Feature>, D::Error> {
    let ids = Vec::<String>::deserialize(from)?;
    let parse = |id: &String| Feature::parse(id).ok_or_else(|| serde::de::Error::custom(format!("no feature: {id}")));
    ids.iter().map(parse).collect()
}

impl Settings {
    pub fn of(config: &Config) -> Self {
        Self {
            code: config.tokens.code.0,
            access_token: config.tokens.access.0,
            id_token: config.tokens.id.0,
            refresh_idle: config.tokens.refresh_idle.0,
            refresh_max: config.tokens.refresh_max.0,
            refresh_grace: config.tokens.refresh_grace.0,
            session: config.sessions.lifetime.0,
            session_idle: config.sessions.idle.0,
            remembered: config.sessions.remember_lifetime.0,
            remembered_idle: config.sessions.remember_idle.0,
        }
    }

    /// The same with what a lower level shortens.
    pub fn tightened(&self, by: &Overrides) -> Self {
        let least = |own: Duration, other: Option<u64>| other.map_or(own, |s| own.min(Duration::from_secs(s.max(1))));
        Self {
            code: least(self.code, by.code_lifetime),
            access_token: least(self.access_token, by.access_token_lifetime),
            id_token: least(self.id_token, by.id_token_lifetime),
            refresh_idle: least(self.refresh_idle, by.refresh_token_idle),
            refresh_max: least(self.refresh_max, by.refresh_token_lifetime),
            refresh_grace: self.refresh_grace,
            session: least(self.session, by.session_lifetime),
            session_idle: least(self.session_idle, by.session_idle),
            remembered: least(self.remembered, by.session_lifetime),
            remembered_idle: least(self.remembered_idle, by.session_idle),
        }
    }

    /// The longest that anything signed now can be of use.
    pub fn longest_token(&self) -> Duration {
        self.access_token.max(self.id_token)
    }
}
