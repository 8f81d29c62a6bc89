//! The table of keys: section, meaning, type, default, plain names in the environment.

use super::field::{Color, Format, Level, List, Mode, Picture, Secret, Span};
use super::{Key, Problem, Texts};
use crate::feature::Feature;
use entity::{GrantType, PkceRule};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;
use url::Url;

keys! {
    /// Where and how the server listens.
    server: Server {
        /// Address and port. `PORT` alone changes only the port.
        listen: SocketAddr = "127.0.0.1:8080";
        /// What browsers and applications reach this server as. Empty: http://localhost and the port.
        public_url: Option<Url> = "", "PUBLIC_URL";
        /// Networks of the proxies whose X-Forwarded-For and X-Forwarded-Proto count.
        trusted_proxies: List<IpNet> = "";
        /// Worker threads; 0 is one per core.
        workers: usize = "0";
        /// Where the embedded database, the key file and operator's files are kept.
        data_dir: PathBuf = "data";
    }
    /// The database.
    database: Database {
        /// sqlite:, postgres: or mysql: URL. Empty: a SQLite file in the data directory.
        url: Secret = "", "DATABASE_URL";
        /// Connections to PostgreSQL or MariaDB at most.
        pool_size: u32 = "20", "DATABASE_POOL_SIZE";
    }
    /// What seals private keys and other secrets at rest.
    secrets: Secrets {
        /// 32 bytes as base64 or hexadecimal. Empty: the file master.key in the data directory, made at the first start.
        encryption_key: Secret = "", "ENCRYPTION_KEY";
    }
    /// The first administrator of an unattended installation; used only while there is none.
    bootstrap: Bootstrap {
        /// Their e-mail address.
        email: Option<String> = "";
        /// Their password.
        password: Secret = "";
    }
    /// The brand of the default tenant. Other tenants show their own name, in this primary colour.
    brand: Brand {
        /// Name of the product, on each page.
        name: String = "Sign in", "APP_NAME";
        /// One line under the name on the front page.
        tagline: Option<String> = "", "APP_TAGLINE";
        /// A sentence or two on the front page.
        description: Option<String> = "", "APP_DESCRIPTION";
        /// A path below /assets/ (files in assets/ of the data directory) or an https URL.
        logo_url: Option<Picture> = "", "APP_LOGO_URL";
        /// The same for the small icon in the browser's tab.
        favicon: Option<Picture> = "", "APP_FAVICON";
        /// From which buttons, links and focus rings are coloured.
        primary_color: Color = "#4f46e5", "APP_PRIMARY_COLOR";
        /// The second colour, for large areas.
        secondary_color: Option<Color> = "", "APP_SECONDARY_COLOR";
        /// Who stands behind it, in the footer.
        company_name: Option<String> = "", "APP_COMPANY_NAME";
        /// Where people get help.
        support_email: Option<String> = "", "APP_SUPPORT_EMAIL";
        /// Where people get help.
        support_url: Option<Url> = "", "APP_SUPPORT_URL";
        /// The privacy policy.
        privacy_url: Option<Url> = "", "APP_PRIVACY_URL";
        /// The terms of use.
        terms_url: Option<Url> = "", "APP_TERMS_URL";
        /// Must equal the host of public_url: a check against a copied configuration.
        domain: Option<String> = "", "APP_DOMAIN";
    }
    /// How passwords are hashed (Argon2id) and what they must be.
    password: Password {
        /// Memory per hash in KiB (OWASP's least is 19456 with 2 iterations).
        memory_kib: u32 = "19456";
        /// Passes over the memory.
        iterations: u32 = "2";
        /// Lanes.
        parallelism: u32 = "1";
        /// Memory for all hashes at once in MiB; 0 is one hash per core.
        memory_budget_mib: u32 = "0";
        /// Fewest characters (NIST SP 800-63B-4 section 3.1.1.2: 15 where a password is all).
        min_length: u32 = "15";
    }
    /// How long people stay signed in.
    sessions: Sessions {
        /// From sign-in to the end, however busy.
        lifetime: Span = "24h";
        /// The same when "stay signed in" was ticked.
        remember_lifetime: Span = "30d";
        /// Ended when unused for this long.
        idle: Span = "24h";
        /// The same when "stay signed in" was ticked.
        remember_idle: Span = "14d";
    }
    /// How long codes and tokens live.
    tokens: Tokens {
        /// Authorization codes; never over 10 minutes (RFC 6749 section 4.1.2).
        code: Span = "60s";
        /// Access tokens.
        access: Span = "15m", "JWT_EXPIRES_IN";
        /// ID tokens.
        id: Span = "1h";
        /// Refresh tokens, unused.
        refresh_idle: Span = "30d";
        /// Refresh tokens, in all.
        refresh_max: Span = "180d";
        /// How long the token before the newest still gets the same answer, for lost replies and races; 60s at most.
        refresh_grace: Span = "10s";
    }
    /// Signing keys.
    keys: Keys {
        /// RSA key size in bits: 2048, 3072 or 4096.
        rsa_bits: u32 = "2048";
        /// A new key is made when the one that signs is this old.
        rotate_after: Span = "90d";
        /// The new key is published this long before it signs.
        publish_ahead: Span = "24h";
    }
    /// Throttles.
    limits: Limits {
        /// Wrong sign-ins per account and address prefix in the window.
        sign_in_attempts: u32 = "5";
        /// Wrong sign-ins per address prefix in the window.
        sign_in_per_address: u32 = "100";
        /// Wrong sign-ins per account from everywhere in the window; known browsers are not counted in.
        sign_in_per_account: u32 = "50";
        /// The window of these.
        sign_in_window: Span = "15m";
        /// Unfinished sign-ins that one address prefix may have open.
        flows_per_address: u32 = "1000";
    }
    /// What is fetched from addresses that applications registered.
    fetch: Fetch {
        /// How long one request may take in all.
        timeout: Span = "5s";
        /// A file of PEM certificates of authorities that count beside the system's. For tests.
        extra_ca: Option<PathBuf> = "";
        /// Networks inside that may be asked all the same; without any, only the open Internet is. For tests.
        private_addresses: List<IpNet> = "";
    }
    /// Applications that register by themselves (RFC 7591).
    registration: Registration {
        /// off, token (with an initial access token of `keyward client registration-token`) or open.
        mode: Mode = "token";
        /// Whether confidential ones must use PKCE: required or optional. Public ones always must.
        pkce: PkceRule = "optional";
        /// Scopes that they may have; empty: the standard ones.
        scopes: List<String> = "";
        /// Hosts that their redirect URIs may be on; empty: any.
        hosts: List<String> = "";
        /// Grant types that they may have. implicit is for response types with id_token or token.
        grant_types: List<GrantType> = "authorization_code, refresh_token";
        /// Registrations per address prefix in an hour.
        per_hour: u32 = "20";
        /// Registrations that nobody ever signed in through are deleted after this long.
        unused: Span = "30d";
    }
    /// What is not served.
    features: FeatureKeys {
        /// Features that are switched off: dynamic_registration, refresh_tokens, client_credentials, implicit, request_objects, claims_parameter, pairwise_subjects, introspection, revocation, rp_initiated_logout, frontchannel_logout, backchannel_logout, session_management.
        off: List<Feature> = "";
    }
    /// What is logged.
    log: Log {
        /// error, warn, info or debug.
        level: Level = "info", "LOG_LEVEL";
        /// text or json.
        format: Format = "text";
    }
}
