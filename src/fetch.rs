//! The one client for addresses that somebody else chose: documents of registered applications, and notices to them.
//!
//! Only https, no redirects, no proxy, time and size bounded. Names are resolved here and every address is looked at
//! before it is connected to, so that no name leads inside (RFC 7591 section 5; OWASP, server-side request forgery);
//! one private address among several refuses them all.

use crate::config::Config;
use crate::error::{Error, Result};
use ipnet::IpNet;
use moka::sync::Cache as Moka;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use reqwest::{Certificate, Client, Response};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use url::{Host, Url};

/// Requests at once, over all tenants.
const AT_ONCE: usize = 32;
/// Requests at once to one origin: whoever answers slowly keeps nobody else from being asked.
const AT_ONCE_EACH: usize = 4;
/// Origins that are told apart.
const ORIGINS: u64 = 10_000;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Fetch {
    http: Client,
    rule: Rule,
    turns: Semaphore,
    each: Moka<String, Arc<Semaphore>>,
}

/// What came back.
pub struct Fetched {
    pub body: Vec<u8>,
    /// Without parameters, in lower case.
    pub content_type: String,
    /// `max-age` of `Cache-Control`, if it says one.
    pub max_age: Option<Duration>,
}

/// Which addresses may be connected to.
#[derive(Clone)]
struct Rule(Arc<Vec<IpNet>>);

impl Rule {
    fn allows(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        is_global(ip) || self.0.iter().any(|net| net.contains(&ip))
    }
}

/// Whether an address is one of the open Internet (IANA special-purpose registries, RFC 6890).
fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(a == 0
                || a == 10
                || a == 127
                || a >= 224
                || (a == 100 && (64..128).contains(&b))
                || (a == 169 && b == 254)
                || (a == 172 && (16..32).contains(&b))
                || (a == 192 && b == 168)
                || (a == 192 && b == 0 && (c == 0 || c == 2))
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (b == 18 || b == 19))
                || (a == 198 && b == 51 && c == 100)
                || (a == 203 && b == 0 && c == 113))
        }
        IpAddr::V6(v6) => {
            let s = v6.segments();
            // Of the whole space only 2000::/3 is handed out; what carries an IPv4 address inside is judged by that.
            match s {
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_global(embedded(high, low)),
                [0x2002, high, low, ..] => is_global(embedded(high, low)),
                [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
                [0x3fff, second, ..] if second < 0x1000 => false,
                [first, ..] => first & 0xe000 == 0x2000,
            }
        }
    }
}

fn embedded(high: u16, low: u16) -> IpAddr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    IpAddr::from([a, b, c, d])
}

impl Resolve for Rule {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.is_empty() || !found.iter().all(|a| rule.allows(a.ip())) {
                return Err("the name leads to an address that is not allowed".into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl Fetch {
    /// # Errors
    /// When the extra certificate authority cannot be read.
    pub fn new(config: &Config) -> Result<Self> {
        // Whoever asks first chooses; another choice that was made before is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let rule = Rule(Arc::new(config.fetch.private_addresses.0.clone()));
        let mut http = Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(rule.clone())
            .timeout(config.fetch.timeout.0)
            .connect_timeout(config.fetch.timeout.0)
            .pool_idle_timeout(Duration::from_secs(10))
            .user_agent("identity-provider");
        if let Some(path) = &config.fetch.extra_ca {
            let unreadable = |e: &dyn std::fmt::Display| Error::unavailable(format!("{}: {e}", path.display()));
            let pem = std::fs::read(path).map_err(|e| unreadable(&e))?;
            http = http.tls_certs_merge(Certificate::from_pem_bundle(&pem).map_err(|e| unreadable(&e))?);
        }
        Ok(Self {
            http: http.build().map_err(Error::internal)?,
            rule,
            turns: Semaphore::new(AT_ONCE),
            each: Moka::new(ORIGINS),
        })
    }

    /// Reads a document of at most so many bytes.
    ///
    /// # Errors
    /// Why not, for the log and for the registrar.
    pub async fn get(&self, url: &str, accept: &str, most: usize) -> std::result::Result<Fetched, &'static str> {
        let url = self.parse(url)?;
        let _turn = self.turn(&url).await?;
        let response = self.http.get(url).header(ACCEPT, accept).send().await.map_err(|e| reason(&e))?;
        if response.status().as_u16() != 200 {
            return Err("the answer is not 200");
        }
        let content_type = text(response.headers(), CONTENT_TYPE.as_str());
        let content_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let max_age = text(response.headers(), CACHE_CONTROL.as_str());
        let max_age = max_age.split(',').find_map(|d| d.trim().strip_prefix("max-age=")?.parse().ok());
        Ok(Fetched { body: body(response, most).await?, content_type, max_age: max_age.map(Duration::from_secs) })
    }

    /// Posts a form and says with which status it was answered.
    ///
    /// # Errors
    /// As [`Fetch::get`].
    pub async fn post_form(&self, url: &str, form: &[(&str, &str)]) -> std::result::Result<u16, &'static str> {
        let url = self.parse(url)?;
        let _turn = self.turn(&url).await?;
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        Ok(request.send().await.map_err(|e| reason(&e))?.status().as_u16())
    }

