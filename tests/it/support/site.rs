//! A site of an application's: https with a certificate of the test's own authority, documents that it publishes, and
//! what is posted to it.

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// How the site answers.
#[derive(Clone, Debug)]
pub enum Says {
    This(&'static str, Vec<u8>),
    Redirect(String),
    /// Nothing for so long.
    Slow(Duration),
    /// Ever more, without an end.
    Endless,
}

#[derive(Default)]
struct State {
    answers: HashMap<String, Says>,
    heard: Vec<(String, String)>,
}

#[derive(Clone)]
pub struct Site {
    port: u16,
    /// The authority's certificate, PEM.
    pub authority: PathBuf,
    state: Arc<Mutex<State>>,
}

fn name(text: &str) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, text).unwrap();
    name.build()
}

fn begun(subject: &str, key: &PKey<Private>, serial: u32) -> X509Builder {
    let mut made = X509Builder::new().unwrap();
    made.set_version(2).unwrap();
    made.set_serial_number(&BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap()).unwrap();
    made.set_subject_name(&name(subject)).unwrap();
    made.set_issuer_name(&name("Test Authority")).unwrap();
    made.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    made.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    made.set_pubkey(key).unwrap();
    made
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn certificates() -> (X509, X509, PKey<Private>) {
    let (ca_key, own_key) = (key(), key());
    let mut ca = begun("Test Authority", &ca_key, 1);
    ca.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    ca.sign(&ca_key, MessageDigest::sha256()).unwrap();
    let ca = ca.build();
    let mut own = begun("localhost", &own_key, 2);
    let names =
        SubjectAlternativeName::new().dns("localhost").ip("127.0.0.1").build(&own.x509v3_context(Some(&ca), None));
    own.append_extension(names.unwrap()).unwrap();
    own.sign(&ca_key, MessageDigest::sha256()).unwrap();
    (ca, own.build(), own_key)
}

impl Site {
    pub async fn start(dir: &Path) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (ca, own, own_key) = certificates();
        let authority = dir.join("authority.pem");
        std::fs::write(&authority, ca.to_pem().unwrap()).unwrap();
        let chain = vec![CertificateDer::from(own.to_der().unwrap())];
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own_key.private_key_to_pkcs8().unwrap()));
        let tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, private).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = Self { port: listener.local_addr().unwrap().port(), authority, state: Arc::default() };
        let (acceptor, state) = (TlsAcceptor::from(Arc::new(tls)), site.state.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), state.clone());
                tokio::spawn(async move {
                    if let Ok(socket) = acceptor.accept(socket).await {
                        let _ = answer(socket, &state).await;
                    }
                });
            }
        });
        site
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    pub fn says(&self, path: &str, says: Says) {
        self.state.lock().unwrap().answers.insert(path.to_owned(), says);
    }

    pub fn json(&self, path: &str, document: &serde_json::Value) {
        self.says(path, Says::This("application/json", document.to_string().into_bytes()));
    }

    /// Bodies that were sent to this path, and an empty one for each look at it.
    pub fn heard(&self, path: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.heard.iter().filter(|(p, _)| p == path).map(|(_, body)| body.clone()).collect()
    }
}

async fn answer<S>(mut socket: S, state: &Mutex<State>) -> std::io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut read = vec![];
    let head = loop {
        let mut chunk = [0; 4096];
        let n = socket.read(&mut chunk).await?;
        if n == 0 {
            return Ok(());
        }
        read.extend_from_slice(&chunk[..n]);
        if let Some(at) = read.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
    };
    let text = String::from_utf8_lossy(&read[..head]).to_string();
    let length = text.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let length: usize = length.unwrap_or(0);
    while read.len() < head + 4 + length {
        let mut chunk = [0; 4096];
        let n = socket.read(&mut chunk).await?;
        if n == 0 {
            break;
        }
        read.extend_from_slice(&chunk[..n]);
    }
    let path = text.split(' ').nth(1).unwrap_or("/").to_owned();
    let body = String::from_utf8_lossy(&read[head + 4..]).to_string();
    let says = {
        let mut state = state.lock().unwrap();
        state.heard.push((path.clone(), body));
        state.answers.get(&path).cloned()
    };
    let head = |status: &str, more: &str| format!("HTTP/1.1 {status}\r\n{more}connection: close\r\n\r\n");
    match says {
        None => socket.write_all(head("404 Not Found", "content-length: 0\r\n").as_bytes()).await?,
        Some(Says::This(kind, body)) => {
            let more = format!("content-type: {kind}\r\ncontent-length: {}\r\n", body.len());
            socket.write_all(head("200 OK", &more).as_bytes()).await?;
            socket.write_all(&body).await?;
        }
        Some(Says::Redirect(to)) => {
            let more = format!("location: {to}\r\ncontent-length: 0\r\n");
            socket.write_all(head("302 Found", &more).as_bytes()).await?;
        }
        Some(Says::Slow(span)) => tokio::time::sleep(span).await,
        Some(Says::Endless) => {
            socket.write_all(head("200 OK", "content-type: application/json\r\n").as_bytes()).await?;
            while socket.write_all(&[b' '; 4096]).await.is_ok() {}
        }
    }
    socket.shutdown().await
}
