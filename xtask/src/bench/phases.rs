//! The loads, and one measurement.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{
    gateways::Running,
    machine::{self, Pins},
    process::{Cpu, Line, Server},
};

/// A load that every gateway gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Phase {
    pub(super) name: PhaseName,
    /// How long at scale 1.
    seconds: f64,
    connections: u32,
    /// Requests a second; `None`: each connection asks again as soon as it is answered.
    rate: Option<f64>,
    stream: bool,
    body_bytes: u32,
    model: &'static str,
    /// Clients speak Anthropic's dialect, the upstream OpenAI's: only Tollgate can that.
    pub(super) bridged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(super) enum PhaseName {
    /// 1 kB requests, back to back.
    Short,
    /// 1 kB requests, 1,000 a second.
    Latency,
    /// Streams, their events back to back.
    Stream,
    /// Streams, an event every 10 ms.
    Paced,
    /// 100 kB requests, back to back.
    Large,
    /// 1 kB requests in another dialect than the upstream's, back to back.
    Bridged,
    /// Streams in another dialect than the upstream's, an event every 10 ms.
    BridgedPaced,
}

/// In the order in which they run.
pub(super) const PHASES: [Phase; 7] = {
    let short = Phase {
        name: PhaseName::Short,
        seconds: 10.0,
        connections: 64,
        rate: None,
        stream: false,
        body_bytes: 1024,
        model: "bench",
        bridged: false,
    };
    // A stream lasts a second, so there are as many at a time as start in a second.
    let paced = Phase {
        name: PhaseName::Paced,
        seconds: 8.0,
        connections: 400,
        rate: Some(200.0),
        stream: true,
        model: "bench-g10",
        ..short
    };
    [
        short,
        Phase { name: PhaseName::Latency, seconds: 8.0, rate: Some(1000.0), ..short },
        Phase { name: PhaseName::Stream, seconds: 8.0, stream: true, ..short },
        paced,
        Phase {
            name: PhaseName::Large,
            seconds: 6.0,
            connections: 32,
            body_bytes: 102_400,
            ..short
        },
        Phase { name: PhaseName::Bridged, bridged: true, ..short },
        Phase { name: PhaseName::BridgedPaced, bridged: true, ..paced },
    ]
};

/// The models that the phases ask for.
pub(super) const MODELS: [&str; 2] = ["bench", "bench-g10"];

/// What the load generator says.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Report {
    pub(super) ok: u64,
    pub(super) ok_per_s: f64,
    pub(super) failed: u64,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) sampled: u64,
    pub(super) events: u64,
    pub(super) connects: u64,
    pub(super) latency: Percentiles,
    pub(super) first_byte: Percentiles,
    pub(super) own_cpu_s: f64,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
pub(super) struct Percentiles {
    pub(super) p50_us: f64,
    pub(super) p90_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
    pub(super) max_us: f64,
}

/// One gateway under one load.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Measured {
    pub(super) phase: PhaseName,
    #[serde(flatten)]
    pub(super) report: Report,
    pub(super) user_s: f64,
    pub(super) system_s: f64,
    /// Cores that each was busy with. An upstream near 1 is itself the limit.
    pub(super) gateway_cores: f64,
    pub(super) upstream_cores: f64,
    pub(super) load_cores: f64,
    /// Cores of work that is none of ours.
    pub(super) foreign_cores: f64,
}

impl Measured {
    /// CPU time of the gateway in µs, for each answer that passed the check.
    pub(super) fn cpu_us_per_answer(&self) -> f64 {
        (self.user_s + self.system_s) * 1e6 / self.answers()
    }

    /// CPU time of the gateway in µs, for each content event.
    pub(super) fn cpu_us_per_event(&self) -> f64 {
        (self.user_s + self.system_s) * 1e6 / (self.report.events.max(1) as f64)
    }

    /// Events a second.
    pub(super) fn events_per_s(&self) -> f64 {
        self.report.ok_per_s * self.report.events as f64 / self.answers()
    }

    fn answers(&self) -> f64 {
        self.report.ok.max(1) as f64
    }
}

/// What every measurement needs.
#[derive(Debug)]
pub(super) struct Bench<'a> {
    /// The folder of the load generator.
    pub(super) bin: &'a Path,
    pub(super) pins: &'a Pins,
    pub(super) upstream: &'a Server,
    pub(super) scale: f64,
    pub(super) patience: Duration,
}

impl Bench<'_> {
    /// Loads a gateway for a moment, so that connections and caches are warm; how many answers it
    /// gave.
    pub(super) fn warm(&self, phase: &Phase, gateway: &Running) -> anyhow::Result<u64> {
        Ok(if phase.rate.is_none() { self.load(phase, gateway, 0.4)?.ok } else { 0 })
    }

    /// Loads a gateway and measures what it costs.
    pub(super) fn measure(&self, phase: &Phase, gateway: &Running) -> anyhow::Result<Measured> {
        machine::wait_for_quiet(self.patience);
        let cpu = || gateway.server.as_ref().map(Server::cpu).unwrap_or_default();
        let (cpu_before, upstream_before) = (cpu(), self.upstream.cpu());
        let (machine_before, began) = (machine::busy_s(), Instant::now());
        let report = self.load(phase, gateway, (phase.seconds * self.scale).max(0.5))?;
        let took = began.elapsed().as_secs_f64();
        let in_load = cpu().since(cpu_before);
        let machine = machine::busy_s() - machine_before;
        if let Some(server) = &gateway.server {
            server.rest();
        }
        let spent: Cpu = cpu().since(cpu_before);
        let upstream_cores = self.upstream.cpu().since(upstream_before).total_s() / took;
        let load_cores = report.own_cpu_s / took;
        let gateway_cores = in_load.total_s() / took;
        let ours = upstream_cores + load_cores + gateway_cores;
        Ok(Measured {
            phase: phase.name,
            report,
            user_s: spent.user_s,
            system_s: spent.system_s,
            gateway_cores,
            upstream_cores,
            load_cores,
            foreign_cores: (machine / took - ours).max(0.0),
        })
    }

    fn load(&self, phase: &Phase, gateway: &Running, seconds: f64) -> anyhow::Result<Report> {
        let mut line = Line::new([
            self.bin.join("bench-load").to_string_lossy().as_ref(),
            "--target",
            &gateway.address.to_string(),
            "--model",
            &gateway.model(phase.model),
            "--connections",
            &phase.connections.to_string(),
            "--body-bytes",
            &phase.body_bytes.to_string(),
            "--seconds",
            &seconds.to_string(),
        ]);
        let mut add = |words: &[&str]| line.words.extend(words.iter().map(|&w| w.to_owned()));
        if let Some(rate) = phase.rate {
            add(&["--rate", &rate.to_string()]);
            if self.pins.own_core {
                add(&["--spin"]);
            }
        }
        if phase.stream {
            add(&["--stream"]);
        }
        if phase.bridged {
            add(&["--dialect", "anthropic"]);
        }
        if let Some(keys) = &gateway.keys {
            add(&["--keys", &keys.to_string_lossy()]);
        }
        let mut command = line.command(self.pins.load.as_deref())?;
        let output = command.stderr(Stdio::inherit()).output()?;
        anyhow::ensure!(output.status.success(), "the load generator failed");
        serde_json::from_slice(&output.stdout).context("the load generator's report is broken")
    }
}
