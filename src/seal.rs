//! Secrets at rest and chance: the master key, what it seals, and the digests that stand in columns instead of secrets.
//!
//! Owns AES-256-GCM under a key that is not in the database (KM-01), the operating system's random bytes, and the
//! keyed and plain hashes of tokens. Never touches the database and never logs. Start at [`MasterKey`] and [`Token`].
//!
//! # Why
//! Each `context` gets a key of its own, derived from the master key. A random nonce of 96 bits is good for 2^32
//! messages under one key (NIST SP 800-38D section 8.3); this way the bound counts per row and never comes near.
//! The master key itself encrypts nothing, so that purposes stay apart (KM-02).

use crate::config::Config;
use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use entity::{Hash, Sealed};
use hmac::{Hmac, KeyInit, Mac};
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes of a key, of SHA-256 and of every secret that Keyward makes.
pub const KEY_BYTES: usize = 32;

/// First byte of what is sealed: AES-256-GCM under a key derived per context, then nonce, ciphertext and tag.
const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;

/// The name of the file in the data directory that holds the master key, as base64 in one line.
const FILE: &str = "master.key";

/// What opens everything sealed. It has no Debug and no Display, and is wiped when dropped (KM-07).
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

impl MasterKey {
    /// From `secrets.encryption_key`, else from the file `master.key` of the data directory, which is made if missing.
    ///
    /// The error is one line for the operator and holds nothing of the key.
    pub fn load(config: &Config) -> Result<Self, String> {
        Self::configured(config).unwrap_or_else(|| {
            let path = config.server.data_dir.join(FILE);
            match read(&path)? {
                Some(key) => Ok(key),
                None => create(&config.server.data_dir, &path),
            }
        })
    }

    /// The key, when there is one; makes nothing.
    ///
    /// The error is as for [`MasterKey::load`].
    pub fn find(config: &Config) -> Result<Option<Self>, String> {
        match Self::configured(config) {
            Some(key) => key.map(Some),
            None => read(&config.server.data_dir.join(FILE)),
        }
    }

    /// The same for commands that must not make a key: a missing file is an error.
    pub fn load_existing(config: &Config) -> Result<Self, String> {
        Self::configured(config).unwrap_or_else(|| {
            let path = config.server.data_dir.join(FILE);
            read(&path)?.ok_or_else(|| format!("{} is missing; restore it from the backup", path.display()))
        })
    }

    fn configured(config: &Config) -> Option<Result<Self, String>> {
        let key = &config.secrets.encryption_key;
        key.is_set().then(|| Self::parse(&key.0).map_err(|e| format!("secrets.encryption_key {e}")))
    }

