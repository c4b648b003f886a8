//! What the requests of one core come to, by who was asked for what. Each core counts for itself:
//! counters that cores share cost more than all the rest of the counting.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet},
    metrics::MetricType,
};
use tollgate_store::{Outcome, UsageRow};

/// Upper bounds of the histograms' buckets in seconds; one more holds what is above.
const BOUNDS_S: [f64; 16] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0,
];

/// Who was asked for what: the labels of the main counters. Bounded by the configuration: a name
/// that no target answered for never gets here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct Asked {
    requested_model: Arc<str>,
    model: Arc<str>,
    api_provider: Arc<str>,
}

/// The same, with the answer's status.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, EncodeLabelSet)]
struct Answered {
    requested_model: Arc<str>,
    api_provider: Arc<str>,
    status_code: u16,
}

/// The counts of all cores.
#[derive(Debug, Clone)]
pub(crate) struct Tallies(Arc<[Tally]>);

/// One core's counts, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Tally(Mutex<HashMap<Arc<str>, Vec<Line>, foldhash::fast::RandomState>>);

/// The counts of one set of labels.
#[derive(Debug)]
struct Line {
    group: Arc<str>,
    provider: Arc<str>,
    status: u16,
    sums: Sums,
}

#[derive(Debug, Clone, Default)]
struct Sums {
    requests: u64,
    failed: u64,
    /// Nano-USD.
    spend: i128,
    input: u64,
    output: u64,
    cached: u64,
    reasoning: u64,
    total_latency: Times,
    first_token: Times,
}

/// A histogram of times.
#[derive(Debug, Clone, Default)]
struct Times {
    buckets: [u64; BOUNDS_S.len() + 1],
    /// Microseconds.
    sum_us: i128,
}

impl Times {
    fn add(&mut self, us: i64) {
        let us = us.max(0);
        let seconds = us as f64 / 1e6;
        let at = BOUNDS_S.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS_S.len());
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.sum_us += i128::from(us);
    }

    fn merge(&mut self, other: &Times) {
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
        self.sum_us += other.sum_us;
    }

    fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

impl Sums {
    fn add(&mut self, row: &UsageRow) {
        self.requests += 1;
        self.failed += u64::from(row.outcome != Outcome::Ok);
        if row.target.is_empty() {
            return;
        }
        self.spend += row.cost.map_or(0, |cost| i128::from(cost.0));
        self.input = self.input.saturating_add(row.input);
        self.output = self.output.saturating_add(row.output);
        self.cached = self.cached.saturating_add(row.cache_read);
        self.reasoning = self.reasoning.saturating_add(row.reasoning);
        self.total_latency.add(row.ended_us.saturating_sub(row.started_us));
        if let Some(first) = row.first_byte_us.filter(|_| row.stream) {
            self.first_token.add(first.saturating_sub(row.started_us));
        }
    }

    fn merge(&mut self, other: &Sums) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.spend += other.spend;
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cached = self.cached.saturating_add(other.cached);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
        self.total_latency.merge(&other.total_latency);
        self.first_token.merge(&other.first_token);
    }
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Line>, foldhash::fast::RandomState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, row: &UsageRow) {
        // What a client makes up is no label: only names that a target answered for are.
        let group: &str = if row.target.is_empty() { "" } else { &row.group };
        let mut models = self.lock();
        let lines = match models.get_mut(&*row.model) {
            Some(lines) => lines,
            None => models.entry(Arc::clone(&row.model)).or_default(),
        };
        let found = lines.iter_mut().find(|line| {
            line.status == row.status && *line.group == *group && *line.provider == *row.provider
        });
        if let Some(line) = found {
            line.sums.add(row);
            return;
        }
        let mut sums = Sums::default();
        sums.add(row);
        let provider = Arc::clone(&row.provider);
        lines.push(Line { group: Arc::from(group), provider, status: row.status, sums });
    }
}

impl Tallies {
    pub(crate) fn new(cores: usize) -> Self {
        Tallies((0..cores).map(|_| Tally::default()).collect())
    }

    /// Counts a request of a core that is over.
    pub(crate) fn add(&self, core: usize, row: &UsageRow) {
        if let Some(tally) = self.0.get(core) {
            tally.add(row);
        }
    }

    /// All cores' counts, as they are this moment: by labels with and without the status.
    fn sums(&self) -> (BTreeMap<Answered, Sums>, BTreeMap<Asked, Sums>) {
        let (mut answered, mut asked) = (BTreeMap::new(), BTreeMap::new());
        for tally in self.0.iter() {
            for (model, lines) in tally.lock().iter() {
                for Line { group, provider, status, sums } in lines {
                    let labels = Answered {
                        requested_model: Arc::clone(group),
                        api_provider: Arc::clone(provider),
                        status_code: *status,
                    };
                    answered.entry(labels).or_insert_with(Sums::default).merge(sums);
                    if group.is_empty() {
                        continue;
                    }
                    let labels = Asked {
                        requested_model: Arc::clone(group),
                        model: Arc::clone(model),
                        api_provider: Arc::clone(provider),
                    };
                    asked.entry(labels).or_insert_with(Sums::default).merge(sums);
                }
            }
        }
        (answered, asked)
    }
}

