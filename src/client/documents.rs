//! What applications publish: their key sets at `jwks_uri`, fetched through the guarded client and kept for a while.

use super::Client;
use crate::fetch::Fetch;
use crate::jose::{Verifier, parse_client_jwks};
use entity::{ClientKey, Micros, TenantId};
use moka::sync::Cache as Moka;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

const CLIENTS: u64 = 10_000;
/// A key set is taken as it is for so long ...
const KEPT: Duration = Duration::from_secs(600);
/// ... and is looked at again no sooner than after this, however many unknown keys are named (a stranger can name any).
const REST: Duration = Duration::from_secs(5);
/// As much as a registered key set may have.
const MOST: usize = 64 * 1024;

/// The public keys of an application.
#[derive(Clone)]
pub struct KeyDocument {
    pub verifiers: Arc<Vec<Verifier>>,
    /// As it was published, for keys to encrypt to.
    pub jwks: Arc<Value>,
}

struct Kept {
    at: Micros,
    uri: String,
    found: Result<KeyDocument, &'static str>,
}

pub struct Documents(Moka<(TenantId, ClientKey), Arc<tokio::sync::Mutex<Option<Kept>>>>);

impl Default for Documents {
    fn default() -> Self {
        Self(Moka::new(CLIENTS))
    }
}

impl Documents {
    /// The application's keys: registered ones, or those at its `jwks_uri`, fetched anew when a key is named that is not
    /// among them.
    ///
    /// # Errors
    /// Why they cannot be had, for the log.
    pub async fn keys(
        &self,
        fetch: &Fetch,
        client: &Client,
        kid: Option<&str>,
        now: Micros,
    ) -> Result<KeyDocument, &'static str> {
        let Some(uri) = &client.metadata.jwks_uri else {
            let jwks = client.row.jwks.as_ref().map_or(Value::Null, |j| j.0.clone());
            return Ok(KeyDocument { verifiers: client.verifiers.clone(), jwks: Arc::new(jwks) });
        };
        let place = self.0.get_with((client.row.tenant_id, client.key()), Arc::default);
        // One request at a time for one application: whoever waits takes what the first one found.
        let mut kept = place.lock().await;
        if let Some(kept) = kept.as_ref().filter(|k| k.uri == *uri) {
            let age = kept.at.until(now);
            let knows = |keys: &KeyDocument| {
                kid.is_none_or(|kid| keys.verifiers.iter().any(|v| v.kid().is_none_or(|own| own == kid)))
            };
            match &kept.found {
                Ok(keys) if age < REST || (age < KEPT && knows(keys)) => return Ok(keys.clone()),
                Err(why) if age < REST => return Err(why),
                _ => {}
            }
        }
        let found = read(fetch, uri).await;
        if let (Err(why), Some(old)) = (&found, kept.as_mut().filter(|k| k.uri == *uri && k.found.is_ok())) {
            // A client whose server is away keeps signing in with what was known.
            tracing::info!(client_id = client.id(), why, "a key set could not be fetched; the last one counts");
            old.at = now.minus(KEPT).plus(REST);
            return old.found.clone();
        }
        *kept = Some(Kept { at: now, uri: uri.clone(), found: found.clone() });
        found
    }

    /// Fetches anew next time, as when somebody without a `kid` could not be proven.
    pub fn forget(&self, client: &Client, now: Micros) {
        if let Some(place) = self.0.get(&(client.row.tenant_id, client.key()))
            && let Ok(mut kept) = place.try_lock()
            && kept.as_ref().is_some_and(|k| k.at.until(now) >= REST)
        {
            *kept = None;
        }
    }
}

async fn read(fetch: &Fetch, uri: &str) -> Result<KeyDocument, &'static str> {
    let fetched = fetch.get(uri, "application/jwk-set+json, application/json", MOST).await?;
    let text = String::from_utf8(fetched.body).map_err(|_| "the key set is not text")?;
    let verifiers = parse_client_jwks(&text)?;
    let jwks = serde_json::from_str(&text).map_err(|_| "the key set is not JSON")?;
    Ok(KeyDocument { verifiers: Arc::new(verifiers), jwks: Arc::new(jwks) })
}

/// The redirect URIs that a `sector_identifier_uri` lists (OpenID Connect Core section 8.1).
///
/// # Errors
/// Why they cannot be had.
pub async fn sector(fetch: &Fetch, uri: &str) -> Result<Vec<String>, &'static str> {
    let fetched = fetch.get(uri, "application/json", MOST).await?;
    serde_json::from_slice(&fetched.body).map_err(|_| "not a JSON list of texts")
}