    /// 32 bytes as hexadecimal, base64 or base64url, with or without padding.
    fn parse(text: &str) -> Result<Self, String> {
        const WRONG: &str = "must be exactly 32 bytes, as base64 or hexadecimal";
        let text = text.trim();
        let bytes = Zeroizing::new(if text.len() == 2 * KEY_BYTES && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
        } else {
            let decoders = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
            decoders.iter().find_map(|d| d.decode(text).ok()).ok_or(WRONG)?
        });
        let key: [u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| WRONG)?;
        // A key of one repeated byte is a placeholder (attack corpus, row 290).
        if key.iter().all(|b| *b == key[0]) {
            return Err("is a placeholder; make one with: openssl rand -base64 32".to_owned());
        }
        Ok(Self(Zeroizing::new(key)))
    }

    /// Seals `plain` for one place. `context` names it, such as `signing_key/private/{tenant}/{id}`: what was sealed
    /// for one row opens for no other.
    ///
    /// Errors: no random bytes, or OpenSSL failed; both are faults of ours.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Sealed> {
        let key = self.derive_bytes(&["seal", context]);
        let nonce = random::<NONCE>()?;
        let mut tag = [0; TAG];
        let text = encrypt_aead(Cipher::aes_256_gcm(), &*key, Some(&nonce), &aad(context), plain, &mut tag)
            .map_err(|_| Error::internal("AES-GCM cannot seal"))?;
        let mut sealed = Vec::with_capacity(1 + NONCE + text.len() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(&tag);
        Ok(Sealed(sealed))
    }

    /// Opens what [`MasterKey::seal`] made for the same `context`. A wrong key, another context, a changed or a short
    /// value are one and the same error.
    pub fn open(&self, context: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>> {
        let refused = || Error::internal(format_args!("a sealed value does not open: {}", context.escape_debug()));
        let rest = sealed.0.strip_prefix(&[VERSION]).ok_or_else(refused)?;
        let (nonce, rest) = rest.split_at_checked(NONCE).ok_or_else(refused)?;
        let (text, tag) = rest.split_at_checked(rest.len().wrapping_sub(TAG)).ok_or_else(refused)?;
        let key = self.derive_bytes(&["seal", context]);
        decrypt_aead(Cipher::aes_256_gcm(), &*key, Some(nonce), &aad(context), text, tag)
            .map(Zeroizing::new)
            .map_err(|_| refused())
    }

    /// Tells whether this is the key that sealed a database: stored at the first start, compared at each other.
    pub fn check(&self) -> Hash {
        Hash(self.derive_bytes(&["check"]).to_vec())
    }

    /// A key for one purpose, such as `otp` or `csrf`: equal on every node, and telling nothing of any other (KM-02).
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; KEY_BYTES]> {
        self.derive_bytes(&["derive", purpose])
    }

    fn derive_bytes(&self, parts: &[&str]) -> Zeroizing<[u8; KEY_BYTES]> {
        let label = ["keyward/1"].iter().chain(parts).map(|p| p.as_bytes()).collect::<Vec<_>>();
        Zeroizing::new(hmac256(&self.0, &label))
    }
}

/// The format is bound too, so that a later version cannot be passed off as this one.
fn aad(context: &str) -> Vec<u8> {
    [&[VERSION], context.as_bytes()].concat()
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}

fn read(path: &Path) -> Result<Option<MasterKey>, String> {
    let wrong = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(wrong(e)),
    };
    // Asked of the open file, so that it cannot be exchanged in between.
    let about = file.metadata().map_err(wrong)?;
    let mode = about.permissions().mode() & 0o777;
    if !about.is_file() || about.len() > 1024 {
        return Err(format!("{} is not a key file", path.display()));
    }
    if mode & 0o077 != 0 {
        return Err(format!("{0} can be read by others (mode {mode:04o}); run: chmod 600 {0}", path.display()));
    }
    let mut text = Zeroizing::new(String::with_capacity(1024));
    std::io::Read::read_to_string(&mut &file, &mut text).map_err(wrong)?;
    MasterKey::parse(&text).map(Some).map_err(|e| format!("{} {e}", path.display()))
}

/// Writes a new key under another name and links it to its place, so that the file is whole or absent whatever happens,
/// and of any number of processes that start at once one gives the key.
fn create(dir: &Path, path: &Path) -> Result<MasterKey, String> {
    let wrong = |e: std::io::Error| format!("cannot write {}: {e}", path.display());
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(wrong)?;
    let key = Zeroizing::new(random::<KEY_BYTES>().map_err(|e| e.to_string())?);
    let mut line = Zeroizing::new(STANDARD.encode(key.as_slice()));
    line.push('\n');
    // Not the process id: in containers on one volume each is 1.
    let name = u64::from_be_bytes(random().map_err(|e| e.to_string())?);
    let fresh = dir.join(format!(".{FILE}.{name:016x}"));
    write_new(&fresh, line.as_bytes()).map_err(wrong)?;
    let linked = std::fs::hard_link(&fresh, path);
    let removed = std::fs::remove_file(&fresh);
    match linked {
        Ok(()) => removed.map_err(wrong)?,
        // Another process was faster: its key is the one.
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        // A file system without hard links.
        Err(_) => write_new(path, line.as_bytes()).map_err(wrong)?,
    }
    File::open(dir).and_then(|d| d.sync_all()).map_err(wrong)?;
    // What stands on the disk is the key, whoever wrote it.
    read(path)?.ok_or_else(|| format!("{} vanished", path.display()))
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Bytes from the operating system. It failing is an error of ours, never a panic and never weaker chance.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| Error::internal(format_args!("no random bytes: {e}")))?;
    Ok(bytes)
}

