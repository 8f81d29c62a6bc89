//! Passwords: hashed with Argon2id in a bounded pool, and what a new one must be.
//!
//! Owns the memory and the processor time that hashing may take, the equal work for people who do not exist (EN-02),
//! and the rules of [`acceptable`]. Never reads the database: it takes the stored PHC string and gives a new one back.
//!
//! # Why
//! A permit belongs to the blocking task and not to the request: when a client hangs up, its hash still runs, and its
//! memory still counts. Blocks of memory are kept for the next hash; what the last pass leaves in them tells no more
//! than the stored hash does, so wiping 19 MiB each time would buy nothing.

mod policy;

pub use policy::{acceptable, in_words};

use crate::config;
use crate::error::{Error, Result};
use crate::seal;
use argon2::password_hash::phc::{ParamsString, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// A longer password is never cut; it is refused, or wrong.
pub const MAX_BYTES: usize = 1024;

const SALT: usize = 16;
const OUTPUT: usize = 32;

/// Who waits longer than this gets 503 with Retry-After.
const PATIENCE: Duration = Duration::from_secs(2);
/// Those who wait, per permit.
const QUEUE: usize = 4;

/// What a stored hash may ask for at most, whoever imported it: memory, passes, lanes, and memory times passes.
const MOST_KIB: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 16;
const MOST_WORK: u64 = 1024 * 1024;

/// The pool. Cheap to clone; one per process.
#[derive(Clone)]
pub struct Passwords(Arc<Pool>);

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub ok: bool,
    /// It was right, and its hash was made with other parameters than today's: store a new one.
    pub rehash: bool,
}

struct Pool {
    params: Params,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
    patience: Duration,
    memory: Mutex<Vec<Vec<Block>>>,
    most_memory: usize,
    /// Compared with when there is nobody to compare with.
    nobody: Stored,
    done: AtomicU64,
}

/// A stored hash whose parameters were found bearable.
#[derive(Clone)]
struct Stored {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Passwords {
    /// As many hashes at once as there are cores, and as the memory budget holds.
    ///
    /// Errors: Argon2 does not allow the configured parameters (RFC 9106 section 3.1), in one line for the operator.
    pub fn new(config: &config::Password, cores: usize) -> Result<Self, String> {
        let params = Params::new(config.memory_kib, config.iterations, config.parallelism, Some(OUTPUT))
            .map_err(|e| format!("password.memory_kib, iterations and parallelism do not fit: {e}"))?;
        let budget = match config.memory_budget_mib {
            0 => usize::MAX,
            mib => (u64::from(mib) * 1024 / u64::from(config.memory_kib)) as usize,
        };
        let permits = cores.min(budget).max(1);
        let nobody = Stored {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params: params.clone(),
            salt: seal::random::<SALT>().map_err(|e| e.to_string())?.to_vec(),
            output: seal::random::<OUTPUT>().map_err(|e| e.to_string())?.to_vec(),
        };
        Ok(Self(Arc::new(Pool {
            params,
            permits: Arc::new(Semaphore::new(permits)),
            waiting: AtomicUsize::new(0),
            most_waiting: permits * QUEUE,
            patience: PATIENCE,
            memory: Mutex::default(),
            most_memory: permits,
            nobody,
            done: AtomicU64::new(0),
        })))
    }

    /// The PHC string to store for a new password.
    ///
    /// Errors: busy (503) when too many wait; the password is empty or over [`MAX_BYTES`], which [`acceptable`] says
    /// in words first.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let typed = prepare(password).ok_or_else(|| Error::internal("a password was not checked before hashing"))?;
        let salt = seal::random::<SALT>()?;
        self.run(move |pool, memory| {
            let made = Stored { salt: salt.to_vec(), ..pool.nobody.clone() };
            let output = pool.work(&made, &typed, memory)?;
            made.phc(&output)
        })
        .await?
    }

