//! The distribution's Apache, twice in one process: in front of Keyward as an operator's TLS proxy, and as an application
//! that mod_auth_openidc protects. Its own folder, configuration and ports; a certification authority made for the test.

use crate::keyward::Registered;
use crate::process::{Running, folder_of_ordinary_user, say, tied_as_ordinary_user};
use std::fs::write;
use std::path::{Path, PathBuf};
use std::process::Command;

const MODULES: &[&str] = &[
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "auth_openidc",
    "alias",
    "dir",
    "env",
    "filter",
    "headers",
    "include",
    "mime",
    "proxy",
    "proxy_http",
    "rewrite",
    "setenvif",
    "socache_shmcb",
    "ssl",
];

/// Where things are reached.
#[derive(Clone)]
pub struct Addresses {
    /// Keyward, as browsers see it.
    pub issuer: String,
    /// The application: another site than Keyward's, so that cookies are as strict as between strangers.
    pub application: String,
    issuer_port: u16,
    application_port: u16,
}

impl Addresses {
    pub fn new(issuer_port: u16, application_port: u16) -> Self {
        Self {
            issuer: format!("https://localhost:{issuer_port}"),
            // Browsers resolve *.localhost to this machine by themselves.
            application: format!("https://wiki.localhost:{application_port}"),
            issuer_port,
            application_port,
        }
    }

    pub fn redirect_uri(&self) -> String {
        format!("{}/callback", self.application)
    }

    /// A page of the application that needs no sign-in.
    pub fn farewell(&self) -> String {
        format!("{}/bye.html", self.application)
    }

    /// Where the application's "sign out" leads.
    pub fn sign_out(&self) -> String {
        let back: String = url::form_urlencoded::byte_serialize(self.farewell().as_bytes()).collect();
        format!("{}?logout={back}", self.redirect_uri())
    }
}

/// Who vouches for the test's certificates.
pub struct Authority {
    /// The authority's certificate.
    pub certificate: PathBuf,
    leaf: PathBuf,
    key: PathBuf,
}

impl Authority {
    /// Makes an authority and one certificate for both hosts.
    pub fn make(home: &Path) -> Self {
        let file = |name: &str| home.join(name);
        let (authority_key, certificate) = (file("ca.key"), file("ca.pem"));
        let (key, leaf) = (file("leaf.key"), file("leaf.pem"));
        let make = |key: &Path, certificate: &Path| {
            let mut command = Command::new("openssl");
            command.args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "7",
            ]);
            command.arg("-keyout").arg(key).arg("-out").arg(certificate);
            command
        };
        say(make(&authority_key, &certificate).args([
            "-subj",
            "/CN=Authority of one test",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ]));
        say(make(&key, &leaf)
            .arg("-CA")
            .arg(&certificate)
            .arg("-CAkey")
            .arg(&authority_key)
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:wiki.localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"]));
        Self { certificate, leaf, key }
    }
}

/// Runs until it is dropped.
pub struct Apache {
    _running: Running,
}

impl Apache {
    /// Writes the configuration and starts it.
    pub fn start(home: &Path, authority: &Authority, at: &Addresses, keyward: u16, client: &Registered) -> Self {
        let root = home.join("apache");
        folder_of_ordinary_user(&root);
        folder_of_ordinary_user(&root.join("run"));
        let site = root.join("site");
        std::fs::create_dir(&site).unwrap();
        write(site.join("index.html"), SIGNED_IN).unwrap();
        write(site.join("bye.html"), "<!doctype html><title>Wiki</title><h1 id=\"bye\">Signed out of the wiki</h1>")
            .unwrap();
        let config = root.join("httpd.conf");
        write(&config, configuration(&root, authority, at, keyward, client)).unwrap();
        // Readable to the ordinary user: keys of an authority that nobody trusts and that lives for one test.
        say(Command::new("chmod").arg("644").arg(&authority.key).arg(&authority.leaf).arg(&authority.certificate));

        let mut command = tied_as_ordinary_user("/usr/sbin/apache2");
        command.env_clear().env("PATH", "/usr/bin:/bin").args(["-D", "FOREGROUND", "-f"]).arg(&config);
        let mut running = Running::start(command, &root.join("log"));
        running.listens_on(at.issuer_port);
        running.listens_on(at.application_port);
        Self { _running: running }
    }
}

/// What the application shows of the person who signed in.
const SIGNED_IN: &str = r#"<!doctype html>
<title>Wiki</title>
<h1 id="signed-in">Wiki</h1>
<p>Signed in as <b id="email"><!--#echo encoding="entity" var="OIDC_CLAIM_email" --></b>,
<span id="name"><!--#echo encoding="entity" var="OIDC_CLAIM_name" --></span>,
<span id="sub"><!--#echo encoding="entity" var="OIDC_CLAIM_sub" --></span>
from <span id="iss"><!--#echo encoding="entity" var="OIDC_CLAIM_iss" --></span></p>
"#;

fn configuration(root: &Path, authority: &Authority, at: &Addresses, keyward: u16, client: &Registered) -> String {
    let modules: String =
        MODULES.iter().map(|m| format!("LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so\n")).collect();
    let root = root.display();
    let Addresses { issuer, issuer_port, application_port, .. } = at;
    let Registered { client_id, client_secret } = client;
    let (certificate, key, ca) = (authority.leaf.display(), authority.key.display(), authority.certificate.display());
    let tls = format!("SSLEngine on\n  SSLCertificateFile {certificate}\n  SSLCertificateKeyFile {key}");
    let redirect_uri = at.redirect_uri();
    format!(
        r#"{modules}
ServerRoot {root}
DefaultRuntimeDir {root}/run
PidFile {root}/run/pid
ServerName localhost
ErrorLog /dev/stderr
LogLevel warn
TypesConfig /etc/mime.types
Listen 127.0.0.1:{issuer_port} https
Listen 127.0.0.1:{application_port} https
StartServers 1
MinSpareThreads 1
SSLProtocol -all +TLSv1.2 +TLSv1.3

# An operator's proxy in front of Keyward.
<VirtualHost *:{issuer_port}>
  ServerName localhost
  {tls}
  ProxyRequests Off
  ProxyPreserveHost On
  # What a visitor claims about themselves is dropped; mod_proxy adds the address that it sees.
  RequestHeader unset X-Forwarded-For early
  RequestHeader set X-Forwarded-Proto https
  AllowEncodedSlashes NoDecode
  # A connection is given up before Keyward does, else a form would now and then meet a closed one.
  ProxyPass / http://127.0.0.1:{keyward}/ nocanon ttl=2 timeout=30
</VirtualHost>

# An application that knows Keyward by its metadata only.
<VirtualHost *:{application_port}>
  ServerName wiki.localhost
  {tls}
  DocumentRoot {root}/site
  DirectoryIndex index.html
  OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
  OIDCClientID {client_id}
  OIDCClientSecret {client_secret}
  OIDCRedirectURI {redirect_uri}
  OIDCCryptoPassphrase a-passphrase-of-one-test
  OIDCPKCEMethod S256
  OIDCScope "openid email profile"
  OIDCRemoteUserClaim sub
  OIDCPassClaimsAs environment
  OIDCSSLValidateServer On
  OIDCCABundlePath {ca}
  <Directory {root}/site>
    Options +Includes
    SetOutputFilter INCLUDES
    AuthType openid-connect
    Require valid-user
    Header always set Cache-Control no-store
  </Directory>
  <Location /callback>
    AuthType openid-connect
    Require valid-user
  </Location>
  <Location /bye.html>
    AuthType none
    Require all granted
  </Location>
</VirtualHost>
"#
    )
}
