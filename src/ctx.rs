//! What is known of one request: plain, immutable data. Built once per request, by `http.rs`.

use crate::locale::Locale;
use crate::tenant::Tenant;
use entity::Micros;
use std::net::IpAddr;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Ctx {
    pub tenant: Arc<Tenant>,
    /// The issuer that was addressed, as it is stored: without a trailing slash.
    pub issuer: Arc<str>,
    /// When the request came. What expires is compared with the clock inside the write instead.
    pub now: Micros,
    pub ip: IpAddr,
    pub user_agent: Arc<str>,
    pub locale: Locale,
    pub request_id: Arc<str>,
}