/// Writes one counter of all label sets for which it is not zero.
fn counter<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    lines: &BTreeMap<L, Sums>,
    value: impl Fn(&Sums) -> u64,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, sums) in lines {
        let value = value(sums);
        if value > 0 {
            let mut one = metric.encode_family(labels)?;
            one.encode_counter::<NoLabelSet, u64, f64>(&value, None)?;
        }
    }
    Ok(())
}

fn histogram(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    lines: &BTreeMap<Asked, Sums>,
    times: impl Fn(&Sums) -> &Times,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (labels, sums) in lines {
        let times = times(sums);
        let count = times.count();
        if count > 0 {
            let bounds = BOUNDS_S.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(times.buckets).collect();
            let sum = times.sum_us as f64 / 1e6;
            let mut one = metric.encode_family(labels)?;
            one.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
    }
    Ok(())
}

impl Collector for Tallies {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (answered, asked) = self.sums();
        let encoder = &mut encoder;
        let about = (
            "litellm_proxy_total_requests_metric",
            "Requests, by what was asked for and how it ended",
        );
        counter(encoder, about, &answered, |sums| sums.requests)?;
        let about =
            ("litellm_proxy_failed_requests_metric", "Requests that did not end in a whole answer");
        counter(encoder, about, &answered, |sums| sums.failed)?;
        let about = ("litellm_spend_metric", "Cost of answers in USD");
        let mut spend = encoder.encode_descriptor(about.0, about.1, None, MetricType::Counter)?;
        for (labels, sums) in asked.iter().filter(|(_, sums)| sums.spend > 0) {
            let usd = sums.spend as f64 / 1e9;
            spend.encode_family(labels)?.encode_counter::<NoLabelSet, f64, f64>(&usd, None)?;
        }
        let about = ("litellm_input_tokens_metric", "Prompt tokens");
        counter(encoder, about, &asked, |sums| sums.input)?;
        let about = ("litellm_output_tokens_metric", "Answer tokens");
        counter(encoder, about, &asked, |sums| sums.output)?;
        let about =
            ("litellm_input_cached_tokens_metric", "Prompt tokens read from a provider's cache");
        counter(encoder, about, &asked, |sums| sums.cached)?;
        let about = ("litellm_output_reasoning_tokens_metric", "Reasoning tokens");
        counter(encoder, about, &asked, |sums| sums.reasoning)?;
        let about = (
            "litellm_request_total_latency_metric",
            "Seconds from a request's arrival to the end of its answer",
        );
        histogram(encoder, about, &asked, |sums| &sums.total_latency)?;
        let about = (
            "litellm_llm_api_time_to_first_token_metric",
            "Seconds from a request's arrival to the first event of its streamed answer",
        );
        histogram(encoder, about, &asked, |sums| &sums.first_token)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};
    use tollgate_ledger::Nano;

    use super::*;

    #[test]
    fn cores_are_added_up() {
        let tallies = Tallies::new(2);
        let row = UsageRow {
            group: "g".into(),
            model: "m".into(),
            provider: "p".into(),
            target: "t".into(),
            status: 200,
            input: 3,
            output: 4,
            cost: Some(Nano(5_000_000)),
            started_us: 1_000,
            ended_us: 31_000,
            ..UsageRow::default()
        };
        tallies.add(0, &row);
        tallies.add(1, &row);
        let refused = UsageRow {
            group: "made up".into(),
            status: 404,
            outcome: Outcome::Refused,
            ..UsageRow::default()
        };
        tallies.add(1, &refused);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(tallies));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let asked = r#"requested_model="g",model="m",api_provider="p""#;
        for line in [
            r#"litellm_proxy_total_requests_metric_total{requested_model="g",api_provider="p",status_code="200"} 2"#
                .to_owned(),
            r#"litellm_proxy_failed_requests_metric_total{requested_model="",api_provider="",status_code="404"} 1"#
                .to_owned(),
            format!("litellm_spend_metric_total{{{asked}}} 0.01"),
            format!("litellm_input_tokens_metric_total{{{asked}}} 6"),
            format!("litellm_request_total_latency_metric_sum{{{asked}}} 0.06"),
            format!(r#"litellm_request_total_latency_metric_bucket{{le="0.025",{asked}}} 0"#),
            format!(r#"litellm_request_total_latency_metric_bucket{{le="0.05",{asked}}} 2"#),
            format!(r#"litellm_request_total_latency_metric_bucket{{le="+Inf",{asked}}} 2"#),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("made up") && !text.contains("time_to_first_token_metric_sum"));
    }
}
