//! Logos of applications: fetched once, looked at, kept and served by us, so that no page of ours asks another server.

use super::Client;
use crate::cache::bump;
use crate::error::{Error, Result};
use crate::fetch::Fetch;
use crate::seal::sha256;
use crate::store::Store;
use entity::{CacheKind, ClientKey, TenantId, client_logo};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use std::sync::Arc;

/// Bytes of a logo at most.
const MOST: usize = 512 * 1024;

/// The type of a picture by its first bytes, whatever it was said to be. No SVG: it can hold scripts.
fn kind(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// Fetches the logo of an application and keeps it.
///
/// # Errors
/// When it has to be tried again; what is no picture is left out and no error.
pub async fn fetch(store: &Arc<Store>, http: &Fetch, client: &Client) -> Result<()> {
    let Some(uri) = &client.row.logo_uri else { return Ok(()) };
    let fetched = http.get(uri, "image/png, image/jpeg, image/webp, image/gif", MOST).await;
    let fetched = fetched.map_err(|why| Error::unavailable(format!("the logo of {}: {why}", client.id())))?;
    let Some(kind) = kind(&fetched.body) else {
        tracing::info!(client_id = client.id(), "the logo is no picture that is shown");
        return Ok(());
    };
    let (tenant, key, now) = (client.row.tenant_id, client.key(), store.now());
    store
        .db
        .write(async move |tx| {
            client_logo::Entity::delete_by_id((tenant, key)).exec(tx).await?;
            let row = client_logo::ActiveModel {
                tenant_id: Set(tenant),
                client: Set(key),
                content_type: Set(kind.to_owned()),
                bytes: Set(fetched.body.clone()),
                fetched_at: Set(now),
            };
            client_logo::Entity::insert(row).exec_without_returning(tx).await?;
            bump(tx, tenant, CacheKind::Client, now).await
        })
        .await?;
    store.cache.changed_here();
    Ok(())
}

/// What changes with a logo; `None` without one.
///
/// # Errors
/// The database's.
pub(super) async fn mark(conn: &impl ConnectionTrait, tenant: TenantId, key: ClientKey) -> Result<Option<i64>> {
    let row = client_logo::Entity::find()
        .select_only()
        .column(client_logo::Column::FetchedAt)
        .filter(client_logo::Column::TenantId.eq(tenant))
        .filter(client_logo::Column::Client.eq(key))
        .into_tuple::<i64>()
        .one(conn)
        .await?;
    Ok(row)
}

/// A logo as it is served: its type, its bytes, its tag.
///
/// # Errors
/// The database's.
pub async fn kept(
    conn: &impl ConnectionTrait,
    tenant: TenantId,
    key: ClientKey,
) -> Result<Option<(String, Vec<u8>, String)>> {
    let row = client_logo::Entity::find_by_id((tenant, key)).one(conn).await?;
    Ok(row.map(|row| {
        let tag = sha256(&row.bytes).0.iter().take(8).map(|b| format!("{b:02x}")).collect();
        (row.content_type, row.bytes, tag)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_by_its_bytes() {
        assert_eq!(kind(b"\x89PNG\r\n\x1a\nrest"), Some("image/png"));
        assert_eq!(kind(b"RIFF\0\0\0\0WEBPVP8 "), Some("image/webp"));
        for other in [&b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"[..], b"<html>", b"", b"GIF", b"RIFF\0\0\0\0WAVE"]
        {
            assert_eq!(kind(other), None);
        }
    }
}