    /// Whether `password` is the one that `stored` was made from.
    ///
    /// `None` (nobody has that name, or they have no password), an unreadable hash, an empty and an oversized password
    /// cost the same work and are wrong (EN-02). Errors: busy (503) when too many wait.
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<Verdict> {
        let typed = prepare(password);
        let known = stored.and_then(|phc| {
            let known = Stored::parse(phc);
            if known.is_none() {
                tracing::error!("a stored password hash is unreadable or asks for too much; it matches nothing");
            }
            known
        });
        self.run(move |pool, memory| {
            let against = known.as_ref().filter(|_| typed.is_some()).unwrap_or(&pool.nobody);
            let none = Zeroizing::default();
            let output = pool.work(against, typed.as_ref().unwrap_or(&none), memory)?;
            let ok = seal::same(&output, &against.output) && known.is_some() && typed.is_some();
            Ok(Verdict { ok, rehash: ok && against.is_dated(&pool.params) })
        })
        .await?
    }

    /// Hashes computed since the start.
    pub fn done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Pool, &mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T> {
        let permit = self.permit().await?;
        let pool = self.0.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut memory = pool.lend();
            let result = work(&pool, &mut memory);
            pool.keep(memory);
            result
        });
        task.await.map_err(|_| Error::internal("hashing a password failed"))
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(permit) = self.0.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let busy = || Error::busy("too many passwords are being hashed");
        let _place = Place::take(&self.0).ok_or_else(busy)?;
        match tokio::time::timeout(self.0.patience, self.0.permits.clone().acquire_owned()).await {
            Ok(permit) => permit.map_err(Error::internal),
            Err(_) => Err(busy()),
        }
    }
}

/// A place in the queue; given back when the waiting ends, also by a client that hangs up.
struct Place<'a>(&'a Pool);

impl<'a> Place<'a> {
    fn take(pool: &'a Pool) -> Option<Self> {
        let free = |n: usize| (n < pool.most_waiting).then_some(n + 1);
        pool.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, free).ok().map(|_| Self(pool))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pool {
    fn work(&self, stored: &Stored, typed: &str, memory: &mut Vec<Block>) -> Result<Zeroizing<Vec<u8>>> {
        let blocks = stored.params.block_count();
        if memory.len() < blocks {
            memory.resize(blocks, Block::new());
        }
        let mut output = Zeroizing::new(vec![0; stored.output.len()]);
        Argon2::new(stored.algorithm, stored.version, stored.params.clone())
            .hash_password_into_with_memory(typed.as_bytes(), &stored.salt, &mut output, memory.as_mut_slice())
            .map_err(Error::internal)?;
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(output)
    }

    fn lend(&self) -> Vec<Block> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps memory of today's size only, so that one large imported hash does not stay for ever.
    fn keep(&self, memory: Vec<Block>) {
        let mut kept = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.len() == self.params.block_count() && kept.len() < self.most_memory {
            kept.push(memory);
        }
    }
}

impl Stored {
    fn parse(phc: &str) -> Option<Self> {
        let hash = PasswordHash::new(phc).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let (m, t, p) = (params.m_cost(), params.t_cost(), params.p_cost());
        // Before a byte of memory is taken: an imported or injected hash cannot ask for 4 GiB.
        let bearable = m <= MOST_KIB && t <= MOST_PASSES && p <= MOST_LANES && u64::from(m) * u64::from(t) <= MOST_WORK;
        let output = hash.hash?.as_bytes().to_vec();
        if !bearable || output.len() < 16 || !params.keyid().is_empty() || !params.data().is_empty() {
            return None;
        }
        Some(Self {
            algorithm: Algorithm::new(hash.algorithm.as_str()).ok()?,
            // A PHC string without a version is of the first one.
            version: Version::try_from(hash.version.unwrap_or(0x10)).ok()?,
            params,
            salt: hash.salt?.as_ref().to_vec(),
            output,
        })
    }

    fn is_dated(&self, now: &Params) -> bool {
        let costs = |p: &Params| (p.m_cost(), p.t_cost(), p.p_cost());
        self.algorithm != Algorithm::Argon2id
            || self.version != Version::V0x13
            || costs(&self.params) != costs(now)
            || self.salt.len() < SALT
            || self.output.len() != OUTPUT
    }