/// A new secret for somebody else to keep, and what we keep of it.
pub struct Token {
    /// The prefix and 43 characters of base64url. Shown once; wiped when dropped.
    pub text: Zeroizing<String>,
    /// What stands in the database.
    pub hash: Hash,
}

impl Token {
    /// 256 random bits behind a prefix that tells a leak scanner what it found, such as `kw_rt_`.
    pub fn new(prefix: &str) -> Result<Self> {
        let secret = Zeroizing::new(random::<KEY_BYTES>()?);
        let mut text = Zeroizing::new(String::with_capacity(prefix.len() + 43));
        text.push_str(prefix);
        URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut text);
        let hash = Self::hash_of(&text);
        Ok(Self { text, hash })
    }

    /// The hash under which a presented token is looked up: every character counts (RT-13).
    pub fn hash_of(presented: &str) -> Hash {
        sha256(presented.as_bytes())
    }
}

pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).to_vec())
}

/// SHA-256 of a list; no two lists have one encoding, because each part is preceded by its length.
pub fn sha256_hash_of(parts: &[&[u8]]) -> Hash {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    Hash(digest.finalize().to_vec())
}

/// HMAC-SHA-256 of a list (RFC 2104), each part preceded by its length.
pub fn hmac256(key: &[u8; KEY_BYTES], parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&block(key));
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// A key shorter than the hash's block of 64 bytes is filled up with zeros (RFC 2104 section 2).
fn block(key: &[u8; KEY_BYTES]) -> hmac::digest::Key<Hmac<Sha256>> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..KEY_BYTES].copy_from_slice(key);
    block
}

