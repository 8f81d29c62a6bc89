//! What was asked for: an application's authorization request that was proven, or a person's wish to sign in.

use crate::client::{Client, RedirectUri, matches};
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
    /// Whom an `id_token_hint` names.
    pub subject: Option<UserId>,
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
    pub code_challenge: Option<String>,
}

impl Ask {
    pub fn account(at: Micros) -> Self {
        Self { v: 1, application: None, prompt: vec![], max_age: None, login_hint: None, subject: None, at }
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
    /// Errors may go there without a person's act (RFC 9700 section 4.11.2).
    pub approved: bool,
}

impl ReturnTo {
    /// `None` unless this very URI is registered, byte for byte (RFC 9700 section 2.1).
    pub fn prove(client: &Client, redirect_uri: &str, state: Option<String>, issuer: &str) -> Option<Self> {
        matches(&client.redirect_uris, redirect_uri)?;
        // Checked again at redirect time: rules may have become stricter since it was registered.
        RedirectUri::parse(redirect_uri).ok()?;
        Some(Self {
            client_id: client.id().to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            state,
            issuer: issuer.to_owned(),
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
    pub fn code(&self, code: &str) -> String {
        self.with(&[("code", code)])
    }

    /// RFC 6749 section 4.1.2.1.
    pub fn error(&self, code: crate::error::Code, says: &str) -> String {
        self.with(&[("error", code.wire()), ("error_description", says)])
    }

    fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(parameters);
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", &self.issuer);
        // The registered text stays as it is, byte for byte; only the query grows (RFC 6749 section 3.1.2).
        let joint = if self.redirect_uri.contains('?') { '&' } else { '?' };
        format!("{}{joint}{}", self.redirect_uri, query.finish())
    }
}
