//! `id_token_hint`: an ID token of ours comes back, expired or not. It selects and never proves (OpenID Connect Core section
//! 3.1.2.1, RP-Initiated Logout section 2).

use crate::app::App;
use crate::client::Client;
use crate::ctx::Ctx;
use crate::error::Result;
use crate::jose::{Audience, Expect, Expiry, Refusal, Typ, Verified, verify};
use crate::keys::Expired;
use entity::{JwsAlg, SigningAlg};
use std::time::Duration;

/// The hint, as long as it was made by us for this client.
///
/// # Errors
/// The outer one is the database's.
pub(super) async fn verified(app: &App, ctx: &Ctx, client: &Client, hint: &str) -> Result<Result<Verified, Refusal>> {
    let now = app.store.now();
    let keys = app.keys.set(&app.store, &ctx.tenant).await?.verifiers(now, Expired::Count);
    let (issuers, audience) = ([&*ctx.issuer], [client.id()]);
    // Its secret is the key of its ID tokens where it registered HS256 for them, and counts nowhere else.
    let secrets = match client.row.id_token_signed_response_alg {
        JwsAlg::Hs256 => client.shared_secrets(now),
        _ => vec![],
    };
    let expect = Expect {
        typ: Typ::Plain,
        issuers: &issuers,
        unaddressed: false,
        audience: Audience::Only(&audience),
        algs: SigningAlg::ALL,
        keys: &keys,
        secrets: &secrets,
        now,
        late: Duration::ZERO,
        early: Expect::NODES,
        expiry: Expiry::MayBePast,
        max_chars: Expect::MAX_CHARS,
    };
    Ok(verify(hint, &expect))
}
