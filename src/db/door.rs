//! SQLite's write door: one writer that commits the writes of all who wait at once, and only then answers each.
//!
//! Start at [`Door::write`], the caller's side; the writer's is [`Writer::serve`].
//!
//! # Why
//!
//! SQLite takes one writer at a time and a commit costs an fsync. Under load the writer runs what waits in one
//! transaction, each write in a savepoint of its own, and pays that price once; a lone caller waits for nobody. Stable
//! Rust cannot name the future of an `AsyncFn` as `Send`, so the writer is a thread with a runtime of its own, not a
//! task. It sleeps on its queue when there is nothing to do.
//!
//! The writer holds one sea-orm transaction for good, as the way to own a connection, and speaks BEGIN, SAVEPOINT and
//! COMMIT itself: merged, because each statement costs a hop to sqlx's thread and back (some 70 us), which under load
//! is dearer than SQLite and the disk together.

use super::{CLEAN, DEADLINE, Health, Tx, WAIT, connect, late, sqlite_code};
use crate::error::{Error, Result};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::task::Poll;
use std::thread::ThreadId;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// A batch that is this old takes nobody else in: one slow write must not hold up those that are done.
/// In unit tests it may grow old, so that a loaded machine does not decide who is in it.
const BATCH_AGE: Duration = Duration::from_millis(if cfg!(test) { 500 } else { 10 });
/// A batch takes this many writes.
const BATCH_SIZE: usize = 128;
/// So many may wait; whoever comes then is told "busy" at once.
const QUEUE: usize = 4096;
/// How long a caller whose turn came waits for the disk before it is told that the outcome is unknown.
const PATIENCE: Duration = Duration::from_secs(10);

// Never without RELEASE: it notices that SQLite itself rolled back (disk full, I/O error, interrupt).
const BEGIN: &str = "BEGIN IMMEDIATE; SAVEPOINT w";
const KEEP_AND_NEXT: &str = "RELEASE w; SAVEPOINT w";
const DROP_AND_NEXT: &str = "ROLLBACK TO w";
const DROP: &str = "ROLLBACK TO w; RELEASE w";
const KEEP_AND_COMMIT: &str = "RELEASE w; COMMIT";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";

/// The callers' side of the door.
pub(super) struct Door {
    queue: mpsc::Sender<Message>,
    thread: ThreadId,
}

enum Message {
    Write(Box<dyn Write>),
    Close(oneshot::Sender<()>),
}

/// The states of a write in the queue.
const WAITING: u8 = 0;
const STARTED: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Door {
    /// Starts the writer.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be opened.
    pub(super) async fn open(path: &Path, progress: Arc<Progress>, health: Arc<Health>) -> Result<Self> {
        let (queue, writes) = mpsc::channel(QUEUE);
        let (ready, opened) = oneshot::channel();
        let path = path.to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(Error::unavailable)?;
        let thread = std::thread::Builder::new().name("writer".into()).spawn(move || {
            runtime.block_on(async move {
                match Writer::open(&path, progress, (writes, health)).await {
                    Ok(writer) => {
                        ready.send(Ok(())).ok();
                        writer.serve().await;
                    }
                    Err(e) => drop(ready.send(Err(e))),
                }
            });
        });
        let thread = thread.map_err(Error::unavailable)?.thread().id();
        opened.await.map_err(|_| gone())??;
        Ok(Self { queue, thread })
    }

    /// Queues a write and waits for its commit.
    ///
    /// # Errors
    /// See [`super::Db::write`].
    pub(super) async fn write<F, T>(&self, f: F) -> Result<T>
    where
        F: AsyncFn(&Tx) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        if std::thread::current().id() == self.thread {
            return Err(Error::internal("a write inside a write would wait for itself"));
        }
        let (reply, mut answer) = oneshot::channel();
        let stage = Stage(Arc::new(AtomicU8::new(WAITING)));
        let job = Job { f, outcome: None, reply, stage: stage.0.clone() };
        self.queue.try_send(Message::Write(Box::new(job))).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => Error::busy("too many writes wait"),
            mpsc::error::TrySendError::Closed(_) => gone(),
        })?;
        let waited = match timeout(WAIT, &mut answer).await {
            Ok(answered) => Ok(answered),
            Err(_) if stage.give_up() => return Err(Error::busy("a write's turn did not come in time")),
            Err(_) => timeout(PATIENCE, &mut answer).await,
        };
        match waited {
            Ok(answered) => answered.map_err(|_| gone())?,
            Err(_) => Err(Error::unavailable("the disk does not answer; whether the write was kept is unknown")),
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Lets the writer finish what is queued, refuses what comes later, and waits for its end.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            closed.await.ok();
        }
    }
}

