//! Parameters of a request, read strictly: nothing twice, nothing undecodable, nothing without bound.

use crate::app::App;
use crate::ctx::Ctx;
use crate::error::{Code, Error, Notice, Protocol, Result};
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use entity::Status;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::time::Duration;

/// Bytes of a form at most.
const FORM: usize = 64 * 1024;
const FIELDS: usize = 100;
/// A body must have arrived by then.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Parameters by name. An empty value counts as absent (OAuth 2.1 section 3.1).
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

/// Those of the query.
pub struct Query(pub Params);

/// Those of a form in the body (RFC 6749 appendix B); the query must not name any of them again.
pub struct Form(pub Params);

impl Params {
    /// # Errors
    /// `invalid_request` when something is sent twice (RFC 6749 section 3.1), cannot be decoded, or is too much.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |says| Error::protocol(Code::InvalidRequest, says);
        let mut pairs: Vec<(String, String)> = vec![];
        for part in text.split('&').filter(|p| !p.is_empty()) {
            if pairs.len() == FIELDS {
                return Err(bad("too many parameters"));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (Some(name), Some(value)) = (decode(name), decode(value)) else {
                return Err(bad("a parameter is not valid form encoding of UTF-8"));
            };
            // RFC 8707 allows this one to be repeated.
            if name != "resource" && pairs.iter().any(|(n, _)| *n == name) {
                return Err(bad("a parameter is sent twice"));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Every value of a parameter that may be repeated.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// As it was sent, even when empty: a password may be anything.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// # Errors
    /// `invalid_request`.
    pub fn need(&self, name: &str, says: &'static str) -> Result<&str> {
        self.get(name).ok_or_else(|| Error::protocol(Code::InvalidRequest, says))
    }

    /// One of them, without the others.
    pub fn only(&self, name: &str) -> Self {
        Self(self.0.iter().filter(|(n, _)| n == name).cloned().collect())
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| n != name);
    }

    /// In the place of what it was before.
    pub fn set(&mut self, name: &str, value: String) {
        self.remove(name);
        self.0.push((name.to_owned(), value));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same as a query, for a redirect to ourselves.
    pub fn to_query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    fn shares_a_name_with(&self, other: &Params) -> bool {
        self.0.iter().any(|(n, _)| n != "resource" && other.raw(n).is_some())
    }
}

/// Form decoding that refuses what it cannot decode.
pub fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                (high * 16 + low) as u8
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok().filter(|t| !t.contains('\0'))
}

impl FromRequest for Query {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Params::parse(req.query_string()).map(Query))
    }
}

impl FromRequest for Form {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let kind = req.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
            let kind = kind.split(';').next().unwrap_or("").trim();
            let length = req
                .headers()
                .get(header::CONTENT_LENGTH)
                .and_then(|v| v.to_str().ok())
                .and_then(|v| v.parse::<usize>().ok());
            if kind.is_empty() {
                // No form at all: userinfo may be asked by POST with the token in the header alone.
                return match body(&mut payload, length).await?.is_empty() {
                    true => Ok(Form(Params::default())),
                    false => Err(untyped()),
                };
            }
            if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
                return Err(untyped());
            }
            let bytes = body(&mut payload, length).await?;
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| Error::protocol(Code::InvalidRequest, "the body is not UTF-8"))?;
            let form = Params::parse(text)?;
            still_so(&req).await?;
            if form.shares_a_name_with(&Params::parse(req.query_string())?) {
                return Err(Error::protocol(Code::InvalidRequest, "a parameter is sent in both query and body"));
            }
            Ok(Form(form))
        })
    }
}

/// A JSON object in the body: no member twice, no other type.
pub struct Json(pub serde_json::Map<String, serde_json::Value>);

impl FromRequest for Json {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, mut payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let header = |name| req.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
            let kind = header(header::CONTENT_TYPE).split(';').next().unwrap_or("").trim();
            if !kind.eq_ignore_ascii_case("application/json") {
                return Err(Error::protocol(Code::UnsupportedMediaType, "the body must be application/json"));
            }
            let bytes = body(&mut payload, header(header::CONTENT_LENGTH).parse::<usize>().ok()).await?;
            still_so(&req).await?;
            let object = crate::jose::object(&bytes);
            object.map(Json).ok_or_else(|| {
                Error::protocol(Code::InvalidRequest, "the body is not a JSON object, or names a member twice")
            })
        })
    }
}

/// A body may have taken its time: what the door saw at its beginning is looked at again at its end.
async fn still_so(req: &HttpRequest) -> Result<()> {
    let (app, ctx) = (req.app_data::<web::Data<App>>().cloned(), req.extensions().get::<Ctx>().cloned());
    let (Some(app), Some(ctx)) = (app, ctx) else { return Err(Error::internal("a form outside the door")) };
    app.store.cache.fresh(&app.store.db, app.store.now()).await?;
    match app.tenants.get(&app.store, ctx.tenant.id).await?.status {
        Status::Active => Ok(()),
        Status::Disabled => Err(Notice::NotFound.into()),
    }
}

fn untyped() -> Error {
    Error::protocol(Code::UnsupportedMediaType, "the body must be application/x-www-form-urlencoded")
}

async fn body(payload: &mut Payload, length: Option<usize>) -> Result<web::BytesMut> {
    use futures_util::StreamExt;
    let too_large = || Error::protocol(Code::TooLarge, "the body is larger than 64 KiB");
    if length.is_some_and(|l| l > FORM) {
        return Err(too_large());
    }
    let read = async {
        let mut bytes = web::BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk =
                chunk.map_err(|e| Protocol::new(Code::InvalidRequest, "the body did not arrive whole").because(e))?;
            if bytes.len() + chunk.len() > FORM {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    };
    match tokio::time::timeout(BODY_TIME, read).await {
        Ok(read) => read,
        Err(_) => Err(Error::protocol(Code::RequestTimeout, "the body did not arrive in time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_counts_twice_and_nothing_is_guessed() {
        assert_eq!(Params::parse("a=1&b=%2B+x").unwrap().get("b"), Some("+ x"));
        assert_eq!(Params::parse("a=&b").unwrap().get("a"), None);
        for no in ["a=1&a=2", "a=%zz", "a=%f", "a=%ff", "a=%00"] {
            assert!(Params::parse(no).is_err(), "{no}");
        }
        assert!(Params::parse("resource=a&resource=b").is_ok());
        assert!(Params::parse(&"a&".repeat(101)).is_err());
    }
}
