//! What a request's end means: price, usage row, counters. Exactly once for each request.

use std::sync::Arc;

use tollgate_ledger::{Nano, price};
use tollgate_store::{Outcome, RareUsage, UsageRow};
use tollgate_wire::{Card, Operation, Rates, Target, Tier, Usage};
use tracing::warn;

use crate::{core::Core, limits::Hold, now::Now};

/// What is known of a request before it is answered; becomes its usage row.
#[derive(Debug)]
pub struct Draft {
    /// The row as far as it is known.
    pub row: UsageRow,
    /// When the request came.
    pub started: Now,
}

/// The status in the usage row of a client that left: nginx's.
pub const CLIENT_LEFT: u16 = 499;

impl Draft {
    /// Enters who answered.
    pub fn answered_by(&mut self, target: &Arc<Target>, attempts: u32, fallbacks: u32) {
        let row = &mut self.row;
        row.model = Arc::clone(&target.model);
        row.provider = Arc::clone(&target.provider.name);
        row.target = Arc::clone(&target.id);
        row.api_base = Arc::clone(&target.base);
        row.attempts = attempts;
        row.fallbacks = fallbacks;
    }

    /// Enters what the answer consumed and what that costs.
    pub fn consumed(&mut self, usage: &Usage, target: &Target) {
        charge(&mut self.row, usage, target.card.as_deref());
    }

    /// Microseconds since the request came, as of `now`.
    pub fn elapsed_us(&self, now: Now) -> i64 {
        let elapsed = now.mono.saturating_duration_since(self.started.mono);
        i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
    }
}

/// Enters what an answer consumed and what that costs by this card, at the time of the request.
pub(crate) fn charge(row: &mut UsageRow, usage: &Usage, card: Option<&Card>) {
    row.input = usage.input;
    row.cache_read = usage.cache_read;
    row.cache_write = usage.cache_write;
    row.cache_write_1h = usage.cache_write_1h;
    row.input_audio = usage.input_audio;
    row.output = usage.output;
    row.reasoning = usage.reasoning;
    row.output_audio = usage.output_audio;
    row.rare = RareUsage {
        cache_read_audio: usage.cache_read_audio,
        cache_write_12h: usage.cache_write_12h,
        input_image: usage.input_image,
        input_video: usage.input_video,
        output_image: usage.output_image,
        output_video: usage.output_video,
        searches: usage.searches,
        search_size: usage.search_size.name().into(),
        tier: usage.tier.map(Tier::name).unwrap_or_default().into(),
        us_only: usage.us_only,
    };
    row.estimated = usage.estimated;
    let free = row.operation == Operation::CountTokens.name();
    let at_s = Some(row.started_us / 1_000_000);
    let rates = card.and_then(|card| card.rates.as_ref());
    row.cost = if free { Some(Nano(0)) } else { cost(usage, rates, at_s, &row.target) };
}

fn cost(usage: &Usage, rates: Option<&Rates>, at_s: Option<i64>, target: &str) -> Option<Nano> {
    match price::cost(usage, rates?, at_s) {
        Ok(cost) => Some(cost.total),
        Err(error) => {
            warn!(%error, target, "an answer of target `{target}` has no price");
            None
        }
    }
}

/// Ends a request: posts its cost to the key, counts it, and notes its row. The row is to be
/// written ([`Core::flush`]) before the client has the last byte of the answer, so that whoever
/// sees that can rely on the row.
pub fn settle(core: &Core, draft: &mut Draft, hold: &mut Hold, outcome: Outcome, now: Now) {
    let elapsed_us = draft.elapsed_us(now);
    let row = &mut draft.row;
    row.ended_us = row.started_us.saturating_add(elapsed_us);
    row.outcome = outcome;
    let tokens = row.input.saturating_add(row.output);
    hold.post(tokens, row.cost.unwrap_or(Nano(0)));
    core.count(row);
    // On a full disk, the room that is left is for the rows of requests that cost something.
    if outcome == Outcome::Refused && !core.can_write(now) {
        return;
    }
    // Moved, not cloned: its texts are shared with other cores.
    core.note(std::mem::take(row));
}
