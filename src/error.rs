//! The one error of the server: what a client, a person or nobody is told, and what the log hears.
//!
//! A door returns [`Error`]; whether it becomes JSON, a page or a redirect is decided by the scope that the route sits
//! in (`http.rs`). What the outside hears is a constant text; the cause goes to the log, once, with the request id.

use std::fmt;
use std::time::Duration;

#[derive(Debug)]
pub enum Error {
    /// The peer is software that speaks a standard: it gets a code from [`Code`].
    Protocol(Protocol),
    /// The peer is a person: they get a page that says what to do next.
    Person(Notice),
    /// It is our own fault, or our database's.
    Ours(Cause),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug)]
pub struct Protocol {
    pub code: Code,
    /// Told to the client: a constant, without CR, LF or quotes (RFC 6749 section 5.2).
    pub says: &'static str,
    /// Told in its place where the client needs to hear which of its fields is meant.
    pub names: Option<String>,
    /// For the log alone.
    pub because: Option<String>,
    pub retry_after: Option<Duration>,
    /// The client tried the Basic scheme, so that the answer names it (RFC 6749 section 5.2).
    pub challenge: Challenge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    None,
    Basic,
    /// No token came: the challenge names no error (RFC 6750 section 3.1).
    BearerBare,
    Bearer,
}

macro_rules! codes {
    ($($variant:ident = $wire:literal, $status:literal, $source:literal;)*) => {
        /// Every error code that goes over the wire, with its HTTP status and the text that defines it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($variant),* }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];
            pub fn wire(self) -> &'static str { match self { $(Code::$variant => $wire),* } }
            pub fn status(self) -> u16 { match self { $(Code::$variant => $status),* } }
            pub fn source(self) -> &'static str { match self { $(Code::$variant => $source),* } }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", 400, "RFC 6749 section 5.2";
    InvalidClient = "invalid_client", 401, "RFC 6749 section 5.2";
    InvalidGrant = "invalid_grant", 400, "RFC 6749 section 5.2";
    UnauthorizedClient = "unauthorized_client", 400, "RFC 6749 section 5.2";
    UnsupportedGrantType = "unsupported_grant_type", 400, "RFC 6749 section 5.2";
    InvalidScope = "invalid_scope", 400, "RFC 6749 section 5.2";
    AccessDenied = "access_denied", 403, "RFC 6749 section 4.1.2.1";
    UnsupportedResponseType = "unsupported_response_type", 400, "RFC 6749 section 4.1.2.1";
    ServerError = "server_error", 500, "RFC 6749 section 4.1.2.1";
    TemporarilyUnavailable = "temporarily_unavailable", 503, "RFC 6749 section 4.1.2.1";
    LoginRequired = "login_required", 400, "OpenID Connect Core section 3.1.2.6";
    ConsentRequired = "consent_required", 400, "OpenID Connect Core section 3.1.2.6";
    InteractionRequired = "interaction_required", 400, "OpenID Connect Core section 3.1.2.6";
    AccountSelectionRequired = "account_selection_required", 400, "OpenID Connect Core section 3.1.2.6";
    RequestNotSupported = "request_not_supported", 400, "OpenID Connect Core section 3.1.2.6";
    RequestUriNotSupported = "request_uri_not_supported", 400, "OpenID Connect Core section 3.1.2.6";
    RegistrationNotSupported = "registration_not_supported", 400, "OpenID Connect Core section 3.1.2.6";
    UnmetAuthenticationRequirements = "unmet_authentication_requirements", 400, "OpenID Connect Core Unmet Authentication Requirements 1.0";
    InvalidToken = "invalid_token", 401, "RFC 6750 section 3.1";
    InsufficientScope = "insufficient_scope", 403, "RFC 6750 section 3.1";
    InvalidRequestUri = "invalid_request_uri", 400, "OpenID Connect Core section 3.1.2.6";
    InvalidRequestObject = "invalid_request_object", 400, "OpenID Connect Core section 3.1.2.6";
    InvalidRedirectUri = "invalid_redirect_uri", 400, "RFC 7591 section 3.2.2";
    InvalidClientMetadata = "invalid_client_metadata", 400, "RFC 7591 section 3.2.2";
    UnapprovedSoftwareStatement = "unapproved_software_statement", 400, "RFC 7591 section 3.2.2";
    InvalidTarget = "invalid_target", 400, "RFC 8707 section 2";
    SlowDown = "slow_down", 429, "RFC 6585 section 4; the name is of RFC 8628 section 3.5";
    NotFound = "not_found", 404, "RFC 9110 section 15.5.5";
    MethodNotAllowed = "method_not_allowed", 405, "RFC 9110 section 15.5.6";
    TooLarge = "request_too_large", 413, "RFC 9110 section 15.5.14";
    UnsupportedMediaType = "unsupported_media_type", 415, "RFC 9110 section 15.5.16";
    Misdirected = "misdirected_request", 421, "RFC 9110 section 15.5.20";
    RequestTimeout = "request_timeout", 408, "RFC 9110 section 15.5.9";
    UriTooLong = "uri_too_long", 414, "RFC 9110 section 15.5.15";
    HeadersTooLarge = "headers_too_large", 431, "RFC 6585 section 5";
}

macro_rules! notices {
    ($($variant:ident = $id:literal, $status:literal;)*) => {
        /// What went wrong, for a person: the middle part of the message ids `error-{id}-heading`, `-text`, `-advice`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Notice { $($variant),* }

        impl Notice {
            pub const ALL: &'static [Notice] = &[$(Notice::$variant),*];
            pub fn id(self) -> &'static str { match self { $(Notice::$variant => $id),* } }
            pub fn status(self) -> u16 { match self { $(Notice::$variant => $status),* } }
        }
    };
}

notices! {
    BadRequest = "bad-request", 400;
    InvalidRequest = "invalid-request", 400;
    UnknownClient = "unknown-client", 400;
    ClientDisabled = "client-disabled", 400;
    RedirectUriMismatch = "redirect-uri-mismatch", 400;
    Unsupported = "unsupported", 400;
    ForbiddenOrigin = "forbidden-origin", 403;
    NotFound = "not-found", 404;
    MethodNotAllowed = "method-not-allowed", 405;
    FlowExpired = "flow-expired", 400;
    FlowElsewhere = "flow-elsewhere", 400;
    TooLarge = "too-large", 413;
    WrongHost = "wrong-host", 421;
    Throttled = "throttled", 429;
    Internal = "internal", 500;
    Busy = "busy", 503;
    Unavailable = "unavailable", 503;
}

/// What the log hears of a fault of ours.
#[derive(Debug)]
pub struct Cause {
    pub kind: Fault,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Should not happen: 500.
    Internal,
    /// Too much at once: 503 with Retry-After.
    Busy,
    /// The database cannot be reached or written: 503.
    Unavailable,
}

impl Protocol {
    pub fn new(code: Code, says: &'static str) -> Self {
        let challenge = match code {
            Code::InvalidToken | Code::InsufficientScope => Challenge::Bearer,
            // RFC 9110 section 15.5.2: a 401 names a way to authenticate.
            Code::InvalidClient => Challenge::Basic,
            _ => Challenge::None,
        };
        Self { code, says, names: None, because: None, retry_after: None, challenge }
    }

    /// Names what was sent: in JSON alone, and only in characters that RFC 6749 section 5.2 allows.
    pub fn naming(mut self, text: &str) -> Self {
        let plain = |c: char| if c == '"' || c == '\\' { '\'' } else { c };
        self.names = Some(text.chars().filter(|c| (' '..='~').contains(c)).map(plain).take(400).collect());
        self
    }

    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.because = Some(cause.to_string());
        self
    }
}

