//! What is kept of a request whose answer goes on in the background, and the usage row that it
//! becomes. Pure.

use serde::{Deserialize, Serialize};
use tollgate_store::{Outcome, Pending, UsageRow};
use tollgate_wire::{
    Card, Target, Usage,
    catalogue::line,
    exchange::stored::{Ended, How},
};
use tracing::error;

use crate::{ask::Ask, settle};

/// The rest of a `pending` row: [`Pending::detail`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The provider's id of the answer.
    pub(super) answer: String,
    /// The usage row as far as it is known.
    pub(super) row: UsageRow,
    /// The card that was in force when the answer was asked for: what it is priced by.
    card: Option<String>,
    /// Bytes of the request.
    pub(super) prompt_bytes: u64,
    /// Tokens that the answer may have: what was set aside for.
    output: u64,
}

impl Kept {
    /// What is known when `target` has begun with an answer. `output` is the size of an answer that
    /// names no limit.
    pub(super) fn new(
        answer: &str,
        row: &UsageRow,
        target: &Target,
        ask: &Ask,
        output: u64,
    ) -> Self {
        Kept {
            answer: answer.to_owned(),
            row: row.clone(),
            card: target.card.as_deref().map(line::write),
            prompt_bytes: ask.payload.body.len() as u64,
            output: ask.payload.peek.max_tokens.unwrap_or(output),
        }
    }

    pub(super) fn write(&self) -> String {
        // Texts and numbers in structs of ours: this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What a row says; `None` if it was changed by hand.
    pub(super) fn of(pending: &Pending) -> Option<Self> {
        serde_json::from_str(&pending.detail)
            .inspect_err(|error| {
                error!(%error, request.id = %pending.id, "the row of request `{}` in `pending` cannot be read", pending.id);
            })
            .ok()
    }

    /// The usage row of an answer that has ended.
    pub(super) fn ended(self, ended: &Ended, now_us: i64) -> UsageRow {
        let (outcome, error) = match ended.how {
            How::Completed | How::Incomplete => (Outcome::Ok, None),
            How::Failed => (Outcome::Failed, Some("answer_failed")),
            How::Cancelled => (Outcome::Aborted, Some("answer_cancelled")),
        };
        let row = self.paid(&ended.usage, outcome, error, now_us);
        UsageRow { finish_reason: ended.finish.map(Into::into), ..row }
    }

    /// The usage row of an answer that nobody will hear of again: paid for as what was set aside,
    /// the whole prompt and as much of an answer as it may have had.
    pub(super) fn lost(self, why: &'static str, now_us: i64) -> UsageRow {
        let usage = Usage {
            input: self.prompt_bytes / 4,
            output: self.output,
            estimated: true,
            ..Usage::default()
        };
        self.paid(&usage, Outcome::Cut, Some(why), now_us)
    }

    fn paid(
        self,
        usage: &Usage,
        outcome: Outcome,
        error: Option<&'static str>,
        now_us: i64,
    ) -> UsageRow {
        let card: Option<Card> = self.card.as_deref().and_then(|text| line::read(text).ok());
        let mut row = self.row;
        settle::charge(&mut row, usage, card.as_ref());
        row.outcome = outcome;
        row.error = error.map(Into::into);
        row.ended_us = now_us.max(row.started_us);
        row
    }
}

#[cfg(test)]
mod tests;
