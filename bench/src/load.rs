//! The load generator: many connections on one thread.
//!
//! *Closed loop*: each connection sends its next request when its last is answered. *Open loop*:
//! requests are due at fixed times, whether or not earlier ones were answered, and a latency
//! counts from when its request was due, so a stall is charged to every request that it held up.

mod line;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mio::{Events, Poll, Token, event::Event};
use serde::Serialize;

use self::line::{Line, Outcome, Sends};
use crate::{
    ask::Ask,
    check::{Check, Expect},
    timing::{Percentiles, Timing},
};

/// How to load.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Who is asked.
    pub target: SocketAddr,
    /// What is asked.
    pub ask: Ask,
    /// Used in turn, one a request.
    pub keys: Vec<String>,
    /// Connections; in the open loop, the most of them.
    pub connections: usize,
    /// Requests a second in the open loop; `None` is the closed loop.
    pub rate: Option<f64>,
    /// How long requests are started.
    pub lasts: Duration,
    /// A request that is not answered after this long has failed.
    pub patience: Duration,
    /// Content events that a streamed answer must have.
    pub events: usize,
    /// One answer in this many is parsed whole.
    pub sample: u64,
    /// The open loop spins, so that no request is sent late; it needs a core of its own.
    pub spin: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Requests started.
    pub sent: u64,
    /// Answers that passed the check.
    pub ok: u64,
    /// Answers that passed the check and came in time, per second.
    pub ok_per_s: f64,
    /// Requests that failed, were never sent, or whose answer did not pass the check.
    pub failed: u64,
    /// Those by what was wrong.
    pub errors: BTreeMap<String, u64>,
    /// Answers that were parsed whole.
    pub sampled: u64,
    /// Content events in the answers that passed.
    pub events: u64,
    /// Connections made.
    pub connects: u64,
    /// From when a request was due until its answer was whole.
    pub latency: Percentiles,
    /// From when a request was due until the first byte of its answer's body.
    pub first_byte: Percentiles,
    /// CPU time of the generator itself, in seconds.
    pub own_cpu_s: f64,
}

/// A load under way.
#[derive(Debug)]
pub struct Load {
    plan: Plan,
    sends: Sends,
    check: Check,
    poll: Poll,
    lines: Vec<Line>,
    idle: Vec<usize>,
    next_key: usize,
    latency: Timing,
    first_byte: Timing,
    report: Report,
    in_time: u64,
    ends: Instant,
    buffer: Vec<u8>,
}

impl Load {
    /// Prepares all that can be prepared.
    pub fn new(plan: Plan) -> io::Result<Load> {
        let body: Bytes = plan.ask.body();
        let heads = plan.keys.iter().map(|key| plan.ask.head(key, body.len())).collect();
        let Ask { dialect, stream, usage, .. } = plan.ask;
        Ok(Load {
            sends: Sends { target: plan.target, heads, body },
            check: Check::new(Expect { dialect, stream, events: plan.events, usage }),
            poll: Poll::new()?,
            lines: Vec::new(),
            idle: Vec::new(),
            next_key: 0,
            latency: Timing::default(),
            first_byte: Timing::default(),
            report: Report::empty(),
            in_time: 0,
            ends: Instant::now(),
            buffer: vec![0; 256 * 1024],
            plan,
        })
    }

    /// Loads, and reports.
    pub fn run(mut self) -> io::Result<Report> {
        let mut events = Events::with_capacity(4096);
        self.connect_all(&mut events)?;
        let begins = Instant::now();
        self.ends = begins + self.plan.lasts;
        match self.plan.rate {
            None => self.closed_loop(&mut events)?,
            Some(rate) => self.open_loop(begins, rate, &mut events)?,
        }
        // What is under way may finish, but no request gets more than its time.
        while self.idle.len() < self.lines.len() {
            self.give_up(Instant::now());
            self.pump(&mut events, Duration::from_millis(1))?;
        }
        Ok(self.close())
    }

    /// Connections are made before the clock starts.
    fn connect_all(&mut self, events: &mut Events) -> io::Result<()> {
        for id in 0..self.plan.connections {
            let mut line = Line::new(Token(id));
            line.connect(&self.sends, &self.poll)?;
            self.lines.push(line);
            self.idle.push(id);
        }
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until && self.lines.iter().any(|line| !line.is_open()) {
            self.pump(events, Duration::from_millis(5))?;
        }
        Ok(())
    }

    fn closed_loop(&mut self, events: &mut Events) -> io::Result<()> {
        let mut next_look = Instant::now();
        let mut resting = Vec::new();
        loop {
            let now = Instant::now();
            if now >= self.ends {
                return Ok(());
            }
            if now >= next_look {
                self.give_up(now);
                next_look = now + Duration::from_millis(100);
            }
            while let Some(id) = self.idle.pop() {
                if self.lines.get(id).is_some_and(|line| line.rests_at(now)) {
                    resting.push(id);
                } else {
                    self.start(id, Instant::now());
                }
            }
            let wait = if resting.is_empty() { 10 } else { 1 };
            self.idle.append(&mut resting);
            self.pump(events, Duration::from_millis(wait))?;
        }
    }

