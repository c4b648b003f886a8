//! Counters for Prometheus, under LiteLLM's names where it has one, so that its dashboards work.

use prometheus_client::{encoding::text::encode, metrics::gauge::Gauge, registry::Registry};
use tollgate_store::UsageRow;

use crate::tally::Tallies;

/// All counters of the process.
pub struct Metrics {
    registry: Registry,
    tallies: Tallies,
    /// Requests that are being served now.
    pub in_flight: Gauge,
    /// 1 while the configuration in force is the file's, 0 after a reload that failed.
    pub config_ok: Gauge,
    /// Usage rows that are in the journal and not yet in the database.
    pub journal_pending: Gauge,
    /// Answers in the background that are still to be paid for, of all nodes.
    pub background_pending: Gauge,
}

impl Metrics {
    /// Counters for so many cores.
    pub fn new(cores: usize) -> Self {
        let mut metrics = Metrics {
            registry: Registry::default(),
            tallies: Tallies::new(cores),
            in_flight: Gauge::default(),
            config_ok: Gauge::default(),
            journal_pending: Gauge::default(),
            background_pending: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register_collector(Box::new(self.tallies.clone()));
        r.register("litellm_in_flight_requests", "Requests being served", self.in_flight.clone());
        r.register(
            "tollgate_config_ok",
            "1 while the configuration in force is the file's, 0 after a reload that failed",
            self.config_ok.clone(),
        );
        r.register(
            "tollgate_journal_pending",
            "Usage rows in the journal and not yet in the database",
            self.journal_pending.clone(),
        );
        r.register(
            "tollgate_background_pending",
            "Answers in the background that are still to be paid for",
            self.background_pending.clone(),
        );
    }

    /// Counts a request of a core that is over.
    pub fn count(&self, core: usize, row: &UsageRow) {
        self.tallies.add(core, row);
    }

    /// The exposition text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a `String` cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
