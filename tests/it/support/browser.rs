//! A browser as far as HTTP goes: cookies, forms, redirects one at a time.

use super::{EMAIL, PASSWORD, Server};
use reqwest::header::{HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use reqwest::{Method, StatusCode};
use std::collections::BTreeMap;

#[derive(Clone)]
pub struct Browser {
    http: reqwest::Client,
    origin: String,
    pub cookies: BTreeMap<String, String>,
    /// The address that a trusted proxy reports for it.
    pub from: Option<String>,
    /// The port of the very node that it talks to; the address stays that of the issuer.
    pub via: Option<u16>,
}

pub struct Page {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    pub url: String,
}

pub fn http() -> reqwest::Client {
    client().build().unwrap()
}

fn client() -> reqwest::ClientBuilder {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none())
}

impl Browser {
    pub fn new(server: &Server) -> Self {
        Self::at(&server.issuer)
    }

    /// One that visits a server in another process.
    pub fn at(issuer: &str) -> Self {
        let url = url::Url::parse(issuer).unwrap();
        Self {
            http: http(),
            origin: url.origin().ascii_serialization(),
            cookies: BTreeMap::new(),
            from: None,
            via: None,
        }
    }

    /// One that opens a connection for each request: after a kill none is left that only seems to be open.
    pub fn unpooled(issuer: &str) -> Self {
        let http = client().pool_max_idle_per_host(0).build().unwrap();
        Self { http, ..Self::at(issuer) }
    }

    pub async fn get(&mut self, url: &str) -> Page {
        self.send(Method::GET, url, None).await
    }

    pub async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Page {
        self.send(Method::POST, url, Some(form)).await
    }

    pub fn absolute(&self, url: &str) -> String {
        if url.starts_with('/') { format!("{}{url}", self.origin) } else { url.to_owned() }
    }

    pub async fn send(&mut self, method: Method, url: &str, form: Option<&[(&str, &str)]>) -> Page {
        self.try_send(method, url, form).await.unwrap()
    }

    /// For a server that may be killed meanwhile.
    pub async fn try_send(
        &mut self,
        method: Method,
        url: &str,
        form: Option<&[(&str, &str)]>,
    ) -> reqwest::Result<Page> {
        let origin = self.origin.clone();
        let headers = [("origin", origin.as_str()), ("sec-fetch-site", "same-origin")];
        self.try_send_with(method, url, form, if form.is_some() { &headers } else { &[] }).await
    }

    /// With these headers instead of those that a browser sends from our own pages.
    pub async fn send_with(
        &mut self,
        method: Method,
        url: &str,
        form: Option<&[(&str, &str)]>,
        headers: &[(&str, &str)],
    ) -> Page {
        self.try_send_with(method, url, form, headers).await.unwrap()
    }