    /// A turn of the origin's own first, so that waiting for a slow one holds nobody else up.
    async fn turn(&self, url: &Url) -> std::result::Result<(OwnedSemaphorePermit, SemaphorePermit<'_>), &'static str> {
        let own = self.each.get_with(url.origin().ascii_serialization(), || Arc::new(Semaphore::new(AT_ONCE_EACH)));
        let both = async { Ok((own.acquire_owned().await?, self.turns.acquire().await?)) };
        let both: std::result::Result<_, AcquireError> = match tokio::time::timeout(PATIENCE, both).await {
            Ok(both) => both,
            Err(_) => return Err("too much is being fetched"),
        };
        both.map_err(|_| "too much is being fetched")
    }

    fn parse(&self, url: &str) -> std::result::Result<Url, &'static str> {
        let url = Url::parse(url).map_err(|_| "the address cannot be read")?;
        if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
            return Err("only https, without a user name");
        }
        // A name is judged when it is resolved; an address written out never is.
        let allowed = match url.host() {
            Some(Host::Ipv4(ip)) => self.rule.allows(ip.into()),
            Some(Host::Ipv6(ip)) => self.rule.allows(ip.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        };
        if allowed { Ok(url) } else { Err("the address is not allowed") }
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned()
}

/// Stops at the limit, whatever `Content-Length` says.
async fn body(mut response: Response, most: usize) -> std::result::Result<Vec<u8>, &'static str> {
    let mut body = vec![];
    while let Some(chunk) = response.chunk().await.map_err(|e| reason(&e))? {
        if body.len() + chunk.len() > most {
            return Err("the answer is too large");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn reason(error: &reqwest::Error) -> &'static str {
    tracing::debug!(cause = ?error, "fetching failed");
    if error.is_timeout() {
        "the answer took too long"
    } else if error.is_connect() {
        "no connection, or an address or certificate that is not allowed"
    } else {
        "the answer could not be read"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_open_internet_are_global__rfc6890() {
        let global = ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"];
        let inside = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "64:ff9b:1::1",
            "3fff::1",
        ];
        let rule = Rule(Arc::new(vec![]));
        for ip in global {
            assert!(rule.allows(ip.parse().unwrap()), "{ip}");
        }
        for ip in inside {
            assert!(!rule.allows(ip.parse().unwrap()), "{ip}");
        }
        let loose = Rule(Arc::new(vec!["127.0.0.0/8".parse().unwrap()]));
        assert!(loose.allows("127.0.0.1".parse().unwrap()) && loose.allows("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!loose.allows("10.0.0.1".parse().unwrap()) && !loose.allows("::1".parse().unwrap()));
    }
}
