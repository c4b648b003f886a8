//! Counters for Prometheus, under LiteLLM's names where it has one, so that its dashboards work.

use std::sync::{Arc, atomic::AtomicU64};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tollgate_store::{Outcome, UsageRow};

/// Who was asked for what: the labels of the main counters. Bounded by the configuration: a name
/// that no group has never gets here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Asked {
    requested_model: Arc<str>,
    model: Arc<str>,
    api_provider: Arc<str>,
}

/// The same, with the answer's status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answered {
    requested_model: Arc<str>,
    api_provider: Arc<str>,
    status_code: u16,
}

type Seconds = Family<Asked, Histogram, fn() -> Histogram>;

/// All counters of the process.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    failed: Family<Answered, Counter>,
    spend: Family<Asked, Counter<f64, AtomicU64>>,
    input: Family<Asked, Counter>,
    output: Family<Asked, Counter>,
    cached: Family<Asked, Counter>,
    reasoning: Family<Asked, Counter>,
    total_latency: Seconds,
    first_token: Seconds,
    /// Requests that are being served now.
    pub in_flight: Gauge,
    /// 1 while the configuration in force is the file's, 0 after a reload that failed.
    pub config_ok: Gauge,
    /// Usage rows that are in the journal and not yet in the database.
    pub journal_pending: Gauge,
}

fn seconds() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
        600.0,
    ])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Metrics {
            registry: Registry::default(),
            requests: Family::default(),
            failed: Family::default(),
            spend: Family::default(),
            input: Family::default(),
            output: Family::default(),
            cached: Family::default(),
            reasoning: Family::default(),
            total_latency: Family::new_with_constructor(seconds),
            first_token: Family::new_with_constructor(seconds),
            in_flight: Gauge::default(),
            config_ok: Gauge::default(),
            journal_pending: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register(
            "litellm_proxy_total_requests_metric",
            "Requests, by what was asked for and how it ended",
            self.requests.clone(),
        );
        r.register(
            "litellm_proxy_failed_requests_metric",
            "Requests that did not end in a whole answer",
            self.failed.clone(),
        );
        r.register("litellm_spend_metric", "Cost of answers in USD", self.spend.clone());
        r.register("litellm_input_tokens_metric", "Prompt tokens", self.input.clone());
        r.register("litellm_output_tokens_metric", "Answer tokens", self.output.clone());
        r.register(
            "litellm_input_cached_tokens_metric",
            "Prompt tokens read from a provider's cache",
            self.cached.clone(),
        );
        r.register(
            "litellm_output_reasoning_tokens_metric",
            "Reasoning tokens",
            self.reasoning.clone(),
        );
        r.register(
            "litellm_request_total_latency_metric",
            "Seconds from a request's arrival to the end of its answer",
            self.total_latency.clone(),
        );
        r.register(
            "litellm_llm_api_time_to_first_token_metric",
            "Seconds from a request's arrival to the first event of its streamed answer",
            self.first_token.clone(),
        );
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
    }

    /// Counts a request that is over.
    pub fn count(&self, row: &UsageRow) {
        let answered = Answered {
            // What a client makes up is no label: only names that a target answered for are.
            requested_model: if row.target.is_empty() {
                Arc::default()
            } else {
                Arc::clone(&row.group)
            },
            api_provider: Arc::clone(&row.provider),
            status_code: row.status,
        };
        if row.outcome != Outcome::Ok {
            self.failed.get_or_create(&answered).inc();
        }
        self.requests.get_or_create(&answered).inc();
        if row.target.is_empty() {
            return;
        }
        let asked = Asked {
            requested_model: Arc::clone(&row.group),
            model: Arc::clone(&row.model),
            api_provider: Arc::clone(&row.provider),
        };
        if let Some(cost) = row.cost {
            self.spend.get_or_create(&asked).inc_by(cost.0 as f64 / 1e9);
        }
        self.input.get_or_create(&asked).inc_by(row.input);
        self.output.get_or_create(&asked).inc_by(row.output);
        if row.cache_read > 0 {
            self.cached.get_or_create(&asked).inc_by(row.cache_read);
        }
        if row.reasoning > 0 {
            self.reasoning.get_or_create(&asked).inc_by(row.reasoning);
        }
        let seconds = |end: i64| (end.saturating_sub(row.started_us)) as f64 / 1e6;
        self.total_latency.get_or_create(&asked).observe(seconds(row.ended_us));
        if let Some(first) = row.first_byte_us.filter(|_| row.stream) {
            self.first_token.get_or_create(&asked).observe(seconds(first));
        }
    }

    /// The exposition text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a `String` cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