    fn phc(&self, output: &[u8]) -> Result<String> {
        let hash = PasswordHash {
            algorithm: self.algorithm.into(),
            version: Some(self.version.into()),
            params: ParamsString::try_from(&self.params).map_err(Error::internal)?,
            salt: Some(self.salt.as_slice().try_into().map_err(Error::internal)?),
            hash: Some(output.try_into().map_err(Error::internal)?),
        };
        Ok(hash.to_string())
    }
}

/// The same text however a keyboard composed it (NIST SP 800-63B-4 section 3.1.1.2). None: empty or too long.
fn prepare(password: &str) -> Option<Zeroizing<String>> {
    // NFC makes a text three times as long at most, so the buffer never moves and leaves nothing behind.
    let limits = 1..=4 * MAX_BYTES;
    limits.contains(&password.len()).then_some(())?;
    let mut typed = Zeroizing::new(String::with_capacity(3 * password.len()));
    typed.extend(password.nfc());
    (typed.len() <= MAX_BYTES).then_some(typed)
}

#[cfg(test)]
#[allow(non_snake_case)]
mod tests {
    use super::*;
    use crate::error::{Cause, Fault};

    fn pool(cores: usize, budget: u32) -> Passwords {
        let config = config::Password {
            memory_kib: 1024,
            iterations: 1,
            parallelism: 1,
            memory_budget_mib: budget,
            min_length: 15,
        };
        Passwords::new(&config, cores).unwrap()
    }

    fn is_busy<T>(result: Result<T>) -> bool {
        matches!(result, Err(Error::Ours(Cause { kind: Fault::Busy, .. })))
    }

    #[test]
    fn permits_are_cores_or_what_the_memory_holds() {
        for (cores, budget, permits) in [(4, 0, 4), (4, 2, 2), (2, 100, 2), (0, 0, 1)] {
            assert_eq!(pool(cores, budget).0.permits.available_permits(), permits);
        }
    }

    #[tokio::test]
    async fn a_password_is_right_however_it_was_composed__sp800_63b_4_3_1_1_2() {
        let pool = pool(2, 0);
        let phc = pool.hash("cafe\u{301} au lait").await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=1024,t=1,p=1$"), "{phc}");
        assert_ne!(pool.hash("caf\u{e9} au lait").await.unwrap(), phc, "the salt is fresh");
        let right = Verdict { ok: true, rehash: false };
        assert_eq!(pool.verify("caf\u{e9} au lait", Some(&phc)).await.unwrap(), right);
        assert!(!pool.verify("cafe au lait", Some(&phc)).await.unwrap().ok);
        assert!(!pool.verify("caf\u{e9} au lait ", Some(&phc)).await.unwrap().ok);
    }

    #[tokio::test]
    async fn everybody_costs_one_hash_of_the_same_parameters__en_02() {
        let pool = pool(1, 0);
        let longest = "x".repeat(MAX_BYTES);
        let phc = pool.hash(&longest).await.unwrap();
        assert!(pool.verify(&longest, Some(&phc)).await.unwrap().ok);
        let longer = "x".repeat(MAX_BYTES + 1);
        let huge = "x".repeat(1 << 20);
        let nine =
            "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A";
        let cases = [
            ("right", None),
            ("", None),
            ("", Some(&*phc)),
            (&longer, Some(&*phc)),
            (&huge, None),
            (&huge, Some(&*phc)),
            ("wrong", Some(&*phc)),
            ("x", Some("")),
            ("x", Some("$2b$12$x")),
            ("x", Some(nine)),
        ];
        for (password, stored) in cases {
            let before = pool.done();
            assert_eq!(pool.verify(password, stored).await.unwrap(), Verdict { ok: false, rehash: false });
            assert_eq!(pool.done() - before, 1);
            assert_eq!(pool.0.permits.available_permits(), 1);
        }
        assert_eq!(pool.0.memory.lock().unwrap().len(), 1, "one block of memory served all");
        assert!(pool.hash(&longer).await.is_err() && pool.hash("").await.is_err());
    }