/// Whether two secrets are equal, in a time that depends on their lengths alone.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, Sources};
    use std::fs::{Permissions, set_permissions};

    fn config(dir: &Path) -> Config {
        let mut config = Sources::default().load().unwrap().0;
        config.server.data_dir = dir.to_owned();
        config
    }

    fn key(byte: u8) -> MasterKey {
        let mut bytes = [byte; KEY_BYTES];
        bytes[0] = !byte;
        MasterKey(Zeroizing::new(bytes))
    }

    #[test]
    fn the_first_start_makes_a_key_that_the_second_finds() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(&dir.path().join("new/data"));
        assert!(MasterKey::load_existing(&config).err().unwrap().contains("master.key is missing"));
        assert!(!config.server.data_dir.exists());
        let made = MasterKey::load(&config).ok().unwrap();
        let path = config.server.data_dir.join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&config.server.data_dir).unwrap().count(), 1, "nothing else is left behind");
        for found in [MasterKey::load(&config), MasterKey::load_existing(&config)] {
            assert_eq!(found.ok().unwrap().check(), made.check());
        }
    }

    #[test]
    fn processes_that_start_at_once_agree_on_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let start = std::sync::Barrier::new(8);
        let load = || {
            start.wait();
            MasterKey::load(&config).ok().unwrap().check()
        };
        let checks: Vec<Hash> = std::thread::scope(|threads| {
            let running: Vec<_> = (0..8).map(|_| threads.spawn(load)).collect();
            running.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(checks.iter().all(|c| *c == checks[0]));
        assert!(create(dir.path(), &dir.path().join(FILE)).ok().unwrap().check() == checks[0]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_file_that_others_can_read_or_that_is_torn_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        MasterKey::load(&config).ok().unwrap();
        let path = dir.path().join(FILE);
        for mode in [0o640, 0o604, 0o660, 0o644] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let said = MasterKey::load(&config).err().unwrap();
            assert!(said.contains("can be read by others") && said.lines().count() == 1, "{said}");
        }
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        for text in ["", "AAAA", &"ab".repeat(31), &"A".repeat(2000)] {
            std::fs::write(&path, text).unwrap();
            let said = MasterKey::load(&config).err().unwrap();
            assert!(said.contains("master.key") && said.lines().count() == 1, "{said}");
        }
    }

    #[test]
    fn a_configured_key_is_base64_or_hexadecimal_of_32_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (200..232).collect();
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let texts = [hex.clone(), hex.to_uppercase(), STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)];
        for text in texts {
            let mut config = config(dir.path());
            config.secrets.encryption_key = Secret(Zeroizing::new(text));
            assert_eq!(*MasterKey::load(&config).ok().unwrap().0, bytes[..]);
        }
        for text in ["hunter2", &hex[..62], &STANDARD.encode(&bytes[1..]), &"00".repeat(32), "ü"] {
            let mut config = config(dir.path());
            config.secrets.encryption_key = Secret(Zeroizing::new(text.to_owned()));
            let said = MasterKey::load(&config).err().unwrap();
            assert!(said.starts_with("secrets.encryption_key") && !said.contains(text), "{said}");
        }
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "a configured key needs no file");
    }

    #[test]
    fn what_is_sealed_opens_in_its_own_place_with_its_own_key_only() {
        let master = key(1);
        for plain in [&b""[..], b"x", &[7; 5000]] {
            let sealed = master.seal("t/c/1", plain).unwrap();
            assert_eq!(sealed.0.len(), 1 + NONCE + plain.len() + TAG);
            assert_eq!(**master.open("t/c/1", &sealed).unwrap(), *plain);
            assert!(master.open("t/c/2", &sealed).is_err());
            assert!(key(2).open("t/c/1", &sealed).is_err());
            assert_ne!(master.seal("t/c/1", plain).unwrap(), sealed, "the nonce is fresh");
        }
    }

    #[test]
    fn a_changed_or_shortened_value_never_opens_and_never_panics() {
        let master = key(1);
        let sealed = master.seal("c", b"secret").unwrap();
        for at in 0..sealed.0.len() {
            let mut other = sealed.clone();
            other.0[at] ^= 1;
            assert!(master.open("c", &other).is_err(), "byte {at}");
            assert!(master.open("c", &Sealed(sealed.0[..at].to_vec())).is_err(), "length {at}");
        }
    }

    #[test]
    fn lists_are_hashed_without_ambiguity() {
        let key = [1; KEY_BYTES];
        assert_ne!(sha256_hash_of(&[b"ab", b"c"]), sha256_hash_of(&[b"a", b"bc"]));
        assert_ne!(sha256_hash_of(&[]), sha256_hash_of(&[b""]));
        assert_ne!(hmac256(&key, &[b"ab", b"c"]), hmac256(&key, &[b"a", b"bc"]));
        assert_ne!(hmac256(&key, &[b"a"]), hmac256(&[2; KEY_BYTES], &[b"a"]));
        assert_ne!(self::key(1).derive("otp"), self::key(1).derive("csrf"));
    }

    #[test]
    fn hmac_is_that_of_openssl() {
        let key: [u8; KEY_BYTES] = random().unwrap();
        let private = openssl::pkey::PKey::hmac(&key).unwrap();
        let mut signer = openssl::sign::Signer::new(openssl::hash::MessageDigest::sha256(), &private).unwrap();
        signer.update(b"\0\0\0\0\0\0\0\x03abc").unwrap();
        assert_eq!(signer.sign_to_vec().unwrap(), hmac256(&key, &[b"abc"]));
    }

    #[test]
    fn tokens_are_256_bits_behind_their_prefix() {
        let token = Token::new("kw_rt_").unwrap();
        assert_eq!((token.text.len(), &token.text[..6]), (49, "kw_rt_"));
        assert_eq!(Token::hash_of(&token.text), token.hash);
        assert_ne!(Token::new("kw_rt_").unwrap().hash, token.hash);
        for other in [&token.text[..48], &format!("{}=", *token.text), &token.text.to_uppercase(), ""] {
            assert_ne!(Token::hash_of(other), token.hash);
        }
        assert!(same(b"abc", b"abc") && !same(b"abc", b"abd") && !same(b"abc", b"ab"));
    }
}