impl Error {
    pub fn protocol(code: Code, says: &'static str) -> Self {
        Self::Protocol(Protocol::new(code, says))
    }

    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::Ours(Cause { kind: Fault::Internal, text: cause.to_string() })
    }

    pub fn busy(cause: impl fmt::Display) -> Self {
        Self::Ours(Cause { kind: Fault::Busy, text: cause.to_string() })
    }

    pub fn unavailable(cause: impl fmt::Display) -> Self {
        Self::Ours(Cause { kind: Fault::Unavailable, text: cause.to_string() })
    }
}

impl fmt::Display for Error {
    /// For the log; never for the outside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Protocol(p) => match &p.because {
                Some(because) => write!(f, "{}: {} ({because})", p.code.wire(), p.says),
                None => write!(f, "{}: {}", p.code.wire(), p.says),
            },
            Error::Person(notice) => f.write_str(notice.id()),
            Error::Ours(cause) => write!(f, "{:?}: {}", cause.kind, cause.text),
        }
    }
}

impl std::error::Error for Error {}

impl From<Protocol> for Error {
    fn from(p: Protocol) -> Self {
        Error::Protocol(p)
    }
}

impl From<Notice> for Error {
    fn from(notice: Notice) -> Self {
        Error::Person(notice)
    }
}

impl From<sea_orm::DbErr> for Error {
    fn from(e: sea_orm::DbErr) -> Self {
        use sea_orm::DbErr;
        match e {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Error::unavailable(e),
            DbErr::Exec(sea_orm::RuntimeErr::SqlxError(ref cause))
            | DbErr::Query(sea_orm::RuntimeErr::SqlxError(ref cause))
                if lost(cause) =>
            {
                Error::unavailable(e)
            }
            _ => Error::internal(e),
        }
    }
}

/// The connection broke or the database cannot write now: come back later, rather than "internal error".
fn lost(cause: &sea_orm::SqlxError) -> bool {
    use sea_orm::SqlxError;
    match cause {
        SqlxError::Io(_) | SqlxError::PoolTimedOut | SqlxError::PoolClosed | SqlxError::WorkerCrashed => true,
        SqlxError::Database(e) => e.code().is_some_and(|code| {
            if e.try_downcast_ref::<sea_orm::sqlx::sqlite::SqliteError>().is_some() {
                // Extended result codes; the low byte is the primary one: busy, read-only, interrupted, I/O, full.
                return code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 8 | 9 | 10 | 13));
            }
            // PostgreSQL: read-only, statement and lock timeout, shutdown 57P, resources 53. MariaDB: statement timeout
            // 70100. Both: connection 08.
            matches!(code.as_ref(), "25006" | "57014" | "55P03" | "70100")
                || ["57P", "53", "08"].iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}