    async fn try_send_with(
        &mut self,
        method: Method,
        url: &str,
        form: Option<&[(&str, &str)]>,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Page> {
        let url = self.absolute(url);
        let mut target = url::Url::parse(&url).unwrap();
        let host = target[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        if let Some(port) = self.via {
            target.set_host(Some("127.0.0.1")).unwrap();
            target.set_port(Some(port)).unwrap();
        }
        let mut request = self.http.request(method, target).header("accept-language", "en").header("host", host);
        if let Some(address) = &self.from {
            request = request.header("x-forwarded-for", address);
        }
        if !self.cookies.is_empty() {
            let line: Vec<String> = self.cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
            request = request.header("cookie", line.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let response = request.send().await?;
        for line in response.headers().get_all(SET_COOKIE) {
            self.keep(line);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Page { status, headers, body: response.text().await?, url })
    }

    fn keep(&mut self, line: &HeaderValue) {
        let text = line.to_str().unwrap();
        let (pair, rest) = text.split_once(';').unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        if rest.contains("Max-Age=0") {
            drop(self.cookies.remove(name))
        } else {
            drop(self.cookies.insert(name.into(), value.into()))
        }
    }

    /// Follows redirects as long as they stay at the server; returns the first page, or the first location elsewhere.
    pub async fn follow(&mut self, url: &str) -> Page {
        let mut page = self.get(url).await;
        for _ in 0..10 {
            let Some(location) = page.location() else { return page };
            let next = self.absolute(&location);
            if !next.starts_with(&self.origin) {
                return page;
            }
            page = self.get(&next).await;
        }
        panic!("redirects without end");
    }

    /// Answers the form on a page and follows.
    pub async fn answer(&mut self, page: &Page, fields: &[(&str, &str)]) -> Page {
        let answered = self.answer_once(page, fields).await;
        match answered.location() {
            Some(location) if self.absolute(&location).starts_with(&self.origin) => self.follow(&location).await,
            _ => answered,
        }
    }

    pub async fn answer_once(&mut self, page: &Page, fields: &[(&str, &str)]) -> Page {
        let mut form = page.hidden();
        form.extend(fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let form: Vec<(&str, &str)> = form.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        self.post(&page.action(), &form).await
    }

    /// Signs in on the page that asks for it.
    pub async fn sign_in(&mut self, page: &Page) -> Page {
        self.sign_in_as(page, EMAIL).await
    }

    pub async fn sign_in_as(&mut self, page: &Page, email: &str) -> Page {
        self.answer(page, &[("identifier", email), ("password", PASSWORD), ("decision", "continue")]).await
    }

    /// The session's secret, as its cookie holds it.
    pub fn session(&self) -> Option<String> {
        self.cookies.iter().find(|(name, _)| name.contains("sid-")).map(|(_, value)| value.clone())
    }

    /// Signs in to the account.
    pub async fn signed_in(server: &Server) -> Self {
        let mut browser = Self::new(server);
        let page = browser.follow("/login").await;
        let page = browser.sign_in(&page).await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert!(page.body.contains("id=\"sessions\"") || page.url.ends_with("/account"), "{}", page.body);
        browser
    }
}

impl Page {
    pub fn location(&self) -> Option<String> {
        self.headers.get(LOCATION).map(|v| v.to_str().unwrap().to_owned())
    }

    pub fn title(&self) -> &str {
        self.body.split("<title>").nth(1).and_then(|t| t.split('<').next()).unwrap_or(&self.body)
    }

    /// A page for a person that ends here: no redirect.
    pub fn is_error_page(&self, status: u16) {
        assert_eq!(self.status, status, "{} {:?}", self.title(), self.location());
        assert_eq!(self.location(), None);
        assert_eq!(self.headers["content-type"], "text/html; charset=utf-8");
        assert!(self.body.contains("<h1"), "{}", self.body);
    }

    /// What an error tells the application, by redirect, with what each such answer has.
    pub fn redirected_error(&self, issuer: &str) -> String {
        assert_eq!(self.status, 303, "{}", self.body);
        let returned = self.returned();
        assert_eq!(returned.get("iss").map(String::as_str), Some(issuer), "RFC 9207 section 2");
        assert!(!returned.contains_key("code"));
        returned["error"].clone()
    }

    /// Parameters of the location that a redirect leads to.
    pub fn returned(&self) -> BTreeMap<String, String> {
        let location = self.location().unwrap_or_else(|| panic!("no redirect: {} {}", self.status, self.body));
        let url = url::Url::parse(&location).unwrap();
        // In the fragment, when tokens are asked for.
        match url.fragment() {
            Some(fragment) => url::form_urlencoded::parse(fragment.as_bytes()).into_owned().collect(),
            None => url.query_pairs().into_owned().collect(),
        }
    }

    /// The action of the page's form that has hidden fields.
    pub fn action(&self) -> String {
        attribute(self.tag("<form"), "action").unwrap_or_else(|| panic!("no form on {}", self.body))
    }

    fn tag(&self, start: &str) -> &str {
        let at = self.body.find(start).unwrap_or_else(|| panic!("no {start} on {} {}", self.status, self.body));
        &self.body[at..at + self.body[at..].find('>').unwrap()]
    }

    pub fn hidden(&self) -> Vec<(String, String)> {
        let form = &self.body[self.body.find("<form").unwrap()..];
        let form = &form[..form.find("</form>").unwrap()];
        form.split("<input")
            .skip(1)
            .filter(|i| i.contains("type=\"hidden\""))
            .map(|i| {
                let tag = &i[..i.find('>').unwrap()];
                (attribute(tag, "name").unwrap(), attribute(tag, "value").unwrap_or_default())
            })
            .collect()
    }

    /// Whether there is an input or a button of this name (and value).
    pub fn has(&self, name: &str, value: Option<&str>) -> bool {
        let named = format!("name=\"{name}\"");
        self.body.split('<').any(|tag| {
            let tag = tag.split('>').next().unwrap_or("");
            tag.contains(&named) && value.is_none_or(|v| tag.contains(&format!("value=\"{v}\"")))
        })
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let at = tag.find(&format!("{name}=\""))? + name.len() + 2;
    let text = &tag[at..at + tag[at..].find('"')?];
    Some(
        text.replace("&quot;", "\"")
            .replace("&#x27;", "'")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&#x3D;", "=")
            .replace("&amp;", "&"),
    )
}
