//! Durations of many requests, and their percentiles.

use std::time::Duration;

use serde::Serialize;

/// Durations, kept one by one: exact at the ends, where buckets are not.
#[derive(Debug, Default)]
pub struct Timing {
    nanos: Vec<u64>,
}

/// Percentiles in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50_us: f64,
    /// 90 of 100 took no longer.
    pub p90_us: f64,
    /// 99 of 100 took no longer.
    pub p99_us: f64,
    /// 999 of 1,000 took no longer.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl Timing {
    /// One more.
    pub fn add(&mut self, took: Duration) {
        self.nanos.push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.nanos.len()
    }

    /// True where nothing was added.
    pub fn is_empty(&self) -> bool {
        self.nanos.is_empty()
    }

    /// Percentiles (nearest rank); zeros where nothing was added.
    pub fn percentiles(&self) -> Percentiles {
        let mut sorted = self.nanos.clone();
        sorted.sort_unstable();
        let at = |per_mille: usize| {
            let rank = sorted.len().saturating_mul(per_mille).div_ceil(1000).max(1);
            let nanos = sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0);
            nanos as f64 / 1e3
        };
        Percentiles {
            p50_us: at(500),
            p90_us: at(900),
            p99_us: at(990),
            p999_us: at(999),
            max_us: at(1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut timing = Timing::default();
        for n in (1..=1000).rev() {
            timing.add(Duration::from_micros(n));
        }
        let found = timing.percentiles();
        assert_eq!((found.p50_us, found.p99_us, found.p999_us), (500.0, 990.0, 999.0));
        assert_eq!(found.max_us, 1000.0);
        assert_eq!(Timing::default().percentiles(), Percentiles::default());
    }
}