    #[tokio::test]
    async fn a_hash_with_other_parameters_is_right_and_dated() {
        // RFC 9106 has no PHC strings; made by this crate's own API.
        let old = Params::new(64, 3, 2, Some(OUTPUT)).unwrap();
        let mut output = [0; OUTPUT];
        Argon2::new(Algorithm::Argon2i, Version::V0x10, old.clone())
            .hash_password_into(b"old", &[5; SALT], &mut output)
            .unwrap();
        let stored = Stored {
            algorithm: Algorithm::Argon2i,
            version: Version::V0x10,
            params: old,
            salt: vec![5; SALT],
            output: output.to_vec(),
        };
        let phc = stored.phc(&output).unwrap();
        assert_eq!(pool(1, 0).verify("old", Some(&phc)).await.unwrap(), Verdict { ok: true, rehash: true });
        assert_eq!(pool(1, 0).verify("new", Some(&phc)).await.unwrap(), Verdict { ok: false, rehash: false });
    }

    #[test]
    fn a_stored_hash_cannot_ask_for_more_than_we_bear() {
        let tail = "c29tZXNhbHRzb21lc2FsdA$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A";
        for fine in ["m=262144,t=4,p=4", "m=65536,t=16,p=1"] {
            assert!(Stored::parse(&format!("$argon2id$v=19${fine}${tail}")).is_some(), "{fine}");
        }
        for much in
            ["m=4194304,t=1,p=1", "m=262144,t=5,p=1", "m=64,t=17,p=1", "m=1024,t=1,p=17", "m=0,t=1,p=1", "m=64,t=0,p=1"]
        {
            assert!(Stored::parse(&format!("$argon2id$v=19${much}${tail}")).is_none(), "{much}");
        }
        assert!(Stored::parse("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA").is_none());
        assert!(Stored::parse("$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$aWg").is_none());
    }

    #[tokio::test]
    async fn a_full_queue_is_busy_at_once_and_a_place_in_it_for_a_while() {
        let mut pool = pool(1, 0);
        Arc::get_mut(&mut pool.0).unwrap().patience = Duration::from_secs(1);
        let (free, held) = std::sync::mpsc::channel::<()>();
        let running = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move |_, _| held.recv()).await }
        });
        while pool.0.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let queue: Vec<_> = (0..QUEUE)
            .map(|_| {
                tokio::spawn({
                    let pool = pool.clone();
                    async move { pool.permit().await }
                })
            })
            .collect();
        while pool.0.waiting.load(Ordering::Acquire) < QUEUE {
            tokio::task::yield_now().await;
        }
        // Polled once: the answer is there without any waiting.
        let at_once = {
            let mut asked = Box::pin(pool.permit());
            std::future::poll_fn(move |cx| std::task::Poll::Ready(asked.as_mut().poll(cx))).await
        };
        let std::task::Poll::Ready(at_once) = at_once else { panic!("it waits") };
        assert!(is_busy(at_once));
        for waiter in queue {
            assert!(is_busy(waiter.await.unwrap()));
        }
        assert_eq!(pool.0.waiting.load(Ordering::Acquire), 0);
        // One that hangs up while it waits leaves no trace.
        let gone = tokio::spawn({
            let pool = pool.clone();
            async move { pool.permit().await }
        });
        while pool.0.waiting.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
        assert_eq!(pool.0.waiting.load(Ordering::Acquire), 0);
        free.send(()).unwrap();
        running.await.unwrap().unwrap().unwrap();
        assert!(!pool.verify("x", None).await.unwrap().ok);
    }

    #[tokio::test]
    async fn a_request_that_goes_away_keeps_its_permit_until_its_hash_is_done() {
        let pool = pool(1, 0);
        let (free, held) = std::sync::mpsc::channel::<()>();
        let request = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move |_, _| held.recv()).await }
        });
        while pool.0.permits.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        request.abort();
        assert!(request.await.unwrap_err().is_cancelled());
        assert_eq!(pool.0.permits.available_permits(), 0);
        free.send(()).unwrap();
        drop(pool.permit().await.unwrap());
    }

    #[tokio::test]
    async fn a_permit_comes_back_after_a_panic() {
        let pool = pool(1, 0);
        let failed = pool.run(|_, _| -> () { panic!("on purpose") }).await;
        assert!(matches!(failed, Err(Error::Ours(Cause { kind: Fault::Internal, .. }))));
        assert_eq!(pool.0.permits.available_permits(), 1);
        let phc = pool.hash("still here").await.unwrap();
        assert!(pool.verify("still here", Some(&phc)).await.unwrap().ok);
    }
}
