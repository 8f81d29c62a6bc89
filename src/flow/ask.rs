//! What was asked for: an application's authorization request that was proven, or a person's wish to sign in.

use crate::account::claims::ClaimsRequest;
use crate::client::{Client, RedirectUri, ResponseType, matches};
use entity::{ClientKey, Micros, Scopes, UserId};
use serde::{Deserialize, Serialize};

/// OpenID Connect Core section 3.1.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    None,
    Login,
    Consent,
    SelectAccount,
}

impl Prompt {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "none" => Some(Prompt::None),
            "login" => Some(Prompt::Login),
            "consent" => Some(Prompt::Consent),
            "select_account" => Some(Prompt::SelectAccount),
            _ => None,
        }
    }
}

/// How an answer reaches the application (OAuth 2.0 Multiple Response Types section 2.1, Form Post Response Mode section 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    #[default]
    Query,
    Fragment,
    FormPost,
}

impl ResponseMode {
    pub const ALL: [&'static str; 3] = ["query", "fragment", "form_post"];

    /// What was asked for, or what the response type has by itself; `None` for what is unknown, and for a query that would
    /// carry tokens (Multiple Response Types section 3).
    pub fn of(asked: Option<&str>, kind: ResponseType) -> Option<Self> {
        match asked {
            None => Some(if kind.is_front() { ResponseMode::Fragment } else { ResponseMode::Query }),
            Some("query") if !kind.is_front() => Some(ResponseMode::Query),
            Some("fragment") => Some(ResponseMode::Fragment),
            Some("form_post") => Some(ResponseMode::FormPost),
            Some(_) => None,
        }
    }
}

/// What goes back to an application.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Redirect(String),
    /// A form that the browser posts.
    Post {
        action: String,
        fields: Vec<(String, String)>,
    },
}

/// One interaction's question; kept in the flow's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The shape of this document; a release that cannot read it asks the person to start again.
    pub v: u8,
    /// None: a person signs in to their own account.
    pub application: Option<Application>,
    pub prompt: Vec<Prompt>,
    pub max_age: Option<u64>,
    pub login_hint: Option<String>,
    /// Whom an `id_token_hint` or a `claims` request names.
    pub subject: Option<UserId>,
    /// One of these contexts is demanded (OpenID Connect Core section 5.5.1.1); empty: any will do.
    #[serde(default)]
    pub acr: Vec<String>,
    pub at: Micros,
}

/// The application's part of the question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Application {
    pub client: ClientKey,
    pub client_id: String,
    pub issuer: String,
    pub redirect_uri: String,
    /// The request named none: the registered one was meant, and the token request need not name it either (RFC 6749
    /// section 4.1.3).
    #[serde(default)]
    pub redirect_uri_left_out: bool,
    pub state: Option<String>,
    pub nonce: Option<String>,
    pub scopes: Scopes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<ClaimsRequest>,
    pub code_challenge: Option<String>,
    pub response_type: ResponseType,
    pub response_mode: ResponseMode,
}

impl Application {
    /// What a person has to allow: the scopes, and those that tell what is asked for by name.
    pub fn asks(&self) -> Scopes {
        match &self.claims {
            Some(claims) => self.scopes.or(&claims.scopes()),
            None => self.scopes.clone(),
        }
    }
}

impl Ask {
    pub fn account(at: Micros) -> Self {
        Self {
            v: 1,
            application: None,
            prompt: vec![],
            max_age: None,
            login_hint: None,
            subject: None,
            acr: vec![],
            at,
        }
    }

    pub fn wants(&self, prompt: Prompt) -> bool {
        self.prompt.contains(&prompt)
    }
}

/// The way back to an application. It can only be made from a redirect URI that the application registered, so that
/// nothing unproven can be redirected to.
#[derive(Clone, Debug, PartialEq)]
pub struct ReturnTo {
    client_id: String,
    redirect_uri: String,
    state: Option<String>,
    issuer: String,
    mode: ResponseMode,
    /// Errors may go there without a person's act (RFC 9700 section 4.11.2).
    pub approved: bool,
}

impl ReturnTo {
    /// `None` unless this very URI is registered, byte for byte (RFC 9700 section 2.1).
    pub fn prove(
        client: &Client,
        redirect_uri: &str,
        (state, mode): (Option<String>, ResponseMode),
        issuer: &str,
    ) -> Option<Self> {
        matches(&client.redirect_uris, redirect_uri)?;
        // Checked again at redirect time: rules may have become stricter since it was registered.
        RedirectUri::parse(redirect_uri).ok()?;
        Some(Self {
            client_id: client.id().to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            state,
            issuer: issuer.to_owned(),
            mode,
            approved: client.row.approved,
        })
    }

    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// RFC 6749 section 4.1.2, with `iss` (RFC 9207 section 2).
    pub fn answer(&self, parameters: &[(&str, &str)]) -> Reply {
        let own = [("state", self.state.as_deref()), ("iss", Some(self.issuer.as_str()))];
        let own = own.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        let all = parameters.iter().copied().chain(own);
        if self.mode == ResponseMode::FormPost {
            let fields = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            return Reply::Post { action: self.redirect_uri.clone(), fields };
        }
        let all = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(all).finish();
        // The registered text stays as it is, byte for byte; only what follows it grows (RFC 6749 section 3.1.2).
        let joint = match self.mode {
            ResponseMode::Fragment => '#',
            _ if self.redirect_uri.contains('?') => '&',
            _ => '?',
        };
        Reply::Redirect(format!("{}{joint}{all}", self.redirect_uri))
    }

    /// RFC 6749 section 4.1.2.1.
    pub fn error(&self, code: crate::error::Code, says: &str) -> Reply {
        self.answer(&[("error", code.wire()), ("error_description", says)])
    }
}