    fn open_loop(&mut self, begins: Instant, rate: f64, events: &mut Events) -> io::Result<()> {
        let gap = Duration::from_secs_f64(1.0 / rate.max(0.001));
        let (mut due, mut number) = (begins, 0_u32);
        let mut waiting = VecDeque::new();
        let mut next_look = begins;
        loop {
            let now = Instant::now();
            if now >= self.ends {
                break;
            }
            while due <= now {
                waiting.push_back(due);
                number = number.saturating_add(1);
                due = begins + gap.saturating_mul(number);
            }
            while let Some(id) = self.idle.last().copied() {
                let Some(due) = waiting.pop_front() else { break };
                self.idle.pop();
                self.start(id, due);
            }
            if now >= next_look {
                self.give_up(now);
                next_look = now + Duration::from_millis(100);
            }
            let wait = if self.plan.spin {
                Duration::ZERO
            } else {
                due.saturating_duration_since(Instant::now())
            };
            self.pump(events, wait)?;
        }
        for _ in waiting {
            self.report.fail("never sent: all connections were busy".to_owned());
        }
        Ok(())
    }

    fn start(&mut self, id: usize, due: Instant) {
        let key = self.next_key;
        self.next_key = key.saturating_add(1) % self.sends.heads.len().max(1);
        self.report.sent = self.report.sent.saturating_add(1);
        let Some(line) = self.lines.get_mut(id) else { return };
        let outcome = line.start(key, due, &self.sends, &self.poll);
        self.settle(id, outcome);
    }

    /// Waits for events and follows each.
    fn pump(&mut self, events: &mut Events, wait: Duration) -> io::Result<()> {
        match self.poll.poll(events, Some(wait)) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in events.iter() {
            self.follow(event);
        }
        Ok(())
    }

    fn follow(&mut self, event: &Event) {
        let Token(id) = event.token();
        let Some(line) = self.lines.get_mut(id) else { return };
        let outcome = line.follow(event, &self.sends, &self.poll, &mut self.buffer);
        self.settle(id, outcome);
    }

    fn settle(&mut self, id: usize, outcome: Outcome) {
        let verdict = match outcome {
            Outcome::Goes => return,
            Outcome::Failed(why) => Err(why),
            Outcome::Answered { due, first_byte } => self.judge(id, due, first_byte),
        };
        let failed = verdict.is_err();
        if let Err(why) = verdict {
            self.report.fail(why);
        }
        let Some(line) = self.lines.get_mut(id) else { return };
        // A connection can fail while nothing is under way on it; then it is idle already.
        if line.rest(failed, &self.poll) {
            self.idle.push(id);
        }
    }

    fn judge(&mut self, id: usize, due: Instant, first_byte: Instant) -> Result<(), String> {
        let now = Instant::now();
        let Some(line) = self.lines.get(id) else { return Ok(()) };
        let reply = line.reply();
        let events = self.check.quick(reply).map_err(|why| match why {
            "not 200" => format!("answer: status {}", reply.status()),
            why => format!("answer: {why}"),
        })?;
        if self.report.ok.is_multiple_of(self.plan.sample.max(1)) {
            self.check.full(reply).map_err(|why| format!("answer: {why}"))?;
            self.report.sampled = self.report.sampled.saturating_add(1);
        }
        self.report.ok = self.report.ok.saturating_add(1);
        let events = u64::try_from(events).unwrap_or(0);
        self.report.events = self.report.events.saturating_add(events);
        self.latency.add(now.saturating_duration_since(due));
        self.first_byte.add(first_byte.saturating_duration_since(due));
        if now <= self.ends {
            self.in_time = self.in_time.saturating_add(1);
        }
        Ok(())
    }

    /// Ends requests that took too long.
    fn give_up(&mut self, now: Instant) {
        for id in 0..self.lines.len() {
            let since = self.lines.get(id).and_then(Line::busy_since);
            if since.is_some_and(|due| now.saturating_duration_since(due) > self.plan.patience) {
                self.settle(id, Outcome::Failed("timeout".to_owned()));
            }
        }
    }

    fn close(mut self) -> Report {
        self.report.connects = self.lines.iter().map(Line::connects).sum();
        self.report.ok_per_s = as_f64(self.in_time) / self.plan.lasts.as_secs_f64().max(0.001);
        self.report.latency = self.latency.percentiles();
        self.report.first_byte = self.first_byte.percentiles();
        self.report
    }
}

impl Report {
    fn empty() -> Report {
        Report {
            sent: 0,
            ok: 0,
            ok_per_s: 0.0,
            failed: 0,
            errors: BTreeMap::new(),
            sampled: 0,
            events: 0,
            connects: 0,
            latency: Percentiles::default(),
            first_byte: Percentiles::default(),
            own_cpu_s: 0.0,
        }
    }

    fn fail(&mut self, why: String) {
        self.failed = self.failed.saturating_add(1);
        let count = self.errors.entry(why).or_default();
        *count = count.saturating_add(1);
    }
}

fn as_f64(count: u64) -> f64 {
    count as f64
}
