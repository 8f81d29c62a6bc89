//! Tenants: isolated issuers, found by where a request goes.

use entity::{Status, TenantId};

#[derive(Debug)]
pub struct Tenant {
    pub id: TenantId,
    pub slug: String,
    pub name: String,
    pub status: Status,
}
