//! What time it is. The only place that asks the operating system; everything else takes an instant or a [`Clock`].

use entity::Micros;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// The process's clock. Tests hold it; servers let it run.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// How far it has been moved from the system's, in microseconds.
    moved: Arc<AtomicI64>,
}

impl Clock {
    #[allow(clippy::disallowed_methods)]
    pub fn now(&self) -> Micros {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Micros(since.as_micros() as i64 + self.moved.load(Ordering::Relaxed))
    }

    /// Moves this clock, and every clone of it, ahead. For tests.
    pub fn advance(&self, span: Duration) {
        self.moved.fetch_add(span.as_micros() as i64, Ordering::Relaxed);
    }
}