fn gone() -> Error {
    Error::unavailable("the database is closed")
}

/// The caller's hold on its place in the queue: whoever goes away before the turn comes leaves nothing to do.
struct Stage(Arc<AtomicU8>);

impl Stage {
    /// Leaves the queue; false when the turn has come already.
    fn give_up(&self) -> bool {
        self.0.compare_exchange(WAITING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// A queued write without its types.
trait Write: Send {
    /// Takes the turn; false when nobody waits for the answer any more.
    fn begin(&self) -> bool;
    /// Runs it once more from the start; true when it is to be kept.
    fn run<'a>(&'a mut self, tx: &'a Tx) -> Pin<Box<dyn Future<Output = bool> + 'a>>;
    /// Whatever it said, it failed.
    fn spoil(&mut self, error: Error);
    fn is_good(&self) -> bool;
    fn answer(self: Box<Self>);
}

struct Job<F, T> {
    f: F,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
    stage: Arc<AtomicU8>,
}

impl<F, T> Write for Job<F, T>
where
    F: AsyncFn(&Tx) -> Result<T> + Send,
    T: Send,
{
    fn begin(&self) -> bool {
        match self.stage.compare_exchange(WAITING, STARTED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            // Run again, because another write took the whole batch down.
            Err(stage) => stage == STARTED && !self.reply.is_closed(),
        }
    }

    fn run<'a>(&'a mut self, tx: &'a Tx) -> Pin<Box<dyn Future<Output = bool> + 'a>> {
        Box::pin(async move {
            let outcome = tx.judged((self.f)(tx).await);
            let good = outcome.is_ok();
            self.outcome = Some(outcome);
            good
        })
    }

    fn spoil(&mut self, error: Error) {
        self.outcome = Some(Err(error));
    }

    fn is_good(&self) -> bool {
        matches!(self.outcome, Some(Ok(_)))
    }

    fn answer(self: Box<Self>) {
        let Job { outcome, reply, .. } = *self;
        // Nobody there to hear it is no fault.
        reply.send(outcome.unwrap_or_else(|| Err(gone()))).ok();
    }
}

/// Ends a statement that runs past the deadline of its write: a caller that went away must not block the next.
pub(super) struct Progress {
    base: Instant,
    /// Microseconds after `base`.
    until: AtomicI64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { base: Instant::now(), until: AtomicI64::new(i64::MAX) }
    }

    /// Asked by SQLite, every few thousand instructions.
    pub(super) fn may_go_on(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until == i64::MAX || self.passed() <= until
    }

    fn passed(&self) -> i64 {
        i64::try_from(self.base.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    fn allow(&self, span: Duration) {
        self.until.store(self.passed() + i64::try_from(span.as_micros()).unwrap_or(0), Ordering::Relaxed);
    }

    fn forget(&self) {
        self.until.store(i64::MAX, Ordering::Relaxed);
    }
}

struct Writer {
    queue: mpsc::Receiver<Message>,
    pool: DatabaseConnection,
    tx: Tx,
    progress: Arc<Progress>,
    health: Arc<Health>,
    /// Innocent writes of a batch that SQLite rolled back as a whole.
    again: VecDeque<Box<dyn Write>>,
    closing: Vec<oneshot::Sender<()>>,
}

impl Writer {
    async fn open(
        path: &Path,
        progress: Arc<Progress>,
        (queue, health): (mpsc::Receiver<Message>, Arc<Health>),
    ) -> Result<Self> {
        let pool = connect::writer(path, Some(progress.clone())).await?;
        let tx = held(&pool).await?;
        Ok(Self { queue, pool, tx, progress, health, again: VecDeque::new(), closing: vec![] })
    }

    async fn serve(mut self) {
        while let Some(first) = self.next().await {
            self.batch(first).await;
        }
        // sea-orm believes itself in a transaction: give it one to end.
        let Self { tx, pool, closing, .. } = self;
        tx.inner.execute_unprepared("BEGIN").await.ok();
        tx.inner.rollback().await.ok();
        pool.close().await.ok();
        for done in closing {
            done.send(()).ok();
        }
    }

    /// Sleeps until there is something to do; `None` when the door was closed and the queue is empty.
    async fn next(&mut self) -> Option<Box<dyn Write>> {
        loop {
            if let Some(write) = self.again.pop_front() {
                return Some(write);
            }
            match self.queue.recv().await? {
                Message::Write(write) => return Some(write),
                Message::Close(done) => self.shut(done),
            }
        }
    }

    /// Whoever waits at this moment.
    fn another(&mut self) -> Option<Box<dyn Write>> {
        loop {
            let write = match self.again.pop_front() {
                Some(write) => write,
                None => match self.queue.try_recv().ok()? {
                    Message::Write(write) => write,
                    Message::Close(done) => {
                        self.shut(done);
                        continue;
                    }
                },
            };
            if write.begin() {
                return Some(write);
            }
        }
    }

    fn shut(&mut self, done: oneshot::Sender<()>) {
        self.queue.close();
        self.closing.push(done);
    }

    /// One transaction: `first` and, while it is young, whoever else waits.
    async fn batch(&mut self, first: Box<dyn Write>) {
        let mut write = first;
        if self.health.is_broken() {
            return refuse(write, Error::unavailable("an earlier commit failed; the process must be started again"));
        }
        self.progress.forget();
        if let Err(e) = self.say(BEGIN).await {
            return self.not_begun(write, e).await;
        }
        if !write.begin() {
            self.say(ROLLBACK).await.ok();
            return;
        }
        let began = Instant::now();
        let mut done: Vec<Box<dyn Write>> = vec![];
        loop {
            let good = self.run(&mut write).await;
            let room = done.len() + 1 < BATCH_SIZE && began.elapsed() < BATCH_AGE;
            let next = if room { self.another() } else { None };
            let Some(next) = next else { return self.finish(done, write).await };
            let said = self.say(if good { KEEP_AND_NEXT } else { DROP_AND_NEXT }).await;
            done.push(std::mem::replace(&mut write, next));
            if let Err(e) = said {
                self.again.push_front(write);
                return self.lost(done, e).await;
            }
        }
    }

    /// Runs one write; true when it is to be kept.
    async fn run(&self, write: &mut Box<dyn Write>) -> bool {
        self.tx.state.store(CLEAN, Ordering::Relaxed);
        self.progress.allow(DEADLINE);
        let began = Instant::now();
        match timeout(DEADLINE, caught(write.run(&self.tx))).await {
            Ok(Ok(true)) => return true,
            // SQLite was interrupted in the middle of a statement: that is our doing, not a fault of its own.
            Ok(Ok(false)) if began.elapsed() >= DEADLINE => write.spoil(late()),
            Ok(Ok(false)) => {}
            Ok(Err(())) => write.spoil(Error::internal("a write panicked")),
            // What still runs in SQLite's thread ends at the next look at the deadline, which has passed.
            Err(_) => write.spoil(late()),
        }
        false
    }

    /// Commits what is good and answers everybody.
    async fn finish(&mut self, mut done: Vec<Box<dyn Write>>, last: Box<dyn Write>) {
        let last_is_good = last.is_good();
        done.push(last);
        if !done.iter().any(|write| write.is_good()) {
            self.say(ROLLBACK).await.ok();
            return done.into_iter().for_each(|write| write.answer());
        }
        if !last_is_good && let Err(e) = self.say(DROP).await {
            return self.lost(done, e).await;
        }
        // A commit is not interrupted: it is what everybody waits for.
        self.progress.forget();
        let committed = if self.health.fail_next_commit.swap(false, Ordering::Relaxed) {
            Err((String::from("asked to, by a test"), true))
        } else {
            let words = if last_is_good { KEEP_AND_COMMIT } else { COMMIT };
            self.say(words).await.map_err(|e| (e.to_string(), is_io(&e)))
        };
        let Err((why, io)) = committed else { return done.into_iter().for_each(|write| write.answer()) };
        tracing::error!(error = why, writes = done.len(), "a commit failed");
        if io {
            // After a failed fsync the kernel may have dropped the pages: only a new process reads the truth again.
            self.health.broken.send_replace(true);
        }
        self.say(ROLLBACK).await.ok();
        for write in done {
            refuse(write, Error::unavailable(format!("the commit failed: {why}")));
        }
    }

    /// SQLite rolled back the whole batch under the last write of `done`. The others are innocent and run again.
    async fn lost(&mut self, mut done: Vec<Box<dyn Write>>, e: DbErr) {
        self.say(ROLLBACK).await.ok();
        if let Some(mut guilty) = done.pop() {
            if guilty.is_good() {
                guilty.spoil(e.into());
            }
            guilty.answer();
        }
        for write in done.into_iter().rev() {
            if write.is_good() {
                self.again.push_front(write);
            } else {
                write.answer();
            }
        }
    }

    async fn not_begun(&mut self, write: Box<dyn Write>, e: DbErr) {
        // 5 is SQLITE_BUSY: a command beside the server holds the lock. The connection is well.
        if sqlite_code(&e) == Some(5) {
            return refuse(write, Error::busy(format!("the database is locked: {e}")));
        }
        tracing::error!(error = e.to_string(), "a transaction could not begin");
        refuse(write, Error::unavailable(&e));
        if let Err(e) = self.reopen().await {
            tracing::error!(error = e.to_string(), "the writer lost its connection");
            self.health.broken.send_replace(true);
        }
    }

    /// Starts from a connection that is certainly in no transaction.
    async fn reopen(&mut self) -> Result<(), DbErr> {
        self.progress.forget();
        self.say("BEGIN").await.ok();
        self.say(ROLLBACK).await?;
        self.say("BEGIN IMMEDIATE").await?;
        self.say(ROLLBACK).await
    }

    async fn say(&self, words: &str) -> Result<(), DbErr> {
        self.tx.inner.execute_unprepared(words).await.map(drop)
    }
}

/// A transaction that sea-orm believes to be open, on a connection that is in none.
async fn held(pool: &DatabaseConnection) -> Result<Tx, DbErr> {
    let tx = Tx::new(pool.begin().await?);
    tx.inner.execute_unprepared(COMMIT).await?;
    Ok(tx)
}

fn refuse(mut write: Box<dyn Write>, error: Error) {
    write.spoil(error);
    write.answer();
}

/// The kinds of failure after which what is on the disk is unknown: I/O error, corruption, or a driver that died.
fn is_io(e: &DbErr) -> bool {
    match sqlite_code(e) {
        // SQLITE_IOERR and SQLITE_CORRUPT. A full disk (13) is no such case: SQLite takes the transaction back.
        Some(code) => matches!(code, 10 | 11),
        None => true,
    }
}

/// A panic in a write ends that write and nothing else.
async fn caught<T>(mut future: Pin<Box<dyn Future<Output = T> + '_>>) -> Result<T, ()> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err(())),
    })
    .await
}
