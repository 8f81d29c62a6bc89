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
    /// The path of the issuer, before each path of ours: empty, or `/t/{slug}`.
    pub base: Arc<str>,
    /// The issuer is https.
    pub secure: bool,
    /// Where a GET finds the page again, for the links to other languages: what was asked for, unless it was posted.
    pub page: Option<Arc<str>>,
    /// When the request came. What expires is compared with the clock inside the write instead.
    pub now: Micros,
    pub ip: IpAddr,
    pub user_agent: Arc<str>,
    pub locale: Locale,
    pub request_id: Arc<str>,
}

impl Ctx {
    /// The path of a page or endpoint of ours, for links and redirects.
    pub fn to(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The same for a page that a GET of this path (and query) finds again, whatever was asked for.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        Self { page: Some(self.to(path).into()), ..self.clone() }
    }

    /// The absolute URL of an endpoint of ours.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }
}
