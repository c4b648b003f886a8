//! The time of a request, read once at the edge and handed down.

use std::time::{Duration, Instant};

/// A moment on both clocks: the wall's, for what people see, and the monotonic one, for durations.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Microseconds since the Unix epoch.
    pub unix_us: i64,
    /// The same moment on the clock that never jumps.
    pub mono: Instant,
}

impl Now {
    /// Reads both clocks.
    pub fn read() -> Self {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Now {
            unix_us: i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX),
            mono: Instant::now(),
        }
    }

    /// The time now, by the steady clock alone: this moment and what has passed since.
    pub fn later(self) -> Self {
        self.after(self.mono.elapsed())
    }

    /// This moment and what has passed since.
    pub fn after(self, passed: Duration) -> Self {
        let us = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
        Now { unix_us: self.unix_us.saturating_add(us), mono: self.mono + passed }
    }

    /// Milliseconds since the Unix epoch; never negative.
    pub fn unix_ms(&self) -> u64 {
        u64::try_from(self.unix_us / 1_000).unwrap_or(0)
    }

    /// A version 7 UUID of this moment. Its randomness makes it unique, not secret.
    pub fn request_id(&self) -> uuid::Uuid {
        let mut random = [0; 10];
        fastrand::Rng::new().fill(&mut random);
        uuid::Builder::from_unix_timestamp_millis(self.unix_ms(), &random).into_uuid()
    }
}
